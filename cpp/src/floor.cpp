// The floors that benchmarks compare with; the loops are kernels/floor.hpp's.
#include <fastmlp/floor.hpp>

#include "dispatch.hpp"
#include "parallel.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

namespace fastmlp {

template <class T>
double do_flops(double flops) {
  const detail::Call<T> call;
  const detail::KernelTable<T>& kernels = call.kernels();
  const auto round = static_cast<double>(kernels.round_flops);
  const double wanted = std::ceil(flops / round);
  if (!(wanted > 0)) return 0;
  const auto rounds = static_cast<std::ptrdiff_t>(std::min(wanted, 1e15));
  std::atomic<T> sink{0};  // so that nothing is left out
  detail::with_team(detail::team_for(flops, flops), [&] {
    detail::parallel_for(rounds, 1, flops, [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
      sink.store(kernels.fma_rounds(end - begin), std::memory_order_relaxed);
    });
  });
  return round * static_cast<double>(rounds);
}

template <class T>
T read_once(const T* data, std::ptrdiff_t n) {
  const detail::Call<T> call;
  const detail::KernelTable<T>& kernels = call.kernels();
  constexpr std::ptrdiff_t kLine = 64 / sizeof(T);
  const double flops = 2 * static_cast<double>(n);  // as many as a product with one row
  std::atomic<T> sum{0};
  detail::with_team(detail::team_for(flops, flops), [&] {
    detail::parallel_for(n, kLine, flops, [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
      const T part = kernels.read_all(data + begin, end - begin);
      T before = sum.load(std::memory_order_relaxed);
      while (!sum.compare_exchange_weak(before, before + part, std::memory_order_relaxed)) {
      }
    });
  });
  return sum.load();
}

template double do_flops<float>(double);
template double do_flops<double>(double);
template float read_once(const float*, std::ptrdiff_t);
template double read_once(const double*, std::ptrdiff_t);

}  // namespace fastmlp
