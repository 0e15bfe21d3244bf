// The one random generator of the library: Philox4x64-10. It is counter-based, so that no number of
// threads can change a draw.
#pragma once

#include <fastmlp/should_stop.hpp>
#include <fastmlp/visibility.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace fastmlp {

/// The purpose of a stream of random numbers: the most significant word of its counter.
enum class Stream : std::uint64_t { kWeights = 1, kShuffle = 2, kDropout = 3 };

/// Philox4x64-10 (Salmon, Moraes, Dror and Shaw, 2011, doi:10.1145/2063384.2063405).
///
/// Gives the words of `numpy.random.Philox(key=[key, 0], counter=counter).random_raw()`, in the
/// same order. Like NumPy, it increments the counter before each block of four words.
class FASTMLP_EXPORT Philox {
 public:
  using Counter = std::array<std::uint64_t, 4>;  ///< least significant word first

  Philox(std::uint64_t key, const Counter& counter) : key_(key), counter_(counter) {}

  /// The library's stream for one purpose: counter {0, step, epoch, purpose}.
  Philox(std::uint64_t seed, Stream purpose, std::uint64_t epoch, std::uint64_t step)
      : Philox(seed, Counter{0, step, epoch, static_cast<std::uint64_t>(purpose)}) {}

  /// The next 64 bits.
  std::uint64_t next();

  /// A double in [0, 1): the upper 53 bits of the next word, times 2^-53.
  double uniform();

  /// An integer in [0, n), each with the same probability, by Lemire's method (2019,
  /// doi:10.1145/3230636). \pre n > 0
  std::uint64_t bounded(std::uint64_t n);

 private:
  void refill();

  std::uint64_t key_;
  Counter counter_;
  std::array<std::uint64_t, 4> block_{};
  std::size_t used_ = 4;
};

/// Fills `order` with a permutation of 0 ... n - 1: Fisher and Yates's shuffle of the identity,
/// with the draws of `Philox(seed, Stream::kShuffle, epoch, 0)`.
/// \throws Stopped if should_stop() returned true
FASTMLP_EXPORT void permutation(std::int64_t* order, std::ptrdiff_t n, std::uint64_t seed,
                                std::uint64_t epoch, const ShouldStop& should_stop = {});

}  // namespace fastmlp
