// The rows of a CSR matrix as the products of gemm/sparse.hpp take them. They are copied, because
// the caller's arrays may change during a call, and every index is checked on the way.
#pragma once

#include "gemm/sparse.hpp"

#include <fastmlp/row_source.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fastmlp::detail {

/// Whether a pass takes the rows of X as they are stored. Otherwise it makes them dense.
template <class T>
bool stays_sparse(const RowSource<T>& X) {
  // From about this share of stored elements on, the dense product is as fast, because it reads a
  // row of W once for many rows of X.
  constexpr double kDense = 0.10;
  const CsrView<T>* const csr = X.csr();
  if (csr == nullptr) return false;
  return static_cast<double>(csr->stored) <=
         kDense * static_cast<double>(csr->rows) * static_cast<double>(csr->cols);
}

/// Some rows of a CSR matrix and their transpose. The memory is kept for the next rows.
template <class T>
class SparseRows {
 public:
  /// Reads the rows order[0 ... count), or `first` to `first + count` if `order` is null.
  /// \throws std::invalid_argument if an index is out of range
  void read(const CsrView<T>& matrix, const std::int64_t* order, std::ptrdiff_t first,
            std::ptrdiff_t count);
  /// The rows that were read last.
  SparseView<T> rows() const { return rows_.view(); }

  /// Makes transposed().
  void transpose() { transpose(rows_, columns_); }
  /// The transpose of rows().
  SparseView<T> transposed() const { return columns_.view(); }

  /// The memory it holds.
  std::size_t bytes() const { return rows_.bytes() + columns_.bytes(); }

 private:
  struct Lines {  // see SparseView
    std::ptrdiff_t cols = 0;
    std::vector<std::ptrdiff_t> starts{0};
    std::vector<SparseEntry<T>> entries;

    std::ptrdiff_t count() const { return static_cast<std::ptrdiff_t>(starts.size()) - 1; }
    SparseView<T> view() const { return {count(), cols, starts.data(), entries.data()}; }
    std::size_t bytes() const {
      return starts.capacity() * sizeof(std::ptrdiff_t) +
             entries.capacity() * sizeof(SparseEntry<T>);
    }
  };
  static void transpose(const Lines& from, Lines& to);
  void sort();

  Lines rows_, columns_;
};

}  // namespace fastmlp::detail
