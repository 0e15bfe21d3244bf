// What no library can beat on this CPU: the peak of fused multiply-adds, and one read of memory.
// Python calls the functions below with ctypes. The loops are in kernels.cpp.
#include "kernels.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <thread>
#include <vector>

namespace {

/// The kernels of an instruction set as fastmlp calls it. For any other name, those of the
/// baseline: SSE2 without fma on x86-64, NEON on AArch64.
const Kernels& kernels_of(const char* isa) {
#if defined(__x86_64__)
  if (std::strcmp(isa, "avx512") == 0 && __builtin_cpu_supports("avx512f")) return avx512::kernels;
  if (std::strcmp(isa, "avx2") == 0 && __builtin_cpu_supports("avx2") &&
      __builtin_cpu_supports("fma")) {
    return avx2::kernels;
  }
#else
  static_cast<void>(isa);
#endif
  return baseline::kernels;
}

/// Calls work(begin, end) on each thread with its share of 0 ... n, and returns the sum of the
/// results.
template <class Work>
double share(std::ptrdiff_t n, int threads, const Work& work) {
  std::vector<double> results(threads);
  std::vector<std::thread> others;
  const auto run = [&](int i) { results[i] = work(n * i / threads, n * (i + 1) / threads); };
  for (int i = 1; i < threads; ++i) others.emplace_back(run, i);
  run(0);
  for (std::thread& other : others) other.join();
  double sum = 0;
  for (const double result : results) sum += result;
  return sum;
}

volatile double sink;  // keeps results that nobody needs

}  // namespace

/// Does at least `flops` floating-point operations as multiply-adds in registers.
/// \return how many they were: whole rounds of some hundred
extern "C" double multiply_add(const char* isa, int is_float, double flops, int threads) {
  const Kernels& kernels = kernels_of(isa);
  const double round = is_float ? kernels.flops_float : kernels.flops_double;
  const auto rounds = static_cast<std::ptrdiff_t>(std::ceil(flops / round));
  sink = share(rounds, threads, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
    return (is_float ? kernels.multiply_add_float : kernels.multiply_add_double)(end - begin);
  });
  return round * static_cast<double>(rounds);
}

/// Reads n numbers, `times` times over. Each thread reads its own part and waits for no other
/// between.
/// \return the sum of the numbers, for each time
extern "C" double read_floats(const char* isa, const float* data, std::ptrdiff_t n,
                              std::ptrdiff_t times, int threads) {
  const Kernels& kernels = kernels_of(isa);
  return share(n, threads, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
    double sum = 0;
    for (std::ptrdiff_t i = 0; i < times; ++i) sum += kernels.read(data + begin, end - begin);
    return sum;
  });
}
