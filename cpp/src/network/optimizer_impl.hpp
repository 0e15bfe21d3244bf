// Optimizer::Impl: the state of an optimizer, the network that the state belongs to, and the
// numbers of a step.
#pragma once

#include "aligned_buffer.hpp"
#include "kernels/kernel_table.hpp"
#include "threads/readers_writer_lock.hpp"

#include <fastmlp/optimizer.hpp>

#include <atomic>
#include <chrono>
#include <optional>

namespace fastmlp {

namespace detail {
/// A number for each network of this process, counting from 1; no two networks share one.
std::uint64_t next_network_id();

/// The place of plain gradient descent in KernelTable::rules.
constexpr std::size_t kPlainRule = 0;

struct Powers {  // beta_1^t and beta_2^t after t steps, for a rule's running means
  double beta_1 = 1, beta_2 = 1;
};
}  // namespace detail

struct [[gnu::visibility("hidden")]] Optimizer::Impl {
  explicit Impl(const OptimizerOptions& given);

  const OptimizerOptions options;           // as given to the constructor
  std::atomic<double> learning_rate;        // the present one; may be set while a thread trains
  std::size_t rule = 0;                     // place in KernelTable::rules
  int states = 0;                           // the number of vectors of state
  bool is_gradient_descent = false;         // without decay, an update can be fused (pass.cpp)
  detail::AlignedBuffer<std::byte> memory;  // the vectors, one after another
  std::ptrdiff_t size = 0, bytes = 0;       // elements of a vector; bytes of an element
  std::atomic<std::int64_t> steps{0};
  detail::Powers powers;
  std::atomic<std::uint64_t> owner{0};  // the network that the state belongs to; 0 for none yet

  mutable detail::ReadersWriterLock users;  // of the state

  /// The options with the current learning rate.
  OptimizerOptions options_now() const;
  double decay() const;  // the decay that is added to gradients

  /// Whether an update is only theta = theta - learning_rate * gradient.
  bool is_plain() const;

  /// Gives the state to the network `id`, which has `n` parameters of T. Allocates the state before
  /// the first update.
  /// \throws std::invalid_argument, naming `function`, if the state belongs to another network
  template <class T>
  void bind(const char* function, std::uint64_t id, std::ptrdiff_t n);

  /// Counts the next step and returns its numbers. \pre bind(), unless there is no state
  template <class T>
  detail::OptimizerStep<T> begin_step();

  /// Allocates the state of n parameters of `element_bytes` each. It starts as copies of `vectors`,
  /// or as zeros if `vectors` is null.
  void allocate(std::ptrdiff_t n, std::ptrdiff_t element_bytes, const void* const* vectors);
  template <class T>
  T* vector(int i) const {
    return reinterpret_cast<T*>(memory.data()) + i * stride<T>();
  }

  /// A call that updates a network with the optimizer.
  class Updating;

 private:
  template <class T>
  std::ptrdiff_t stride() const {
    return detail::round_up(size, 64 / static_cast<std::ptrdiff_t>(sizeof(T)));
  }
};

namespace detail {
constexpr Refusal kOptimizerInUse{
    "the optimizer is in use by another call; wait for that to return"};
}  // namespace detail

// Updates write the state. Without one, the optimizer may serve several networks at once.
class Optimizer::Impl::Updating {
 public:
  explicit Updating(const Impl& optimizer, const ShouldStop& should_stop = {});

 private:
  std::optional<detail::WriteLock> alone_;
  std::optional<detail::ReadLock> reading_;
};

}  // namespace fastmlp
