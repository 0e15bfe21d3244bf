// The code of every math_probe_<isa>.cpp, which includes the vec_x.hpp of its ISA and math.hpp
// before this file. All of it is in an unnamed namespace, as the kernels are (dispatch.hpp says
// why).
#pragma once

#include <cstddef>

#include "kernels/erf.hpp"
#include "math_probe.hpp"

namespace fastmlp::testing {
namespace {

struct Exp {
  template <class V>
  static V apply(V x) {
    return detail::exp(x);
  }
};
struct Expm1 {
  template <class V>
  static V apply(V x) {
    return detail::expm1(x);
  }
};
struct Log {
  template <class V>
  static V apply(V x) {
    return detail::log(x);
  }
};
struct Log1p {
  template <class V>
  static V apply(V x) {
    return detail::log1p(x);
  }
};
struct Tanh {
  template <class V>
  static V apply(V x) {
    return detail::tanh(x);
  }
};
struct Erf {
  template <class V>
  static V apply(V x) {
    return detail::erf(x);
  }
};

template <class F, class T>
void map(const T* x, T* y, std::size_t n) {
  using V = detail::Vec<T>;
  constexpr auto kWidth = static_cast<std::size_t>(V::kWidth);
  std::size_t i = 0;
  for (; i + kWidth <= n; i += kWidth) F::apply(V::load(x + i)).store(y + i);
  const auto rest = static_cast<std::ptrdiff_t>(n - i);
  if (rest > 0) F::apply(V::load_partial(x + i, rest)).store_partial(y + i, rest);
}

template <class T>
constexpr MathProbe<T> kProbe{map<Exp, T>,   map<Expm1, T>, map<Log, T>,
                              map<Log1p, T>, map<Tanh, T>,  map<Erf, T>};

}  // namespace
}  // namespace fastmlp::testing
