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

/// One for each instruction set of this build, "scalar" first; the CPU may lack some of them.
extern const MathProbes* const kMathProbes[];
extern const std::size_t kMathProbeCount;

}  // namespace fastmlp::testing
