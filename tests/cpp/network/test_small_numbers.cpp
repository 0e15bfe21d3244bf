// Numbers near the smallest normal one: what an optimizer remembers is never denormal, and has the
// same bits on every instruction set. Denormal operands make some processors a hundred times
// slower.
#include "support.hpp"

#include <fastmlp/network.hpp>
#include <fastmlp/optimizer.hpp>

#include <doctest/doctest.h>

#include <cfenv>
#include <cmath>
#include <limits>
#include <string>
#include <vector>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace fastmlp;
using namespace fastmlp::testing;

namespace {

template <class Options>
OptimizerOptions decaying(Options options, bool decoupled) {
  options.weight_decay = 0.5;
  if constexpr (!std::is_same_v<Options, RmspropOptions> && !std::is_same_v<Options, LionOptions>) {
    options.decoupled = decoupled;
  }
  return options;
}

/// Every optimizer, without decay and with. Their means shrink by half in each step.
std::vector<OptimizerOptions> all_optimizers() {
  const SgdOptions momentum{0.1, 0.5}, nesterov{0.1, 0.5, true};
  AdamOptions adam;
  RmspropOptions rmsprop;
  LionOptions lion;
  adam.beta_1 = adam.beta_2 = rmsprop.alpha = lion.beta_2 = 0.5;
  return {momentum,
          nesterov,
          adam,
          rmsprop,
          lion,
          decaying(SgdOptions{}, false),
          decaying(SgdOptions{}, true),
          decaying(momentum, false),
          decaying(momentum, true),
          decaying(nesterov, false),
          decaying(adam, true),
          decaying(lion, true)};
}

/// Whether an operation since clear_exceptions() had a denormal operand or an inexact denormal
/// result.
void clear_exceptions() {
  std::feclearexcept(FE_ALL_EXCEPT);
#if defined(__x86_64__)
  _mm_setcsr(_mm_getcsr() & ~0x3Fu);
#endif
}
bool met_denormals() {
#if defined(__x86_64__)
  constexpr unsigned kDenormalOperand = 0x02;
  if ((_mm_getcsr() & kDenormalOperand) != 0) return true;
#endif
  return std::fetestexcept(FE_UNDERFLOW) != 0;
}

/// A network, an optimizer, and a data set in which the second half of the features is always 0.
template <class T>
struct Training {
  static constexpr std::ptrdiff_t kFeatures = 22, kRows = 8;
  static constexpr T kTiny = std::numeric_limits<T>::min();
  Network<T> net{{kFeatures, 3, 1}, {Activation::kTanh}, Output::kIdentity};
  Optimizer optimizer;
  Matrix<T> X = noise<T>(kRows, kFeatures, 1), y = noise<T>(kRows, 1, 2);

  explicit Training(const OptimizerOptions& options) : optimizer(options) {
    net.initialize(1);
    for (std::ptrdiff_t i = 0; i < kRows; ++i) {
      for (std::ptrdiff_t j = kFeatures / 2; j < kFeatures; ++j) X.view()(i, j) = 0;
    }
    epoch();
    // The state and the weights of the dead features are as after many more epochs.
    const Optimizer::State state = optimizer.state();
    for (std::ptrdiff_t k = kFeatures / 2 * 3; k < kFeatures * 3; ++k) {
      net.parameters()[k] = small(k);
      for (int i = 0; i < state.count; ++i) static_cast<T*>(state.vectors[i])[k] = small(k);
    }
  }
  void epoch() {
    std::vector<std::int64_t> order(kRows);
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
    net.train_epoch(X.cview(), y.cview(), order.data(), kRows, kRows, optimizer);
  }
  /// The parameters and the state, one after another.
  std::vector<T> result() {
    std::vector<T> all(net.parameters(), net.parameters() + net.n_parameters());
    const Optimizer::State state = optimizer.state();
    for (int i = 0; i < state.count; ++i) {
      const T* vector = static_cast<const T*>(state.vectors[i]);
      all.insert(all.end(), vector, vector + state.size);
    }
    return all;
  }
  static T small(std::ptrdiff_t k) { return kTiny * static_cast<T>(1 + k % 5); }
};

}  // namespace

TEST_CASE_TEMPLATE("dead features leave no denormal numbers behind", T, float, double) {
  const Settings restore;
  set_num_threads(1);
  for (const OptimizerOptions& options : all_optimizers()) {
    std::vector<T> expected;
    for (const std::string& name : available_isas()) {
      set_isa(name);
      Training<T> training(options);
      for (int i = 0; i < 8; ++i) training.epoch();
      clear_exceptions();
      training.epoch();
      // The C library's fma, which "scalar" may use, is free to raise what it likes.
      CHECK_MESSAGE((name == "scalar" || !met_denormals()), "optimizer ", options.index(), " on ",
                    name);
      const std::vector<T> result = training.result();
      for (const T value : result) {
        CHECK((std::abs(value) >= std::numeric_limits<T>::min() || same_bits<T>({value}, {0})));
      }
      if (expected.empty()) expected = result;
      CHECK(same_bits(result, expected));
    }
  }
}

TEST_CASE_TEMPLATE("gradients whose squares are denormal are no slower", T, float, double) {
  const Settings restore;
  for (const std::string& name : available_isas()) {
    if (name == "scalar") continue;
    set_isa(name);
    for (const OptimizerOptions& options :
         {OptimizerOptions(AdamOptions{}), OptimizerOptions(RmspropOptions{})}) {
      Training<T> training(options);
      Optimizer optimizer(options);
      Network<T>& net = training.net;
      const auto update = [&] {
        for (std::ptrdiff_t k = 0; k < net.n_parameters(); ++k) {
          net.gradients()[k] = std::sqrt(std::numeric_limits<T>::min()) * static_cast<T>(k % 7);
        }
        net.apply_gradients(optimizer);
      };
      update();
      clear_exceptions();
      update();
      CHECK_FALSE(met_denormals());
    }
  }
}
