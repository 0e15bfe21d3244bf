// Start here. This is what gemm.cpp computes, in plain loops that show the order of every addition.
// The rest of the folder is a faster equivalent with the same bits; tests/cpp/gemm compares the
// two. Only that test includes this file; the library does not.
#pragma once

#include "kernels/fma.hpp"
#include "kernels/kernel_table.hpp"

#include <fastmlp/matrix_view.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace fastmlp::detail::reference {

/// Terms [first, end) of element (i, j) of A . B: one chain of fma, in the order of k.
template <class T>
T chain_sum(const MatrixView<const T>& A, const MatrixView<const T>& B, std::ptrdiff_t i,
            std::ptrdiff_t j, std::ptrdiff_t first, std::ptrdiff_t end) {
  T sum = 0;
  for (std::ptrdiff_t k = first; k < end; ++k) sum = scalar_fma(A(i, k), B(k, j), sum);
  return sum;
}

/// Terms [first, end) of element (i, j) of A . B: 16 chains, called lanes, then a tree over them.
/// `first` is a multiple of kChunk, so term k goes to lane k mod 16.
template <class T>
T lanes_sum(const MatrixView<const T>& A, const MatrixView<const T>& B, std::ptrdiff_t i,
            std::ptrdiff_t j, std::ptrdiff_t first, std::ptrdiff_t end) {
  T lane[kLanes] = {};
  for (std::ptrdiff_t k = first; k < end; ++k) {
    lane[k % kLanes] = scalar_fma(A(i, k), B(k, j), lane[k % kLanes]);
  }
  for (std::ptrdiff_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::ptrdiff_t l = 0; l < half; ++l) lane[l] += lane[l + half];
  }
  return lane[0];
}

/// C = epilogue(A . B): calls epilogue(i, j, s) with the complete sum s of each element.
template <class T, class Epilogue>
void gemm(const MatrixView<const T>& A, const MatrixView<const T>& B, const Epilogue& epilogue) {
  const auto chunk_sum = B.cols == 1 ? lanes_sum<T> : chain_sum<T>;
  for (std::ptrdiff_t i = 0; i < A.rows; ++i) {
    for (std::ptrdiff_t j = 0; j < B.cols; ++j) {
      T s = 0;
      for (std::ptrdiff_t k = 0; k < A.cols; k += kChunk) {
        const T sum = chunk_sum(A, B, i, j, k, std::min(k + kChunk, A.cols));
        s = k == 0 ? sum : s + sum;  // not 0 + sum for the first chunk: 0 + -0 is 0
      }
      epilogue(i, j, s);
    }
  }
}

/// C = epilogue(sum of the rows of A): transposed(A) times a column of ones.
template <class T, class Epilogue>
void sum_rows(const MatrixView<const T>& A, const Epilogue& epilogue) {
  const T one = 1;
  const MatrixView<const T> ones(&one, A.rows, 1, 0, 0);
  gemm<T>(A.transposed(), ones, [&](std::ptrdiff_t j, std::ptrdiff_t, T s) { epilogue(0, j, s); });
}

}  // namespace fastmlp::detail::reference
