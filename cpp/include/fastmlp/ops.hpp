// The single operations on matrices (docs/mathematics.md), for T = float and double.
// Every function takes views with any strides. If shapes do not fit, it throws
// std::invalid_argument and has written nothing. An output must not overlap an input unless the
// function's comment allows it. `should_stop` can stop a long call (should_stop.hpp): the function
// then throws Stopped, and the content of the output is unspecified.
#pragma once

#include <fastmlp/matrix_view.hpp>
#include <fastmlp/should_stop.hpp>
#include <fastmlp/visibility.hpp>

#include <cstddef>

namespace fastmlp {

/// C = A . B for A (m, k), B (k, n) and C (m, n); zero if k is 0.
///
/// ```cpp
/// fastmlp::matmul<float>(A.transposed(), dZ, dW);  // dW = A^T . dZ, no copy of A
/// ```
template <class T>
FASTMLP_EXPORT void matmul(MatrixView<const T> A, MatrixView<const T> B, MatrixView<T> C,
                           const ShouldStop& should_stop = {});

/// A = Z where Z > 0, else 0 (a NaN stays); both (m, n). A may be Z.
template <class T>
FASTMLP_EXPORT void relu(MatrixView<const T> Z, MatrixView<T> A,
                         const ShouldStop& should_stop = {});

/// dZ = dA where Z > 0, else 0; all (m, n). dZ may be dA or Z. Z may also be the layer's output,
/// which is positive in the same places.
template <class T>
FASTMLP_EXPORT void relu_backward(MatrixView<const T> dA, MatrixView<const T> Z, MatrixView<T> dZ,
                                  const ShouldStop& should_stop = {});

/// A = 1 / (1 + e^-Z), without overflow; both (m, n). A may be Z.
template <class T>
FASTMLP_EXPORT void sigmoid(MatrixView<const T> Z, MatrixView<T> A,
                            const ShouldStop& should_stop = {});

/// dZ = dA * A * (1 - A) for the sigmoid's output A; all (m, n). dZ may be dA or A.
template <class T>
FASTMLP_EXPORT void sigmoid_backward(MatrixView<const T> dA, MatrixView<const T> A,
                                     MatrixView<T> dZ, const ShouldStop& should_stop = {});

/// The binary cross-entropy of Yhat = sigmoid(Z) and Y in [0, 1], both (m, n): summed over the n
/// outputs, the mean over the m rows, in double; 0 for zero rows. It is computed from the logits as
/// max(z, 0) - z y + log(1 + e^-|z|), so it is finite for every finite z. Memory for at most 1024
/// rows' sums, whatever n is.
/// \throws std::invalid_argument for a y outside [0, 1].
template <class T>
FASTMLP_EXPORT double binary_cross_entropy(MatrixView<const T> Z, MatrixView<const T> Y,
                                           const ShouldStop& should_stop = {});

/// parameter = fma(-learning_rate, gradient, parameter), in place; both (m, n). If it is stopped,
/// the first elements in the order of the rows are updated, and the others are as they were.
/// \throws std::invalid_argument unless the learning rate is positive and finite.
template <class T>
FASTMLP_EXPORT void sgd_update(MatrixView<T> parameter, MatrixView<const T> gradient,
                               double learning_rate, const ShouldStop& should_stop = {});

/// The sum of a[k] b[k], k < n, in double also for T = float; 0 for n = 0. Term k goes to lane
/// k mod 16, and a fixed tree adds the lanes (docs/mathematics.md, "Order of summation"), so that
/// the bits depend only on the numbers.
///
/// ```cpp
/// const double squared_norm = fastmlp::dot(net.gradients(), net.gradients(), net.n_parameters());
/// ```
template <class T>
FASTMLP_EXPORT double dot(const T* a, const T* b, std::ptrdiff_t n,
                          const ShouldStop& should_stop = {});

}  // namespace fastmlp
