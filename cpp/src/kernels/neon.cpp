// The kernels for AArch64. NEON with FMA is part of its baseline, so they need no flags.
#include "vec_neon.hpp"

#include "table.hpp"

namespace fastmlp::detail {

extern const KernelTable<float> kNeonFloat;
extern const KernelTable<double> kNeonDouble;

// 6 x 4 accumulators + 4 of B + 1 of A = 29 of 32 registers. 24 chains hide an FMA's latency of 4
// on up to four pipes, and 10 loads for 24 FMAs leave the load pipes time to spare (8 x 2 would
// need 10 for 16). A block of B is half of a 512 KiB L2.
constexpr KernelTable<float> kNeonFloat = make_table<Vec<float>, 6, 4>(256 << 10);
constexpr KernelTable<double> kNeonDouble = make_table<Vec<double>, 6, 4>(256 << 10);

}  // namespace fastmlp::detail
