// Products with a sparse A, from its stored entries alone, with the bits of the dense product in
// gemm.hpp. The terms left out are 0 b. They change nothing, with two exceptions, for which the
// driver computes the chunk with the zeros instead:
//
// 1. b is infinite or NaN. Then 0 b is NaN.
// 2. The chunk's sum without them is -0. A chain begins at +0, and only the underflow of a negative
//    sum makes it -0; a term of +0 would make it +0 again.
//
// Otherwise b is finite, and the term is +0 or -0. It leaves a sum that is not 0 as it is. A sum of
// +0 stays +0, as +0 + -0 is +0. So both chains, with the zeros and without, are equal or are both
// 0 at any time, and the one without them never has the sign + where the other has -: a later term
// that is not 0 gives both the same sum, and a term of 0 cannot turn +0 into -0. What is left is a
// last sum of -0 without the zeros, which is the second exception. The same holds for 16 lanes and
// their tree. A chunk without entries is +0, which as a sum that is added can only matter to a
// total of -0.
#pragma once

#include "gemm/gemm.hpp"

#include <cstddef>
#include <vector>

namespace fastmlp::detail {

/// A sparse matrix. Row i has the entries [starts[i], starts[i + 1]), in the order of their
/// columns, none of which comes up twice.
template <class T>
struct SparseView {
  std::ptrdiff_t rows, cols;
  const std::ptrdiff_t* starts;
  const SparseEntry<T>* entries;

  std::ptrdiff_t stored() const { return starts[rows]; }
};

/// Which chunks of kChunk rows of a matrix hold finite numbers only.
class FiniteChunks {
 public:
  template <class T>
  void look(const KernelTable<T>& kernels, const MatrixView<const T>& B);
  /// The matrix may have changed since look().
  void forget() { known_ = false; }
  bool known() const { return known_; }
  /// A flag for each chunk; null if all are finite.
  const unsigned char* flags() const { return all_ ? nullptr : chunks_.data(); }

 private:
  std::vector<unsigned char> chunks_;
  bool known_ = false, all_ = false;
};

/// C = epilogue(A . B). B has contiguous rows, and `finite` are its FiniteChunks::flags().
/// \throws Stopped if the poller says so; C is then undefined
template <class T>
void sparse_gemm(const GemmContext<T>& context, const SparseView<T>& A,
                 const MatrixView<const T>& B, const unsigned char* finite,
                 const EpilogueKernels<T>& epilogue, const Epilogue<T>& to);

/// The same for an A of which most rows are empty, as the transpose of a batch is. C has no gaps,
/// `epilogue` is store, add or update, and A has at most kChunk columns. Does not allocate.
template <class T>
void mostly_empty_gemm(const GemmContext<T>& context, const SparseView<T>& A,
                       const MatrixView<const T>& B, const EpilogueKernels<T>& epilogue,
                       const Epilogue<T>& to);

/// Whether B is finite in the rows in which A is not empty.
template <class T>
bool finite_where_written(const KernelTable<T>& kernels, const SparseView<T>& A,
                          const MatrixView<const T>& B);

}  // namespace fastmlp::detail
