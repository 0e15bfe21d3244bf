// pack_panel: a part of a matrix in the order in which gemm_kernel.hpp reads it.
#pragma once

#include "lanes.hpp"

namespace fastmlp::detail {
namespace {

// Rows of the source lie along p: squares of kWidth by kWidth are transposed in registers.
template <class V>
void pack_transposed(const PackPanel<typename V::Scalar>& panel) {
  using T = typename V::Scalar;
  constexpr std::ptrdiff_t kWidth = V::kWidth;
  for (std::ptrdiff_t i = 0; i < panel.count; i += kWidth) {
    const std::ptrdiff_t rows = panel.count - i < kWidth ? panel.count - i : kWidth;
    for_each_vec<V>(panel.k, [&](std::ptrdiff_t p, auto access) {
      const T* source = panel.source + i * panel.i_stride + p;
      T* out = panel.out + p * panel.width + i;
      V square[kWidth];
      if (rows == kWidth) {
        for (std::ptrdiff_t r = 0; r < kWidth; ++r) {
          square[r] = access.template load<V>(source + r * panel.i_stride);
        }
      } else {
        for (std::ptrdiff_t r = 0; r < rows; ++r) {
          square[r] = access.template load<V>(source + r * panel.i_stride);
        }
      }
      V::transpose(square);
      const std::ptrdiff_t columns = panel.k - p < kWidth ? panel.k - p : kWidth;
      if (rows == kWidth && columns == kWidth) {
        for (std::ptrdiff_t c = 0; c < kWidth; ++c) square[c].store(out + c * panel.width);
      } else {
        for (std::ptrdiff_t c = 0; c < columns; ++c) {
          square[c].store_partial(out + c * panel.width, rows);
        }
      }
    });
  }
}

template <class V>
void pack_panel(const PackPanel<typename V::Scalar>& panel) {
  using T = typename V::Scalar;
  if (panel.i_stride == 1) {
    for (std::ptrdiff_t p = 0; p < panel.k; ++p) {
      const T* source = panel.source + p * panel.p_stride;
      T* out = panel.out + p * panel.width;
      for_each_vec<V>(panel.count, [&](std::ptrdiff_t i, auto access) {
        access.store(out + i, access.template load<V>(source + i));
      });
    }
  } else if (panel.p_stride == 1) {
    pack_transposed<V>(panel);
  } else {
    for (std::ptrdiff_t i = 0; i < panel.count; ++i) {
      const T* source = panel.source + i * panel.i_stride;
      for (std::ptrdiff_t p = 0; p < panel.k; ++p) {
        panel.out[p * panel.width + i] = source[p * panel.p_stride];
      }
    }
  }
}

}  // namespace
}  // namespace fastmlp::detail
