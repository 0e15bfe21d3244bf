// No allocation between the batches of an epoch. A program of its own: it replaces operator new.
#include "support.hpp"

#include <fastmlp/network.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <numeric>

namespace {
std::atomic<int> allocations{0};
}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, std::align_val_t align) {
  ++allocations;
  const std::size_t unit = static_cast<std::size_t>(align);
  if (void* p = std::aligned_alloc(unit, (size + unit - 1) / unit * unit)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

using namespace fastmlp;
using namespace fastmlp::testing;

namespace {

/// What allocates between the batches of an epoch: one whole batch and a shorter one.
void check_epoch(const std::vector<std::ptrdiff_t>& layers, std::ptrdiff_t batch_size,
                 std::ptrdiff_t rest) {
  const Settings restore;
  CAPTURE(batch_size);
  for (const std::string& name : available_isas()) {
#ifndef NDEBUG
    if (name == "scalar") continue;  // a minute without optimisation; release has it
#endif
    for (const int threads : {1, 3}) {
      set_isa(name);
      set_num_threads(threads);
      const std::ptrdiff_t features = layers.front(), rows = batch_size + rest;
      Network<float> net(layers, {}, Output::kIdentity);
      net.initialize(0);
      const Matrix<float> X = pattern<float>(rows, features);
      const Matrix<float> y(rows, layers.back());
      std::vector<std::int64_t> order(static_cast<std::size_t>(rows));
      std::iota(order.begin(), order.end(), 0);
      int at_first_batch = -1, batches = 0;
      const RowSource<float> counting(
          rows, features,
          [&](const std::int64_t* indices, std::ptrdiff_t, std::ptrdiff_t count, float* out) {
            if (batches++ == 0) at_first_batch = allocations;
            for (std::ptrdiff_t i = 0; i < count; ++i) {
              std::copy_n(&X.cview()(indices[i], 0), features, out + i * features);
            }
          });
      net.train_epoch(counting, y.cview(), order.data(), rows, batch_size, {});
      const int at_end = allocations;  // before doctest makes its own
      CAPTURE(name);
      CAPTURE(threads);
      CHECK(batches == 2);
      CHECK(at_end == at_first_batch);
    }
  }
}

}  // namespace

TEST_CASE("no batch of an epoch allocates, also not a shorter last one") {
  check_epoch({24, 96, 1}, 4096, 2730);    // which packs other blocks
  check_epoch({700, 300, 2}, 1025, 1024);  // whose rows have to be spaced
}
