// scalar_fma(a, b, c): a * b + c, rounded once, for the portable kernels.
#pragma once

#include <cstdint>

namespace fastmlp::detail {
namespace {

#if !defined(__FMA__) && !defined(__aarch64__) && \
    ((defined(__MINGW32__) && !defined(__clang__)) || (defined(__linux__) && !defined(__GLIBC__)))
// MinGW's fma rounds a fifth of all results twice. musl's loses the sign of a product that
// underflows to -0.

/// `Wide` holds every product of two T exactly and has at least two bits more than a sum of T
/// needs. If the sum in Wide is not exact, its last bit is set ("round to odd"); rounding it to T
/// then gives the same as rounding the exact sum.
template <class Wide, class Bits, class T>
inline T fma_in(T a, T b, T c) {
  const Wide product = static_cast<Wide>(a) * b;
  Wide sum = product + c;
  const Wide addend = sum - product;
  const Wide error = (product - (sum - addend)) + (static_cast<Wide>(c) - addend);
  if (error < 0 || error > 0) {  // not if the sum is infinite: then the error is NaN
    Bits bits;
    __builtin_memcpy(&bits, &sum, sizeof bits);
    if (bits % 2 == 0) bits += (error > 0) == (sum > 0) ? Bits(1) : ~Bits(0);
    __builtin_memcpy(&sum, &bits, sizeof bits);
  }
  return static_cast<T>(sum);
}
__extension__ typedef __float128 Quad;
__extension__ typedef unsigned __int128 QuadBits;

inline float scalar_fma(float a, float b, float c) {
  return fma_in<double, std::uint64_t>(a, b, c);
}
inline double scalar_fma(double a, double b, double c) { return fma_in<Quad, QuadBits>(a, b, c); }
#else
inline float scalar_fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double scalar_fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
#endif

}  // namespace
}  // namespace fastmlp::detail
