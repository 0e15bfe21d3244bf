// Optimizer: updates parameters by their gradients, and keeps the state (velocity, moments) that
// this needs. Its hyper-parameters are in options.hpp.
#pragma once

#include <fastmlp/options.hpp>
#include <fastmlp/visibility.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace fastmlp {

/// An update rule of docs/mathematics.md, "Update", with its hyper-parameters and its state.
///
/// The state (a velocity, two moments) belongs to the first network that the optimizer updates; the
/// optimizer refuses every other network. Plain gradient descent has no state, so one optimizer can
/// serve any number of networks. Options convert implicitly:
/// `net.train_epoch(..., SgdOptions{0.1}, ...)`.
///
/// ```cpp
/// fastmlp::Optimizer adam(fastmlp::AdamOptions{});
/// net.train_epoch(X, y, order, count, 32, adam);
/// ```
class FASTMLP_EXPORT Optimizer {
 public:
  /// \throws std::invalid_argument if a hyper-parameter is outside the interval that its comment
  /// gives
  Optimizer(const OptimizerOptions& options);
  /// Converts implicitly from the options of one optimizer, such as SgdOptions.
  template <class Options,
            class = std::enable_if_t<std::is_constructible_v<OptimizerOptions, const Options&>>>
  Optimizer(const Options& options) : Optimizer(OptimizerOptions(options)) {}
  ~Optimizer();
  Optimizer(Optimizer&&) noexcept;
  Optimizer& operator=(Optimizer&&) noexcept;

  OptimizerOptions options() const;

  double learning_rate() const;
  /// Takes effect at the next update, even if another thread is training with it. \throws
  /// std::invalid_argument unless positive and finite
  void set_learning_rate(double learning_rate);

  /// The number of vectors of n_parameters() elements in the state: 0, 1 (a velocity) or 2
  /// (moments).
  int state_count() const;

  /// The number of updates so far. Plain gradient descent does not count them.
  std::int64_t steps() const;

  /// The state: `count` vectors of `size` elements, each element of `bytes` bytes (those of a float
  /// or a double), the number of updates so far, beta_1^steps and beta_2^steps. Empty before the
  /// first update.
  struct State {
    int count = 0;
    std::ptrdiff_t size = 0;
    std::ptrdiff_t bytes = 0;
    void* vectors[2] = {};
    std::int64_t steps = 0;
    double beta_1_power = 1, beta_2_power = 1;
  };
  /// A view of the state. The vectors may be read and written between two calls.
  State state();
  /// While the result exists, calls that update with this optimizer, and set_state(), are refused.
  /// \throws std::runtime_error if such a call is running
  std::shared_ptr<void> keep_state() const;
  /// Copies `state`, which may be the optimizer's own. The copy belongs to the next network that
  /// the optimizer updates. An empty state starts afresh.
  /// \throws std::invalid_argument unless `state` is empty or has state_count() vectors of floats
  /// or doubles, steps >= 0 and both powers in [0, 1]
  /// \throws std::runtime_error if a call is updating with this optimizer, or if a result of
  /// keep_state() still exists after 1 s
  void set_state(const State& state);

  struct Impl;
  Impl& impl() const { return *impl_; }  // the library's own

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace fastmlp
