// The kernels for AVX-512 (F, VL, DQ, BW); CMakeLists.txt compiles them with these flags.
#include "vec_avx512.hpp"

#include "table.hpp"

namespace fastmlp::detail {

extern const KernelTable<float> kAvx512Float;
extern const KernelTable<double> kAvx512Double;

// 12 x 2 accumulators + 2 of B + 1 of A = 27 of 32 zmm registers: 24 fma for 14 loads. A block of B
// is half of the 1 MiB of L2 that every CPU with AVX-512 has.
constexpr KernelTable<float> kAvx512Float = make_table<Vec<float>, 12, 2>(512 << 10);
constexpr KernelTable<double> kAvx512Double = make_table<Vec<double>, 12, 2>(512 << 10);

}  // namespace fastmlp::detail
