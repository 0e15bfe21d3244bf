// MatrixView<T>: a matrix that somebody else owns, with any strides.
#pragma once

#include <cstddef>
#include <type_traits>

namespace fastmlp {

/// A view of a (rows, cols) matrix: element (i, j) is `data[i * row_stride + j * col_stride]`.
///
/// Strides count elements, and may be zero or negative. A view owns nothing. `MatrixView<const T>`
/// is read-only; a `MatrixView<T>` converts to it implicitly.
///
/// ```cpp
/// std::vector<float> x(6);
/// fastmlp::MatrixView<float> X(x.data(), 2, 3);  // rows one after another
/// X.transposed()(2, 1) = 1.0f;                   // x[5]
/// ```
template <class T>
struct MatrixView {
  T* data = nullptr;
  std::ptrdiff_t rows = 0;
  std::ptrdiff_t cols = 0;
  std::ptrdiff_t row_stride = 0;
  std::ptrdiff_t col_stride = 1;

  constexpr MatrixView() = default;

  /// Contiguous rows, one after another.
  constexpr MatrixView(T* data_, std::ptrdiff_t rows_, std::ptrdiff_t cols_)
      : MatrixView(data_, rows_, cols_, cols_, 1) {}

  constexpr MatrixView(T* data_, std::ptrdiff_t rows_, std::ptrdiff_t cols_,
                       std::ptrdiff_t row_stride_, std::ptrdiff_t col_stride_)
      : data(data_), rows(rows_), cols(cols_), row_stride(row_stride_), col_stride(col_stride_) {}

  /// Converts implicitly from a view of mutable elements.
  template <class U, class = std::enable_if_t<std::is_same_v<const U, T>>>
  constexpr MatrixView(const MatrixView<U>& other)
      : MatrixView(other.data, other.rows, other.cols, other.row_stride, other.col_stride) {}

  constexpr T& operator()(std::ptrdiff_t i, std::ptrdiff_t j) const {
    return data[i * row_stride + j * col_stride];
  }

  /// The (cols, rows) transpose, without a copy.
  constexpr MatrixView transposed() const { return {data, cols, rows, col_stride, row_stride}; }

  /// Rows `first` to `first + count`.
  constexpr MatrixView row_block(std::ptrdiff_t first, std::ptrdiff_t count) const {
    return {data + first * row_stride, count, cols, row_stride, col_stride};
  }

  /// Columns `first` to `first + count`.
  constexpr MatrixView col_block(std::ptrdiff_t first, std::ptrdiff_t count) const {
    return {data + first * col_stride, rows, count, row_stride, col_stride};
  }

  /// Whether the elements lie row after row without gaps. True if there is at most one element.
  constexpr bool is_contiguous() const {
    return rows == 0 || cols == 0 ||
           ((cols == 1 || col_stride == 1) && (rows == 1 || row_stride == cols));
  }
};

}  // namespace fastmlp
