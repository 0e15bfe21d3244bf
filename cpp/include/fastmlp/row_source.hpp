// RowSource<T>: where a network reads the rows of its data.
#pragma once

#include <fastmlp/matrix_view.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

namespace fastmlp {

/// A (rows, cols) data set: a matrix in memory, or a function that delivers rows on demand (from
/// another type, a file, ...). Made from a MatrixView without a word:
/// `net.loss(MatrixView<const float>(...), ...)`.
template <class T>
class RowSource {
 public:
  /// Writes `count` rows of cols() elements to `out`, one after another: rows `indices[0 ...
  /// count)`, or, where `indices` is null, rows `first` to `first + count`. It is called on the
  /// thread that called the library, and may throw.
  using Reader = std::function<void(const std::int64_t* indices, std::ptrdiff_t first,
                                    std::ptrdiff_t count, T* out)>;

  RowSource(MatrixView<const T> matrix) : matrix_(matrix) {}
  RowSource(MatrixView<T> matrix) : matrix_(matrix) {}
  RowSource(std::ptrdiff_t rows, std::ptrdiff_t cols, Reader reader)
      : matrix_(nullptr, rows, cols), reader_(std::move(reader)) {}

  std::ptrdiff_t rows() const { return matrix_.rows; }
  std::ptrdiff_t cols() const { return matrix_.cols; }

  /// Whether block() returns a view of the caller's memory.
  bool in_place() const { return !reader_; }

  /// Rows `first` to `first + count`, in place where there is a matrix, else read into `scratch`
  /// (count * cols() elements).
  MatrixView<const T> block(std::ptrdiff_t first, std::ptrdiff_t count, T* scratch) const {
    if (in_place()) return matrix_.row_block(first, count);
    reader_(nullptr, first, count, scratch);
    return {scratch, count, cols()};
  }

  /// Rows `indices[0 ... count)`, copied or read into `scratch`.
  MatrixView<const T> gather(const std::int64_t* indices, std::ptrdiff_t count, T* scratch) const {
    if (!in_place()) {
      reader_(indices, 0, count, scratch);
    } else {
      for (std::ptrdiff_t i = 0; i < count; ++i) {
        const T* row = matrix_.data + static_cast<std::ptrdiff_t>(indices[i]) * matrix_.row_stride;
        T* out = scratch + i * cols();
        for (std::ptrdiff_t j = 0; j < cols(); ++j) out[j] = row[j * matrix_.col_stride];
      }
    }
    return {scratch, count, cols()};
  }

 private:
  MatrixView<const T> matrix_;
  Reader reader_;
};

}  // namespace fastmlp
