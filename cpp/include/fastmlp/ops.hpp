// The single operations on matrices (docs/mathematics.md), for T = float and double.
// Every function takes views with any strides and throws std::invalid_argument, with nothing
// written, where shapes do not fit. An output must not overlap an input unless the text allows it.
#pragma once

#include <fastmlp/export.hpp>
#include <fastmlp/matrix_view.hpp>

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

}  // namespace fastmlp
