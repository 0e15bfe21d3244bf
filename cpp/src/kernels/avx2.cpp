// The kernels for AVX2 and FMA; CMakeLists.txt compiles them with -mavx2 -mfma.
#include "vec_avx2.hpp"

#include "table.hpp"

namespace fastmlp::detail {

extern const KernelTable<float> kAvx2Float;
extern const KernelTable<double> kAvx2Double;

// 6 x 2 accumulators + 2 of B + 1 of A + 1 mask = 16 ymm registers. A block of B is half of a
// 512 KiB L2.
constexpr KernelTable<float> kAvx2Float = make_table<Vec<float>, 6, 2>(256 << 10);
constexpr KernelTable<double> kAvx2Double = make_table<Vec<double>, 6, 2>(256 << 10);

}  // namespace fastmlp::detail
