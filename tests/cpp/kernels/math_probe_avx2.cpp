// kernels/math.hpp on the avx2 Vec, for test_math.cpp. Compiled with -mavx2 -mfma.
#include "kernels/vec_avx2.hpp"
// The Vec comes first, because math.hpp uses the one that is included before it.
#include "kernels/math.hpp"
#include "math_probe_impl.hpp"

namespace fastmlp::testing {

MathProbes avx2_math() { return {"avx2", kProbe<float>, kProbe<double>}; }

}  // namespace fastmlp::testing
