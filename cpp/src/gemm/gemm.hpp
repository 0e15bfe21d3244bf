// The driver of the matrix product: threads, blocking, packing; then kernels/gemm_kernel.hpp.
// What becomes of the sums is the epilogue's; each function below names one. The order of summation
// is fixed by the shapes alone (docs/mathematics.md, "Order of summation").
#pragma once

#include "aligned_buffer.hpp"
#include "kernels/kernel_table.hpp"
#include "threads/poller.hpp"

#include <fastmlp/matrix_view.hpp>

#include <cstddef>

namespace fastmlp::detail {

/// What a product needs beside its operands.
template <class T>
struct GemmContext {
  const KernelTable<T>& kernels;
  AlignedBuffer<T>& workspace;  // grows where a product needs more
  int max_team;                 // of threads, which the workspace was made for
  Poller* poller = nullptr;     // asked between blocks; null: the product is finished in any case
};

/// The flops of an (m, k) . (k, n) product.
inline double product_flops(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k) {
  return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
}

template <class T>
constexpr std::ptrdiff_t kSpacing = 64 / static_cast<std::ptrdiff_t>(sizeof(T));  // one line

/// How far apart to put rows of `cols` elements, so that a product can read them where they are.
template <class T>
constexpr std::ptrdiff_t spaced(std::ptrdiff_t cols) {
  constexpr auto kSize = static_cast<std::ptrdiff_t>(sizeof(T));
  return cols * kSize % kCacheSetBytes != 0 ? cols : cols + kSpacing<T>;
}

/// How many elements of workspace are enough for an (m, k) . (k, n) product, and for those with a
/// smaller m or k.
template <class T>
std::size_t gemm_workspace(const KernelTable<T>& kernels, std::ptrdiff_t m, std::ptrdiff_t n,
                           std::ptrdiff_t k, int max_team);

/// C = epilogue(A . B). `to.c` must have contiguous columns, and where B has one column contiguous
/// rows. `add` and `update`, which read C, take k <= kChunk.
/// \throws Stopped, with C undefined, where the poller says so
template <class T>
void gemm(const GemmContext<T>& context, const MatrixView<const T>& A, const MatrixView<const T>& B,
          const EpilogueKernels<T>& epilogue, const Epilogue<T>& to);

/// to = epilogue(sum of the rows of A), for A of at most kChunk rows with contiguous columns.
template <class T>
void sum_rows(const GemmContext<T>& context, MatrixView<const T> A,
              const EpilogueKernels<T>& epilogue, const Epilogue<T>& to);

}  // namespace fastmlp::detail
