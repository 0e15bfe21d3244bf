// Scaling: how the inputs and the targets of a network are scaled. Network::fold_scaling() puts one
// into the parameters, so that the network takes raw rows.
#pragma once

#include <fastmlp/row_source.hpp>
#include <fastmlp/should_stop.hpp>
#include <fastmlp/visibility.hpp>

#include <vector>

namespace fastmlp {

/// Column j of X is scaled to `(x - input_mean[j]) / input_scale[j]`; a scaled output stands for
/// `y * output_scale[j] + output_mean[j]`. Each vector has one entry for each input or output, or
/// is empty: then nothing is subtracted, or nothing is divided by. Scales are positive; all numbers
/// are finite. Only a network with the output identity has scaled targets.
struct Scaling {
  std::vector<double> input_mean, input_scale, output_mean, output_scale;
};

/// The mean and the standard deviation of each column.
struct Statistics {
  std::vector<double> mean, deviation;
};

/// Measures the columns of `rows`, weighted by `weight` unless that is null. A column with only one
/// value has that value as its mean, and the deviation 1, or |value| if that is above 2^16. The
/// order of the sums depends on the number of rows alone.
template <class T>
FASTMLP_EXPORT Statistics statistics_of(const RowSource<T>& rows, const double* weight = nullptr,
                                        const ShouldStop& should_stop = {});

extern template Statistics statistics_of(const RowSource<float>&, const double*, const ShouldStop&);
extern template Statistics statistics_of(const RowSource<double>&, const double*,
                                         const ShouldStop&);

}  // namespace fastmlp
