// The rules of docs/mathematics.md, "Update", one struct each. To add one: a struct here and its
// place in Rules, its number in kernel_table.hpp, its hyper-parameters in options.hpp, the numbers
// it needs for a step in optimizer.cpp and its twin in python/fastmlp/reference/optimizers.py.
#pragma once

#include "activations.hpp"
#include "lanes.hpp"

namespace fastmlp::detail {
namespace {

/// The numbers of one step, broadcast.
template <class V>
struct StepNumbers {
  explicit StepNumbers(const OptimizerStep<typename V::Scalar>& s)
      : minus_rate(-s.rate),
        keep_1(s.keep_1),
        take_1(s.take_1),
        keep_2(s.keep_2),
        take_2(s.take_2),
        epsilon(s.epsilon) {}
  V minus_rate, keep_1, take_1, keep_2, take_2, epsilon;
};

struct GradientDescent {  // theta = theta - rate g
  static constexpr int kStates = 0;
  template <class V>
  static V step(V theta, V g, V&, V&, const StepNumbers<V>& n) {
    return fma(n.minus_rate, g, theta);
  }
};

struct Momentum {  // m = mu m - rate g,  theta = theta + m
  static constexpr int kStates = 1;
  template <class V>
  static V step(V theta, V g, V& m, V&, const StepNumbers<V>& n) {
    m = fma(n.keep_1, m, n.minus_rate * g);
    return theta + m;
  }
};

struct Nesterov {  // m = mu m - rate g,  theta = theta + mu m - rate g
  static constexpr int kStates = 1;
  template <class V>
  static V step(V theta, V g, V& m, V&, const StepNumbers<V>& n) {
    const V down = n.minus_rate * g;
    m = fma(n.keep_1, m, down);
    return theta + fma(n.keep_1, m, down);
  }
};

struct Adam {  // m, v: means of g and g^2 that fade;  theta = theta - rate m / (sqrt(v) + epsilon)
  static constexpr int kStates = 2;
  template <class V>
  static V step(V theta, V g, V& m, V& v, const StepNumbers<V>& n) {
    m = fma(n.keep_1, m, n.take_1 * g);
    v = fma(n.keep_2, v, n.take_2 * (g * g));
    return theta + n.minus_rate * m / (sqrt(v) + n.epsilon);
  }
};

// In the order of Rule.
using Rules = List<GradientDescent, Momentum, Nesterov, Adam>;

template <class V, class R, bool kDecays, class T = typename V::Scalar>
void update_all(const OptimizerStep<T>& s) {
  const StepNumbers<V> numbers(s);
  const V scale(s.scale), decay(s.decay), shrink(s.shrink);
  for_each_vec<V>(s.n, [&](std::ptrdiff_t i, auto access) {
    V theta = access.template load<V>(s.parameters + i);
    V g = scale * access.template load<V>(s.gradients + i);
    if constexpr (kDecays) {
      g = fma(decay, theta, g);
      theta = shrink * theta;
    }
    V m, v;
    if constexpr (R::kStates > 0) m = access.template load<V>(s.state[0] + i);
    if constexpr (R::kStates > 1) v = access.template load<V>(s.state[1] + i);
    access.store(s.parameters + i, R::step(theta, g, m, v, numbers));
    if constexpr (R::kStates > 0) access.store(s.state[0] + i, m);
    if constexpr (R::kStates > 1) access.store(s.state[1] + i, v);
  });
}

/// One update of some parameters. Without decay they are not even multiplied by it, so that plain
/// gradient descent has the bits of the epilogue Update.
template <class V, class R, class T = typename V::Scalar>
void optimizer_step(const OptimizerStep<T>& s) {
  if (s.decay == T(0) && s.shrink == T(1)) {
    update_all<V, R, false>(s);
  } else {
    update_all<V, R, true>(s);
  }
}

}  // namespace
}  // namespace fastmlp::detail
