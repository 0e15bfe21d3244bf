// What bounds every kernel: fused multiply-adds in registers, and one read of memory. Benchmarks
// compare with them; nothing else uses them.
#pragma once

#include "lanes.hpp"

namespace fastmlp::detail {
namespace {

/// `n` rounds of kChains independent fma, which keep the pipes full; as many as a tile has sums.
template <class V, int kChains>
typename V::Scalar fma_rounds(std::ptrdiff_t n) {
  using T = typename V::Scalar;
  decltype(V::value) sums[kChains];
  repeat<kChains>([&](auto c) __attribute__((always_inline)) {  // from different numbers, or one
    sums[c.value] = V(T(c.value)).value;                        // chain would do for all
  });
  const V half(T(0.5)), one(T(1));  // x = x / 2 + 1 stays finite
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    repeat<kChains>([&](auto c) __attribute__((always_inline)) {
      sums[c.value] = fma(V(sums[c.value]), half, one).value;
    });
  }
  V total;
  repeat<kChains>([&](auto c) __attribute__((always_inline)) { total = total + V(sums[c.value]); });
  T first;
  total.store_partial(&first, 1);
  return first;
}

/// The sum of n elements in any order; a read of all of them.
template <class V>
typename V::Scalar read_all(const typename V::Scalar* x, std::ptrdiff_t n) {
  constexpr int kVecs = 8;
  constexpr std::ptrdiff_t kStep = kVecs * V::kWidth;
  decltype(V::value) sums[kVecs];
  repeat<kVecs>([&](auto v) __attribute__((always_inline)) { sums[v.value] = V().value; });
  std::ptrdiff_t i = 0;
  for (; i + kStep <= n; i += kStep) {
    repeat<kVecs>([&](auto v) __attribute__((always_inline)) {
      sums[v.value] = (V(sums[v.value]) + V::load(x + i + v.value * V::kWidth)).value;
    });
  }
  V total;
  repeat<kVecs>([&](auto v) __attribute__((always_inline)) { total = total + V(sums[v.value]); });
  for_each_vec<V>(n - i, [&](std::ptrdiff_t j, auto access) {
    total = total + access.template load<V>(x + i + j);
  });
  typename V::Scalar lanes[V::kWidth], sum = 0;
  total.store(lanes);
  for (const auto lane : lanes) sum += lane;
  return sum;
}

}  // namespace
}  // namespace fastmlp::detail
