// The matrix product C = epilogue(A . B), on all threads of the team. Each caller names the
// epilogue, which takes the complete sums: add a bias and activate, update a parameter, and so on.
// The shapes alone fix the order of summation (docs/mathematics.md, "Order of summation").
// reference.hpp says what is computed, plan.hpp how it is cut, gemm.cpp does it.
#pragma once

#include "aligned_buffer.hpp"
#include "kernels/kernel_table.hpp"
#include "threads/poller.hpp"

#include <fastmlp/matrix_view.hpp>

#include <cstddef>

namespace fastmlp::detail {

/// What a product needs besides its operands.
template <class T>
struct GemmContext {
  const KernelTable<T>& kernels;
  AlignedBuffer<T>& workspace;  // grows if a product needs more
  int max_team;                 // the workspace has room for this many threads
  Poller* poller = nullptr;     // is asked between blocks whether to stop; null: never stop
};

/// The number of flops of an (m, k) . (k, n) product.
inline double product_flops(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k) {
  return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
}

template <class T>
constexpr std::ptrdiff_t kSpacing = 64 / static_cast<std::ptrdiff_t>(sizeof(T));  // a cache line

/// The row stride for rows of `cols` elements that a product can read in place: rows that would
/// share a set of the cache are put one line further apart.
template <class T>
constexpr std::ptrdiff_t spaced(std::ptrdiff_t cols) {
  constexpr auto kSize = static_cast<std::ptrdiff_t>(sizeof(T));
  return cols * kSize % kCacheSetBytes != 0 ? cols : cols + kSpacing<T>;
}

/// The number of elements of workspace that are enough for an (m, k) . (k, n) product, and for the
/// same product with a smaller m or k.
template <class T>
std::size_t gemm_workspace(const KernelTable<T>& kernels, std::ptrdiff_t m, std::ptrdiff_t n,
                           std::ptrdiff_t k, int max_team);

/// C = epilogue(A . B). `to.c` must have contiguous rows; if B has one column, `to.c` must be
/// contiguous. The epilogues `add` and `update` read C, so they need k <= kChunk.
/// \throws Stopped if the poller says so; C is then undefined
template <class T>
void gemm(const GemmContext<T>& context, const MatrixView<const T>& A, const MatrixView<const T>& B,
          const EpilogueKernels<T>& epilogue, const Epilogue<T>& to);

/// C = epilogue(sum of the rows of A), a single row. A has at most kChunk rows, each
/// contiguous.
template <class T>
void sum_rows(const GemmContext<T>& context, MatrixView<const T> A,
              const EpilogueKernels<T>& epilogue, const Epilogue<T>& to);

}  // namespace fastmlp::detail
