// What kernels.cpp gives for each instruction set.
#pragma once

#include <cstddef>

struct Kernels {
  // Rounds of independent multiply-adds in registers. Returns a number that depends on all of them,
  // so that the compiler leaves none out.
  double (*multiply_add_float)(std::ptrdiff_t rounds);
  double (*multiply_add_double)(std::ptrdiff_t rounds);
  int flops_float;  // floating-point operations of a round, two for each multiply-add
  int flops_double;

  // The sum of n numbers, in any order: one read of all of them.
  double (*read)(const float* data, std::ptrdiff_t n);
};

namespace baseline {
extern const Kernels kernels;
}
namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}
