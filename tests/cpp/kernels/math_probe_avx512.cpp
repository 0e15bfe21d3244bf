// kernels/math.hpp on the avx512 Vec, for test_math.cpp. Compiled with that ISA's flags.
#include "kernels/vec_avx512.hpp"
// The Vec comes first, because math.hpp uses the one that is included before it.
#include "kernels/math.hpp"
#include "math_probe_impl.hpp"

namespace fastmlp::testing {

MathProbes avx512_math() { return {"avx512", kProbe<float>, kProbe<double>}; }

}  // namespace fastmlp::testing
