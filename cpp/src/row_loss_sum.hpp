// RowLossSum: a sum over rows in double, row i in lane i mod 16 and then one fixed tree, so that
// blocks and threads do not change it.
#pragma once

#include "kernels/kernel_table.hpp"

#include <cstddef>

namespace fastmlp::detail {

class RowLossSum {
 public:
  /// Adds the next row's term.
  void add(double term) { lane_[next_++ % kLanes] += term; }

  double total() const {
    double lane[kLanes];
    for (std::ptrdiff_t l = 0; l < kLanes; ++l) lane[l] = lane_[l];
    for (std::ptrdiff_t half = kLanes / 2; half > 0; half /= 2) {
      for (std::ptrdiff_t l = 0; l < half; ++l) lane[l] += lane[l + half];
    }
    return lane[0];
  }

 private:
  double lane_[kLanes] = {};
  std::ptrdiff_t next_ = 0;
};

}  // namespace fastmlp::detail
