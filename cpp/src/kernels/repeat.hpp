// repeat(): a loop whose counter is a constant. An array that is indexed by constants alone lives
// in registers; one that is indexed in a loop may not, also where the loop is unrolled later on.
#pragma once

namespace fastmlp::detail {
namespace {

template <int I>
struct Index {
  static constexpr int value = I;
};

/// body(Index<0>()), ..., body(Index<N - 1>()).
template <int N, class Body>
[[gnu::always_inline]] inline void repeat(const Body& body) {
  if constexpr (N > 0) {
    repeat<N - 1>(body);
    body(Index<N - 1>());
  }
}

}  // namespace
}  // namespace fastmlp::detail
