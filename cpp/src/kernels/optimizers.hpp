// The rules of docs/mathematics.md, "Update", one struct each. cpp/README.md, "Adding", says how to
// add one.
#pragma once

#include "activations.hpp"
#include "lanes.hpp"

namespace fastmlp::detail {
namespace {

// kOptimizer: the optimizer that the rule belongs to (kName in include/fastmlp/options.hpp).
// fits: whether the rule is the one for these hyper-parameters; an optimizer may have several
// rules.
// kStates: the number of vectors of state: 0, 1 or 2.
// kIsGradientDescent: whether step() computes what the epilogue Update computes. An update without
// decay then needs no stored gradient.
// numbers: the numbers of the next step, in double. `powers` are beta_1^t and beta_2^t after t
// steps; a rule that needs them multiplies them here.
// step: one update of the parameters theta by their gradients g, with the vectors of state.

/// The values that most rules share.
struct RuleDefaults {
  static constexpr bool kIsGradientDescent = false;
  template <class Options>
  static bool fits(const Options&) {
    return true;
  }
};

/// x, or +0 if |x| is below `least`; a NaN stays a NaN.
template <class V>
V flushed(V x, typename V::Scalar least) {
  return zero_where(abs(x) < V(least), x);
}

/// What a rule remembers: +0 instead of a denormal number. Without this the state of a parameter
/// whose gradient stays 0 would shrink to a denormal number and stay there, because 0.9 times the
/// smallest one rounds to itself. On some processors each operation with such a number takes a
/// hundred times as long (docs/performance.md, "Very small numbers").
template <class V>
V remembered(V state) {
  return flushed(state, ConstantsOf<V>::kMinNormal);
}

/// v = keep_2 v + take_2 g^2. A g below least_g counts as 0, so that its square is never denormal.
template <class V>
V mean_square(V v, V g, const StepNumbers<V>& n) {
  const V counted = zero_where(abs(g) < n.least_g, g);
  v = fma(n.keep_2, v, n.take_2 * (counted * counted));
  return zero_where(v < V(ConstantsOf<V>::kMinNormal), v);  // as remembered(v), for v >= 0
}

/// The numbers of a rule with two running means, which keep beta_1 and beta_2 of what they were.
template <class Options>
StepNumbers<double> with_two_means(const Options& o) {
  StepNumbers<double> n;
  n.rate = o.learning_rate;
  n.keep_1 = o.beta_1;
  n.take_1 = 1 - o.beta_1;
  n.keep_2 = o.beta_2;
  n.take_2 = 1 - o.beta_2;
  return n;
}

struct GradientDescent : RuleDefaults {  // theta = theta - rate g
  static constexpr const char* kOptimizer = "SGD";
  static constexpr int kStates = 0;
  static constexpr bool kIsGradientDescent = true;
  template <class Options>
  static bool fits(const Options& o) {
    return !(o.momentum > 0);
  }
  template <class Options, class Powers>
  static StepNumbers<double> numbers(const Options& o, Powers&) {
    StepNumbers<double> n;
    n.rate = o.learning_rate;
    return n;
  }
  template <class V>
  static V step(V theta, V g, V&, V&, const StepNumbers<V>& n) {
    return fma(V(0) - n.rate, g, theta);
  }
};

struct Momentum : RuleDefaults {  // m = mu m - rate g,  theta = theta + m
  static constexpr const char* kOptimizer = "SGD";
  static constexpr int kStates = 1;
  template <class Options>
  static bool fits(const Options& o) {
    return o.momentum > 0 && !o.nesterov;
  }
  template <class Options, class Powers>
  static StepNumbers<double> numbers(const Options& o, Powers&) {
    StepNumbers<double> n;
    n.rate = o.learning_rate;
    n.keep_1 = o.momentum;
    return n;
  }
  template <class V>
  static V step(V theta, V g, V& m, V&, const StepNumbers<V>& n) {
    m = remembered(fma(n.keep_1, m, (V(0) - n.rate) * g));
    return theta + m;
  }
};

struct Nesterov : Momentum {  // m = mu m - rate g,  theta = theta + mu m - rate g
  template <class Options>
  static bool fits(const Options& o) {
    return o.momentum > 0 && o.nesterov;
  }
  template <class V>
  static V step(V theta, V g, V& m, V&, const StepNumbers<V>& n) {
    const V down = (V(0) - n.rate) * g;
    m = remembered(fma(n.keep_1, m, down));
    return theta + fma(n.keep_1, m, down);
  }
};

struct Adam : RuleDefaults {  // theta = theta - rate m / (sqrt(v) + epsilon),
                              // with m and v the running means of g and g^2
  static constexpr const char* kOptimizer = "Adam";
  static constexpr int kStates = 2;
  template <class Options, class Powers>
  static StepNumbers<double> numbers(const Options& o, Powers& powers) {
    powers.beta_1 *= o.beta_1;
    powers.beta_2 *= o.beta_2;
    // learning_rate m' / (sqrt(v') + epsilon)
    //   = learning_rate root / (1 - beta_1^t) m / (sqrt(v) + epsilon root)
    const double root = __builtin_sqrt(1 - powers.beta_2);
    StepNumbers<double> n = with_two_means(o);
    n.rate = o.learning_rate * root / (1 - powers.beta_1);
    n.epsilon = o.epsilon_hat ? o.epsilon : o.epsilon * root;
    return n;
  }
  template <class V>
  static V step(V theta, V g, V& m, V& v, const StepNumbers<V>& n) {
    m = remembered(fma(n.keep_1, m, n.take_1 * g));
    v = mean_square(v, g, n);
    return theta + (V(0) - n.rate) * m / (sqrt(v) + n.epsilon);
  }
};

struct RmsProp : RuleDefaults {  // theta = theta - rate g / (sqrt(v) + epsilon), v the mean of g^2
  static constexpr const char* kOptimizer = "RMSprop";
  static constexpr int kStates = 1;
  template <class Options, class Powers>
  static StepNumbers<double> numbers(const Options& o, Powers&) {
    StepNumbers<double> n;
    n.rate = o.learning_rate;
    n.keep_2 = o.alpha;
    n.take_2 = 1 - o.alpha;
    n.epsilon = o.epsilon;
    return n;
  }
  template <class V>
  static V step(V theta, V g, V& v, V&, const StepNumbers<V>& n) {
    v = mean_square(v, g, n);
    return theta + (V(0) - n.rate) * g / (sqrt(v) + n.epsilon);
  }
};

struct Lion : RuleDefaults {  // theta = theta - rate sign(beta_1 m + (1 - beta_1) g),
                              // then m = beta_2 m + (1 - beta_2) g
  static constexpr const char* kOptimizer = "Lion";
  static constexpr int kStates = 1;
  template <class Options, class Powers>
  static StepNumbers<double> numbers(const Options& o, Powers&) {
    return with_two_means(o);
  }
  template <class V>
  static V step(V theta, V g, V& m, V&, const StepNumbers<V>& n) {
    const V c = fma(n.keep_1, m, n.take_1 * g);
    m = remembered(fma(n.keep_2, m, n.take_2 * g));
    const V minus_one = V(0) - V(1);
    const V sign = select(V(0) < c, V(1), select(c < V(0), minus_one, c));  // 0 and NaN stay
    return fma(V(0) - n.rate, sign, theta);
  }
};

using Rules = List<GradientDescent, Momentum, Nesterov, Adam, RmsProp, Lion>;

/// Copies each number of a step to all lanes of a vector, and adds least_g.
template <class V>
StepNumbers<V> broadcast(const StepNumbers<typename V::Scalar>& n) {
  const V take_2(n.take_2);
  const V least_g = sqrt(V(ConstantsOf<V>::kMinNormal) / take_2);  // a rule without v ignores it
  return {V(n.rate), V(n.keep_1), V(n.take_1), V(n.keep_2), take_2, V(n.epsilon), least_g};
}

/// A weight that decays becomes +0 below this. It is far above the denormal numbers, so that the
/// weight's products with the decay and with the learning rate are not denormal either.
template <class T>
constexpr T kLeastDecaying = MathConstants<T>::kMinNormal * T(0x1p40);

template <class V, class R, bool kDecays, class T = typename V::Scalar>
void update_all(const OptimizerStep<T>& s) {
  const StepNumbers<V> numbers = broadcast<V>(s.numbers);
  const V scale(s.scale), decay(s.decay), shrink(s.shrink);
  T *const parameters = s.parameters, *const first = s.state[0], *const second = s.state[1];
  const T* const gradients = s.gradients;
  for_each_vec<V>(s.n, [&](std::ptrdiff_t i, auto access) {
    V theta = access.template load<V>(parameters + i);
    V g = scale * access.template load<V>(gradients + i);
    if constexpr (kDecays) {
      theta = flushed(theta, kLeastDecaying<T>);
      g = fma(decay, theta, g);
      theta = shrink * theta;
    }
    V m, v;
    if constexpr (R::kStates > 0) m = access.template load<V>(first + i);
    if constexpr (R::kStates > 1) v = access.template load<V>(second + i);
    access.store(parameters + i, R::step(theta, g, m, v, numbers));
    if constexpr (R::kStates > 0) access.store(first + i, m);
    if constexpr (R::kStates > 1) access.store(second + i, v);
  });
}

/// One update of some parameters. Without decay, it skips the multiplications by the decay, so that
/// plain gradient descent gives the bits of the epilogue Update.
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
