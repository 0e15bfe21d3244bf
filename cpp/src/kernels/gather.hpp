// gather: the rows of a batch, copied from all over a data set.
#pragma once

#include "lanes.hpp"

namespace fastmlp::detail {
namespace {

/// One row of whole vectors; the last may overlap the one before it.
template <class V>
void copy_row(const typename V::Scalar* from, std::ptrdiff_t cols, typename V::Scalar* to) {
  for (std::ptrdiff_t j = 0; j + V::kWidth < cols; j += V::kWidth) V::load(from + j).store(to + j);
  V::load(from + cols - V::kWidth).store(to + cols - V::kWidth);
}

template <class V>
void gather(const GatheredRows<typename V::Scalar>& rows) {
  const bool whole = rows.col_stride == 1 && rows.cols >= V::kWidth;
  for (std::ptrdiff_t i = 0; i < rows.rows; ++i) {
    const auto* from = rows.source + static_cast<std::ptrdiff_t>(rows.indices[i]) * rows.row_stride;
    auto* to = rows.out + i * rows.out_stride;
    if (whole) {
      copy_row<V>(from, rows.cols, to);
    } else {
      for (std::ptrdiff_t j = 0; j < rows.cols; ++j) to[j] = from[j * rows.col_stride];
    }
  }
}

}  // namespace
}  // namespace fastmlp::detail
