// What several kernels share: loops over arrays by vectors, and sums in 16 lanes.
#pragma once

#include "kernel_table.hpp"
#include "repeat.hpp"

namespace fastmlp::detail {
namespace {

/// How a kernel loads and stores a vector: all lanes (Whole), or the first n (First), which it
/// needs at the end of a row.
struct Whole {
  template <class V>
  V load(const typename V::Scalar* p) const {
    return V::load(p);
  }
  template <class V>
  void store(typename V::Scalar* p, V v) const {
    v.store(p);
  }
};
struct First {
  std::ptrdiff_t n;
  template <class V>
  V load(const typename V::Scalar* p) const {
    return V::load_partial(p, n);
  }
  template <class V>
  void store(typename V::Scalar* p, V v) const {
    v.store_partial(p, n);
  }
};

/// Calls body(i, access) for i = 0, width, 2 * width, ... below n, where width is that of V. If n
/// is not a multiple of the width, the last access is partial.
template <class V, class Body>
void for_each_vec(std::ptrdiff_t n, Body body) {
  std::ptrdiff_t i = 0;
  for (; i + V::kWidth <= n; i += V::kWidth) body(i, Whole{});
  if (i < n) body(i, First{n - i});
}

/// Adds 16 lanes by the fixed tree: lane l + 8 to lane l, then l + 4, l + 2 and l + 1.
template <int kHalf = kLanes / 2, class V>
[[gnu::always_inline]] inline V sum_lanes(V (&lane)[kLanes]) {
  repeat<kHalf>([&](auto l) __attribute__((always_inline)) {
    lane[l.value] = lane[l.value] + lane[l.value + kHalf];
  });
  if constexpr (kHalf > 1) sum_lanes<kHalf / 2>(lane);
  return lane[0];
}

/// A sum in 16 lanes of type Acc, which may be wider than the terms. The terms may come in several
/// pieces; all pieces but the last must have a multiple of 16 terms, so that term k of the whole
/// sum goes to lane k mod 16.
template <class Acc>
class LaneSum {
 public:
  template <class T>
  void add(const T* x, std::ptrdiff_t n) {
    std::ptrdiff_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
      for (std::ptrdiff_t l = 0; l < kLanes; ++l) lane_[l] += static_cast<Acc>(x[i + l]);
    }
    for (std::ptrdiff_t l = 0; i + l < n; ++l) lane_[l] += static_cast<Acc>(x[i + l]);
  }
  Acc total() { return sum_lanes(lane_); }

 private:
  Acc lane_[kLanes] = {};
};

}  // namespace
}  // namespace fastmlp::detail
