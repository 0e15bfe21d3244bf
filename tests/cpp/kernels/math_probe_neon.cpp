// kernels/math.hpp on the neon Vec, for test_math.cpp.
#include "kernels/vec_neon.hpp"
// The Vec comes first, because math.hpp uses the one that is included before it.
#include "kernels/math.hpp"
#include "math_probe_impl.hpp"

namespace fastmlp::testing {

MathProbes neon_math() { return {"neon", kProbe<float>, kProbe<double>}; }

}  // namespace fastmlp::testing
