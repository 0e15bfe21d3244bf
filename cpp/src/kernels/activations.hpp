// The activations g, one struct each, forward beside backward. cpp/README.md, "Adding", says how to
// add one.
#pragma once

#include "erf.hpp"

namespace fastmlp::detail {
namespace {

template <class... Items>
struct List {
  static constexpr std::size_t kSize = sizeof...(Items);
};

// [export: begin]

// kName: the name in Python, in files and in messages.
// kInitialization: how the weights before a layer with this activation start.
// kCheap: forward and backward take so few instructions that they run while a product's sums are in
// registers. Each cheap activation adds a set of tiles to compile, so only those that everybody
// uses are cheap.
// kNeedsZ: backward reads z, so training keeps z beside a (Epilogue::z). If it is false, backward
// gets 0 for z.

struct Relu {  // a = 0 if z <= 0, else z (a NaN stays);  da/dz = 1 if z > 0, else 0
  static constexpr const char* kName = "relu";
  static constexpr Initialization kInitialization = Initialization::kHe;
  static constexpr bool kCheap = true;
  static constexpr bool kNeedsZ = false;
  template <class V>
  static V forward(V z) {
    return select(z <= V(0), V(0), z);
  }
  template <class V>
  static V backward(V dA, V /*z*/, V a) {
    return select(V(0) < a, dA, V(0));
  }
};

struct Sigmoid {  // a = 1 / (1 + e^-z),  da/dz = a (1 - a)
  static constexpr const char* kName = "sigmoid";
  static constexpr Initialization kInitialization = Initialization::kGlorot;
  static constexpr bool kCheap = false;
  static constexpr bool kNeedsZ = false;
  template <class V>
  static V forward(V z) {
    const V e = exp(V(0) - abs(z));  // in (0, 1]: neither branch overflows
    return select(z < V(0), e, V(1)) / (V(1) + e);
  }
  template <class V>
  static V backward(V dA, V /*z*/, V a) {
    return dA * (a * (V(1) - a));
  }
};

struct Tanh {  // a = tanh(z),  da/dz = 1 - a^2
  static constexpr const char* kName = "tanh";
  static constexpr Initialization kInitialization = Initialization::kGlorot;
  static constexpr bool kCheap = false;
  static constexpr bool kNeedsZ = false;
  template <class V>
  static V forward(V z) {
    return tanh(z);
  }
  template <class V>
  static V backward(V dA, V /*z*/, V a) {
    return dA * fma(V(0) - a, a, V(1));
  }
};

struct Identity {  // a = z,  da/dz = 1
  static constexpr const char* kName = "identity";
  static constexpr Initialization kInitialization = Initialization::kGlorot;
  static constexpr bool kCheap = true;
  static constexpr bool kNeedsZ = false;
  template <class V>
  static V forward(V z) {
    return z;
  }
  template <class V>
  static V backward(V dA, V /*z*/, V /*a*/) {
    return dA;
  }
};

struct LeakyRelu {  // a = z if z > 0, else z / 100;  da/dz = 1 if z > 0, else 1 / 100
  static constexpr const char* kName = "leaky_relu";
  static constexpr Initialization kInitialization = Initialization::kHe;
  static constexpr bool kCheap = false;
  static constexpr bool kNeedsZ = false;
  static constexpr double kSlope = 0.01;
  template <class V>
  static V forward(V z) {
    return select(V(0) < z, z, V(typename V::Scalar(kSlope)) * z);
  }
  template <class V>
  static V backward(V dA, V /*z*/, V a) {
    return select(V(0) < a, dA, V(typename V::Scalar(kSlope)) * dA);
  }
};

struct Elu {  // a = z if z > 0, else e^z - 1;  da/dz = 1 if z > 0, else e^z = a + 1
  static constexpr const char* kName = "elu";
  static constexpr Initialization kInitialization = Initialization::kHe;
  static constexpr bool kCheap = false;
  static constexpr bool kNeedsZ = false;
  template <class V>
  static V forward(V z) {
    return select(V(0) < z, z, expm1(z));
  }
  template <class V>
  static V backward(V dA, V /*z*/, V a) {
    return select(V(0) < a, dA, dA * (a + V(1)));
  }
};

struct Softplus {  // a = log(1 + e^z),  da/dz = 1 / (1 + e^-z) = 1 - e^-a
  static constexpr const char* kName = "softplus";
  static constexpr Initialization kInitialization = Initialization::kHe;
  static constexpr bool kCheap = false;
  static constexpr bool kNeedsZ = false;
  template <class V>
  static V forward(V z) {
    return select(z < V(0), V(0), z) + log1p(exp(V(0) - abs(z)));
  }
  template <class V>
  static V backward(V dA, V /*z*/, V a) {
    return dA * (V(0) - expm1(V(0) - a));
  }
};

// bounded_below and bounded keep z finite: from kExpLow on, e^-|z| is 0, and 0 times an infinite z
// would be NaN. A NaN passes.
template <class V>
V bounded_below(V z) {
  const V low(ConstantsOf<V>::kExpLow);
  return select(z < low, low, z);
}
template <class V>
V bounded(V z) {
  return clamp(z, ConstantsOf<V>::kExpLow, -ConstantsOf<V>::kExpLow);
}

struct Gelu {  // a = z Phi(z),  da/dz = Phi(z) + z phi(z), with the normal density phi
  static constexpr const char* kName = "gelu";
  static constexpr Initialization kInitialization = Initialization::kHe;
  static constexpr bool kCheap = false;
  static constexpr bool kNeedsZ = true;  // a falls, then rises, so two z have the same a
  template <class V>
  static V forward(V z) {
    return bounded_below(z) * distribution(z);
  }
  template <class V>
  static V backward(V dA, V z, V /*a*/) {
    const V x = bounded(z);
    const V density = V(kInverseSqrt2Pi<V>) * exp(V(typename V::Scalar(-0.5)) * x * x);
    return dA * fma(x, density, distribution(z));
  }

 private:
  template <class V>
  static constexpr auto kInverseSqrt2 = typename V::Scalar(0x1.6a09e667f3bcdp-1);
  template <class V>
  static constexpr auto kInverseSqrt2Pi = typename V::Scalar(0x1.9884533d43651p-2);

  template <class V>
  static V distribution(V z) {  // (1 + erf(z / sqrt 2)) / 2
    const V half(typename V::Scalar(0.5));
    return fma(half, erf(V(kInverseSqrt2<V>) * z), half);
  }
};

struct Silu {  // a = z s(z),  da/dz = s (1 + z (1 - s)) with s(z) = 1 / (1 + e^-z)
  static constexpr const char* kName = "silu";
  static constexpr Initialization kInitialization = Initialization::kHe;
  static constexpr bool kCheap = false;
  static constexpr bool kNeedsZ = true;  // as for Gelu
  template <class V>
  static V forward(V z) {
    return bounded_below(z) * Sigmoid::forward(z);
  }
  template <class V>
  static V backward(V dA, V z, V /*a*/) {
    // If z >= 0, s is `large` and 1 - s = s(-z) is `little`; if z < 0, the other way round. Neither
    // cancels, as 1 - s would.
    const V e = exp(V(0) - abs(z));
    const V large = V(1) / (V(1) + e), little = e / (V(1) + e);
    const auto negative = z < V(0);
    const V s = select(negative, little, large), rest = select(negative, large, little);
    return dA * (s * fma(bounded(z), rest, V(1)));
  }
};

struct Mish {  // a = z t with t = tanh(log(1 + e^z)),  da/dz = t + z s(z) (1 - t^2); Misra, 2019
  static constexpr const char* kName = "mish";
  static constexpr Initialization kInitialization = Initialization::kHe;
  static constexpr bool kCheap = false;
  static constexpr bool kNeedsZ = true;  // as for Gelu
  template <class V>
  static V forward(V z) {
    const Parts<V> p(z);
    return bounded_below(z) * (p.top / p.bottom);
  }
  template <class V>
  static V backward(V dA, V z, V /*a*/) {
    // s(z) (1 - t^2) = 4 e^2 (1 + e) / bottom^2 for z >= 0, and 4 e (1 + e) / bottom^2 for z < 0.
    const Parts<V> p(z);
    const V e = p.e, four(typename V::Scalar(4));
    const V slope = four * select(z < V(0), e, e * e) * (V(1) + e) / (p.bottom * p.bottom);
    return dA * fma(bounded(z), slope, p.top / p.bottom);
  }

 private:
  // t = top / bottom, without a hyperbolic tangent and without overflow: with e = e^-|z|,
  // (1 + 2 e) / (1 + 2 e + 2 e^2) for z >= 0, and (e^2 + 2 e) / (e^2 + 2 e + 2) for z < 0.
  template <class V>
  struct Parts {
    V e, top, bottom;
    explicit Parts(V z)
        : e(exp(V(0) - abs(z))),
          top(select(z < V(0), e * (e + two()), fma(two(), e, V(1)))),
          bottom(top + select(z < V(0), two(), two() * e * e)) {}
    static V two() { return V(typename V::Scalar(2)); }
  };
};

struct Selu {  // a = l z where z > 0, else l k (e^z - 1);  da/dz = l, else l k e^z = a + l k
  static constexpr const char* kName = "selu";
  static constexpr Initialization kInitialization = Initialization::kLeCun;
  static constexpr bool kCheap = false;
  static constexpr bool kNeedsZ = false;
  // For which mean 0 and variance 1 stay from layer to layer (Klambauer et al., 2017).
  static constexpr double kScale = 1.0507009873554804934193349852946;       // l
  static constexpr double kScaleAlpha = 1.7580993408473768599402175208123;  // l k
  template <class V>
  static V forward(V z) {
    return select(V(0) < z, V(Number<V>(kScale)) * z, V(Number<V>(kScaleAlpha)) * expm1(z));
  }
  template <class V>
  static V backward(V dA, V /*z*/, V a) {
    return dA * select(V(0) < a, V(Number<V>(kScale)), a + V(Number<V>(kScaleAlpha)));
  }

 private:
  template <class V>
  using Number = typename V::Scalar;
};

struct HardSigmoid {  // a = z / 6 + 1 / 2, but in [0, 1];  da/dz = 1 / 6 where 0 < a < 1, else 0
  static constexpr const char* kName = "hard_sigmoid";
  static constexpr Initialization kInitialization = Initialization::kGlorot;
  static constexpr bool kCheap = false;
  static constexpr bool kNeedsZ = false;
  template <class V>
  static V forward(V z) {
    const V six(typename V::Scalar(6)), half(typename V::Scalar(0.5));
    return clamp(z / six + half, typename V::Scalar(0), typename V::Scalar(1));
  }
  template <class V>
  static V backward(V dA, V /*z*/, V a) {
    const V slope = dA / V(typename V::Scalar(6));
    return select(V(0) < a, select(a < V(1), slope, V(0)), V(0));
  }
};

// [export: end]

// In the order of fastmlp::Activation.
using Activations = List<Relu, Sigmoid, Tanh, Identity, LeakyRelu, Elu, Softplus, Gelu, Silu, Mish,
                         Selu, HardSigmoid>;

}  // namespace
}  // namespace fastmlp::detail
