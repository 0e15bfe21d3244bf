// The activations g, forward beside backward. To add one: a struct here, an entry in Activations
// below, its name in include/fastmlp/options.hpp and its twin in python/fastmlp/reference.py.
#pragma once

#include "math.hpp"

namespace fastmlp::detail {
namespace {

template <class... Items>
struct List {
  static constexpr std::size_t kSize = sizeof...(Items);
};

// kCheap: both are so few instructions that they are done while a product's sums are in registers.
// kNeedsZ: backward reads z.

struct Relu {  // a = 0 where z <= 0, else z (a NaN stays);  da/dz = 1 where z > 0, else 0
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

// In the order of fastmlp::Activation.
using Activations = List<Relu, Sigmoid, Tanh, Identity>;

}  // namespace
}  // namespace fastmlp::detail
