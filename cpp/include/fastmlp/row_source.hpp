// RowSource<T>: the rows of a data set, in memory or delivered by a function.
#pragma once

#include <fastmlp/csr_view.hpp>
#include <fastmlp/matrix_view.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

namespace fastmlp {

/// A (rows, cols) data set: a matrix in memory, dense or sparse, or a function that delivers rows
/// on demand (read from a file, converted from another type, ...). A MatrixView and a CsrView
/// convert implicitly, and so do their arguments in braces:
///
/// ```cpp
/// net.forward({x.data(), rows, 30}, {out.data(), rows, 1});
/// ```
template <class T>
class RowSource {
 public:
  /// Writes `count` rows of cols() elements to `out`, one after another: the rows `indices[0 ...
  /// count)`, or `first` to `first + count` if `indices` is null. It runs on the thread that called
  /// the library, and may throw.
  using Reader = std::function<void(const std::int64_t* indices, std::ptrdiff_t first,
                                    std::ptrdiff_t count, T* out)>;

  RowSource(MatrixView<const T> matrix) : matrix_(matrix) {}
  RowSource(MatrixView<T> matrix) : matrix_(matrix) {}
  /// The arguments of a MatrixView.
  RowSource(const T* data, std::ptrdiff_t rows, std::ptrdiff_t cols) : matrix_(data, rows, cols) {}
  RowSource(const T* data, std::ptrdiff_t rows, std::ptrdiff_t cols, std::ptrdiff_t row_stride,
            std::ptrdiff_t col_stride)
      : matrix_(data, rows, cols, row_stride, col_stride) {}
  RowSource(std::ptrdiff_t rows, std::ptrdiff_t cols, Reader reader)
      : matrix_(nullptr, rows, cols), reader_(std::move(reader)) {}
  RowSource(const CsrView<T>& csr) : matrix_(nullptr, csr.rows, csr.cols), csr_(csr) {}
  /// The members of a CsrView.
  RowSource(std::ptrdiff_t rows, std::ptrdiff_t cols, const T* data, IndexView indices,
            IndexView indptr, std::ptrdiff_t stored)
      : RowSource(CsrView<T>{rows, cols, data, indices, indptr, stored}) {}

  std::ptrdiff_t rows() const { return matrix_.rows; }
  std::ptrdiff_t cols() const { return matrix_.cols; }

  /// Whether the data is a dense matrix in memory, so that block() returns a view of it.
  bool in_place() const { return !reader_ && !csr_; }

  /// The sparse matrix, or null if the data is none.
  const CsrView<T>* csr() const { return csr_ ? &*csr_ : nullptr; }

  /// Rows `first` to `first + count`: a view of the matrix if there is one. Otherwise reads them
  /// into `scratch`, which has room for count * cols() elements.
  MatrixView<const T> block(std::ptrdiff_t first, std::ptrdiff_t count, T* scratch) const {
    if (in_place()) return matrix_.row_block(first, count);
    read(nullptr, first, count, scratch);
    return {scratch, count, cols()};
  }

  /// Reads rows `indices[0 ... count)` into `scratch`, which has room for count * cols() elements.
  /// \pre !in_place()
  MatrixView<const T> gather(const std::int64_t* indices, std::ptrdiff_t count, T* scratch) const {
    read(indices, 0, count, scratch);
    return {scratch, count, cols()};
  }

  /// The matrix. \pre in_place()
  const MatrixView<const T>& matrix() const { return matrix_; }

  /// Prefetches rows that will be read soon, if they are in a matrix too large for the caches.
  void prefetch(const std::int64_t* indices, std::ptrdiff_t count) const {
    constexpr std::ptrdiff_t kLine = 64, kElement = sizeof(T);
    constexpr std::ptrdiff_t kLarge = 1 << 20;  // bytes: about the L2 cache of a core
    constexpr std::ptrdiff_t kAhead = 1 << 14;  // bytes: half of a small L1 cache (32 KiB)
    const std::ptrdiff_t bytes = cols() * kElement;
    if (!in_place() || matrix_.col_stride != 1 || rows() * bytes < kLarge) return;
    const std::ptrdiff_t most = std::min(count, kAhead / bytes);
    for (std::ptrdiff_t i = 0; i < most; ++i) {
      const char* first = reinterpret_cast<const char*>(row(indices[i]));
      for (std::ptrdiff_t b = 0; b < bytes; b += kLine) __builtin_prefetch(first + b);
      __builtin_prefetch(first + bytes - 1);  // a row may begin in the middle of a line
    }
  }

 private:
  void read(const std::int64_t* indices, std::ptrdiff_t first, std::ptrdiff_t count, T* out) const {
    if (csr_) return csr_->read(indices, first, count, out);
    reader_(indices, first, count, out);
  }
  const T* row(std::int64_t index) const {
    return matrix_.data + static_cast<std::ptrdiff_t>(index) * matrix_.row_stride;
  }

  MatrixView<const T> matrix_;
  std::optional<CsrView<T>> csr_;
  Reader reader_;
};

}  // namespace fastmlp
