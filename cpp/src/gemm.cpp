// The matrix product, from the outside in at the end of the file: gemm() shares the work out among
// threads, multiply() cuts it into packed blocks, multiply_packed() into tiles. Read it from below.
#include "gemm.hpp"

#include "parallel.hpp"

#include <algorithm>
#include <atomic>

namespace fastmlp::detail {
namespace {

/// The epilogue of the tile whose first element is (i, j).
template <class T>
Epilogue<T> at(const Epilogue<T>& to, std::ptrdiff_t i, std::ptrdiff_t j) {
  Epilogue<T> tile = to;
  tile.c += i * to.ldc + j;
  if (to.bias != nullptr) tile.bias += j;
  if (to.activated != nullptr) tile.activated += i * to.ld_activated + j;
  return tile;
}

/// The sizes of the blocks of A (mc, kc) and B (kc, nc) that one thread packs.
template <class T>
struct Blocks {
  std::ptrdiff_t mc, nc, kc;

  Blocks(const KernelTable<T>& kernels, std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k) {
    // A whole chunk at a time: a tile's sums are complete in registers, where the epilogue is.
    kc = std::min(k, kChunk);
    mc = fit(kernels.a_block_bytes, kernels.mr, m);
    nc = fit(kernels.b_block_bytes, kernels.nr, n);
  }

  /// How many elements are enough for blocks of this product and of every smaller one. (A smaller k
  /// can make larger blocks: more panels fit, and what is left over of the bytes is less.)
  static std::ptrdiff_t most(const KernelTable<T>& kernels, std::ptrdiff_t m, std::ptrdiff_t n,
                             std::ptrdiff_t k) {
    const std::ptrdiff_t kc = std::min(k, kChunk);
    const auto operand = [kc](std::ptrdiff_t bytes, std::ptrdiff_t unit, std::ptrdiff_t needed) {
      const auto fitting = bytes / static_cast<std::ptrdiff_t>(sizeof(T));
      return std::min(std::max(fitting, unit * kc), round_up(needed, unit) * kc);
    };
    return operand(kernels.a_block_bytes, kernels.mr, m) +
           operand(kernels.b_block_bytes, kernels.nr, n);
  }

 private:
  // The most panels of `unit` by kc that fit, at least one, no more than are needed.
  std::ptrdiff_t fit(std::ptrdiff_t bytes, std::ptrdiff_t unit, std::ptrdiff_t needed) const {
    const std::ptrdiff_t panel =
        unit * std::max<std::ptrdiff_t>(kc, 1) * static_cast<std::ptrdiff_t>(sizeof(T));
    const std::ptrdiff_t panels = std::max<std::ptrdiff_t>(1, bytes / panel);
    return std::min(panels * unit, round_up(needed, unit));
  }
};

/// Packs M (rows, k) into panels of `width` rows: panel after panel, in each k columns of `width`
/// elements, rows beyond the last filled with zero. B is packed as its transpose.
template <class T>
void pack(MatrixView<const T> M, std::ptrdiff_t width, T* out) {
  for (std::ptrdiff_t first = 0; first < M.rows; first += width, out += width * M.cols) {
    const std::ptrdiff_t valid = std::min(width, M.rows - first);
    const MatrixView<const T> panel = M.row_block(first, valid);
    if (valid < width) std::fill(out, out + width * M.cols, T(0));
    if (M.row_stride == 1) {
      for (std::ptrdiff_t p = 0; p < M.cols; ++p) {
        const T* column = panel.data + p * panel.col_stride;
        for (std::ptrdiff_t i = 0; i < valid; ++i) out[p * width + i] = column[i];
      }
    } else {
      for (std::ptrdiff_t i = 0; i < valid; ++i) {
        const T* row = panel.data + i * panel.row_stride;
        for (std::ptrdiff_t p = 0; p < M.cols; ++p) out[p * width + i] = row[p * panel.col_stride];
      }
    }
  }
}

/// The tiles of one packed block of A against one packed block of B.
template <class T>
void multiply_packed(const KernelTable<T>& kernels, const T* a, const T* b, std::ptrdiff_t m,
                     std::ptrdiff_t n, std::ptrdiff_t k, const EpilogueKernels<T>& epilogue,
                     const Epilogue<T>& to) {
  for (std::ptrdiff_t j = 0; j < n; j += kernels.nr) {
    for (std::ptrdiff_t i = 0; i < m; i += kernels.mr) {
      epilogue.tile({k, a + i * k, b + j * k, std::min(kernels.mr, m - i),
                     std::min(kernels.nr, n - j), at(to, i, j)});
    }
  }
}

/// One thread's part of a product, chunk by chunk; given up where stop_after(flops) says so.
template <class T, class StopAfter>
void multiply(const KernelTable<T>& kernels, MatrixView<const T> A, MatrixView<const T> B,
              const EpilogueKernels<T>& epilogue, const Epilogue<T>& to, T* workspace,
              const StopAfter& stop_after) {
  if (A.rows == 0 || B.cols == 0) return;  // more threads than tiles
  const Blocks<T> blocks(kernels, A.rows, B.cols, A.cols);
  T* packed_a = workspace;
  T* packed_b = workspace + blocks.mc * blocks.kc;
  const bool one_chunk = A.cols <= kChunk;
  for (std::ptrdiff_t j = 0; j < B.cols; j += blocks.nc) {
    const std::ptrdiff_t nc = std::min(blocks.nc, B.cols - j);
    std::ptrdiff_t p = 0;
    do {  // once also where there is nothing to sum
      const std::ptrdiff_t kc = std::min(kChunk, A.cols - p);
      // The sums of several chunks are added in C; the epilogue follows on the totals.
      const EpilogueKernels<T>& finish = one_chunk ? epilogue
                                         : p == 0  ? kernels.store
                                                   : kernels.add;
      pack(B.row_block(p, kc).col_block(j, nc).transposed(), kernels.nr, packed_b);
      for (std::ptrdiff_t i = 0; i < A.rows; i += blocks.mc) {
        const std::ptrdiff_t mc = std::min(blocks.mc, A.rows - i);
        pack(A.row_block(i, mc).col_block(p, kc), kernels.mr, packed_a);
        multiply_packed(kernels, packed_a, packed_b, mc, nc, kc, finish, at(to, i, j));
        if (stop_after(product_flops(mc, nc, kc))) return;
      }
      p += kc;
    } while (p < A.cols);
    if (one_chunk || &epilogue == &kernels.store) continue;
    for (std::ptrdiff_t i = 0; i < A.rows; ++i) {
      const Epilogue<T> row = at(to, i, j);
      epilogue.row(row.c, nc, row);
    }
  }
}

/// One thread's rows of a product with one column: each element in 16 lanes, chunk by chunk.
/// x is contiguous; `scratch` has room for a chunk.
template <class T, class StopAfter>
void multiply_column(const KernelTable<T>& kernels, MatrixView<const T> A, const T* x,
                     const EpilogueKernels<T>& epilogue, const Epilogue<T>& to, Range rows,
                     T* scratch, const StopAfter& stop_after) {
  constexpr std::ptrdiff_t kRows = 256;  // sums at a time, on the stack
  T total[kRows], sums[kRows], bias[kRows];
  if (to.bias != nullptr) std::fill(bias, bias + kRows, to.bias[0]);
  for (std::ptrdiff_t first = rows.begin; first < rows.end; first += kRows) {
    const std::ptrdiff_t n = std::min(kRows, rows.end - first);
    std::fill(total, total + n, T(0));
    for (std::ptrdiff_t p = 0; p < A.cols; p += kChunk) {
      const std::ptrdiff_t kc = std::min(kChunk, A.cols - p);
      const MatrixView<const T> block = A.row_block(first, n).col_block(p, kc);
      T* sum = p == 0 ? total : sums;
      if (block.row_stride == 1 && block.col_stride != 1) {
        kernels.column_dots(block.data, block.col_stride, x + p, kc, n, sum);
      } else {
        for (std::ptrdiff_t i = 0; i < n; ++i) {
          const T* row = block.data + i * block.row_stride;
          if (block.col_stride != 1) {
            for (std::ptrdiff_t q = 0; q < kc; ++q) scratch[q] = row[q * block.col_stride];
            row = scratch;
          }
          sum[i] = kernels.dot(row, x + p, kc);
        }
      }
      if (p > 0) {
        for (std::ptrdiff_t i = 0; i < n; ++i) total[i] += sums[i];
      }
    }
    // The column seen as one row of C, all of it with the one bias.
    Epilogue<T> row = at(to, 0, first);
    if (to.bias != nullptr) row.bias = bias;
    epilogue.row(total, n, row);
    if (stop_after(product_flops(n, 1, A.cols))) return;
  }
}

/// Elements of workspace for each thread of a product, and before those the ones for all.
template <class T>
struct Workspace {
  std::ptrdiff_t common, share;

  Workspace(const KernelTable<T>& kernels, std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k) {
    constexpr std::ptrdiff_t kLine = 64 / sizeof(T);
    common = n == 1 ? round_up(k, kLine) : 0;  // the one column, contiguous
    share = round_up(n == 1 ? std::min(k, kChunk) : Blocks<T>::most(kernels, m, n, k), kLine);
  }
  std::size_t size(int team) const { return static_cast<std::size_t>(common + team * share); }
};

}  // namespace

template <class T>
std::size_t gemm_workspace(const KernelTable<T>& kernels, std::ptrdiff_t m, std::ptrdiff_t n,
                           std::ptrdiff_t k, int max_team) {
  return Workspace<T>(kernels, m, n, k).size(std::min(team_for(product_flops(m, n, k)), max_team));
}

template <class T>
void gemm(const GemmContext<T>& context, MatrixView<const T> A, MatrixView<const T> B,
          const EpilogueKernels<T>& epilogue, const Epilogue<T>& to) {
  const std::ptrdiff_t m = A.rows, n = B.cols, k = A.cols;
  if (m == 0 || n == 0) return;
  const KernelTable<T>& kernels = context.kernels;
  const int team = std::min(team_for(product_flops(m, n, k)), context.max_team);
  const Workspace<T> need(kernels, m, n, k);
  context.workspace.reserve(need.size(team));
  T* workspace = context.workspace.data();

  const T* x = B.data;
  if (n == 1 && B.row_stride != 1) {
    for (std::ptrdiff_t p = 0; p < k; ++p) workspace[p] = B(p, 0);
    x = workspace;
  }
  std::atomic<bool> stop{false};
  parallel(team, [&](int thread, int threads) noexcept {
    // Thread 0 is the calling one; it asks, and the others see the answer.
    const auto stop_after = [&](double flops) {
      if (thread == 0 && context.poller != nullptr && context.poller->stop_after(flops)) {
        stop.store(true, std::memory_order_relaxed);
      }
      return stop.load(std::memory_order_relaxed);
    };
    T* own = workspace + need.common + thread * need.share;
    if (n == 1) {
      multiply_column(kernels, A, x, epilogue, to, share_of(m, kLanes, thread, threads), own,
                      stop_after);
    } else if (m >= n) {
      // k stays on one thread, and so does what it packs: cutting the longer side packs less twice.
      const Range rows = share_of(m, kernels.mr, thread, threads);
      multiply(kernels, A.row_block(rows.begin, rows.end - rows.begin), B, epilogue,
               at(to, rows.begin, 0), own, stop_after);
    } else {
      const Range cols = share_of(n, kernels.nr, thread, threads);
      multiply(kernels, A, B.col_block(cols.begin, cols.end - cols.begin), epilogue,
               at(to, 0, cols.begin), own, stop_after);
    }
  });
  if (context.poller != nullptr) context.poller->throw_if_stopped();
}

template <class T>
void sum_rows(const GemmContext<T>& context, MatrixView<const T> A,
              const EpilogueKernels<T>& epilogue, const Epilogue<T>& to) {
  constexpr std::ptrdiff_t kCols = 256;  // sums at a time, on the stack
  const KernelTable<T>& kernels = context.kernels;
  parallel_for(A.cols, kLanes, product_flops(A.rows, A.cols, 1),
               [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
                 T sums[kCols];
                 for (std::ptrdiff_t j = begin; j < end; j += kCols) {
                   const std::ptrdiff_t n = std::min(kCols, end - j);
                   kernels.column_dots(A.data + j, A.row_stride, nullptr, A.rows, n, sums);
                   epilogue.row(sums, n, at(to, 0, j));
                 }
               });
}

template std::size_t gemm_workspace(const KernelTable<float>&, std::ptrdiff_t, std::ptrdiff_t,
                                    std::ptrdiff_t, int);
template std::size_t gemm_workspace(const KernelTable<double>&, std::ptrdiff_t, std::ptrdiff_t,
                                    std::ptrdiff_t, int);
template void gemm(const GemmContext<float>&, MatrixView<const float>, MatrixView<const float>,
                   const EpilogueKernels<float>&, const Epilogue<float>&);
template void gemm(const GemmContext<double>&, MatrixView<const double>, MatrixView<const double>,
                   const EpilogueKernels<double>&, const Epilogue<double>&);
template void sum_rows(const GemmContext<float>&, MatrixView<const float>,
                       const EpilogueKernels<float>&, const Epilogue<float>&);
template void sum_rows(const GemmContext<double>&, MatrixView<const double>,
                       const EpilogueKernels<double>&, const Epilogue<double>&);

}  // namespace fastmlp::detail
