// Optimizer::Impl: the state of an optimizer, whose it is, and the numbers of a step.
#pragma once

#include "aligned_buffer.hpp"
#include "kernels/kernel_table.hpp"

#include <fastmlp/optimizer.hpp>

#include <atomic>

namespace fastmlp {

namespace detail {
/// One for each network of this process, whatever its type, from 1 on.
std::uint64_t next_network_id();

/// The place of plain gradient descent in KernelTable::rules.
constexpr std::size_t kPlainRule = 0;

struct Powers {  // of a rule's running means, after t steps
  double beta_1 = 1, beta_2 = 1;
};
}  // namespace detail

struct [[gnu::visibility("hidden")]] Optimizer::Impl {
  explicit Impl(const OptimizerOptions& given);

  OptimizerOptions options;
  std::size_t rule = 0;                         // its place in KernelTable::rules
  int states = 0;                               // how many vectors it remembers
  bool is_gradient_descent = false;             // the rule, when nothing decays, is fused
  detail::AlignedBuffer<unsigned char> memory;  // count vectors, one after the other
  std::ptrdiff_t size = 0, bytes = 0;           // of a vector; of an element
  std::int64_t steps = 0;
  detail::Powers powers;
  std::atomic<std::uint64_t> owner{0};  // the network whose parameters it updates; 0 none yet

  double learning_rate() const;
  double decay() const;  // coupled

  /// Whether an update is theta = theta - learning_rate * gradient and nothing else.
  bool is_plain() const;

  /// Makes it the optimizer of the network `id` with `n` parameters of T, with room for its state.
  /// \throws std::invalid_argument, naming `function`, where it is another network's
  template <class T>
  void bind(const char* function, std::uint64_t id, std::ptrdiff_t n);

  /// The numbers of the next step; counts it. \pre bind(), unless there is no state
  template <class T>
  detail::OptimizerStep<T> begin_step();

  /// Room for the state of n parameters of `element_bytes` each: copies of `vectors`, or zeros if
  /// that is null.
  void allocate(std::ptrdiff_t n, std::ptrdiff_t element_bytes, const void* const* vectors);
  template <class T>
  T* vector(int i) const {
    return reinterpret_cast<T*>(memory.data()) + i * stride<T>();
  }

 private:
  template <class T>
  std::ptrdiff_t stride() const {
    return detail::round_up(size, 64 / static_cast<std::ptrdiff_t>(sizeof(T)));
  }
};

}  // namespace fastmlp
