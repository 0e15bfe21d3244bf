// Networks with a loss other than their output's own: what the constructor refuses, the shape of y,
// and training. The kernels alone are tested in kernels/test_losses.cpp.
#include "support.hpp"

#include <fastmlp/network.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace fastmlp;
using namespace fastmlp::testing;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// NOLINTBEGIN(bugprone-unchecked-optional-access): a test may fail there

// NOLINTNEXTLINE(bugprone-throwing-static-initialization,cert-err58-cpp): a test may fail here too
const LossOptions kLosses[] = {
    {Loss::kHuber, 0.5}, {Loss::kAbsoluteError}, {Loss::kPinball, 1, {0.125, 0.5, 0.75}}};

template <class T>
Network<T> network(const LossOptions& loss, std::ptrdiff_t n_out = 3) {
  Network<T> net({4, 6, n_out}, {Activation::kTanh}, Output::kIdentity, loss);
  net.initialize(3);
  return net;
}

std::ptrdiff_t cols_of_y(const LossOptions& loss) { return loss.kind == Loss::kPinball ? 1 : 3; }

template <class T>
std::string refusal(const LossOptions& loss, Output output = Output::kIdentity) {
  try {
    const Network<T> net({4, 3}, {}, output, loss);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("only an identity output takes another loss than its own") {
  for (const LossOptions& loss : kLosses) {
    CHECK(refusal<float>(loss).empty());
    CHECK(refusal<float>(loss, Output::kSoftmax) ==
          "Network: loss is " + std::string(name_of(*loss.kind)) +
              " and output is softmax; only an identity output takes a loss: give that output, or "
              "no loss");
  }
  CHECK(refusal<float>({static_cast<Loss>(3)}) ==
        "Network: loss number 3 given; it must be from 0 to 2");
}

TEST_CASE("delta is a positive number of the network's type, and for huber only") {
  for (const double delta : {0.0, -1.0, kInf, std::nan("")}) {
    CHECK_FALSE(refusal<double>({Loss::kHuber, delta}).empty());
  }
  CHECK(refusal<double>({Loss::kHuber, 1e-60}).empty());
  CHECK(refusal<float>({Loss::kHuber, 1e-60}) ==
        "Network: delta is 1e-60; in float32 it must be positive and finite");
  CHECK(refusal<float>({Loss::kAbsoluteError, 2}) ==
        "Network: delta is 2 and loss is absolute_error; only huber takes a delta");
  CHECK(refusal<float>({{}, 2}) ==
        "Network: delta is 2 and loss is the output's own; only huber takes a delta");
}

TEST_CASE("pinball takes as many quantiles as outputs, increasing and inside (0, 1)") {
  CHECK(refusal<float>({Loss::kPinball}) ==
        "Network: quantiles has 0 entries and the network 3 outputs; the loss pinball needs a "
        "quantile for each output");
  CHECK_FALSE(refusal<float>({Loss::kPinball, 1, {0.25, 0.5}}).empty());
  CHECK(refusal<float>({Loss::kPinball, 1, {0, 0.5, 0.75}}) ==
        "Network: quantiles[0] is 0; in float32 it must be above 0 and below 1");
  CHECK_FALSE(refusal<double>({Loss::kPinball, 1, {0.25, 0.5, 1}}).empty());
  CHECK_FALSE(refusal<double>({Loss::kPinball, 1, {0.25, std::nan(""), 0.75}}).empty());
  CHECK_FALSE(refusal<double>({Loss::kPinball, 1, {0.25, 0.75, 0.5}}).empty());
  const LossOptions close{Loss::kPinball, 1, {0.5, 0.5 + 1e-12, 1 - 1e-12}};
  CHECK(refusal<double>(close).empty());
  CHECK(refusal<float>(close) ==
        "Network: quantiles[1] is 0.500000000001, after 0.5; in float32 quantiles must increase");
  CHECK(refusal<float>({Loss::kHuber, 1, {0.5}}) ==
        "Network: quantiles are given and loss is huber; only pinball takes them");
}

TEST_CASE("pinball compares one target of a row with every output") {
  Network<double> net = network<double>(kLosses[2]);
  const Matrix<double> X = noise<double>(5, 4, 1), wrong = noise<double>(5, 3, 2);
  const Matrix<double> y = noise<double>(5, 1, 2);
  CHECK_THROWS_WITH_AS(net.loss(X.cview(), wrong.cview()),
                       "loss: y has shape (5, 3); with the loss pinball it must be (5, 1): one "
                       "target for each row, which is compared with every output",
                       std::invalid_argument);
  Matrix<double> outputs(5, 3);
  net.forward(X.cview(), outputs.view());
  double expected = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    for (std::size_t j = 0; j < 3; ++j) {
      const double tau = kLosses[2].quantiles[j], above = y.values[i] - outputs.values[3 * i + j];
      expected += std::max(tau * above, (tau - 1) * above);
    }
  }
  CHECK(net.loss(X.cview(), y.cview()).loss == doctest::Approx(expected).epsilon(1e-14));
}

TEST_CASE("gradients are the slopes of each loss") {
  for (const LossOptions& loss : kLosses) {
    Network<double> net = network<double>(loss);
    const Matrix<double> X = noise<double>(6, 4, 1), y = noise<double>(6, cols_of_y(loss), 4);
    net.loss_and_gradients(X.cview(), y.cview());
    constexpr double kStep = 1e-6;
    for (std::ptrdiff_t k = 0; k < net.n_parameters(); ++k) {
      double& theta = net.parameters()[k];
      const double before = theta;
      theta = before + kStep;
      const double above = net.loss(X.cview(), y.cview()).mean();
      theta = before - kStep;
      const double below = net.loss(X.cview(), y.cview()).mean();
      theta = before;
      CHECK(net.gradients()[k] == doctest::Approx((above - below) / (2 * kStep)).epsilon(1e-6));
    }
  }
}

TEST_CASE_TEMPLATE("training with each loss has the same bits under all settings", T, float,
                   double) {
  for (const LossOptions& loss : kLosses) {
    const Matrix<T> X = noise<T>(100, 4, 1), y = noise<T>(100, cols_of_y(loss), 2);
    FitOptions<T> options;
    options.epochs = 3;
    std::vector<T> first;
    under_all_settings([&](const std::string& isa, int threads) {
      CAPTURE(isa);
      CAPTURE(threads);
      Network<T> net = network<T>(loss);
      const History history = net.fit(X.cview(), y.cview(), SgdOptions{0.05}, options);
      CHECK(history.loss.back() < history.loss.front());
      const std::vector<T> found(net.parameters(), net.parameters() + net.n_parameters());
      if (first.empty()) first = found;
      CHECK(same_bits(found, first));
    });
  }
}

TEST_CASE("huber with a large delta is the squared error, bit for bit") {
  const Matrix<float> X = noise<float>(40, 4, 1), y = noise<float>(40, 3, 2);
  Network<float> net = network<float>({}), huber = network<float>({Loss::kHuber, 1e6});
  CHECK(net.step(X.cview(), y.cview(), 0.1) == huber.step(X.cview(), y.cview(), 0.1));
  CHECK(same_bits(std::vector<float>(net.parameters(), net.parameters() + net.n_parameters()),
                  std::vector<float>(huber.parameters(), huber.parameters() + net.n_parameters())));
}

TEST_CASE("a copy has the loss, and a run resumes only with it") {
  for (const LossOptions& loss : kLosses) {
    Network<float> net = network<float>(loss);
    const Network<float> copy = net.copy();
    CHECK(copy.loss_options().kind == loss.kind);
    CHECK(copy.loss_options().delta == loss.delta);
    CHECK(copy.loss_options().quantiles == loss.quantiles);

    const Matrix<float> X = noise<float>(20, 4, 1), y = noise<float>(20, cols_of_y(loss), 2);
    FitOptions<float> options;
    options.epochs = 4;
    std::optional<TrainingState<float>> state;
    Network<float> whole = copy.copy(), parts = copy.copy();
    whole.fit(X.cview(), y.cview(), AdamOptions{}, options);
    options.epochs = 2;
    options.on_checkpoint = [&](const auto& now) { state = now; };
    parts.fit(X.cview(), y.cview(), AdamOptions{}, options);
    options.epochs = 4;
    options.on_checkpoint = nullptr;
    options.resume = &*state;
    Network<float> other = network<float>({});
    const Matrix<float> wide = noise<float>(20, 3, 2);
    CHECK_THROWS_WITH_AS(other.fit(X.cview(), wide.cview(), AdamOptions{}, options),
                         doctest::Contains("fit: loss is the output's own here and"),
                         std::invalid_argument);
    Network<float> resumed = copy.copy();
    resumed.fit(X.cview(), y.cview(), AdamOptions{}, options);
    CHECK(same_bits(
        std::vector<float>(whole.parameters(), whole.parameters() + whole.n_parameters()),
        std::vector<float>(resumed.parameters(), resumed.parameters() + whole.n_parameters())));
  }
}

// NOLINTEND(bugprone-unchecked-optional-access)
