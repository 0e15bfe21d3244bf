// Philox gives the words of numpy.random.Philox; the Python tests compare many more.
#include <fastmlp/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

using fastmlp::Philox;

TEST_CASE("Philox gives the words of numpy.random.Philox") {
  Philox random(42, Philox::Counter{0, 7, 3, 1});
  for (const std::uint64_t word :
       std::vector<std::uint64_t>{0xc1672351edc2451a, 0xba13e64d95ac4dd6, 0x6f3d68a7091d3aeb,
                                  0x39f571ec53d1886f, 0xcf71f8a6254b0b30, 0x96ef4ad053185994}) {
    CHECK(random.next() == word);
  }
}

TEST_CASE("a stream's counter is index, step, epoch, purpose") {
  Philox a(42, fastmlp::Stream::kWeights, 3, 7);
  Philox b(42, Philox::Counter{0, 7, 3, 1});
  CHECK(a.next() == b.next());
}

TEST_CASE("Philox carries from one word of the counter into the next") {
  const std::uint64_t most = ~std::uint64_t{0};
  Philox random(most, Philox::Counter{most, most, 0, 5});
  for (const std::uint64_t word :
       std::vector<std::uint64_t>{0x2944cf7dfe80b0e6, 0x2e3293f8e9514a4d, 0x05b9c3664fcc982e,
                                  0x289297ef5e6bf842, 0x63aa8fad0c219518}) {
    CHECK(random.next() == word);
  }
}

TEST_CASE("uniform is the upper 53 bits times 2^-53") {
  CHECK(Philox(0, Philox::Counter{0, 0, 0, 2}).uniform() == 0.8677138611563892);
}

TEST_CASE("bounded draws reach every value below n and none above") {
  for (const std::uint64_t n : {1u, 2u, 3u, 7u, 10u}) {
    std::vector<int> seen(n);
    Philox random(1, Philox::Counter{});
    for (int i = 0; i < 1000; ++i) ++seen.at(random.bounded(n));
    CHECK(*std::min_element(seen.begin(), seen.end()) > 0);
  }
}

TEST_CASE("permutation is the shuffle that the twin draws") {
  std::vector<std::int64_t> order(10);
  fastmlp::permutation(order.data(), 10, 42, 3);
  CHECK(order == std::vector<std::int64_t>{1, 7, 0, 4, 3, 5, 2, 9, 8, 6});
}
