// Sums over the rows of a matrix, in 16 lanes each (docs/mathematics.md, "Order of summation").
#include "gemm.hpp"
#include "parallel.hpp"

#include <algorithm>

namespace fastmlp::detail {

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

template void sum_rows(const GemmContext<float>&, MatrixView<const float>,
                       const EpilogueKernels<float>&, const Epilogue<float>&);
template void sum_rows(const GemmContext<double>&, MatrixView<const double>,
                       const EpilogueKernels<double>&, const Epilogue<double>&);

}  // namespace fastmlp::detail
