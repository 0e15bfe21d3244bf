// Products of one sparse row with a matrix, from the row's stored entries alone. gemm/sparse.hpp
// says when the terms that are left out do not change a bit.
#pragma once

#include "lanes.hpp"
#include "pack.hpp"

namespace fastmlp::detail {
namespace {

// The rows of B that the entries need lie anywhere, so the processor cannot run ahead of them.
constexpr std::ptrdiff_t kEntriesAhead = 8;

/// N vectors of sparse_row.
template <class V, int N, class Access>
void sparse_tile(const SparseEntry<typename V::Scalar>* entries, std::ptrdiff_t count,
                 const typename V::Scalar* b, std::ptrdiff_t ldb, Access access,
                 typename V::Scalar* out, typename V::Bits& minus_zeros) {
  using T = typename V::Scalar;
  decltype(V::value) sums[N];
  const auto clear = [&] {
    repeat<N>([&](auto v) __attribute__((always_inline)) { sums[v.value] = V().value; });
  };
  const auto add_chunk = [&]() __attribute__((always_inline)) {
    repeat<N>([&](auto v) __attribute__((always_inline)) {
      const V sum(sums[v.value]);
      T* const to = out + v.value * V::kWidth;
      minus_zeros = minus_zeros | select(sum == V(), sum, V()).bits();
      access.store(to, access.template load<V>(to) + sum);
    });
  };
  repeat<N>([&](auto v)
                __attribute__((always_inline)) { access.store(out + v.value * V::kWidth, V()); });
  clear();
  std::ptrdiff_t chunk = 0;
  for (std::ptrdiff_t p = 0; p < count; ++p) {
    const T* const row = b + entries[p].at * ldb;
    if (entries[p].at / kChunk != chunk) {
      add_chunk();
      clear();
      chunk = entries[p].at / kChunk;
    }
    if (p + kEntriesAhead < count) {
      const T* const ahead = b + entries[p + kEntriesAhead].at * ldb;
      for (std::ptrdiff_t j = 0; j < N * V::kWidth; j += kLineBytes / sizeof(T)) {
        __builtin_prefetch(ahead + j);
      }
    }
    const V value(entries[p].value);
    repeat<N>([&](auto v) __attribute__((always_inline)) {
      sums[v.value] =
          fma(value, access.template load<V>(row + v.value * V::kWidth), V(sums[v.value])).value;
    });
  }
  add_chunk();
}

/// out[j] = the sum over the entries p of value_p b(at_p, j): one chain of fma for each chunk, the
/// chunks added in order. The entries are in the order of `at`. Returns whether a chunk's sum is
/// -0.
template <class V>
bool sparse_row(const SparseEntry<typename V::Scalar>* entries, std::ptrdiff_t count,
                const typename V::Scalar* b, std::ptrdiff_t ldb, std::ptrdiff_t n,
                typename V::Scalar* out) {
  auto minus_zeros = V().bits();
  std::ptrdiff_t j = 0;
  const auto tiles = [&](auto vectors) {
    constexpr int kVectors = vectors.value;
    for (; j + kVectors * V::kWidth <= n; j += kVectors * V::kWidth) {
      sparse_tile<V, kVectors>(entries, count, b + j, ldb, Whole{}, out + j, minus_zeros);
    }
  };
  tiles(Index<4>());
  tiles(Index<1>());
  if (j < n) sparse_tile<V, 1>(entries, count, b + j, ldb, First{n - j}, out + j, minus_zeros);
  typename V::Scalar found[V::kWidth];
  V::from_bits(minus_zeros).store(found);
  for (std::ptrdiff_t l = 0; l < V::kWidth; ++l) {
    if (__builtin_signbit(found[l])) return true;
  }
  return false;
}

/// The sum over the entries p of value_p x[at_p] in 16 lanes, for entries of one chunk.
template <class V>
typename V::Scalar sparse_dot(const SparseEntry<typename V::Scalar>* entries, std::ptrdiff_t count,
                              const typename V::Scalar* x) {
  typename V::Scalar lane[kLanes] = {};
  for (std::ptrdiff_t p = 0; p < count; ++p) {
    auto& sum = lane[entries[p].at % kLanes];
    fma(V(entries[p].value), V(x[entries[p].at]), V(sum)).store_partial(&sum, 1);
  }
  return sum_lanes(lane);
}

/// Whether n numbers are all finite.
template <class V>
bool all_finite(const typename V::Scalar* x, std::ptrdiff_t n) {
  V sum;
  for_each_vec<V>(n, [&](std::ptrdiff_t i, auto access) {  // 0 x is NaN if x is not finite
    sum = fma(access.template load<V>(x + i), V(), sum);
  });
  typename V::Scalar lanes[V::kWidth];
  sum.store(lanes);
  for (std::ptrdiff_t l = 0; l < V::kWidth; ++l) {
    if (!(lanes[l] == 0)) return false;
  }
  return true;
}

}  // namespace
}  // namespace fastmlp::detail
