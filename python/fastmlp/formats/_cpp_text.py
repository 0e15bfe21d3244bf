"""The fixed texts of the headers that cpp_header.py writes."""

OUTPUTS = {
    "sigmoid": "  detail::apply<detail::Sigmoid>({source});\n",
    "softmax": "  detail::softmax({source});\n",
    "identity": "",
    "exp": "  detail::apply<detail::Exp>({source});\n",
}

HEAD = """\
// Written by `fastmlp export` {version}: a network of layers {layers} ({names}) in {scalar}.
//
// The code, not the numbers, is fastmlp's: SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the fastmlp developers
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#if __cplusplus < 201703L && !(defined(_MSVC_LANG) && _MSVC_LANG >= 201703L)
#error "this header is C++17"
#endif
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || \\
    defined(__NO_SIGNED_ZEROS__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || \\
    defined(_M_FP_FAST)
#error "this network's results are bits; -ffast-math and its parts would change them"
#endif
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error "this network's results are bits; arithmetic in a wider type would change them"
#endif
static_assert(0.1 != 0.1F, "doubles are floats with -fsingle-precision-constant");
"""

UNKNOWN_ZERO = """\
// A product is fma(a, b, -0), which rounds like it. Compilers may join a product and a sum into an
// fma, an fma and a sum never; and of a volatile number they cannot know that it is -0.
template <class T>
struct MinusZero {
  static inline const volatile T value = T(-0.0);
};

"""

LAYERS = """\
// The order of every sum is the library's: chunks of 4096 terms, in each one chain of fma for each
// output, or for a single output 16 chains, term k in chain k mod 16, and a fixed tree.

template <std::size_t kTerms, std::size_t kOutputs>
void dense(const Scalar* x, const Scalar* w, const Scalar* b, Scalar* z) {
  constexpr std::size_t kLanes = kOutputs == 1 ? 16 : 1, kChains = kOutputs * kLanes;
  for (std::size_t first = 0; first < kTerms; first += 4096) {
    const std::size_t last = kTerms - first < 4096 ? kTerms : first + 4096;
    Scalar t[kChains] = {};
    for (std::size_t k = first; k < last; k += kLanes) {
      const std::size_t lanes = last - k < kLanes ? last - k : kLanes;
      for (std::size_t l = 0; l < lanes; ++l) {
        for (std::size_t j = 0; j < kOutputs; ++j) {
          t[l + j] = std::fma(x[k + l], w[(k + l) * kOutputs + j], t[l + j]);
        }
      }
    }
    for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
      for (std::size_t l = 0; l < half; ++l) t[l] = t[l] + t[l + half];
    }
    for (std::size_t j = 0; j < kOutputs; ++j) z[j] = first == 0 ? t[j] : z[j] + t[j];
  }
  for (std::size_t j = 0; j < kOutputs; ++j) z[j] = z[j] + b[j];
}

template <class G, std::size_t kUnits>
void apply(Scalar (&z)[kUnits]) {
  for (std::size_t j = 0; j < kUnits; ++j) z[j] = G::forward(Vec<Scalar>(z[j])).value;
}

struct Exp {
  template <class V>
  static V forward(V z) {
    return exp(z);
  }
};

template <std::size_t kUnits>
void softmax(Scalar (&z)[kUnits]) {
  Scalar top = z[0];
  for (std::size_t j = 1; j < kUnits; ++j) top = top < z[j] ? z[j] : top;
  Scalar lane[16] = {};
  for (std::size_t j = 0; j < kUnits; ++j) {
    z[j] = exp(Vec<Scalar>(z[j] - top)).value;
    lane[j % 16] += z[j];
  }
  for (std::size_t half = 8; half > 0; half /= 2) {
    for (std::size_t l = 0; l < half; ++l) lane[l] += lane[l + half];
  }
  for (std::size_t j = 0; j < kUnits; ++j) z[j] = z[j] / lane[0];
}
"""

FORWARD_COMMENT = """\
/// The outputs, out[n_outputs], of one row x[n_inputs]; out may be x. The bits of fastmlp's
/// Network::forward, in the default rounding mode and without flush-to-zero. On x86-64 std::fma is
/// one instruction with -mfma or -march=x86-64-v3, and a call without.
"""
