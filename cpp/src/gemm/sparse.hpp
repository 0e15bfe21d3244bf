// Products with a sparse A, from its stored entries alone, with the bits of the dense product in
// gemm.hpp.
//
// The dense chain t = fma(a, b, t) has a term t + 0 b for each element of A that is not stored.
// Without it the bits are the same, except in two cases. In these the driver computes the chunk
// with its zeros:
//
// 1. b is infinite or NaN. Then 0 b is NaN.
// 2. The chunk's sum without the zeros is -0. A term of +0 would have made it +0.
//
// Proof. Let b be finite, so that 0 b is +0 or -0. It does not change a t that is not 0, and +0
// stays +0. By induction, both chains have the same t, or t is -0 without the zeros and +0 with
// them: an entry whose product is not 0 takes both to the same t, because t is 0 in both or equal;
// an entry whose product is 0 cannot turn +0 into -0. So the chunk's sum is the same unless it is
// -0 without the zeros. That happens only if a negative sum underflows, since chains begin at +0
// and x - x is +0. The same holds for each of 16 lanes, and then for the sums in their tree.
//
// The sum of a chunk without entries is +0. Adding it changes a total only if that is -0.
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
