// Vec<float> (4 lanes) and Vec<double> (2 lanes) on AArch64's NEON. Included by neon.cpp only.
// The operations and their meaning are those of vec_scalar.hpp.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

namespace fastmlp::detail {
namespace {

constexpr std::uint32_t kLaneNumbers32[4] = {0, 1, 2, 3};
constexpr std::uint64_t kLaneNumbers64[2] = {0, 1};

template <class T>
struct Vec;

template <>
struct Vec<float> {
  using Scalar = float;
  using Raw = std::uint32_t;
  static constexpr std::ptrdiff_t kWidth = 4;
  static constexpr bool kMasksAreCheap = false;

  struct Mask {
    uint32x4_t value;
  };

  struct Bits {
    uint32x4_t value;
    friend Bits operator+(Bits a, Bits b) { return {vaddq_u32(a.value, b.value)}; }
    friend Bits operator-(Bits a, Bits b) { return {vsubq_u32(a.value, b.value)}; }
    friend Bits operator&(Bits a, Bits b) { return {vandq_u32(a.value, b.value)}; }
    friend Bits operator|(Bits a, Bits b) { return {vorrq_u32(a.value, b.value)}; }
    static Bits broadcast(Raw x) { return {vdupq_n_u32(x)}; }
    template <int N>
    Bits shift_left() const {
      return {vshlq_n_u32(value, N)};
    }
    template <int N>
    Bits shift_right() const {
      return {vshrq_n_u32(value, N)};
    }
  };

  float32x4_t value;

  Vec() : value(vdupq_n_f32(0)) {}
  Vec(float32x4_t v) : value(v) {}
  explicit Vec(float x) : value(vdupq_n_f32(x)) {}

  static Mask first_mask(std::ptrdiff_t n) {
    return {vcltq_u32(vld1q_u32(kLaneNumbers32), vdupq_n_u32(static_cast<std::uint32_t>(n)))};
  }
  static Vec load(const float* p) { return vld1q_f32(p); }
  // NEON has no masked loads and stores. These go lane by lane and touch nothing past the n-th
  // element.
  static Vec load_partial(const float* p, std::ptrdiff_t n) {
    Vec v;
    if (n > 0) v.value = vld1q_lane_f32(p, v.value, 0);
    if (n > 1) v.value = vld1q_lane_f32(p + 1, v.value, 1);
    if (n > 2) v.value = vld1q_lane_f32(p + 2, v.value, 2);
    if (n > 3) v.value = vld1q_lane_f32(p + 3, v.value, 3);
    return v;
  }
  void store(float* p) const { vst1q_f32(p, value); }
  void store_partial(float* p, std::ptrdiff_t n) const {
    if (n > 0) vst1q_lane_f32(p, value, 0);
    if (n > 1) vst1q_lane_f32(p + 1, value, 1);
    if (n > 2) vst1q_lane_f32(p + 2, value, 2);
    if (n > 3) vst1q_lane_f32(p + 3, value, 3);
  }

  friend Vec operator+(Vec a, Vec b) { return vaddq_f32(a.value, b.value); }
  friend Vec operator-(Vec a, Vec b) { return vsubq_f32(a.value, b.value); }
  friend Vec operator*(Vec a, Vec b) { return vmulq_f32(a.value, b.value); }
  friend Vec operator/(Vec a, Vec b) { return vdivq_f32(a.value, b.value); }
  friend Vec sqrt(Vec x) { return vsqrtq_f32(x.value); }
  friend Mask operator<(Vec a, Vec b) { return {vcltq_f32(a.value, b.value)}; }
  friend Mask operator<=(Vec a, Vec b) { return {vcleq_f32(a.value, b.value)}; }
  friend Mask operator==(Vec a, Vec b) { return {vceqq_f32(a.value, b.value)}; }

  Bits bits() const { return {vreinterpretq_u32_f32(value)}; }
  static Vec from_bits(Bits b) { return vreinterpretq_f32_u32(b.value); }

  /// Row i, lane j becomes row j, lane i. Exchanges pairs, then pairs of pairs.
  static void transpose(Vec (&v)[4]) {
    float64x2_t u[2][2];  // u[g][c]: columns c and c + 2 of rows 2 g and 2 g + 1
    for (std::ptrdiff_t g = 0; g < 2; ++g) {
      const float32x4_t a = v[2 * g].value, b = v[2 * g + 1].value;
      u[g][0] = vreinterpretq_f64_f32(vtrn1q_f32(a, b));
      u[g][1] = vreinterpretq_f64_f32(vtrn2q_f32(a, b));
    }
    for (int c = 0; c < 2; ++c) {
      v[c] = vreinterpretq_f32_f64(vtrn1q_f64(u[0][c], u[1][c]));
      v[c + 2] = vreinterpretq_f32_f64(vtrn2q_f64(u[0][c], u[1][c]));
    }
  }
};

template <>
struct Vec<double> {
  using Scalar = double;
  using Raw = std::uint64_t;
  static constexpr std::ptrdiff_t kWidth = 2;
  static constexpr bool kMasksAreCheap = false;

  struct Mask {
    uint64x2_t value;
  };

  struct Bits {
    uint64x2_t value;
    friend Bits operator+(Bits a, Bits b) { return {vaddq_u64(a.value, b.value)}; }
    friend Bits operator-(Bits a, Bits b) { return {vsubq_u64(a.value, b.value)}; }
    friend Bits operator&(Bits a, Bits b) { return {vandq_u64(a.value, b.value)}; }
    friend Bits operator|(Bits a, Bits b) { return {vorrq_u64(a.value, b.value)}; }
    static Bits broadcast(Raw x) { return {vdupq_n_u64(x)}; }
    template <int N>
    Bits shift_left() const {
      return {vshlq_n_u64(value, N)};
    }
    template <int N>
    Bits shift_right() const {
      return {vshrq_n_u64(value, N)};
    }
  };

  float64x2_t value;

  Vec() : value(vdupq_n_f64(0)) {}
  Vec(float64x2_t v) : value(v) {}
  explicit Vec(double x) : value(vdupq_n_f64(x)) {}

  static Mask first_mask(std::ptrdiff_t n) {
    return {vcltq_u64(vld1q_u64(kLaneNumbers64), vdupq_n_u64(static_cast<std::uint64_t>(n)))};
  }
  static Vec load(const double* p) { return vld1q_f64(p); }
  static Vec load_partial(const double* p, std::ptrdiff_t n) {
    Vec v;
    if (n > 0) v.value = vld1q_lane_f64(p, v.value, 0);
    if (n > 1) v.value = vld1q_lane_f64(p + 1, v.value, 1);
    return v;
  }
  void store(double* p) const { vst1q_f64(p, value); }
  void store_partial(double* p, std::ptrdiff_t n) const {
    if (n > 0) vst1q_lane_f64(p, value, 0);
    if (n > 1) vst1q_lane_f64(p + 1, value, 1);
  }

  friend Vec operator+(Vec a, Vec b) { return vaddq_f64(a.value, b.value); }
  friend Vec operator-(Vec a, Vec b) { return vsubq_f64(a.value, b.value); }
  friend Vec operator*(Vec a, Vec b) { return vmulq_f64(a.value, b.value); }
  friend Vec operator/(Vec a, Vec b) { return vdivq_f64(a.value, b.value); }
  friend Vec sqrt(Vec x) { return vsqrtq_f64(x.value); }
  friend Mask operator<(Vec a, Vec b) { return {vcltq_f64(a.value, b.value)}; }
  friend Mask operator<=(Vec a, Vec b) { return {vcleq_f64(a.value, b.value)}; }
  friend Mask operator==(Vec a, Vec b) { return {vceqq_f64(a.value, b.value)}; }

  Bits bits() const { return {vreinterpretq_u64_f64(value)}; }
  static Vec from_bits(Bits b) { return vreinterpretq_f64_u64(b.value); }

  /// As for float, without the first exchange.
  static void transpose(Vec (&v)[2]) {
    const float64x2_t a = v[0].value, b = v[1].value;
    v[0] = vtrn1q_f64(a, b);
    v[1] = vtrn2q_f64(a, b);
  }
};

// The instruction adds to its first operand.
inline Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return vfmaq_f32(c.value, a.value, b.value);
}
inline Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return vfmaq_f64(c.value, a.value, b.value);
}

inline Vec<float> select(Vec<float>::Mask mask, Vec<float> a, Vec<float> b) {
  return vbslq_f32(mask.value, a.value, b.value);
}
inline Vec<double> select(Vec<double>::Mask mask, Vec<double> a, Vec<double> b) {
  return vbslq_f64(mask.value, a.value, b.value);
}

inline Vec<float> zero_where(Vec<float>::Mask mask, Vec<float> x) {
  return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(x.value), mask.value));
}
inline Vec<double> zero_where(Vec<double>::Mask mask, Vec<double> x) {
  return vreinterpretq_f64_u64(vbicq_u64(vreinterpretq_u64_f64(x.value), mask.value));
}

}  // namespace
}  // namespace fastmlp::detail
