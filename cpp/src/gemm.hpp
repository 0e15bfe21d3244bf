// The driver of the matrix product: threads, blocking, packing; then kernels/gemm_kernel.hpp.
// What becomes of the sums is the epilogue's; each function below names one. The order of summation
// is fixed by the shapes alone (docs/mathematics.md, "Order of summation").
#pragma once

#include "aligned_buffer.hpp"
#include "kernels/kernel_table.hpp"

#include <fastmlp/matrix_view.hpp>

#include <cstddef>

namespace fastmlp::detail {

/// What a product needs beside its operands. The workspace grows to what the largest product needs.
template <class T>
struct GemmContext {
  const KernelTable<T>& kernels;
  AlignedBuffer<T>& workspace;
};

/// How many elements of workspace an (m, k) . (k, n) product takes with today's number of threads.
template <class T>
std::size_t gemm_workspace(const KernelTable<T>& kernels, std::ptrdiff_t m, std::ptrdiff_t n,
                           std::ptrdiff_t k);

/// C = epilogue(A . B). `to.c` must have contiguous columns, and where B has one column contiguous
/// rows. `add` and `update`, which read C, take k <= kChunk.
template <class T>
void gemm(const GemmContext<T>& context, MatrixView<const T> A, MatrixView<const T> B,
          const EpilogueKernels<T>& epilogue, const Epilogue<T>& to);

/// to = epilogue(sum of the rows of A), for A of at most kChunk rows with contiguous columns.
template <class T>
void sum_rows(const GemmContext<T>& context, MatrixView<const T> A,
              const EpilogueKernels<T>& epilogue, const Epilogue<T>& to);

}  // namespace fastmlp::detail
