// pack: copies an operand into panels, the order in which gemm_kernel.hpp reads it (drawn at
// Operand in kernel_table.hpp). Start at pack, at the end.
#pragma once

#include "lanes.hpp"

namespace fastmlp::detail {
namespace {

constexpr std::ptrdiff_t kLineBytes = 64;
// Packing prefetches so far ahead of where it reads. The processor does not do it by itself,
// because rows are often a page or more apart, and it does not look across pages.
constexpr std::ptrdiff_t kRowsAhead = 16, kBytesAhead = 256;
// Longer rows than this are not prefetched: the processor sees the stream in each.
constexpr std::ptrdiff_t kMaxLinesAhead = 32;

/// One panel of `count` rows whose element (i, p) is source[i + p * p_stride]: a copy.
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
    // Whole vectors are stored. The excess lands on the columns that follow, which are written
    // later. Only the last column gets a partial store: after it comes the next panel, which may be
    // written already.
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

/// One panel of `count` rows whose element (i, p) is source[i * i_stride + p]: a transpose, square
/// by square of kWidth by kWidth elements in registers.
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
      if (rows == kWidth) {  // the bound below is a constant, so the square stays in registers
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

/// Prefetches terms first <= p < end of all rows, if i_stride is 1: a term is then one run of
/// `count` elements in memory.
template <class T>
void prefetch_terms(const PackedRows<T>& rows, std::ptrdiff_t first, std::ptrdiff_t end) {
  constexpr std::ptrdiff_t kLine = kLineBytes / sizeof(T);
  if (rows.count > kMaxLinesAhead * kLine) return;
  for (std::ptrdiff_t p = first; p < (end < rows.k ? end : rows.k); ++p) {
    const T* row = rows.source + p * rows.p_stride;
    for (std::ptrdiff_t i = 0; i < rows.count; i += kLine) __builtin_prefetch(row + i, 0, 2);
    __builtin_prefetch(row + rows.count - 1, 0, 2);  // one line more, if it begins inside one
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
    // The next few p for all panels, then the next few: each page is read in one go.
    for (std::ptrdiff_t p = 0; p < rows.k; p += kRowsAhead) {
      prefetch_terms(rows, p + kRowsAhead, p + 2 * kRowsAhead);
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
