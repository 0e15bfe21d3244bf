// CsrView<T>: a sparse matrix that somebody else owns, in compressed sparse row form (CSR).
#pragma once

#include <fastmlp/visibility.hpp>

#include <cstddef>
#include <cstdint>

namespace fastmlp {

/// Integers of 32 or 64 bits in memory.
class IndexView {
 public:
  IndexView(const std::int32_t* data) : narrow_(data) {}
  IndexView(const std::int64_t* data) : wide_(data) {}

  /// Element i. It is read from memory exactly once, so that the value which a caller checks is the
  /// one that it uses, even if another thread writes the array meanwhile.
  std::int64_t operator[](std::ptrdiff_t i) const {
    if (narrow_ != nullptr) return static_cast<const volatile std::int32_t*>(narrow_)[i];
    return static_cast<const volatile std::int64_t*>(wide_)[i];
  }

 private:
  const std::int32_t* narrow_ = nullptr;
  const std::int64_t* wide_ = nullptr;
};

/// A view of a (rows, cols) matrix of which only some elements are stored; the others are 0. Those
/// of row i are data[p] in column indices[p], for p from indptr[i] to indptr[i + 1] - 1, as in
/// scipy.sparse.csr_matrix. The columns of a row may be in any order. If a column comes up several
/// times, its values are added in the order in which they are stored.
///
/// Whoever reads a row checks its indices: a wrong one throws std::invalid_argument.
///
/// ```cpp
/// // 1 0 2
/// // 0 0 3
/// const std::vector<float> data{1, 2, 3};
/// const std::vector<std::int32_t> indices{0, 2, 2}, indptr{0, 2, 3};
/// const fastmlp::CsrView<float> X{2, 3, data.data(), indices.data(), indptr.data(), 3};
/// net.forward(X, out);
/// ```
template <class T>
struct CsrView {
  std::ptrdiff_t rows, cols;
  const T* data;          // (stored,)
  IndexView indices;      // (stored,)
  IndexView indptr;       // (rows + 1,)
  std::ptrdiff_t stored;  // the number of elements of data and of indices

  /// Writes `count` rows to `out` as RowSource::Reader does: stored elements and zeros.
  /// \throws std::invalid_argument if an index is out of range
  FASTMLP_EXPORT void read(const std::int64_t* order, std::ptrdiff_t first, std::ptrdiff_t count,
                           T* out) const;
};

// Both are compiled in the library.
/// \cond
extern template void CsrView<float>::read(const std::int64_t*, std::ptrdiff_t, std::ptrdiff_t,
                                          float*) const;
extern template void CsrView<double>::read(const std::int64_t*, std::ptrdiff_t, std::ptrdiff_t,
                                           double*) const;
/// \endcond

}  // namespace fastmlp
