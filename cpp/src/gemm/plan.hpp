// What of a product is packed, how it is cut into tasks, and how much workspace that needs.
#pragma once

#include "gemm/gemm.hpp"
#include "threads/parallel.hpp"

#include <algorithm>
#include <cstdlib>

namespace fastmlp::detail {

// A block of A is copied once for all columns of C. The more rows it has, the less often B is
// packed; it is read as a stream, from wherever it is. Blocks of one product are of one size.
inline constexpr std::ptrdiff_t kBlockBytesA = 32 << 20;

// Rows of A are read where they lie, unless they share a set of a cache. Of a transpose of A, and
// of B, a kernel reads a piece of each row in turn, going from page to page; they are not packed
// while they are this small, and stay where that is fast enough.
inline constexpr std::ptrdiff_t kDirectBytesTransposedA = 768 << 10;
inline constexpr std::ptrdiff_t kDirectBytesB = 1 << 20;

// Rows of A that one task copies and multiplies at once: they stay in the second level of cache.
inline constexpr std::ptrdiff_t kStripBytesA = 256 << 10;
// Each task that copies its rows of A copies B too: for so many rows at least, and where there is
// a choice for so many that it costs nothing.
inline constexpr std::ptrdiff_t kLeastRows = 256, kEnoughRows = 1024;

// So little of B every thread reads for itself, and what it has of A, and makes of C for the next
// layer, are the same rows in each.
inline constexpr std::ptrdiff_t kSharedBytesB = 128 << 10;

inline constexpr double kCopyFlops = 8;  // about what copying an element costs

/// How the kernel reads A. Rows are as good as panels, and cheaper to make, if they do not share a
/// set of a cache.
enum class ReadA { kInPlace, kAsSpacedRows, kAsPanels };

/// How one product is cut. block_rows of A, copied where need be, are multiplied together; a task
/// is (task_rows, task_cols) of C. Where `tasks_copy`, a task copies its rows itself, strip_rows at
/// a time, and goes through all columns of C, task_cols at a time: what one thread copied never
/// goes to another, which may be far away.
template <class T>
struct Plan {
  ReadA read_a;
  bool pack_b, tasks_copy;
  std::ptrdiff_t block_rows, task_rows, task_cols, strip_rows;

  Plan(const KernelTable<T>& kernels, const MatrixView<const T>& A, const MatrixView<const T>& B,
       int team) {
    const std::ptrdiff_t m = A.rows, n = B.cols, k = std::min(A.cols, kChunk);
    // What is read for one or two panels only, or for two tiles, is not worth a copy; nor is a
    // single row, for which Workspace has no place.
    const bool transposed_a = std::abs(A.row_stride) < std::abs(A.col_stride);
    const bool near = transposed_a ? stays_near(k, A.col_stride, m, kDirectBytesTransposedA)
                                   : are_apart(m, A.row_stride);
    read_a = m == 1 || n <= 2 * kernels.nr || near ? ReadA::kInPlace
             : A.col_stride == 1                   ? ReadA::kAsSpacedRows
                                                   : ReadA::kAsPanels;
    pack_b =
        B.col_stride != 1 || (m > 2 * kernels.mr && !stays_near(k, B.row_stride, n, kDirectBytesB));
    block_rows = m;
    if (read_a != ReadA::kInPlace) {
      const std::ptrdiff_t most_rows = fitting(kBlockBytesA, kernels.mr, spaced<T>(k), m);
      block_rows = equal_parts(m, parts_of(m, most_rows), kernels.mr);
    }
    task_cols = pack_b ? fitting(kernels.b_block_bytes, kernels.nr, k, n) : n;
    task_rows = block_rows;
    // By rows what is copied of B is copied by all, by columns what is copied of A is waited for.
    tasks_copy =
        read_a != ReadA::kInPlace && (team == 1 || (m >= n && block_rows >= kLeastRows * team));
    if (team > 1) share(kernels, m, n, k, team);
    strip_rows =
        task_cols < n ? task_rows : fitting(kStripBytesA, kernels.mr, spaced<T>(k), task_rows);
  }

  /// How many elements are enough for a block of A, and for a task's part of B, of an
  /// (m, k) . (k, n) product and of those with a smaller m or k. (A smaller k can make larger
  /// blocks: more panels fit, and what is left over of the bytes is less; or rows that have to be
  /// spaced.)
  static std::ptrdiff_t most_a(const KernelTable<T>& kernels, std::ptrdiff_t m, std::ptrdiff_t k) {
    return most(kBlockBytesA, kernels.mr, std::min(k, kChunk) + kSpacing<T>, m);
  }
  static std::ptrdiff_t most_b(const KernelTable<T>& kernels, std::ptrdiff_t n, std::ptrdiff_t k) {
    return most(kernels.b_block_bytes, kernels.nr, std::min(k, kChunk), n);
  }

 private:
  /// Cuts columns first, because rows that share columns would pack them twice; or rows only, where
  /// there is little to pack or tasks copy their rows.
  void share(const KernelTable<T>& kernels, std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k,
             int team) {
    const double pieces = pieces_for(product_flops(m, n, k));
    auto tasks = static_cast<std::ptrdiff_t>(std::min(pieces, double{kTasksPerThread} * team));
    if (tasks < 2) return;
    const bool little_b =
        !pack_b && m >= 4 * n && k * n * static_cast<std::ptrdiff_t>(sizeof(T)) <= kSharedBytesB;
    if (tasks_copy && !little_b) {
      tasks = std::min(tasks, std::max<std::ptrdiff_t>(team, block_rows / kEnoughRows));
    }
    std::ptrdiff_t col_tasks = 1;
    if (!tasks_copy && !little_b) {
      task_cols = std::min(task_cols, equal_parts(n, tasks, kernels.nr));
      col_tasks = parts_of(n, task_cols);
    }
    if (col_tasks < tasks) {
      task_rows =
          std::min(task_rows, equal_parts(block_rows, parts_of(tasks, col_tasks), kernels.mr));
    }
  }

  /// Whether an operand of `rows` rows `stride` apart may be read where it is.
  static bool stays_near(std::ptrdiff_t rows, std::ptrdiff_t stride, std::ptrdiff_t cols,
                         std::ptrdiff_t bytes) {
    constexpr auto kSize = static_cast<std::ptrdiff_t>(sizeof(T));
    return rows * cols * kSize <= bytes && are_apart(rows, stride);
  }
  /// Whether so many rows can be in a cache at once.
  static bool are_apart(std::ptrdiff_t rows, std::ptrdiff_t stride) {
    constexpr auto kSize = static_cast<std::ptrdiff_t>(sizeof(T));
    return rows < 8 || stride * kSize % kCacheSetBytes != 0;
  }
  static std::ptrdiff_t parts_of(std::ptrdiff_t size, std::ptrdiff_t part) {
    return (size + part - 1) / part;
  }
  /// How large each of so many parts is, in whole units, that are as equal as can be.
  static std::ptrdiff_t equal_parts(std::ptrdiff_t size, std::ptrdiff_t parts,
                                    std::ptrdiff_t unit) {
    return round_up(parts_of(size, parts), unit);
  }
  // The most panels of `unit` by k that fit, at least one, no more than are needed.
  static std::ptrdiff_t fitting(std::ptrdiff_t bytes, std::ptrdiff_t unit, std::ptrdiff_t k,
                                std::ptrdiff_t needed) {
    const std::ptrdiff_t panel =
        unit * std::max<std::ptrdiff_t>(k, 1) * static_cast<std::ptrdiff_t>(sizeof(T));
    return std::min(std::max<std::ptrdiff_t>(1, bytes / panel) * unit, round_up(needed, unit));
  }
  static std::ptrdiff_t most(std::ptrdiff_t bytes, std::ptrdiff_t unit, std::ptrdiff_t k,
                             std::ptrdiff_t needed) {
    const std::ptrdiff_t fit = bytes / static_cast<std::ptrdiff_t>(sizeof(T));
    return std::min(std::max(fit, unit * k), round_up(needed, unit) * k);
  }
};

/// The part of the workspace that all threads share, and that of each.
template <class T>
struct Workspace {
  std::ptrdiff_t common = 0, share = 0;

  Workspace() = default;
  Workspace(const KernelTable<T>& kernels, std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k) {
    constexpr std::ptrdiff_t kLine = 64 / sizeof(T);
    if (n == 1) {
      common = round_up(k, kLine);  // the one column, contiguous
      share = round_up(std::min(k, kChunk), kLine);
    } else {
      common = m == 1 ? 0 : round_up(Plan<T>::most_a(kernels, m, k), kLine);
      share = round_up(Plan<T>::most_b(kernels, n, k), kLine);
    }
  }
  std::size_t size(int team) const { return static_cast<std::size_t>(common + team * share); }
};

}  // namespace fastmlp::detail
