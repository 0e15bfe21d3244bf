// The kernels for AVX2 and FMA; compiled with -mavx2 -mfma (see CMakeLists.txt).
#include "vec_avx2.hpp"

#include "table.hpp"

namespace fastmlp::detail {

extern const KernelTable<float> kAvx2Float;
extern const KernelTable<double> kAvx2Double;

// 6 x 2 accumulators + 2 of B + 1 of A = 15 of 16 ymm registers. A block of A is half of a 512 KiB
// L2; a block of B stays in L3 while all of A passes.
const KernelTable<float> kAvx2Float = make_table<Vec<float>, 6, 2>(256 << 10, 1 << 20);
const KernelTable<double> kAvx2Double = make_table<Vec<double>, 6, 2>(256 << 10, 1 << 20);

}  // namespace fastmlp::detail
