// The kernels for any CPU: Vec of one element. They define the bits that every other table must
// give, and are slow on a baseline without an FMA instruction.
#include "vec_scalar.hpp"

#include "table.hpp"

namespace fastmlp::detail {

extern const KernelTable<float> kScalarFloat;
extern const KernelTable<double> kScalarDouble;

// 4 x 2 accumulators, 2 of B and 1 of A fit the 16 xmm registers. A block of B is small
// enough for any L2.
constexpr KernelTable<float> kScalarFloat = make_table<Vec<float>, 4, 2>(64 << 10);
constexpr KernelTable<double> kScalarDouble = make_table<Vec<double>, 4, 2>(64 << 10);

}  // namespace fastmlp::detail
