// Vec<T> of one element. It defines the results that every other Vec has to give bit for bit.
// Included by scalar.cpp only. Everything is in an unnamed namespace (dispatch.hpp says why).
#pragma once

#include "fma.hpp"

#include <cstddef>
#include <cstdint>

namespace fastmlp::detail {
namespace {

template <class T>
struct BitsOf;
template <>
struct BitsOf<float> {
  using type = std::uint32_t;
};
template <>
struct BitsOf<double> {
  using type = std::uint64_t;
};

inline float scalar_sqrt(float x) { return __builtin_sqrtf(x); }
inline double scalar_sqrt(double x) { return __builtin_sqrt(x); }

template <class T>
struct Vec {
  using Scalar = T;
  using Raw = typename BitsOf<T>::type;
  static constexpr std::ptrdiff_t kWidth = 1;
  static constexpr bool kMasksAreCheap = false;

  struct Mask {
    bool value;
  };

  /// The lanes seen as unsigned integers; arithmetic wraps.
  struct Bits {
    Raw value;
    friend Bits operator+(Bits a, Bits b) { return {a.value + b.value}; }
    friend Bits operator-(Bits a, Bits b) { return {a.value - b.value}; }
    friend Bits operator&(Bits a, Bits b) { return {a.value & b.value}; }
    friend Bits operator|(Bits a, Bits b) { return {a.value | b.value}; }
    static Bits broadcast(Raw x) { return {x}; }
    template <int N>
    Bits shift_left() const {
      return {value << N};
    }
    template <int N>
    Bits shift_right() const {
      return {value >> N};
    }
  };

  T value;

  Vec() : value(0) {}
  explicit Vec(T x) : value(x) {}

  /// True in the first n lanes.
  static Mask first_mask(std::ptrdiff_t n) { return {n > 0}; }
  static Vec load(const T* p) { return Vec(*p); }
  static Vec load_partial(const T* p, std::ptrdiff_t n) { return n > 0 ? Vec(*p) : Vec(); }
  void store(T* p) const { *p = value; }
  void store_partial(T* p, std::ptrdiff_t n) const {
    if (n > 0) *p = value;
  }

  friend Vec operator+(Vec a, Vec b) { return Vec(a.value + b.value); }
  friend Vec operator-(Vec a, Vec b) { return Vec(a.value - b.value); }
  friend Vec operator*(Vec a, Vec b) { return Vec(a.value * b.value); }
  friend Vec operator/(Vec a, Vec b) { return Vec(a.value / b.value); }
  friend Vec sqrt(Vec x) { return Vec(scalar_sqrt(x.value)); }
  friend Mask operator<(Vec a, Vec b) { return {a.value < b.value}; }
  friend Mask operator<=(Vec a, Vec b) { return {a.value <= b.value}; }
  friend Mask operator==(Vec a, Vec b) { return {a.value == b.value}; }

  Bits bits() const {
    Bits b;
    __builtin_memcpy(&b.value, &value, sizeof(T));
    return b;
  }
  static Vec from_bits(Bits b) {
    Vec v;
    __builtin_memcpy(&v.value, &b.value, sizeof(T));
    return v;
  }

  /// Transposes kWidth rows of kWidth lanes: row i, lane j becomes row j, lane i.
  static void transpose(Vec (&)[1]) {}
};

/// a * b + c, rounded once.
template <class T>
Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
  return Vec<T>(scalar_fma(a.value, b.value, c.value));
}

/// Lane by lane: mask ? a : b.
template <class T>
Vec<T> select(typename Vec<T>::Mask mask, Vec<T> a, Vec<T> b) {
  return mask.value ? a : b;
}

/// Lane by lane: mask ? +0 : x.
template <class T>
Vec<T> zero_where(typename Vec<T>::Mask mask, Vec<T> x) {
  return mask.value ? Vec<T>() : x;
}

}  // namespace
}  // namespace fastmlp::detail
