// pack: an operand in panels, the order in which gemm_kernel.hpp reads it.
#pragma once

#include "lanes.hpp"

namespace fastmlp::detail {
namespace {

// So far ahead of where packing reads, memory is asked to deliver: rows are often a page or more
// apart, where no processor looks ahead by itself.
constexpr std::ptrdiff_t kRowsAhead = 16, kBytesAhead = 256, kLineBytes = 64;
constexpr std::ptrdiff_t kMaxLinesAhead = 32;  // longer rows are followed by the processor

/// One panel: element (i, p) is at source[i + p * p_stride].
template <class V>
void copy_rows(const typename V::Scalar* source, std::ptrdiff_t p_stride, std::ptrdiff_t count,
               std::ptrdiff_t k, typename V::Scalar* out) {
  constexpr std::ptrdiff_t kWidth = V::kWidth;
  if (count == 2 * kWidth) {
    for (std::ptrdiff_t p = 0; p < k; ++p, source += p_stride, out += count) {
      const V first = V::load(source), second = V::load(source + kWidth);
      first.store(out);
      second.store(out + kWidth);
    }
    return;
  }
  if (count < kWidth) {
    // A store reaches into the rows that follow, which are written after it, or into what the last
    // panel lacks of a whole one.
    const First part{count};
    for (std::ptrdiff_t p = 0; p + 1 < k; ++p, source += p_stride, out += count) {
      part.load<V>(source).store(out);
    }
    if (k > 0) part.store(out, part.load<V>(source));
    return;
  }
  for (std::ptrdiff_t p = 0; p < k; ++p, source += p_stride, out += count) {
    for_each_vec<V>(count, [&](std::ptrdiff_t i, auto access) {
      access.store(out + i, access.template load<V>(source + i));
    });
  }
}

/// One panel: element (i, p) is at source[i * i_stride + p]. Squares of kWidth by kWidth are
/// transposed in registers.
template <class V>
void transpose_rows(const typename V::Scalar* source, std::ptrdiff_t i_stride, std::ptrdiff_t count,
                    std::ptrdiff_t k, typename V::Scalar* out) {
  constexpr std::ptrdiff_t kWidth = V::kWidth;
  constexpr std::ptrdiff_t kAhead = kBytesAhead / sizeof(typename V::Scalar);
  for (std::ptrdiff_t i = 0; i < count; i += kWidth) {
    const std::ptrdiff_t rows = count - i < kWidth ? count - i : kWidth;
    for_each_vec<V>(k, [&](std::ptrdiff_t p, auto access) {
      const auto* from = source + i * i_stride + p;
      auto* to = out + p * count + i;
      V square[kWidth];
      if (rows == kWidth) {  // a constant bound: the square stays in registers
        for (std::ptrdiff_t r = 0; r < kWidth; ++r) {
          __builtin_prefetch(from + r * i_stride + kAhead);
          square[r] = access.template load<V>(from + r * i_stride);
        }
      } else {
        for (std::ptrdiff_t r = 0; r < rows; ++r) {
          square[r] = access.template load<V>(from + r * i_stride);
        }
      }
      V::transpose(square);
      const std::ptrdiff_t columns = k - p < kWidth ? k - p : kWidth;
      if (rows == kWidth && columns == kWidth) {
        for (std::ptrdiff_t c = 0; c < kWidth; ++c) square[c].store(to + c * count);
      } else {
        for (std::ptrdiff_t c = 0; c < columns; ++c) square[c].store_partial(to + c * count, rows);
      }
    });
  }
}

template <class T>
void prefetch_rows_of(const PackedRows<T>& rows, std::ptrdiff_t first, std::ptrdiff_t end) {
  constexpr std::ptrdiff_t kLine = kLineBytes / sizeof(T);
  if (rows.count > kMaxLinesAhead * kLine) return;
  for (std::ptrdiff_t p = first; p < (end < rows.k ? end : rows.k); ++p) {
    const T* row = rows.source + p * rows.p_stride;
    for (std::ptrdiff_t i = 0; i < rows.count; i += kLine) __builtin_prefetch(row + i, 0, 2);
    __builtin_prefetch(row + rows.count - 1, 0, 2);  // it may begin in the middle of a line
  }
}

template <class V>
void pack(const PackedRows<typename V::Scalar>& rows) {
  using T = typename V::Scalar;
  const auto panels = [&](std::ptrdiff_t first, std::ptrdiff_t k, const auto& pack_panel) {
    for (std::ptrdiff_t i = 0; i < rows.count; i += rows.width) {
      const std::ptrdiff_t count = rows.count - i < rows.width ? rows.count - i : rows.width;
      pack_panel(rows.source + i * rows.i_stride + first * rows.p_stride, count, k,
                 rows.out + i * rows.k + first * count);
    }
  };
  if (rows.i_stride == 1) {
    // A few rows at a time for all panels: what a page holds of them is read while it is near.
    for (std::ptrdiff_t p = 0; p < rows.k; p += kRowsAhead) {
      prefetch_rows_of(rows, p + kRowsAhead, p + 2 * kRowsAhead);
      panels(p, rows.k - p < kRowsAhead ? rows.k - p : kRowsAhead,
             [&](const T* source, std::ptrdiff_t count, std::ptrdiff_t k, T* out) {
               copy_rows<V>(source, rows.p_stride, count, k, out);
             });
    }
  } else if (rows.p_stride == 1) {
    panels(0, rows.k, [&](const T* source, std::ptrdiff_t count, std::ptrdiff_t k, T* out) {
      transpose_rows<V>(source, rows.i_stride, count, k, out);
    });
  } else {
    panels(0, rows.k, [&](const T* source, std::ptrdiff_t count, std::ptrdiff_t k, T* out) {
      for (std::ptrdiff_t i = 0; i < count; ++i) {
        for (std::ptrdiff_t p = 0; p < k; ++p) {
          out[p * count + i] = source[i * rows.i_stride + p * rows.p_stride];
        }
      }
    });
  }
}

}  // namespace
}  // namespace fastmlp::detail
