// exp, expm1, log, log1p and tanh over any Vec, written once for float, double and every ISA. They
// use only Vec operations in a fixed order, so every ISA gives the same bits: no tables, no libm,
// and all lanes take the same path. The error is at most 2 ulp (the worst seen is 1.16); denormals,
// infinities and NaN follow IEEE 754. Start at `exp`. Include a vec_x.hpp before this.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fastmlp::detail {
namespace {

// `fastmlp export` copies the lines between two marks such as these, here and in other kernel
// files, into C++ headers that have a scalar Vec of their own. Code between marks may use only the
// operations of Vec and other code between marks.

// [export: begin]

// Minimax coefficients, from a Remez exchange in 60 digits, then rounded to the format:
//
//   kExp, q in  e^r - 1 = r + r^2 q(r)       for |r| <= ln2 / 2; q(0) = 1/2 is kept exact
//   kLog, P in  log(1 + f) = 2 s + s z P(z)  for 1 + f in [sqrt(1/2), sqrt(2)); s = f / (2 + f),
//                                            z = s^2
//
// The errors below are relative errors of the whole right-hand side.
template <class T>
struct MathConstants;

template <>
struct MathConstants<float> {
  static constexpr int kMantissaBits = 23;
  static constexpr std::uint32_t kSign = 0x80000000;
  static constexpr std::uint32_t kBias = 127;             // the exponent field of 1
  static constexpr std::uint32_t kSqrtHalf = 0x3f3504f3;  // the bits of sqrt(1/2)
  static constexpr std::uint32_t kInfinity = 0x7f800000;  // the bits of infinity
  static constexpr std::uint32_t kNan = 0x7fc00000;       // the bits of a quiet NaN
  static constexpr float kMinNormal = 0x1p-126F;
  static constexpr float kTwoMantissa = 0x1p23F;  // from here on, floats are 1 apart
  static constexpr float kTiny = 0x1p-26F;        // if |x| is less, expm1(x) rounds to x
  static constexpr float kLog2e = 0x1.715476p+0F;
  static constexpr float kLn2High = 0x1.62e43p-1F;   // ln 2, rounded
  static constexpr float kLn2Low = -0x1.05c61p-29F;  // ln 2 minus kLn2High
  static constexpr float kExpHigh = 89;              // e^89 overflows: the largest float is e^88.72
  static constexpr float kExpLow = -104;             // e^-104 < 2^-150 rounds to 0
  static constexpr float kExpm1Low = -18;            // e^-18 < 2^-25: expm1 rounds to -1
  static constexpr float kTanhHigh = 10;             // 1 - tanh(10) < 2^-25: tanh rounds to 1
  // Degree 5, relative error 2^-29.9.
  static constexpr float kExp[] = {0x1p-1F,        0x1.555556p-3F,  0x1.5554f4p-5F,
                                   0x1.1110a4p-7F, 0x1.6d3f8cp-10F, 0x1.a1871ep-13F};
  // Degree 2, relative error 2^-30.1.
  static constexpr float kLog[] = {0x1.555578p-1F, 0x1.996070p-2F, 0x1.31bc02p-2F};
};

template <>
struct MathConstants<double> {  // the same for 53 bits
  static constexpr int kMantissaBits = 52;
  static constexpr std::uint64_t kSign = 0x8000000000000000;
  static constexpr std::uint64_t kBias = 1023;
  static constexpr std::uint64_t kSqrtHalf = 0x3fe6a09e667f3bcd;
  static constexpr std::uint64_t kInfinity = 0x7ff0000000000000;
  static constexpr std::uint64_t kNan = 0x7ff8000000000000;
  static constexpr double kMinNormal = 0x1p-1022;
  static constexpr double kTwoMantissa = 0x1p52;
  static constexpr double kTiny = 0x1p-55;
  static constexpr double kLog2e = 0x1.71547652b82fep+0;
  static constexpr double kLn2High = 0x1.62e42fefa39efp-1;
  static constexpr double kLn2Low = 0x1.abc9e3b39803fp-56;
  static constexpr double kExpHigh = 710;   // the largest double is e^709.78
  static constexpr double kExpLow = -746;   // e^-746 < 2^-1075
  static constexpr double kExpm1Low = -38;  // e^-38 < 2^-54
  static constexpr double kTanhHigh = 20;   // 1 - tanh(20) < 2^-54
  // Degree 10, relative error 2^-59.5.
  static constexpr double kExp[] = {
      0x1p-1,
      0x1.5555555555558p-3,
      0x1.5555555555558p-5,
      0x1.111111110f985p-7,
      0x1.6c16c16c14c6bp-10,
      0x1.a01a01aee53fep-13,
      0x1.a01a01aed81fbp-16,
      0x1.71ddfa9efe566p-19,
      0x1.27e4c8d432697p-22,
      0x1.af5b0ab34ae2bp-26,
      0x1.1f91412fd6c3cp-29,
  };
  // Degree 6, relative error 2^-59.1.
  static constexpr double kLog[] = {
      0x1.555555555557ep-1, 0x1.9999999985515p-2, 0x1.2492493dd11ccp-2, 0x1.c71c55015136dp-3,
      0x1.7465b193a91a4p-3, 0x1.39aeda2af18b6p-3, 0x1.2e8a21c4fbf42p-3,
  };
};

template <class V>
using ConstantsOf = MathConstants<typename V::Scalar>;

/// Returns |x|; a NaN stays a NaN.
template <class V>
V abs(V x) {
  return V::from_bits(x.bits() & V::Bits::broadcast(ConstantsOf<V>::kSign - 1));
}

/// `magnitude`, whose sign bit is clear or already right, with the sign of `sign`.
template <class V>
V with_sign_of(V magnitude, V sign) {
  return V::from_bits(magnitude.bits() | (sign.bits() & V::Bits::broadcast(ConstantsOf<V>::kSign)));
}

/// x limited to [low, high]; a NaN passes.
template <class V>
V clamp(V x, typename V::Scalar low, typename V::Scalar high) {
  x = select(V(high) < x, V(high), x);
  return select(x < V(low), V(low), x);
}

/// c[0] + c[1] x + … by Horner's rule, unrolled by recursion.
template <std::size_t kFirst = 0, class V, std::size_t N>
V polynomial(V x, const typename V::Scalar (&c)[N]) {
  if constexpr (kFirst + 1 == N) {
    return V(c[kFirst]);
  } else {
    return fma(polynomial<kFirst + 1>(x, c), x, V(c[kFirst]));
  }
}

/// 2^(biased - kBias) from an exponent field of a normal number.
template <class V>
V pow2(typename V::Bits biased) {
  return V::from_bits(biased.template shift_left<ConstantsOf<V>::kMantissaBits>());
}

/// e^x = 2^n (1 + r + tail) with |r| <= ln2 / 2.
template <class V>
struct ExpReduction {
  typename V::Bits n;  // two's complement
  V r, tail;
};

// Subtracts n ln2 from x in two steps, as Cody & Waite do (Software Manual for the Elementary
// Functions, 1980). They shorten the high part of ln2 so that n·high is exact. With fma this is not
// needed: if n is not 0, x and n·high are multiples of 2^-2 ulp(1) and differ by less than 1/2, so
// their difference is exact. The rounding error of the second step goes into the tail (Tang, ACM
// TOMS 15, 1989).
template <class V>
ExpReduction<V> reduce_exp(V x) {
  using C = ConstantsOf<V>;
  // Adding 1.5 · 2^mantissa rounds to an integer and leaves it in the low bits, even if it is
  // negative.
  const V shifter(typename V::Scalar(1.5) * C::kTwoMantissa);
  const V shifted = fma(x, V(C::kLog2e), shifter);
  const V n = shifted - shifter;
  const V high = fma(n, V(-C::kLn2High), x);
  const V r = fma(n, V(-C::kLn2Low), high);
  const V rounded_off = fma(n, V(-C::kLn2Low), high - r);
  return {shifted.bits() - shifter.bits(), r, fma(r * r, polynomial(r, C::kExp), rounded_off)};
}

/// e^x. Multiplies by 2^n as two factors: both are normal numbers for every n that the clamp
/// allows, and only the second multiplication rounds a denormal result.
template <class V>
V exp(V x) {
  using C = ConstantsOf<V>;
  const ExpReduction<V> e = reduce_exp(clamp(x, C::kExpLow, C::kExpHigh));
  const V mantissa = V(1) + (e.r + e.tail);
  // n plus twice the bias is positive, so an unsigned shift halves it.
  const typename V::Bits biased = e.n + V::Bits::broadcast(2 * C::kBias);
  const typename V::Bits half = biased.template shift_right<1>();
  return mantissa * pow2<V>(half) * pow2<V>(biased - half);
}

/// (e^x - 1) / 2 as an unevaluated sum; |rest| < |sum|.
template <class V>
struct HalfExpm1 {
  V sum, rest;
};

// 2^n (1 + r + tail) - 1 for x in [kExpm1Low, kExpHigh], halved because n may be one above the
// largest exponent.
template <class V>
HalfExpm1<V> half_expm1(V x) {
  using C = ConstantsOf<V>;
  const ExpReduction<V> e = reduce_exp(x);
  const V scale = pow2<V>(e.n + V::Bits::broadcast(C::kBias - 1));
  // If scale is above 2^mantissa, this loses the 1/2: at most half an ulp of the result.
  const V base = scale - V(typename V::Scalar(0.5));
  const V sum = fma(scale, e.r, base);
  const V rounded_off = fma(scale, e.r, base - sum);  // exact: |base| >= |scale r| or base = 0
  return {sum, fma(scale, e.tail, rounded_off)};
}

/// e^x - 1.
template <class V>
V expm1(V x) {
  using C = ConstantsOf<V>;
  const HalfExpm1<V> e = half_expm1(clamp(x, C::kExpm1Low, C::kExpHigh));
  const V half = e.sum + e.rest;
  // A tiny x is returned itself, because -0 would lose its sign and denormals cannot be halved.
  return select(abs(x) < V(C::kTiny), x, half + half);
}

/// tanh|x| = h / (h + 1) with h = expm1(2|x|) / 2, the formula of K. C. Ng's fdlibm. It divides
/// two-part numbers: the plain quotient is corrected by its remainder (Dekker, Numer. Math. 18,
/// 1971).
template <class V>
V tanh(V x) {
  const V limit(ConstantsOf<V>::kTanhHigh);
  const V ax = abs(x);
  const V y = select(limit < ax, limit, ax);
  const HalfExpm1<V> e = half_expm1(y + y);
  const V h = e.sum + e.rest;
  const V h_low = (e.sum - h) + e.rest;
  const V d = h + V(1);
  const V d_low = (h - (d - V(1))) + h_low;
  const V inverse = V(1) / d;
  const V q = h * inverse;
  const V minus_q = V(0) - q;
  const V left_over = fma(minus_q, d, h) + fma(minus_q, d_low, h_low);
  return with_sign_of(fma(left_over, inverse, q), x);
}

/// k ln2 + log(1 + f) + correction, for 1 + f in [sqrt(1/2), sqrt(2)); k is 0, or f is a multiple
/// of ulp(1) / 2. As in K. C. Ng's fdlibm, log(1 + f) = f - (f^2/2 - s (f^2/2 + z P(z))). The large
/// terms k ln2 + f are summed in two parts, exactly, as in reduce_exp.
template <class V>
V log_sum(V k, V f, V correction) {
  using C = ConstantsOf<V>;
  const V s = f / (V(2) + f);
  const V z = s * s;
  const V half_square = V(typename V::Scalar(0.5)) * f * f;
  const V inner = fma(z, polynomial(z, C::kLog), half_square);
  const V high = fma(k, V(C::kLn2High), f);
  const V low = f - fma(k, V(-C::kLn2High), high);
  const V tail = fma(s, inner, fma(k, V(C::kLn2Low), correction));
  return high + (low + (tail - half_square));
}

/// x = 2^k m with m in [sqrt(1/2), sqrt(2)), for x normal and positive.
template <class V>
struct LogReduction {
  V k, m;
};

template <class V>
LogReduction<V> reduce_log(V x) {
  using C = ConstantsOf<V>;
  using Bits = typename V::Bits;
  // Adding the distance from sqrt(1/2) to 1 carries into the exponent field if the mantissa has
  // reached sqrt(2) (or sqrt(1/2), one exponent below), and only then.
  constexpr auto kOne = C::kBias << C::kMantissaBits;
  constexpr auto kMantissaMask = (typename V::Raw(1) << C::kMantissaBits) - 1;
  const Bits shifted = x.bits() + Bits::broadcast(kOne - C::kSqrtHalf);
  const Bits biased = shifted.template shift_right<C::kMantissaBits>();
  const V two_mantissa(C::kTwoMantissa);  // its low bits are units: makes an integer a Scalar
  const V k = V::from_bits(biased + two_mantissa.bits()) - V(C::kTwoMantissa + C::kBias);
  const V m =
      V::from_bits((shifted & Bits::broadcast(kMantissaMask)) + Bits::broadcast(C::kSqrtHalf));
  return {k, m};
}

/// The result of log(x): y if x is positive and finite, else the limit that IEEE 754 asks for.
template <class V>
V log_limits(V x, V y) {
  using C = ConstantsOf<V>;
  using Bits = typename V::Bits;
  const V infinity = V::from_bits(Bits::broadcast(C::kInfinity));
  const V minus_infinity = V::from_bits(Bits::broadcast(C::kInfinity | C::kSign));
  const V nan = V::from_bits(Bits::broadcast(C::kNan));
  y = select(x < infinity, y, x);
  const V at_most_zero = select(x == V(0), minus_infinity, nan);
  return select(V(0) < x, y, at_most_zero);
}

/// The natural logarithm.
template <class V>
V log(V x) {
  using C = ConstantsOf<V>;
  using Scalar = typename V::Scalar;
  // Denormals are scaled into the normal range first.
  constexpr Scalar kShift = C::kMantissaBits + 1;
  const auto denormal = x < V(C::kMinNormal);
  const LogReduction<V> e = reduce_log(select(denormal, x * V(2 * C::kTwoMantissa), x));
  const V k = e.k - select(denormal, V(kShift), V(0));
  return log_limits(x, log_sum(k, e.m - V(1), V(0)));
}

/// log(1 + x) = log(u) + c / u to first order, with u + c = 1 + x exactly (Knuth's TwoSum). If u
/// needs no reduction, f is x itself, so that a small x keeps all its bits.
template <class V>
V log1p(V x) {
  const V u = V(1) + x;
  const V x_part = u - V(1);
  const V c = (V(1) - (u - x_part)) + (x - x_part);
  const LogReduction<V> e = reduce_log(u);
  const auto near_one = e.k == V(0);
  const V f = select(near_one, x, e.m - V(1));
  const V correction = select(near_one, V(0), c / u);
  return with_sign_of(log_limits(u, log_sum(e.k, f, correction)), x);
}

// [export: end]

}  // namespace
}  // namespace fastmlp::detail
