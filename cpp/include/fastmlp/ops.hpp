// The single operations on matrices (docs/mathematics.md), for T = float and double.
// Every function takes views with any strides and throws std::invalid_argument, with nothing
// written, where shapes do not fit. An output must not overlap an input unless the text allows it.
#pragma once

#include <fastmlp/visibility.hpp>
#include <fastmlp/matrix_view.hpp>

#include <cstddef>

namespace fastmlp {

/// C = A . B for A (m, k), B (k, n) and C (m, n); zero where k is 0.
///
/// ```cpp
/// fastmlp::matmul<float>(A.transposed(), dZ, dW);  // dW = A^T . dZ, no copy of A
/// ```
template <class T>
FASTMLP_EXPORT void matmul(MatrixView<const T> A, MatrixView<const T> B, MatrixView<T> C);

/// A = Z where Z > 0, else 0 (a NaN stays); both (m, n). A may be Z.
template <class T>
FASTMLP_EXPORT void relu(MatrixView<const T> Z, MatrixView<T> A);

/// dZ = dA where Z > 0, else 0; all (m, n). dZ may be dA or Z. The layer's output does for Z.
template <class T>
FASTMLP_EXPORT void relu_backward(MatrixView<const T> dA, MatrixView<const T> Z, MatrixView<T> dZ);

/// A = 1 / (1 + e^-Z), without overflow; both (m, n). A may be Z.
template <class T>
FASTMLP_EXPORT void sigmoid(MatrixView<const T> Z, MatrixView<T> A);

/// dZ = dA * A * (1 - A), where A is the sigmoid's output; all (m, n). dZ may be dA or A.
template <class T>
FASTMLP_EXPORT void sigmoid_backward(MatrixView<const T> dA, MatrixView<const T> A,
                                     MatrixView<T> dZ);

/// The binary cross-entropy of Yhat = sigmoid(Z) and Y in [0, 1], both (m, n): summed over the n
/// outputs, the mean over the m rows, in double; computed from the logits,
/// max(z, 0) - z y + log(1 + e^-|z|), so it is finite for every finite z. 0 for zero rows.
/// \throws std::invalid_argument for a y outside [0, 1].
template <class T>
FASTMLP_EXPORT double binary_cross_entropy(MatrixView<const T> Z, MatrixView<const T> Y);

/// parameter = fma(-learning_rate, gradient, parameter), in place; both (m, n).
/// \throws std::invalid_argument unless the learning rate is positive and finite.
template <class T>
FASTMLP_EXPORT void sgd_update(MatrixView<T> parameter, MatrixView<const T> gradient,
                               double learning_rate);

/// The sum of a[k] b[k], k < n, in double for T = float and double: term k goes to lane k mod 16,
/// and a fixed tree adds the lanes (docs/mathematics.md, "Order of summation"), so that the bits
/// depend on nothing but the numbers. 0 for n = 0.
///
/// ```cpp
/// const double squared_norm = fastmlp::dot(net.gradients(), net.gradients(), net.n_parameters());
/// ```
template <class T>
FASTMLP_EXPORT double dot(const T* a, const T* b, std::ptrdiff_t n);

}  // namespace fastmlp
