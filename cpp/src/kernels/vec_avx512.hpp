// Vec<float> (16 lanes) and Vec<double> (8 lanes) on AVX-512 (F, VL, DQ, BW). Included by
// avx512.cpp only. The operations and their meaning are those of vec_scalar.hpp.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace fastmlp::detail {
namespace {

template <class T>
struct Vec;

template <>
struct Vec<float> {
  using Scalar = float;
  using Raw = std::uint32_t;
  static constexpr std::ptrdiff_t kWidth = 16;
  static constexpr bool kMasksAreCheap = true;

  struct Mask {
    __mmask16 value;
  };

  struct Bits {
    __m512i value;
    friend Bits operator+(Bits a, Bits b) { return {_mm512_add_epi32(a.value, b.value)}; }
    friend Bits operator-(Bits a, Bits b) { return {_mm512_sub_epi32(a.value, b.value)}; }
    friend Bits operator&(Bits a, Bits b) { return {_mm512_and_si512(a.value, b.value)}; }
    friend Bits operator|(Bits a, Bits b) { return {_mm512_or_si512(a.value, b.value)}; }
    static Bits broadcast(Raw x) { return {_mm512_set1_epi32(static_cast<std::int32_t>(x))}; }
    template <int N>
    Bits shift_left() const {
      return {_mm512_slli_epi32(value, N)};
    }
    template <int N>
    Bits shift_right() const {
      return {_mm512_srli_epi32(value, N)};
    }
  };

  __m512 value;

  Vec() : value(_mm512_setzero_ps()) {}
  Vec(__m512 v) : value(v) {}
  explicit Vec(float x) : value(_mm512_set1_ps(x)) {}

  static __mmask16 first(std::ptrdiff_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
  static Mask first_mask(std::ptrdiff_t n) { return {first(n)}; }
  static Vec load(const float* p) { return _mm512_loadu_ps(p); }
  static Vec load_partial(const float* p, std::ptrdiff_t n) {
    return _mm512_maskz_loadu_ps(first(n), p);
  }
  void store(float* p) const { _mm512_storeu_ps(p, value); }
  void store_partial(float* p, std::ptrdiff_t n) const {
    _mm512_mask_storeu_ps(p, first(n), value);
  }

  friend Vec operator+(Vec a, Vec b) { return _mm512_add_ps(a.value, b.value); }
  friend Vec operator-(Vec a, Vec b) { return _mm512_sub_ps(a.value, b.value); }
  friend Vec operator*(Vec a, Vec b) { return _mm512_mul_ps(a.value, b.value); }
  friend Vec operator/(Vec a, Vec b) { return _mm512_div_ps(a.value, b.value); }
  friend Vec sqrt(Vec x) { return _mm512_sqrt_ps(x.value); }
  friend Mask operator<(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.value, b.value, _CMP_LT_OQ)}; }
  friend Mask operator<=(Vec a, Vec b) {
    return {_mm512_cmp_ps_mask(a.value, b.value, _CMP_LE_OQ)};
  }
  friend Mask operator==(Vec a, Vec b) {
    return {_mm512_cmp_ps_mask(a.value, b.value, _CMP_EQ_OQ)};
  }

  Bits bits() const { return {_mm512_castps_si512(value)}; }
  static Vec from_bits(Bits b) { return _mm512_castsi512_ps(b.value); }

  /// Row i, lane j becomes row j, lane i. Exchanges pairs, then pairs of pairs, then 128-bit
  /// quarters.
  static void transpose(Vec (&v)[16]) {
    __m512 t[16];
    for (int i = 0; i < 16; i += 2) {
      t[i] = _mm512_unpacklo_ps(v[i].value, v[i + 1].value);
      t[i + 1] = _mm512_unpackhi_ps(v[i].value, v[i + 1].value);
    }
    __m512 u[4][4];  // quarter q of u[g][c] has column 4 q + c of rows 4 g to 4 g + 3
    for (int g = 0; g < 4; ++g) {
      for (int c = 0; c < 4; ++c) {
        const __m512d a = _mm512_castps_pd(t[4 * g + c / 2]);
        const __m512d b = _mm512_castps_pd(t[4 * g + c / 2 + 2]);
        u[g][c] =
            _mm512_castpd_ps(c % 2 == 0 ? _mm512_unpacklo_pd(a, b) : _mm512_unpackhi_pd(a, b));
      }
    }
    for (int c = 0; c < 4; ++c) {
      const __m512 even_low = _mm512_shuffle_f32x4(u[0][c], u[1][c], 0x88);
      const __m512 even_high = _mm512_shuffle_f32x4(u[2][c], u[3][c], 0x88);
      const __m512 odd_low = _mm512_shuffle_f32x4(u[0][c], u[1][c], 0xdd);
      const __m512 odd_high = _mm512_shuffle_f32x4(u[2][c], u[3][c], 0xdd);
      v[c] = _mm512_shuffle_f32x4(even_low, even_high, 0x88);
      v[c + 4] = _mm512_shuffle_f32x4(odd_low, odd_high, 0x88);
      v[c + 8] = _mm512_shuffle_f32x4(even_low, even_high, 0xdd);
      v[c + 12] = _mm512_shuffle_f32x4(odd_low, odd_high, 0xdd);
    }
  }
};

template <>
struct Vec<double> {
  using Scalar = double;
  using Raw = std::uint64_t;
  static constexpr std::ptrdiff_t kWidth = 8;
  static constexpr bool kMasksAreCheap = true;

  struct Mask {
    __mmask8 value;
  };

  struct Bits {
    __m512i value;
    friend Bits operator+(Bits a, Bits b) { return {_mm512_add_epi64(a.value, b.value)}; }
    friend Bits operator-(Bits a, Bits b) { return {_mm512_sub_epi64(a.value, b.value)}; }
    friend Bits operator&(Bits a, Bits b) { return {_mm512_and_si512(a.value, b.value)}; }
    friend Bits operator|(Bits a, Bits b) { return {_mm512_or_si512(a.value, b.value)}; }
    static Bits broadcast(Raw x) { return {_mm512_set1_epi64(static_cast<std::int64_t>(x))}; }
    template <int N>
    Bits shift_left() const {
      return {_mm512_slli_epi64(value, N)};
    }
    template <int N>
    Bits shift_right() const {
      return {_mm512_srli_epi64(value, N)};
    }
  };

  __m512d value;

  Vec() : value(_mm512_setzero_pd()) {}
  Vec(__m512d v) : value(v) {}
  explicit Vec(double x) : value(_mm512_set1_pd(x)) {}

  static __mmask8 first(std::ptrdiff_t n) { return static_cast<__mmask8>((1u << n) - 1u); }
  static Mask first_mask(std::ptrdiff_t n) { return {first(n)}; }
  static Vec load(const double* p) { return _mm512_loadu_pd(p); }
  static Vec load_partial(const double* p, std::ptrdiff_t n) {
    return _mm512_maskz_loadu_pd(first(n), p);
  }
  void store(double* p) const { _mm512_storeu_pd(p, value); }
  void store_partial(double* p, std::ptrdiff_t n) const {
    _mm512_mask_storeu_pd(p, first(n), value);
  }

  friend Vec operator+(Vec a, Vec b) { return _mm512_add_pd(a.value, b.value); }
  friend Vec operator-(Vec a, Vec b) { return _mm512_sub_pd(a.value, b.value); }
  friend Vec operator*(Vec a, Vec b) { return _mm512_mul_pd(a.value, b.value); }
  friend Vec operator/(Vec a, Vec b) { return _mm512_div_pd(a.value, b.value); }
  friend Vec sqrt(Vec x) { return _mm512_sqrt_pd(x.value); }
  friend Mask operator<(Vec a, Vec b) { return {_mm512_cmp_pd_mask(a.value, b.value, _CMP_LT_OQ)}; }
  friend Mask operator<=(Vec a, Vec b) {
    return {_mm512_cmp_pd_mask(a.value, b.value, _CMP_LE_OQ)};
  }
  friend Mask operator==(Vec a, Vec b) {
    return {_mm512_cmp_pd_mask(a.value, b.value, _CMP_EQ_OQ)};
  }

  Bits bits() const { return {_mm512_castpd_si512(value)}; }
  static Vec from_bits(Bits b) { return _mm512_castsi512_pd(b.value); }

  /// As for float, without the first exchange.
  static void transpose(Vec (&v)[8]) {
    __m512d u[4][2];  // quarter q of u[g][c] has column 2 q + c of rows 2 g and 2 g + 1
    for (std::ptrdiff_t g = 0; g < 4; ++g) {
      u[g][0] = _mm512_unpacklo_pd(v[2 * g].value, v[2 * g + 1].value);
      u[g][1] = _mm512_unpackhi_pd(v[2 * g].value, v[2 * g + 1].value);
    }
    for (int c = 0; c < 2; ++c) {
      const __m512d even_low = _mm512_shuffle_f64x2(u[0][c], u[1][c], 0x88);
      const __m512d even_high = _mm512_shuffle_f64x2(u[2][c], u[3][c], 0x88);
      const __m512d odd_low = _mm512_shuffle_f64x2(u[0][c], u[1][c], 0xdd);
      const __m512d odd_high = _mm512_shuffle_f64x2(u[2][c], u[3][c], 0xdd);
      v[c] = _mm512_shuffle_f64x2(even_low, even_high, 0x88);
      v[c + 2] = _mm512_shuffle_f64x2(odd_low, odd_high, 0x88);
      v[c + 4] = _mm512_shuffle_f64x2(even_low, even_high, 0xdd);
      v[c + 6] = _mm512_shuffle_f64x2(odd_low, odd_high, 0xdd);
    }
  }
};

inline Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return _mm512_fmadd_ps(a.value, b.value, c.value);
}
inline Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return _mm512_fmadd_pd(a.value, b.value, c.value);
}

inline Vec<float> select(Vec<float>::Mask mask, Vec<float> a, Vec<float> b) {
  return _mm512_mask_blend_ps(mask.value, b.value, a.value);
}
inline Vec<double> select(Vec<double>::Mask mask, Vec<double> a, Vec<double> b) {
  return _mm512_mask_blend_pd(mask.value, b.value, a.value);
}

inline Vec<float> zero_where(Vec<float>::Mask mask, Vec<float> x) {
  return _mm512_mask_blend_ps(mask.value, x.value, _mm512_setzero_ps());
}
inline Vec<double> zero_where(Vec<double>::Mask mask, Vec<double> x) {
  return _mm512_mask_blend_pd(mask.value, x.value, _mm512_setzero_pd());
}

}  // namespace
}  // namespace fastmlp::detail
