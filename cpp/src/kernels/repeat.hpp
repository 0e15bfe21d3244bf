// repeat(): a loop whose counter is a constant in each turn. The compiler keeps an array in
// registers if all its indices are constants. With an ordinary loop it may keep it in memory, even
// if it unrolls the loop later.
#pragma once

namespace fastmlp::detail {
namespace {

template <int I>
struct Index {
  static constexpr int value = I;
};

/// Calls body(Index<0>()), ..., body(Index<N - 1>()), in this order.
template <int N, class Body>
[[gnu::always_inline]] inline void repeat(const Body& body) {
  if constexpr (N > 0) {
    repeat<N - 1>(body);
    body(Index<N - 1>());
  }
}

}  // namespace
}  // namespace fastmlp::detail
