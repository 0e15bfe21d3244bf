// gemv: products of a matrix and a vector. They read the matrix once, so there is nothing to pack
// and nothing to reuse. A product with one row (row_product) has one chain of fma for each element,
// like gemm. A product with one column (row_dots, column_dots) has 16 lanes for each element. See
// docs/mathematics.md, "Order of summation".
#pragma once

#include "lanes.hpp"

namespace fastmlp::detail {
namespace {

// A matrix larger than this is assumed to be in memory, not in a cache. Memory delivers it at the
// full rate if eight rows are read side by side and the next eight are prefetched: that saves a
// tenth of the time. In a cache, four rows without a prefetch are faster: one row through a network
// 1024-1024-1024-1 takes 97 us without prefetches and 124 us with them.
constexpr std::ptrdiff_t kFarBytes = 8 << 20;

/// out[j] = fma(x_p, b(p, j), out[j]) for kRows rows p, in the order of p; from zero if `first`.
/// All kRows are read side by side, so that `out` is loaded and stored once for them.
template <class V, int kRows, bool kFar>
void add_rows(const typename V::Scalar* x, std::ptrdiff_t x_stride, const typename V::Scalar* b,
              std::ptrdiff_t ldb, std::ptrdiff_t n, bool first, typename V::Scalar* out) {
  V xs[kRows];
  for (int p = 0; p < kRows; ++p) xs[p] = V(x[p * x_stride]);
  for_each_vec<V>(n, [&](std::ptrdiff_t j, auto access) {
    V sum = first ? V() : access.template load<V>(out + j);
    for (int p = 0; p < kRows; ++p) {
      if constexpr (kFar) __builtin_prefetch(b + (p + kRows) * ldb + j, 0, 2);
      sum = fma(xs[p], access.template load<V>(b + p * ldb + j), sum);
    }
    access.store(out + j, sum);
  });
}

/// out = x . B for one chunk: x (k,), B (k, n) with contiguous rows.
template <class V>
void row_product(const typename V::Scalar* x, std::ptrdiff_t x_stride, const typename V::Scalar* b,
                 std::ptrdiff_t ldb, std::ptrdiff_t k, std::ptrdiff_t n, typename V::Scalar* out) {
  std::ptrdiff_t p = 0;
  const auto add = [&](auto rows, auto far) {
    for (; p + rows.value <= k; p += rows.value) {
      add_rows<V, rows.value, far.value != 0>(x + p * x_stride, x_stride, b + p * ldb, ldb, n,
                                              p == 0, out);
    }
  };
  if (k * ldb * static_cast<std::ptrdiff_t>(sizeof(*b)) > kFarBytes) add(Index<8>(), Index<1>());
  add(Index<4>(), Index<0>());
  add(Index<1>(), Index<0>());
  if (k == 0) {
    for (std::ptrdiff_t j = 0; j < n; ++j) out[j] = 0;
  }
}

/// The 16 lanes of a . x for one chunk.
template <class V>
struct DotLanes {
  static constexpr std::ptrdiff_t kVecs = kLanes / V::kWidth;
  V lanes[kVecs];

  DotLanes() = default;
  DotLanes(const typename V::Scalar* a, const typename V::Scalar* x, std::ptrdiff_t k) {
    std::ptrdiff_t p = 0;
    for (; p + kLanes <= k; p += kLanes) {
      for (std::ptrdiff_t v = 0; v < kVecs; ++v) {
        const std::ptrdiff_t q = p + v * V::kWidth;
        lanes[v] = fma(V::load(a + q), V::load(x + q), lanes[v]);
      }
    }
    for (std::ptrdiff_t v = 0; v < kVecs && p + v * V::kWidth < k; ++v) {
      const std::ptrdiff_t q = p + v * V::kWidth;
      const std::ptrdiff_t left = k - q < V::kWidth ? k - q : V::kWidth;
      // Lanes past the end keep what they have: a product of zeros could turn -0 into +0.
      const V next = fma(V::load_partial(a + q, left), V::load_partial(x + q, left), lanes[v]);
      lanes[v] = select(V::first_mask(left), next, lanes[v]);
    }
  }
};

/// out[i] = row i of A times x for one chunk, for A (rows, k) with contiguous rows: the gemv of
/// a matrix as it stands.
template <class V>
void row_dots(const typename V::Scalar* a, std::ptrdiff_t lda, const typename V::Scalar* x,
              std::ptrdiff_t k, std::ptrdiff_t rows, typename V::Scalar* out) {
  using Dot = DotLanes<V>;
  for_each_vec<V>(rows, [&](std::ptrdiff_t i, auto access) {
    const std::ptrdiff_t count = rows - i < V::kWidth ? rows - i : V::kWidth;
    // squares[v][r] is vector v of the lanes of row r, for kWidth rows. After the transpose each
    // vector has one lane of all these rows, and one tree adds the lanes of all of them at once.
    V squares[Dot::kVecs][V::kWidth];
    for (std::ptrdiff_t r = 0; r < count; ++r) {
      const Dot dot(a + (i + r) * lda, x, k);
      for (std::ptrdiff_t v = 0; v < Dot::kVecs; ++v) squares[v][r] = dot.lanes[v];
    }
    V lane[kLanes];
    for (std::ptrdiff_t v = 0; v < Dot::kVecs; ++v) {
      V::transpose(squares[v]);
      for (std::ptrdiff_t l = 0; l < V::kWidth; ++l) lane[v * V::kWidth + l] = squares[v][l];
    }
    access.store(out + i, sum_lanes(lane));
  });
}

/// Half of the lanes of column_dots for one vector of columns: those from `first` on. term(i, sum)
/// adds the term of row i.
template <class V, int kHalf, class Term>
[[gnu::always_inline]] inline void half_of_lanes(std::ptrdiff_t first, std::ptrdiff_t rows,
                                                 const Term& term, decltype(V::value)* lanes) {
  decltype(V::value) sums[kHalf];
  repeat<kHalf>([&](auto l) __attribute__((always_inline)) { sums[l.value] = V().value; });
  std::ptrdiff_t i = first;
  for (; i + kHalf <= rows; i += kLanes) {
    repeat<kHalf>([&](auto l) __attribute__((always_inline)) {
      sums[l.value] = term(i + l.value, V(sums[l.value])).value;
    });
  }
  repeat<kHalf>([&](auto l) __attribute__((always_inline)) {
    if (i + l.value < rows) sums[l.value] = term(i + l.value, V(sums[l.value])).value;
    lanes[l.value] = sums[l.value];
  });
}

/// out[j] = sum over i of a(i, j) x(i), or of a(i, j) alone if x is null, for A (rows, cols) with
/// contiguous rows: the gemv of a transposed matrix, and the sum of its rows. Row i goes to lane
/// i mod 16.
template <class V>
void column_dots(const typename V::Scalar* a, std::ptrdiff_t lda, const typename V::Scalar* x,
                 std::ptrdiff_t rows, std::ptrdiff_t cols, typename V::Scalar* out) {
  constexpr int kHalf = kLanes / 2;  // eight chains at a time fit the registers, sixteen do not
  const auto sums = [&](const auto& factor) {
    for_each_vec<V>(cols, [&](std::ptrdiff_t j, auto access) {
      const auto term = [&](std::ptrdiff_t i, V sum) __attribute__((always_inline)) {
        return factor(i, access.template load<V>(a + i * lda + j), sum);
      };
      decltype(V::value) lanes[kLanes];
      half_of_lanes<V, kHalf>(0, rows, term, lanes);
      half_of_lanes<V, kHalf>(kHalf, rows, term, lanes + kHalf);
      V lane[kLanes];
      repeat<kLanes>([&](auto l)
                         __attribute__((always_inline)) { lane[l.value] = V(lanes[l.value]); });
      access.store(out + j, sum_lanes(lane));
    });
  };
  if (x != nullptr) {
    sums([&](std::ptrdiff_t i, V ai, V sum)
             __attribute__((always_inline)) { return fma(ai, V(x[i]), sum); });
  } else {  // the same bits as an fma by one, because both round once
    sums([](std::ptrdiff_t, V ai, V sum) __attribute__((always_inline)) { return sum + ai; });
  }
}

}  // namespace
}  // namespace fastmlp::detail
