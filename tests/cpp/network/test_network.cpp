// Network<T>: gradients, training, reproducibility, interruption, and use from several threads.
#include "support.hpp"

#include <fastmlp/network.hpp>
#include <fastmlp/random.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace fastmlp;
using namespace fastmlp::testing;

namespace {

template <class T>
std::vector<T> parameters_of(Network<T>& net) {
  return {net.parameters(), net.parameters() + net.n_parameters()};
}

/// Valid targets of an output: class indices for softmax, otherwise 0 and 1.
template <class T>
Matrix<T> targets(std::ptrdiff_t rows, std::ptrdiff_t cols, Output output) {
  Matrix<T> y(rows, output == Output::kSoftmax ? 1 : cols);
  const std::size_t values = output == Output::kSoftmax ? static_cast<std::size_t>(cols) : 2;
  for (std::size_t i = 0; i < y.values.size(); ++i) {
    y.values[i] = static_cast<T>(i * 7 % 11 % values);
  }
  return y;
}

std::vector<std::int64_t> shuffled(std::ptrdiff_t rows, std::uint64_t epoch) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(rows));
  permutation(order.data(), rows, 0, epoch);
  return order;
}

}  // namespace

TEST_CASE("gradients agree with central differences for every activation and output") {
  for (const Activation g : all_activations()) {
    for (const Output output : all_outputs()) {
      CAPTURE(name_of(g));
      CAPTURE(name_of(output));
      Network<double> net({5, 7, 6, 3}, {g, g}, output);
      net.initialize(1);
      Matrix<double> X = pattern<double>(9, 5, 5);
      for (double& x : X.values) x /= 8;  // so that e^z stays small
      const Matrix<double> y = targets<double>(9, 3, output);
      const std::vector<double> weight = {1, 0, 2, 1, 0.5, 1, 3, 1, 1};
      net.loss_and_gradients(X.cview(), y.cview(), weight.data());
      constexpr double h = 1e-6;
      double worst = 0;
      for (std::ptrdiff_t i = 0; i < net.n_parameters(); ++i) {
        double& p = net.parameters()[i];
        const double before = p;
        p = before + h;
        const double above = net.loss(X.cview(), y.cview(), weight.data()).mean();
        p = before - h;
        const double below = net.loss(X.cview(), y.cview(), weight.data()).mean();
        p = before;
        worst = std::max(worst, std::abs((above - below) / (2 * h) - net.gradients()[i]));
      }
      CHECK(worst < 1e-7);
    }
  }
}

TEST_CASE_TEMPLATE("braces with the arguments of a view are a view", T, float, double) {
  Network<T> net({3, 4, 1});
  net.initialize(0);
  Matrix<T> X = pattern<T>(6, 3), expected(6, 1), found(6, 1);
  const Matrix<T> y = targets<T>(6, 1, Output::kSigmoid);
  T *const x = X.values.data(), *const out = found.values.data();
  const T *const const_x = x, *const t = y.values.data();
  net.forward(X.cview(), expected.view());
  net.forward({x, 6, 3}, {out, 6, 1});
  CHECK(found.values == expected.values);
  net.forward({const_x + 3, 2, 3, 6, 1}, {out, 2, 1});  // rows 1 and 3
  CHECK(found.values[0] == expected.values[1]);
  CHECK(found.values[1] == expected.values[3]);

  std::vector<std::int64_t> labels(6), order(6);
  std::iota(order.begin(), order.end(), 0);
  net.predict({x, 6, 3}, {labels.data(), 6, 1});
  net.validate("here", {x, 6, 3}, {t, 6, 1});
  const double loss = net.loss(X.cview(), y.cview()).mean();
  CHECK(net.loss({x, 6, 3}, {t, 6, 1}).mean() == loss);
  CHECK(net.loss_and_gradients({const_x, 6, 3}, {t, 6, 1}).mean() == loss);
  CHECK(net.accumulate_gradients({x, 6, 3}, {t, 6, 1}).mean() == loss);
  CHECK(net.step({x, 6, 3}, {t, 6, 1}, 1e-30) == loss);
  Optimizer still(SgdOptions{1e-30});
  CHECK(net.train_epoch({x, 6, 3}, {t, 6, 1}, order.data(), 6, 6, still).mean() == loss);
  CHECK(net.train_epoch({x, 6, 3}, {t, 6, 1}, order.data(), 6, 6, SgdOptions{1e-30}).mean() ==
        loss);
  CHECK(net.fit({x, 6, 3}, {t, 6, 1}, SgdOptions{0.1}, {}).loss.size() == 1);
}

TEST_CASE("a network learns XOR") {
  Network<float> net({2, 8, 1}, {Activation::kTanh});
  net.initialize(0);
  Matrix<float> X(4, 2), y(4, 1), out(4, 1);
  X.values = {0, 0, 0, 1, 1, 0, 1, 1};
  y.values = {0, 1, 1, 0};
  for (int i = 0; i < 2000; ++i) net.step(X.cview(), y.cview(), 0.5);
  net.forward(X.cview(), out.view());
  for (std::size_t i = 0; i < 4; ++i) CHECK(std::round(out.values[i]) == y.values[i]);
}

TEST_CASE_TEMPLATE("training has the same bits under every setting", T, float, double) {
  for (const Output output : all_outputs()) {
    const std::ptrdiff_t n_out = output == Output::kSigmoid ? 1 : 3;
    const Matrix<T> X = pattern<T>(150, 30), y = targets<T>(150, n_out, output);
    std::vector<T> first;
    under_all_settings([&](const std::string& name, int threads) {
      CAPTURE(name);
      CAPTURE(threads);
      Network<T> net({30, 33, 16, n_out}, {Activation::kRelu, Activation::kTanh}, output);
      net.initialize(3);
      for (std::uint64_t epoch = 0; epoch < 2; ++epoch) {
        net.train_epoch(X.cview(), y.cview(), shuffled(150, epoch).data(), 150, 32, {0.05});
      }
      CHECK(last_team_size() == num_threads());  // needs FASTMLP_MIN_WORK=0
      if (first.empty()) first = parameters_of(net);
      CHECK(same_bits(parameters_of(net), first));
    });
  }
}

#if defined(__x86_64__)
TEST_CASE("a caller that flushes denormals to zero gets the same bits, and keeps its mode") {
  const Settings restore;
  // The derivatives with respect to the first weights are denormal, and so are these weights after
  // the step.
  Matrix<float> X(64, 30), y = targets<float>(64, 1, Output::kSigmoid);
  for (std::size_t i = 0; i < X.values.size(); ++i) {
    X.values[i] = 1e-38f * static_cast<float>(static_cast<int>(i % 7) - 3);
  }
  std::vector<float> first;
  for (const int threads : {1, 2, 3}) {
    for (const unsigned flush : {0u, 0x8040u}) {  // DAZ and FTZ
      set_num_threads(threads);
      Network<float> net({30, 16, 1}, {Activation::kIdentity});
      net.initialize(3);
      std::fill_n(net.parameters(), 10, 0.0f);
      const unsigned before = _mm_getcsr();
      _mm_setcsr(before | flush);
      net.step(X.cview(), y.cview(), 0.5);
      CHECK((_mm_getcsr() & 0x8040u) == flush);
      _mm_setcsr(before);
      if (first.empty()) first = parameters_of(net);
      CHECK(same_bits(parameters_of(net), first));
    }
  }
}
#endif

TEST_CASE("a network can be returned and moved") {
  const auto make = [] {
    Network<float> net({2, 3, 1});
    net.initialize(5);
    return net;
  };
  Network<float> net = make(), other({1, 1});
  const std::vector<float> before = parameters_of(net);
  other = std::move(net);
  CHECK(same_bits(parameters_of(other), before));
  std::vector<float> copy(before.size());
  CHECK(other.snapshot(copy.data()) == 0);
  CHECK(same_bits(copy, before));
  CHECK_THROWS_AS(other.weights(2), std::invalid_argument);
}

TEST_CASE("step has the bits of loss_and_gradients and apply_gradients, for any batch") {
  for (const std::ptrdiff_t rows : {1, 100, 4096, 9000}) {
    CAPTURE(rows);
    Network<float> a({4, 5, 1}), b({4, 5, 1});
    a.initialize(0);
    b.initialize(0);
    const Matrix<float> X = pattern<float>(rows, 4), y = targets<float>(rows, 1, Output::kSigmoid);
    const double loss = a.step(X.cview(), y.cview(), 0.1);
    CHECK(b.loss_and_gradients(X.cview(), y.cview()).mean() == loss);
    CHECK(b.loss(X.cview(), y.cview()).mean() == doctest::Approx(0.5).epsilon(2));
    b.apply_gradients({0.1});
    CHECK(same_bits(parameters_of(a), parameters_of(b)));
  }
}

TEST_CASE("rows from a function and rows in memory train to the same bits") {
  const Matrix<float> X = pattern<float>(50, 4), y = targets<float>(50, 1, Output::kSigmoid);
  const RowSource<float> read(
      50, 4,
      [&](const std::int64_t* indices, std::ptrdiff_t first, std::ptrdiff_t count, float* out) {
        for (std::ptrdiff_t i = 0; i < count; ++i) {
          const std::ptrdiff_t row = indices != nullptr ? indices[i] : first + i;
          std::copy_n(&X.cview()(row, 0), 4, out + i * 4);
        }
      });
  Network<float> a({4, 5, 1}), b({4, 5, 1});
  a.initialize(0);
  b.initialize(0);
  a.train_epoch(X.cview(), y.cview(), shuffled(50, 0).data(), 50, 8, {});
  b.train_epoch(read, y.cview(), shuffled(50, 0).data(), 50, 8, {});
  CHECK(same_bits(parameters_of(a), parameters_of(b)));
}

TEST_CASE("should_stop ends an epoch between two steps, and leaves the network usable") {
  Network<float> net({64, 256, 256, 1});
  net.initialize(0);
  const Matrix<float> X = pattern<float>(256, 64), y = targets<float>(256, 1, Output::kSigmoid);
  std::vector<std::int64_t> order(1000000);
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i % 256);
  int asked = 0;
  const auto start = std::chrono::steady_clock::now();
  CHECK_THROWS_AS(net.train_epoch(X.cview(), y.cview(), order.data(), 1000000, 32, {}, nullptr,
                                  [&] { return ++asked == 3; }),
                  Stopped);
  CHECK(asked == 3);
  CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(60));
  CHECK(net.epochs_trained() == 0);
  CHECK(std::isfinite(net.step(X.cview(), y.cview(), 0.01)));
}

TEST_CASE("a slow step stores its gradient, so that it can be stopped, and gives the same bits") {
  const Matrix<float> X = pattern<float>(64, 8), y = targets<float>(64, 1, Output::kSigmoid);
  const RowSource<float> slow(
      64, 8, [&](const std::int64_t*, std::ptrdiff_t first, std::ptrdiff_t count, float* out) {
        std::this_thread::sleep_for(std::chrono::milliseconds(60));
        std::copy_n(&X.cview()(first, 0), count * 8, out);
      });
  const auto go_on = [] { return false; };
  Network<float> direct({8, 9, 1}), slowly({8, 9, 1});
  for (Network<float>* net : {&direct, &slowly}) net->initialize(0);
  direct.step(X.cview(), y.cview(), 0.1, go_on);
  slowly.step(slow, y.cview(), 0.1, go_on);
  CHECK(same_bits(parameters_of(slowly), parameters_of(direct)));
  // Only the slow step stored its gradient; it could have been stopped until that was complete.
  const std::vector<float> none(static_cast<std::size_t>(direct.n_parameters()));
  CHECK(std::equal(none.begin(), none.end(), direct.gradients()));
  CHECK(!std::equal(none.begin(), none.end(), slowly.gradients()));
}

TEST_CASE("many threads may predict at once") {
  Network<float> net({20, 30, 2}, {}, Output::kSoftmax);
  net.initialize(0);
  const Matrix<float> X = pattern<float>(600, 20);
  Matrix<float> expected(600, 2);
  net.forward(X.cview(), expected.view());
  std::vector<std::thread> threads;
  std::vector<Matrix<float>> results(4, Matrix<float>(600, 2));
  threads.reserve(results.size());
  for (Matrix<float>& result : results) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) net.forward(X.cview(), result.view());
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Matrix<float>& result : results) CHECK(same_bits(result.values, expected.values));
}

TEST_CASE("a network that is being trained refuses other calls, and training continues") {
  Network<float> net({2, 3, 1});
  net.initialize(0);
  Matrix<float> X(4, 2), y(4, 1), out(4, 1);
  int refused = 0;
  const RowSource<float> source(
      4, 2, [&](const std::int64_t*, std::ptrdiff_t, std::ptrdiff_t count, float* to) {
        std::fill_n(to, count * 2, 0.5f);
        try {
          net.forward(X.cview(), out.view());
        } catch (const std::runtime_error&) {
          ++refused;
        }
        try {
          net.step(X.cview(), y.cview(), 0.1);
        } catch (const std::runtime_error&) {
          ++refused;
        }
      });
  CHECK_NOTHROW(net.step(source, y.cview(), 0.1));
  CHECK(refused == 2);
  CHECK_NOTHROW(net.forward(X.cview(), out.view()));
}

TEST_CASE("a refused call names the rule and changes nothing") {
  Network<float> net({30, 4, 2}, {}, Output::kSoftmax);
  net.initialize(0);
  const std::vector<float> before = parameters_of(net);
  const Matrix<float> X = pattern<float>(5, 30), narrow = pattern<float>(5, 29);
  Matrix<float> y(5, 1), out(5, 2);
  CHECK_THROWS_WITH_AS(net.forward(narrow.cview(), out.view()),
                       "forward: X has shape (5, 29); this network takes 30 features",
                       std::invalid_argument);
  CHECK_THROWS_AS(net.step(X.cview(), y.cview(), -1), std::invalid_argument);
  const MatrixView<const float> fewer_than_none(X.values.data(), -1, 30);
  CHECK_THROWS_AS(net.forward(fewer_than_none, out.view()), std::invalid_argument);
  y.values[3] = 2;
  CHECK_THROWS_WITH_AS(net.step(X.cview(), y.cview(), 0.1),
                       "step: y[3] is 2; a class index must be an integer from 0 to 1",
                       std::invalid_argument);
  y.values[3] = 0.5f;
  CHECK_THROWS_AS(net.loss(X.cview(), y.cview()), std::invalid_argument);
  const std::vector<std::int64_t> order = {0, 5};
  y.values[3] = 0;
  CHECK_THROWS_AS(net.train_epoch(X.cview(), y.cview(), order.data(), 2, 1, {}),
                  std::invalid_argument);
  CHECK(same_bits(parameters_of(net), before));
  CHECK(net.epochs_trained() == 0);
}

TEST_CASE("invalid layers, activations and outputs are refused") {
  CHECK_THROWS_AS(Network<float>({30}), std::invalid_argument);
  CHECK_THROWS_AS(Network<float>({30, 0, 1}), std::invalid_argument);
  CHECK_THROWS_AS(Network<float>({2, 3, 1}, {Activation::kTanh, Activation::kTanh}),
                  std::invalid_argument);
  CHECK_THROWS_AS(Network<float>({2, 3, 1}, {}, Output::kSoftmax), std::invalid_argument);
  CHECK_THROWS_AS(Network<float>({2, 3, 1}, {Activation(99)}), std::invalid_argument);
  CHECK_THROWS_AS(Network<float>({2, 1}, {}, Output(99)), std::invalid_argument);
  const std::ptrdiff_t huge = std::ptrdiff_t{1} << 40;
  CHECK_THROWS_AS(Network<float>({huge, huge}), std::invalid_argument);
  std::string message = "Network: unknown activation 'rleu'; allowed:";
  for (const std::string_view name : activation_names()) {
    message.append(name == "relu" ? " " : ", ").append(name);
  }
  CHECK_THROWS_WITH_AS(parse_activation("rleu"), message.c_str(), std::invalid_argument);
}

TEST_CASE("gradients of parts of a batch add up to those of the whole batch") {
  Network<double> whole({3, 4, 1}), parts({3, 4, 1});
  whole.initialize(2);
  parts.initialize(2);
  const Matrix<double> X = pattern<double>(10, 3), y = targets<double>(10, 1, Output::kSigmoid);
  whole.loss_and_gradients(X.cview(), y.cview());
  std::fill_n(parts.gradients(), parts.n_parameters(), 7.0);
  parts.zero_gradients();
  LossSum sum;
  for (const std::ptrdiff_t first : {0, 5}) {
    const LossSum part =
        parts.accumulate_gradients(X.cview().row_block(first, 5), y.cview().row_block(first, 5));
    sum.loss += part.loss;
    sum.weight += part.weight;
  }
  CHECK(sum.weight == 10);
  for (std::ptrdiff_t i = 0; i < whole.n_parameters(); ++i) {
    CHECK(parts.gradients()[i] / sum.weight ==
          doctest::Approx(whole.gradients()[i]).epsilon(1e-12));
  }
}

TEST_CASE("weights that sum to zero give no loss, a zero gradient and no step") {
  Network<double> net({2, 1}, {}, Output::kIdentity);
  net.initialize(0);
  const Matrix<double> X = pattern<double>(3, 2), y = pattern<double>(3, 1);
  const std::vector<double> none(3);
  const std::vector<double> before = parameters_of(net);
  std::fill_n(net.gradients(), 3, 7.0);
  CHECK(net.loss_and_gradients(X.cview(), y.cview(), none.data()).mean() == 0);
  CHECK(net.gradients()[0] == 0);
  std::vector<std::int64_t> order(3);
  std::iota(order.begin(), order.end(), 0);
  CHECK(net.train_epoch(X.cview(), y.cview(), order.data(), 3, 2, {}, none.data()).mean() == 0);
  CHECK(same_bits(parameters_of(net), before));
  constexpr const char* kMessage =
      "loss: sample_weight has the sum 0; it must be at least 2.2250738585072014e-308, because the "
      "loss is divided by it";
  CHECK_THROWS_WITH_AS(net.loss(X.cview(), y.cview(), none.data()), kMessage,
                       std::invalid_argument);
}

TEST_CASE("weights beyond the range of float train like weights of 1") {
  for (const double weight : {0x1p-166, 0x1p130, 0x1p-1000, 0x1p1000}) {
    Network<float> plain({2, 3, 1}), weighted({2, 3, 1});
    plain.initialize(0);
    weighted.initialize(0);
    const Matrix<float> X = pattern<float>(5, 2), y = targets<float>(5, 1, Output::kSigmoid);
    const std::vector<double> weights(5, weight);
    FitOptions<float> options;
    options.epochs = 3;
    options.batch_size = 2;
    Optimizer adam(AdamOptions{}), twin(AdamOptions{});
    const History expected = plain.fit(X.cview(), y.cview(), adam, options);
    options.sample_weight = weights.data();
    CHECK(weighted.fit(X.cview(), y.cview(), twin, options).loss == expected.loss);
    CHECK(same_bits(parameters_of(weighted), parameters_of(plain)));
  }
}
