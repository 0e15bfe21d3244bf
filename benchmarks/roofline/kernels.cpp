// The two loops, written once with the vectors of GCC and Clang. CMakeLists.txt compiles this file
// for each instruction set, with the macros ISA (its name), VECTOR_BYTES and CHAINS.
//
// Everything here has internal linkage or stands in the namespace ISA, and no function of a header
// is called: the linker could otherwise take an inline function compiled for AVX-512 for the whole
// library.
#include "kernels.hpp"

#include <utility>

namespace {

template <class T>
struct Vector {
  typedef T type __attribute__((vector_size(VECTOR_BYTES)));
  static constexpr int kWidth = VECTOR_BYTES / sizeof(T);
};

template <class T>
double sum_of_lanes(typename Vector<T>::type v) {
  double sum = 0;
  for (int lane = 0; lane < Vector<T>::kWidth; ++lane) sum += v[lane];
  return sum;
}

/// One register for each number of the list, and nothing else in the loop.
template <class T, std::size_t... kChain>
double multiply_add(std::ptrdiff_t rounds, std::index_sequence<kChain...>) {
  using V = typename Vector<T>::type;
  // From 3 on: the compiler would do chains from the same number only once, and leave out one from
  // 2, which stays 2. All come close to 2 and stay finite.
  V x[] = {V{} + T(kChain + 3)...};
  const V half = V{} + T(0.5), one = V{} + T(1);
  for (std::ptrdiff_t i = 0; i < rounds; ++i) {
    ((x[kChain] = x[kChain] * half + one), ...);
  }
  V total{};
  ((total += x[kChain]), ...);
  return sum_of_lanes<T>(total);
}

template <class T>
double multiply_add(std::ptrdiff_t rounds) {
  return multiply_add<T>(rounds, std::make_index_sequence<CHAINS>{});
}

double read(const float* data, std::ptrdiff_t n) {
  using V = typename Vector<float>::type;
  typedef float Unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
  constexpr std::ptrdiff_t kWidth = Vector<float>::kWidth, kStep = 8 * kWidth;
  V sums[8] = {};  // an addition has a latency too
  std::ptrdiff_t i = 0;
  for (; i + kStep <= n; i += kStep) {
    for (int v = 0; v < 8; ++v) {
      sums[v] += *reinterpret_cast<const Unaligned*>(data + i + v * kWidth);
    }
  }
  V total{};
  for (const V& sum : sums) total += sum;
  double sum = sum_of_lanes<float>(total);
  for (; i < n; ++i) sum += data[i];
  return sum;
}

}  // namespace

namespace ISA {
extern const Kernels kernels;
const Kernels kernels = {multiply_add<float>, multiply_add<double>,
                         2 * CHAINS * Vector<float>::kWidth, 2 * CHAINS * Vector<double>::kWidth,
                         read};
}  // namespace ISA
