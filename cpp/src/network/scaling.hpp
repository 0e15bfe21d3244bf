// Puts a Scaling into the parameters of a network and takes it out again, and scales rows as they
// are read. docs/mathematics.md, "Scaling", has the equations. Start at `fold`.
#pragma once

#include <fastmlp/matrix_view.hpp>
#include <fastmlp/options.hpp>
#include <fastmlp/scaling.hpp>

#include <cstddef>
#include <vector>

namespace fastmlp::detail {

/// A scaling with all its vectors: those that were left out have means 0 and scales 1. Refuses one
/// that a network of T with these numbers of inputs and outputs cannot take.
template <class T>
Scaling checked_scaling(const char* function, const Scaling& scaling, std::ptrdiff_t n_in,
                        std::ptrdiff_t n_out, Output output, const LossOptions& loss);

/// The scaling of a network that has `inner` in its parameters, after it has been folded with
/// `outer` as well.
Scaling composed(const Scaling& inner, const Scaling& outer);

/// The first and the last layer of a network: W (n_in, n_out) and b (1, n_out) of each.
template <class T>
struct EndLayers {
  MatrixView<T> W_1, b_1, W_L, b_L;
};

/// Changes the parameters for scaled rows into those for raw rows: for every input i and output j,
/// W_1 = W_1 / input_scale_i,  b_1 = b_1 - sum over i of input_mean_i W_1i, with the new W_1;
/// W_L = W_L output_scale_j,   b_L = b_L output_scale_j + output_mean_j.
template <class T>
void fold(const Scaling& scaling, const EndLayers<T>& layers);

/// The same, but refuses a scaling by which finite parameters would become infinite or NaN, and
/// then changes nothing. With one layer, W_L is W_1.
template <class T>
void fold_or_refuse(const char* function, const Scaling& scaling, const EndLayers<T>& layers);

/// Changes them back, up to rounding.
template <class T>
void unfold(const Scaling& scaling, const EndLayers<T>& layers);

/// out(i, j) = (rows(i, j) - mean[j]) / scale[j]; `out` may be the memory of `rows`.
template <class T>
void scale_rows(const MatrixView<const T>& rows, const double* mean, const double* scale,
                const MatrixView<T>& out);

/// y * output_scale[j] + output_mean[j]
template <class T>
T unscaled(const Scaling& scaling, T y, std::ptrdiff_t j) {
  const auto column = static_cast<std::size_t>(j);
  return static_cast<T>(static_cast<double>(y) * scaling.output_scale[column] +
                        scaling.output_mean[column]);
}

}  // namespace fastmlp::detail
