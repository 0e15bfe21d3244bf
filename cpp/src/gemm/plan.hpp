// The plan of a gemm: what is packed, how C is cut into tasks, and how much workspace that takes.
// gemm.cpp carries it out. No choice here can change a bit of the result.
//
// A is (m, k), B is (k, n), with k cut to one chunk; a tile of C is (mr, nr). "Shared set": at
// least 8 rows in memory that begin a multiple of 4 KiB apart, so that they push each other out of
// the first-level cache. In each group the first condition that holds decides.
//
// condition                          path                    reason
// ---------------------------------- ----------------------- --------------------------------------
// Which kernel (gemm() in gemm.cpp)
//   n = 1                            gemv, 16 lanes          a single chain for each row of A would
//                                                            wait for the latency of fma
//   m = 1, rows of B contiguous      gemv, row by row        B is read once: nothing to reuse
//   otherwise                        gemm, as follows
//
// A (Plan::a)
//   m = 1                            kInPlace                a single row shares no set, and the
//                                                            workspace has no room for a copy
//   n <= 2 nr                        kInPlace                at most two panels of B meet it, too
//                                                            few to pay for a copy
//   stored by rows, no shared set    kInPlace                mr rows are mr streams, which the
//                                                            processor follows well
//   stored by columns (a transpose), kInPlace                the kernel goes from page to page,
//     <= 768 KiB, no shared set                              which is fast enough in a cache
//   rows contiguous                  kAhead, as spaced rows  as fast as panels, and cheaper to make
//   otherwise                        kAhead, in panels       the kernel reads one stream
//
// B (Plan::b)
//   rows not contiguous              kAhead                  the kernel loads vectors along rows
//   m <= 2 mr                        kInPlace                at most two rows of tiles read it, too
//                                                            few to pay for a copy
//   <= 1 MiB, no shared set          kInPlace                the kernel goes from page to page,
//                                                            which is fast enough in a cache
//   otherwise                        kByKernel               storing panels while multiplying takes
//                                                            no time (see gemm_kernel.hpp)
//
// Who packs A if it is kAhead (Plan::tasks_pack_a)
//   one thread                       each task, by strips    a strip is still in the second-level
//                                                            cache when it is multiplied
//   m >= n, 256 rows for each thread each task, by strips    each thread reads its own copy; a line
//                                                            from another cluster of cores takes
//                                                            350 ns instead of 65
//   otherwise                        all threads, before     tasks of few rows would each pack all
//                                    the tasks begin         of B
//
// How a team cuts C (Plan::share)
//   B kInPlace, <= 128 KiB, m >= 4 n into rows               a thread keeps the same rows, in its
//                                                            own caches, from layer to layer of a
//                                                            network
//   tasks pack A                     into rows, 1024 each    each task also packs all of B
//                                    if there are enough
//   otherwise                        into columns, and then  tasks that share columns would each
//                                    into rows               pack the same part of B
#pragma once

#include "gemm/gemm.hpp"
#include "threads/parallel.hpp"

#include <algorithm>
#include <cstdlib>

namespace fastmlp::detail {

// The bytes of a block of packed rows of A. Every block packs B anew, so blocks are large: with 4
// MiB a 2048 x 2048 x 2048 product took 4 % longer. A block need not fit a cache, because the
// kernel reads it as a stream.
inline constexpr std::ptrdiff_t kBlockBytesA = 32 << 20;

// The largest operands that are read in place although the kernel goes from page to page in them.
inline constexpr std::ptrdiff_t kInPlaceBytesTransposedA = 768 << 10;
inline constexpr std::ptrdiff_t kInPlaceBytesB = 1 << 20;

// The bytes of a strip: the rows of A that a task packs and then multiplies. It is a quarter of a
// second-level cache of 1 MiB, half of which is for B.
inline constexpr std::ptrdiff_t kStripBytesA = 256 << 10;

// A task that packs its own rows of A packs B too, so it needs many rows. Tasks pack A only if
// there are kLeastRows for each thread. A task then has kEnoughRows, if that gives every thread a
// task, and packing B costs it next to nothing. (With 256 rows a task, 2048 x 2048 x 2048 in
// float64 fell from 0.90 of the peak to 0.82 on two threads.)
inline constexpr std::ptrdiff_t kLeastRows = 256, kEnoughRows = 1024;

// The largest B that is cheap enough for every thread to read as a whole.
inline constexpr std::ptrdiff_t kSharedBytesB = 128 << 10;

inline constexpr double kCopyFlops = 8;  // copying an element takes about as long as 8 flops

/// How one product is cut. A is multiplied in blocks of block_rows rows; for each, C is cut into
/// tasks of (task_rows, task_cols). If tasks pack A, a task is task_rows rows with all columns: it
/// packs a strip of strip_rows rows, multiplies it with task_cols columns at a time, and goes on to
/// the next strip.
template <class T>
struct Plan {
  Packing a, b;
  // If A is packed ahead:
  bool a_in_panels;   // in panels, or as spaced rows, which the kernel then reads in place
  bool tasks_pack_a;  // by each task, or by all threads before the tasks begin
  std::ptrdiff_t block_rows, task_rows, task_cols, strip_rows;

  Plan(const KernelTable<T>& kernels, const MatrixView<const T>& A, const MatrixView<const T>& B,
       int team) {
    const std::ptrdiff_t m = A.rows, n = B.cols, k = std::min(A.cols, kChunk);
    a = packing_of_a(kernels, A, n, k);
    a_in_panels = A.col_stride != 1;
    b = packing_of_b(kernels, B, m, k);
    block_rows = m;
    if (a == Packing::kAhead) {
      const std::ptrdiff_t most_rows = fitting(kBlockBytesA, kernels.mr, spaced<T>(k), m);
      block_rows = equal_parts(m, parts_of(m, most_rows), kernels.mr);
    }
    tasks_pack_a =
        a == Packing::kAhead && (team == 1 || (m >= n && block_rows >= kLeastRows * team));
    task_rows = block_rows;
    task_cols = b == Packing::kInPlace ? n : fitting(kernels.b_block_bytes, kernels.nr, k, n);
    if (team > 1) share(kernels, m, n, k, team);
    // A thread has room for task_cols columns of B. If these are not all, a second strip would have
    // to pack all of B again.
    strip_rows = tasks_pack_a && task_cols >= n
                     ? fitting(kStripBytesA, kernels.mr, spaced<T>(k), task_rows)
                     : task_rows;
  }

  bool packs_nothing() const { return a == Packing::kInPlace && b == Packing::kInPlace; }

  /// The number of elements that are enough for a packed block of A in an (m, k) . (k, n) product,
  /// and in the same product with a smaller m or k. A smaller k can need more than k itself: more
  /// panels fit into the bytes of a block, with less left over, or its rows have to be spaced.
  static std::ptrdiff_t most_a(const KernelTable<T>& kernels, std::ptrdiff_t m, std::ptrdiff_t k) {
    return most(kBlockBytesA, kernels.mr, std::min(k, kChunk) + kSpacing<T>, m);
  }
  /// The same for a task's packed part of B.
  static std::ptrdiff_t most_b(const KernelTable<T>& kernels, std::ptrdiff_t n, std::ptrdiff_t k) {
    return most(kernels.b_block_bytes, kernels.nr, std::min(k, kChunk), n);
  }

 private:
  static Packing packing_of_a(const KernelTable<T>& kernels, const MatrixView<const T>& A,
                              std::ptrdiff_t n, std::ptrdiff_t k) {
    if (A.rows == 1 || n <= 2 * kernels.nr) return Packing::kInPlace;
    const bool transposed = std::abs(A.row_stride) < std::abs(A.col_stride);
    const bool in_place = transposed
                              ? fits_in_place(k, A.col_stride, A.rows, kInPlaceBytesTransposedA)
                              : !share_a_set(A.rows, A.row_stride);
    return in_place ? Packing::kInPlace : Packing::kAhead;
  }

  static Packing packing_of_b(const KernelTable<T>& kernels, const MatrixView<const T>& B,
                              std::ptrdiff_t m, std::ptrdiff_t k) {
    if (B.col_stride != 1) return Packing::kAhead;
    const bool in_place =
        m <= 2 * kernels.mr || fits_in_place(k, B.row_stride, B.cols, kInPlaceBytesB);
    return in_place ? Packing::kInPlace : Packing::kByKernel;
  }

  /// Cuts a block into tasks for a team: see the last group of the table.
  void share(const KernelTable<T>& kernels, std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k,
             int team) {
    const double pieces = pieces_for(product_flops(m, n, k));
    auto tasks = static_cast<std::ptrdiff_t>(std::min(pieces, double{kTasksPerThread} * team));
    if (tasks < 2) return;
    const bool little_b = b == Packing::kInPlace && m >= 4 * n &&
                          k * n * static_cast<std::ptrdiff_t>(sizeof(T)) <= kSharedBytesB;
    if (tasks_pack_a && !little_b) {
      tasks = std::min(tasks, std::max<std::ptrdiff_t>(team, block_rows / kEnoughRows));
    }
    std::ptrdiff_t col_tasks = 1;
    if (!tasks_pack_a && !little_b) {
      task_cols = std::min(task_cols, equal_parts(n, tasks, kernels.nr));
      col_tasks = parts_of(n, task_cols);
    }
    if (col_tasks < tasks) {
      task_rows =
          std::min(task_rows, equal_parts(block_rows, parts_of(tasks, col_tasks), kernels.mr));
    }
  }

  /// Whether (rows, cols) in memory, the rows `stride` apart, fit `bytes` and share no set.
  static bool fits_in_place(std::ptrdiff_t rows, std::ptrdiff_t stride, std::ptrdiff_t cols,
                            std::ptrdiff_t bytes) {
    constexpr auto kSize = static_cast<std::ptrdiff_t>(sizeof(T));
    return rows * cols * kSize <= bytes && !share_a_set(rows, stride);
  }
  /// Whether rows `stride` apart push each other out of the first-level cache. A set of it has 8
  /// ways or more on most CPUs, so fewer than 8 rows fit in any case.
  static bool share_a_set(std::ptrdiff_t rows, std::ptrdiff_t stride) {
    constexpr auto kSize = static_cast<std::ptrdiff_t>(sizeof(T));
    return rows >= 8 && stride * kSize % kCacheSetBytes == 0;
  }
  /// The number of parts of size `part`, the last one perhaps smaller.
  static std::ptrdiff_t parts_of(std::ptrdiff_t size, std::ptrdiff_t part) {
    return (size + part - 1) / part;
  }
  /// The size of each of `parts` parts: as equal as can be, a multiple of `unit`.
  static std::ptrdiff_t equal_parts(std::ptrdiff_t size, std::ptrdiff_t parts,
                                    std::ptrdiff_t unit) {
    return round_up(parts_of(size, parts), unit);
  }
  /// The number of rows (or columns) that fit `bytes` in whole panels of (unit, k): at least one
  /// panel, at most those that are needed.
  static std::ptrdiff_t fitting(std::ptrdiff_t bytes, std::ptrdiff_t unit, std::ptrdiff_t k,
                                std::ptrdiff_t needed) {
    const std::ptrdiff_t panel =
        unit * std::max<std::ptrdiff_t>(k, 1) * static_cast<std::ptrdiff_t>(sizeof(T));
    return std::min(std::max<std::ptrdiff_t>(1, bytes / panel) * unit, round_up(needed, unit));
  }
  /// An upper bound on the elements in the panels of fitting(), for this k or a smaller one.
  static std::ptrdiff_t most(std::ptrdiff_t bytes, std::ptrdiff_t unit, std::ptrdiff_t k,
                             std::ptrdiff_t needed) {
    const std::ptrdiff_t fit = bytes / static_cast<std::ptrdiff_t>(sizeof(T));
    return std::min(std::max(fit, unit * k), round_up(needed, unit) * k);
  }
};

/// The workspace of a product, in elements: `common` for all threads, then `share` for each.
template <class T>
struct Workspace {
  std::ptrdiff_t common = 0, share = 0;

  Workspace() = default;
  Workspace(const KernelTable<T>& kernels, std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k) {
    constexpr std::ptrdiff_t kLine = 64 / sizeof(T);
    if (n == 1) {
      common = round_up(k, kLine);                   // a contiguous copy of the one column
      share = round_up(std::min(k, kChunk), kLine);  // a contiguous copy of a chunk of a row of A
    } else {
      common = m == 1 ? 0 : round_up(Plan<T>::most_a(kernels, m, k), kLine);  // a packed block of A
      share = round_up(Plan<T>::most_b(kernels, n, k), kLine);  // a task's packed part of B
    }
  }
  std::size_t size(int team) const { return static_cast<std::size_t>(common + team * share); }
};

}  // namespace fastmlp::detail
