// kernels/math.hpp on the scalar Vec, for test_math.cpp.
#include "kernels/vec_scalar.hpp"
// The Vec comes first, because math.hpp uses the one that is included before it.
#include "kernels/math.hpp"
#include "math_probe_impl.hpp"

namespace fastmlp::testing {

MathProbes scalar_math() { return {"scalar", kProbe<float>, kProbe<double>}; }

}  // namespace fastmlp::testing
