// erf over any Vec, written as in math.hpp: fixed operations, no tables, all lanes take the same
// path. The error is at most 2 ulp (the worst seen is 1.00). Include a vec_x.hpp before this.
#pragma once

#include "math.hpp"

namespace fastmlp::detail {
namespace {

// [export: begin]

// Minimax coefficients, from a Remez exchange in 60 digits, then rounded to the format. They
// approximate:
//
//   kSmall, Q in  erf(t) = t + t Q(t^2)           for 0 <= t <= 1
//   kLarge, P in  log(1 - erf(t)) = -t + t P(t)   for 1 <= t <= kLimit
//
// The errors below are relative errors of erf(t), with these rounded coefficients. The fit of
// kLarge is weighted for erf(t): if 1 - erf(t) is small, its logarithm may be less accurate. The
// terms t and -t are not part of Q and P, because they are exact; rounding errors in Q and P then
// count for less.
template <class T>
struct ErfConstants;

template <>
struct ErfConstants<float> {
  static constexpr float kLimit = 4;  // 1 - erf(4) < 2^-25: erf rounds to 1
  // Degree 6, relative error 2^-27.6.
  static constexpr float kSmall[] = {0x1.06eba8p-3F,  -0x1.81273ep-2F, 0x1.ce2cf8p-4F,
                                     -0x1.b7f90cp-6F, 0x1.5405b2p-8F,  -0x1.a3f7p-11F,
                                     0x1.496a3p-14F};
  // Degree 6, relative error 2^-29.8.
  static constexpr float kLarge[] = {-0x1.0790e6p-3F, -0x1.451abap-1F, -0x1.b459b2p-4F,
                                     0x1.89617ep-6F,  -0x1.ec7fdap-9F, 0x1.6f9f0ap-12F,
                                     -0x1.d47f86p-17F};
};

template <>
struct ErfConstants<double> {
  static constexpr double kLimit = 6;  // 1 - erf(6) < 2^-54
  // Degree 12, relative error 2^-56.3.
  static constexpr double kSmall[] = {
      0x1.06eba8214db69p-3,  -0x1.812746b0379e6p-2,  0x1.ce2f21a042b2p-4,   -0x1.b82ce3128499dp-6,
      0x1.565bcd0db02e7p-8,  -0x1.c02db3d8ed2aep-11, 0x1.f9a321a11e815p-14, -0x1.f4d1df39579aap-17,
      0x1.b9def19e85b63p-20, -0x1.5f1d36c6cbec3p-23, 0x1.f7a4125bc02f3p-27, -0x1.386ac1480acfap-30,
      0x1.0579ac00b15ebp-34,
  };
  // Degree 18, relative error 2^-56.9.
  static constexpr double kLarge[] = {
      -0x1.06ebacbcd4dc2p-3,  -0x1.45f2f9110e7e5p-1,  -0x1.a4f74f6956375p-4,  0x1.39889c3bbdeeep-6,
      0x1.8cb9f61659f37p-13,  -0x1.b3041ef837c42p-10, 0x1.1a0df02f008fdp-11,  0x1.11c4678424024p-15,
      -0x1.eb1fd0de60392p-14, 0x1.1c4dd18c1e02p-14,   -0x1.aaf2fd982d374p-16, 0x1.df9c0e8a41038p-18,
      -0x1.a29616a2efcbbp-20, 0x1.1d1d70437093dp-22,  -0x1.2ac8f52f6f68p-25,  0x1.d2558b8713563p-29,
      -0x1.feef0a98d41a5p-33, 0x1.5eab529c5a08ap-37,  -0x1.c59ec19ee0461p-43,
  };
};

/// The error function, 2 / sqrt(pi) times the integral of e^(-u^2) from 0 to x. If |x| >= 1, it is
/// 1 - e^(log(1 - erf)). The exponential is then at most 0.16, so its error counts for little.
template <class V>
V erf(V x) {
  using C = ErfConstants<typename V::Scalar>;
  const V limit(C::kLimit);
  const V ax = abs(x);
  const V t = select(limit < ax, limit, ax);  // a NaN passes
  const V little = fma(t, polynomial(t * t, C::kSmall), t);
  const ExpReduction<V> e = reduce_exp(fma(t, polynomial(t, C::kLarge), V(0) - t));
  const V scale = pow2<V>(e.n + V::Bits::broadcast(ConstantsOf<V>::kBias));
  const V large = fma(V(0) - scale, e.r + e.tail, V(1) - scale);  // 1 - scale (1 + r + tail)
  return with_sign_of(select(t < V(1), little, large), x);
}

// [export: end]

}  // namespace
}  // namespace fastmlp::detail
