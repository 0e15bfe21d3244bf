// Optimizer: its state and its hyper-parameters. The Python tests check the results of a step.
#include "support.hpp"

#include <fastmlp/network.hpp>
#include <fastmlp/optimizer.hpp>

#include <doctest/doctest.h>

#include <stdexcept>
#include <variant>
#include <vector>

using namespace fastmlp;
using namespace fastmlp::testing;

namespace {

/// Updates the network `steps` times, by the same gradients each time. Returns its parameters.
std::vector<double> updated(Network<double>& net, Optimizer& optimizer, int steps) {
  for (int i = 0; i < steps; ++i) {
    for (std::ptrdiff_t k = 0; k < net.n_parameters(); ++k) {
      net.gradients()[k] = static_cast<double>(k % 5 - 2);
    }
    net.apply_gradients(optimizer);
  }
  return {net.parameters(), net.parameters() + net.n_parameters()};
}

Network<double> network() {
  Network<double> net({3, 4, 1});
  net.initialize(1);
  return net;
}

}  // namespace

TEST_CASE("an optimizer that is given its own state continues unchanged") {
  Network<double> through = network(), interrupted = network();
  Optimizer adam(AdamOptions{}), twin(AdamOptions{});
  const std::vector<double> expected = updated(through, adam, 6);
  updated(interrupted, twin, 3);
  twin.set_state(twin.state());
  CHECK(same_bits(updated(interrupted, twin, 3), expected));
}

TEST_CASE("a state that does not fit is refused, and nothing changes") {
  Network<double> through = network(), after = network();
  Optimizer momentum(SgdOptions{0.1, 0.9}), twin(SgdOptions{0.1, 0.9});
  const std::vector<double> expected = updated(through, momentum, 6);
  updated(after, twin, 3);
  Optimizer::State state = twin.state();
  state.count = 2;
  CHECK_THROWS_AS(twin.set_state(state), std::invalid_argument);
  CHECK(same_bits(updated(after, twin, 3), expected));
}

TEST_CASE("hyper-parameters out of range are refused, and the message names the optimizer") {
  AdamOptions adamw;
  adamw.decoupled = true;
  adamw.beta_2 = 1;
  CHECK_THROWS_WITH_AS(Optimizer{adamw}, "AdamW: beta_2 is 1; it must be in [0, 1)",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(Optimizer{SgdOptions{-1}},
                       "SGD: learning_rate is -1; it must be positive and finite",
                       std::invalid_argument);
}
