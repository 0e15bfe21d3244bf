// gather: copies the rows of a batch, which are anywhere in the data set, one after another.
#pragma once

#include "lanes.hpp"

namespace fastmlp::detail {
namespace {

/// Copies one row of at least one vector; the last vector may overlap the one before it.
template <class V>
void copy_row(const typename V::Scalar* from, std::ptrdiff_t cols, typename V::Scalar* to) {
  for (std::ptrdiff_t j = 0; j + V::kWidth < cols; j += V::kWidth) V::load(from + j).store(to + j);
  V::load(from + cols - V::kWidth).store(to + cols - V::kWidth);
}

template <class V>
void gather(const GatheredRows<typename V::Scalar>& rows) {
  const bool by_vectors = rows.col_stride == 1 && rows.cols >= V::kWidth;
  for (std::ptrdiff_t i = 0; i < rows.rows; ++i) {
    const auto* from = rows.source + static_cast<std::ptrdiff_t>(rows.indices[i]) * rows.row_stride;
    auto* to = rows.out + i * rows.out_stride;
    if (by_vectors) {
      copy_row<V>(from, rows.cols, to);
    } else {
      for (std::ptrdiff_t j = 0; j < rows.cols; ++j) to[j] = from[j * rows.col_stride];
    }
  }
}

}  // namespace
}  // namespace fastmlp::detail
