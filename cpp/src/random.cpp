// Philox4x64-10 and its draws (docs/mathematics.md, "Random numbers").
#include <fastmlp/random.hpp>

#include "threads/poller.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace fastmlp {
namespace {

struct Product {
  std::uint64_t high, low;
};

/// The 128 bits of a * b.
Product multiply(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return {static_cast<std::uint64_t>(product >> 64), static_cast<std::uint64_t>(product)};
}

}  // namespace

void Philox::refill() {
  // The multipliers and the Weyl constants of Philox4x64 (Salmon et al. 2011, sections 3.3, 4.3).
  constexpr std::uint64_t kMultiplier0 = 0xD2E7470EE14C6C93, kMultiplier1 = 0xCA5A826395121157;
  constexpr std::uint64_t kWeyl0 = 0x9E3779B97F4A7C15, kWeyl1 = 0xBB67AE8584CAA73B;
  constexpr int kRounds = 10;

  for (std::uint64_t& word : counter_) {
    if (++word != 0) break;  // carry into the next word
  }
  Counter x = counter_;
  std::uint64_t key0 = key_, key1 = 0;
  for (int round = 0; round < kRounds; ++round) {
    const Product p0 = multiply(kMultiplier0, x[0]);
    const Product p1 = multiply(kMultiplier1, x[2]);
    x = {p1.high ^ x[1] ^ key0, p1.low, p0.high ^ x[3] ^ key1, p0.low};
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  block_ = x;
  used_ = 0;
}

std::uint64_t Philox::next() {
  if (used_ == block_.size()) refill();
  return block_[used_++];
}

double Philox::uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

std::uint64_t Philox::bounded(std::uint64_t n) {
  Product product = multiply(next(), n);
  if (product.low < n) {
    const std::uint64_t threshold = (0 - n) % n;  // 2^64 mod n: so many draws are in excess
    while (product.low < threshold) product = multiply(next(), n);
  }
  return product.high;
}

void permutation(std::int64_t* order, std::ptrdiff_t n, std::uint64_t seed, std::uint64_t epoch,
                 const ShouldStop& should_stop) {
  constexpr double kDrawFlops = 100;     // about the cost of a draw and a swap far apart in memory
  constexpr std::ptrdiff_t kRun = 4096;  // elements written before should_stop may be asked
  // So many numbers are drawn before they are swapped. The draws then need not wait for the swaps,
  // and the prefetched memory arrives in time.
  constexpr std::ptrdiff_t kDraws = 64;
  detail::Poller poller(should_stop);
  for (std::ptrdiff_t first = 0; first < n; first += kRun) {
    const std::ptrdiff_t count = std::min(kRun, n - first);
    std::iota(order + first, order + first + count, first);
    poller.worked(kDrawFlops / 10 * static_cast<double>(count));
  }
  Philox random(seed, Stream::kShuffle, epoch, 0);
  for (std::ptrdiff_t last = n - 1; last > 0; last -= kDraws) {
    const std::ptrdiff_t count = std::min(kDraws, last);
    std::int64_t* chosen[kDraws];
    for (std::ptrdiff_t k = 0; k < count; ++k) {
      chosen[k] = order + random.bounded(static_cast<std::uint64_t>(last - k) + 1);
      __builtin_prefetch(chosen[k], 1);
    }
    for (std::ptrdiff_t k = 0; k < count; ++k) std::swap(order[last - k], *chosen[k]);
    poller.worked(kDrawFlops * static_cast<double>(count));
  }
}

}  // namespace fastmlp
