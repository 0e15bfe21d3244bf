// Vec<float> (8 lanes) and Vec<double> (4 lanes) on AVX2 and FMA. Included by avx2.cpp only.
// The operations and their meaning are those of vec_scalar.hpp.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace fastmlp::detail {
namespace {

// Eight ones, then eight zeros. The eight numbers from place 8 - n on are a mask with the first n
// lanes on.
alignas(64) constexpr std::int32_t kMaskWindow32[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
alignas(64) constexpr std::int64_t kMaskWindow64[8] = {-1, -1, -1, -1};

template <class T>
struct Vec;

template <>
struct Vec<float> {
  using Scalar = float;
  using Raw = std::uint32_t;
  static constexpr std::ptrdiff_t kWidth = 8;
  static constexpr bool kMasksAreCheap = false;

  struct Mask {
    __m256 value;
  };

  struct Bits {
    __m256i value;
    friend Bits operator+(Bits a, Bits b) { return {_mm256_add_epi32(a.value, b.value)}; }
    friend Bits operator-(Bits a, Bits b) { return {_mm256_sub_epi32(a.value, b.value)}; }
    friend Bits operator&(Bits a, Bits b) { return {_mm256_and_si256(a.value, b.value)}; }
    friend Bits operator|(Bits a, Bits b) { return {_mm256_or_si256(a.value, b.value)}; }
    static Bits broadcast(Raw x) { return {_mm256_set1_epi32(static_cast<std::int32_t>(x))}; }
    template <int N>
    Bits shift_left() const {
      return {_mm256_slli_epi32(value, N)};
    }
    template <int N>
    Bits shift_right() const {
      return {_mm256_srli_epi32(value, N)};
    }
  };

  __m256 value;

  Vec() : value(_mm256_setzero_ps()) {}
  Vec(__m256 v) : value(v) {}
  explicit Vec(float x) : value(_mm256_set1_ps(x)) {}

  static __m256i first(std::ptrdiff_t n) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMaskWindow32 + 8 - n));
  }
  static Mask first_mask(std::ptrdiff_t n) { return {_mm256_castsi256_ps(first(n))}; }
  static Vec load(const float* p) { return _mm256_loadu_ps(p); }
  static Vec load_partial(const float* p, std::ptrdiff_t n) {
    return _mm256_maskload_ps(p, first(n));
  }
  void store(float* p) const { _mm256_storeu_ps(p, value); }
  void store_partial(float* p, std::ptrdiff_t n) const { _mm256_maskstore_ps(p, first(n), value); }

  friend Vec operator+(Vec a, Vec b) { return _mm256_add_ps(a.value, b.value); }
  friend Vec operator-(Vec a, Vec b) { return _mm256_sub_ps(a.value, b.value); }
  friend Vec operator*(Vec a, Vec b) { return _mm256_mul_ps(a.value, b.value); }
  friend Vec operator/(Vec a, Vec b) { return _mm256_div_ps(a.value, b.value); }
  friend Vec sqrt(Vec x) { return _mm256_sqrt_ps(x.value); }
  friend Mask operator<(Vec a, Vec b) { return {_mm256_cmp_ps(a.value, b.value, _CMP_LT_OQ)}; }
  friend Mask operator<=(Vec a, Vec b) { return {_mm256_cmp_ps(a.value, b.value, _CMP_LE_OQ)}; }
  friend Mask operator==(Vec a, Vec b) { return {_mm256_cmp_ps(a.value, b.value, _CMP_EQ_OQ)}; }

  Bits bits() const { return {_mm256_castps_si256(value)}; }
  static Vec from_bits(Bits b) { return _mm256_castsi256_ps(b.value); }

  /// Row i, lane j becomes row j, lane i. Exchanges pairs, then pairs of pairs, then 128-bit
  /// halves.
  static void transpose(Vec (&v)[8]) {
    __m256 u[2][4];  // half h of u[g][c] has column 4 h + c of rows 4 g to 4 g + 3
    for (std::ptrdiff_t g = 0; g < 2; ++g) {
      const Vec* row = v + 4 * g;
      for (int c = 0; c < 4; c += 2) {
        const bool low = c == 0;
        const __m256 a = low ? _mm256_unpacklo_ps(row[0].value, row[1].value)
                             : _mm256_unpackhi_ps(row[0].value, row[1].value);
        const __m256 b = low ? _mm256_unpacklo_ps(row[2].value, row[3].value)
                             : _mm256_unpackhi_ps(row[2].value, row[3].value);
        u[g][c] = _mm256_shuffle_ps(a, b, 0x44);
        u[g][c + 1] = _mm256_shuffle_ps(a, b, 0xee);
      }
    }
    for (int c = 0; c < 4; ++c) {
      v[c] = _mm256_permute2f128_ps(u[0][c], u[1][c], 0x20);
      v[c + 4] = _mm256_permute2f128_ps(u[0][c], u[1][c], 0x31);
    }
  }
};

template <>
struct Vec<double> {
  using Scalar = double;
  using Raw = std::uint64_t;
  static constexpr std::ptrdiff_t kWidth = 4;
  static constexpr bool kMasksAreCheap = false;

  struct Mask {
    __m256d value;
  };

  struct Bits {
    __m256i value;
    friend Bits operator+(Bits a, Bits b) { return {_mm256_add_epi64(a.value, b.value)}; }
    friend Bits operator-(Bits a, Bits b) { return {_mm256_sub_epi64(a.value, b.value)}; }
    friend Bits operator&(Bits a, Bits b) { return {_mm256_and_si256(a.value, b.value)}; }
    friend Bits operator|(Bits a, Bits b) { return {_mm256_or_si256(a.value, b.value)}; }
    static Bits broadcast(Raw x) { return {_mm256_set1_epi64x(static_cast<std::int64_t>(x))}; }
    template <int N>
    Bits shift_left() const {
      return {_mm256_slli_epi64(value, N)};
    }
    template <int N>
    Bits shift_right() const {
      return {_mm256_srli_epi64(value, N)};
    }
  };

  __m256d value;

  Vec() : value(_mm256_setzero_pd()) {}
  Vec(__m256d v) : value(v) {}
  explicit Vec(double x) : value(_mm256_set1_pd(x)) {}

  static __m256i first(std::ptrdiff_t n) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMaskWindow64 + 4 - n));
  }
  static Mask first_mask(std::ptrdiff_t n) { return {_mm256_castsi256_pd(first(n))}; }
  static Vec load(const double* p) { return _mm256_loadu_pd(p); }
  static Vec load_partial(const double* p, std::ptrdiff_t n) {
    return _mm256_maskload_pd(p, first(n));
  }
  void store(double* p) const { _mm256_storeu_pd(p, value); }
  void store_partial(double* p, std::ptrdiff_t n) const { _mm256_maskstore_pd(p, first(n), value); }

  friend Vec operator+(Vec a, Vec b) { return _mm256_add_pd(a.value, b.value); }
  friend Vec operator-(Vec a, Vec b) { return _mm256_sub_pd(a.value, b.value); }
  friend Vec operator*(Vec a, Vec b) { return _mm256_mul_pd(a.value, b.value); }
  friend Vec operator/(Vec a, Vec b) { return _mm256_div_pd(a.value, b.value); }
  friend Vec sqrt(Vec x) { return _mm256_sqrt_pd(x.value); }
  friend Mask operator<(Vec a, Vec b) { return {_mm256_cmp_pd(a.value, b.value, _CMP_LT_OQ)}; }
  friend Mask operator<=(Vec a, Vec b) { return {_mm256_cmp_pd(a.value, b.value, _CMP_LE_OQ)}; }
  friend Mask operator==(Vec a, Vec b) { return {_mm256_cmp_pd(a.value, b.value, _CMP_EQ_OQ)}; }

  Bits bits() const { return {_mm256_castpd_si256(value)}; }
  static Vec from_bits(Bits b) { return _mm256_castsi256_pd(b.value); }

  /// As for float, without the first exchange.
  static void transpose(Vec (&v)[4]) {
    __m256d u[2][2];  // half h of u[g][c] has column 2 h + c of rows 2 g and 2 g + 1
    for (std::ptrdiff_t g = 0; g < 2; ++g) {
      u[g][0] = _mm256_unpacklo_pd(v[2 * g].value, v[2 * g + 1].value);
      u[g][1] = _mm256_unpackhi_pd(v[2 * g].value, v[2 * g + 1].value);
    }
    for (int c = 0; c < 2; ++c) {
      v[c] = _mm256_permute2f128_pd(u[0][c], u[1][c], 0x20);
      v[c + 2] = _mm256_permute2f128_pd(u[0][c], u[1][c], 0x31);
    }
  }
};

inline Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return _mm256_fmadd_ps(a.value, b.value, c.value);
}
inline Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return _mm256_fmadd_pd(a.value, b.value, c.value);
}

inline Vec<float> select(Vec<float>::Mask mask, Vec<float> a, Vec<float> b) {
  return _mm256_blendv_ps(b.value, a.value, mask.value);
}
inline Vec<double> select(Vec<double>::Mask mask, Vec<double> a, Vec<double> b) {
  return _mm256_blendv_pd(b.value, a.value, mask.value);
}

inline Vec<float> zero_where(Vec<float>::Mask mask, Vec<float> x) {
  return _mm256_andnot_ps(mask.value, x.value);
}
inline Vec<double> zero_where(Vec<double>::Mask mask, Vec<double> x) {
  return _mm256_andnot_pd(mask.value, x.value);
}

}  // namespace
}  // namespace fastmlp::detail
