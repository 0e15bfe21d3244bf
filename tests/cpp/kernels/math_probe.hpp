// The functions of kernels/math.hpp and erf.hpp behind plain pointers, once per ISA, because two
// Vec headers cannot be included in one file.
#pragma once

#include <cstddef>

namespace fastmlp::testing {

/// y[i] = f(x[i]) for i < n.
template <class T>
using Unary = void (*)(const T* x, T* y, std::size_t n);

template <class T>
struct MathProbe {
  Unary<T> exp, expm1, log, log1p, tanh, erf;
};

struct MathProbes {
  const char* isa;
  MathProbe<float> of_float;
  MathProbe<double> of_double;
};

MathProbes scalar_math();
#if defined(__x86_64__)
MathProbes avx2_math();
MathProbes avx512_math();
#elif defined(__aarch64__)
MathProbes neon_math();
#endif

}  // namespace fastmlp::testing
