// Optimizer: a rule that updates parameters from their gradients, with what it remembers.
#pragma once

#include <fastmlp/options.hpp>
#include <fastmlp/visibility.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace fastmlp {

/// A rule of docs/mathematics.md, "Update", with its hyper-parameters and its state.
///
/// The state (a velocity, two moments) belongs to the first network that it updates; another
/// network is refused. Plain gradient descent has no state and serves any number of networks.
/// Options convert implicitly: `net.train_epoch(..., SgdOptions{0.1}, ...)`.
///
/// ```cpp
/// fastmlp::Optimizer adam(fastmlp::AdamOptions{});
/// net.train_epoch(X, y, order, count, 32, adam);
/// ```
class FASTMLP_EXPORT Optimizer {
 public:
  /// \throws std::invalid_argument for hyper-parameters that are not what their comments say.
  Optimizer(const OptimizerOptions& options);
  /// The same for the options of one kind, such as SgdOptions.
  template <class Options,
            class = std::enable_if_t<std::is_constructible_v<OptimizerOptions, const Options&>>>
  Optimizer(const Options& options) : Optimizer(OptimizerOptions(options)) {}
  ~Optimizer();
  Optimizer(Optimizer&&) noexcept;
  Optimizer& operator=(Optimizer&&) noexcept;

  const OptimizerOptions& options() const;

  double learning_rate() const;
  /// From the next update on. \throws std::invalid_argument unless positive and finite.
  void set_learning_rate(double learning_rate);

  /// How many vectors of n_parameters() elements it remembers: 0, 1 (a velocity) or 2 (moments).
  int state_count() const;

  /// What it remembers, empty before its first update: `count` vectors of `size` elements, each of
  /// `bytes` bytes (a float's or a double's); the number of updates so far, and beta^steps.
  struct State {
    int count = 0;
    std::ptrdiff_t size = 0;
    std::ptrdiff_t bytes = 0;
    void* vectors[2] = {};
    std::int64_t steps = 0;
    double beta_1_power = 1, beta_2_power = 1;
  };
  /// In place: the vectors may be read and written between two calls.
  State state();
  /// Takes a copy of a state, its own included; it then belongs to the next network that it
  /// updates. An empty one is a fresh start. \throws std::invalid_argument unless `state` has as
  /// many vectors as state_count(), of floats or doubles.
  void set_state(const State& state);

  struct Impl;
  Impl& impl() const { return *impl_; }  // the library's own

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace fastmlp
