// The memory that calls allocate, and the memory that they keep. A program of its own, because it
// replaces operator new.
#include "support.hpp"

#include <fastmlp/network.hpp>
#include <fastmlp/ops.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <numeric>

namespace {
std::atomic<int> allocations{0};
std::atomic<std::size_t> allocated{0}, freed{0};  // bytes

std::size_t live() { return allocated - freed; }

// In front of the memory stand its size and the pointer that free() needs.
struct Front {
  std::size_t size;
  void* start;
};
constexpr std::size_t kUnit = std::max(alignof(std::max_align_t), sizeof(Front));

void* allocate(std::size_t size, std::size_t unit) {
  ++allocations;
  allocated += size;
  std::size_t space = size + unit;
  void* const start = std::malloc(size + 2 * unit);
  if (start == nullptr) throw std::bad_alloc();
  void* p = static_cast<char*>(start) + unit;
  std::align(unit, size, p, space);
  static_cast<Front*>(p)[-1] = {size, start};
  return p;
}
void release(void* p) {
  if (p == nullptr) return;
  const Front front = static_cast<Front*>(p)[-1];
  freed += front.size;
  std::free(front.start);
}
}  // namespace

void* operator new(std::size_t size) { return allocate(size, kUnit); }
void* operator new(std::size_t size, std::align_val_t align) {
  return allocate(size, static_cast<std::size_t>(align));
}
void operator delete(void* p) noexcept { release(p); }
void operator delete(void* p, std::size_t) noexcept { release(p); }
void operator delete(void* p, std::align_val_t) noexcept { release(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { release(p); }

using namespace fastmlp;
using namespace fastmlp::testing;

namespace {

constexpr std::size_t kMegabyte = 1 << 20;

/// Nothing allocates between the batches of an epoch: one whole batch and a shorter one.
void check_epoch(const std::vector<std::ptrdiff_t>& layers, std::ptrdiff_t batch_size,
                 std::ptrdiff_t rest) {
  const Settings restore;
  CAPTURE(batch_size);
  for (const std::string& name : available_isas()) {
#ifndef NDEBUG
    if (name == "scalar") continue;  // a minute without optimisation; release builds test it
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

TEST_CASE("no batch of an epoch allocates, not even a shorter last one") {
  check_epoch({24, 96, 1}, 4096, 2730);    // the shorter batch packs other blocks
  check_epoch({700, 300, 2}, 1025, 1024);  // rows of these sizes have to be spaced
}

TEST_CASE("evaluating many rows of a wide network keeps no giant scratch") {
  const Settings restore;
  set_num_threads(1);
  Network<float> net({1, 4096, 1});
  net.initialize(0);
  const Matrix<float> X = pattern<float>(4096, 1);
  const Matrix<float> y(4096, 1);
  const std::size_t before = live();
  const std::size_t allocated_before = allocated;
  net.loss_and_gradients(X.cview(), y.cview());
  CHECK(allocated - allocated_before > 128 * kMegabyte);  // it needed as much
  CHECK(live() - before <= 64 * kMegabyte);
  net.accumulate_gradients(X.cview(), y.cview());
  CHECK(live() - before <= 64 * kMegabyte);
}

TEST_CASE("evaluations and predictions of a small network take turns with what the pool kept") {
  Network<float> net({30, 16, 8, 1});
  const Matrix<float> X = pattern<float>(700, 30);
  const Matrix<float> y(700, 1);
  Matrix<float> out(700, 1);
  const auto round = [&] {
    net.loss_and_gradients(X.cview().row_block(0, 200), y.cview().row_block(0, 200));
    net.forward(X.cview(), out.view());
    net.loss(X.cview(), y.cview());
  };
  for (int i = 0; i < 1000; ++i) round();  // lends more in all than the pool may keep at once
  const std::size_t before = allocated;
  round();
  CHECK(allocated - before < kMegabyte / 1024);  // no scratch
}

TEST_CASE("binary_cross_entropy of one long row needs no memory of its length") {
  constexpr std::ptrdiff_t kCols = 1000000;
  const Matrix<float> z = pattern<float>(1, kCols);
  const Matrix<float> y(1, kCols);
  const std::size_t before = allocated;
  binary_cross_entropy<float>(z.cview(), y.cview());
  CHECK(allocated - before < kMegabyte);
}
