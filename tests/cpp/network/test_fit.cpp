// Network<T>::fit(), predict() and copy(). test_cmake.py compares them with Python's, bit for bit.
#include "support.hpp"

#include <fastmlp/network.hpp>
#include <fastmlp/random.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>

using namespace fastmlp;
using namespace fastmlp::testing;

namespace {

template <class T>
struct Problem {
  Matrix<T> X = noise<T>(50, 4, 1), y{50, 1};
  Problem() {
    for (std::ptrdiff_t i = 0; i < 50; ++i) {
      y.view()(i, 0) = X.cview()(i, 0) > X.cview()(i, 1) ? T(1) : T(0);
    }
  }
};

template <class T>
Network<T> network(std::uint64_t seed = 3) {
  Network<T> net({4, 6, 5, 1});
  net.initialize(seed);
  return net;
}

template <class T>
std::vector<T> state_of(const Network<T>& net) {
  std::vector<T> parameters(static_cast<std::size_t>(net.n_parameters()));
  parameters.push_back(static_cast<T>(net.snapshot(parameters.data())));
  return parameters;
}

template <class T>
FitOptions<T> epochs(std::int64_t n) {
  FitOptions<T> options;
  options.epochs = n;
  options.batch_size = 8;
  return options;
}

}  // namespace

TEST_CASE_TEMPLATE("fit is one train_epoch after another, shuffled by the seed", T, float, double) {
  const Problem<T> p;
  Network<T> net = network<T>(), by_hand = network<T>();
  const History history = net.fit(p.X.cview(), p.y.cview(), SgdOptions{0.1}, epochs<T>(3));
  std::vector<std::int64_t> order(50);
  for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
    permutation(order.data(), 50, by_hand.seed(), epoch);
    const LossSum sum =
        by_hand.train_epoch(p.X.cview(), p.y.cview(), order.data(), 50, 8, SgdOptions{0.1});
    CHECK(sum.mean() == history.loss[epoch]);
    CHECK(history.learning_rate[epoch] == 0.1);
  }
  CHECK(same_bits(state_of(net), state_of(by_hand)));
  CHECK(net.epochs_trained() == 3);
  CHECK(history.val_loss.empty());
  CHECK(history.stopped_by == StoppedBy::kEpochs);
}

TEST_CASE("two fits of 5 epochs equal one of 10, with a stateful optimizer and dropout") {
  const Problem<float> p;
  FitOptions<float> options = epochs<float>(5);
  options.dropout = {0.25, 0.5};
  Network<float> twice = network<float>(), once = network<float>();
  Optimizer adam_twice(AdamOptions{}), adam_once(AdamOptions{});
  twice.fit(p.X.cview(), p.y.cview(), adam_twice, options);
  twice.fit(p.X.cview(), p.y.cview(), adam_twice, options);
  options.epochs = 10;
  once.fit(p.X.cview(), p.y.cview(), adam_once, options);
  CHECK(same_bits(state_of(twice), state_of(once)));
}

TEST_CASE("early stopping ends the run and returns to the best epoch") {
  const Problem<float> p;
  Matrix<float> opposite = p.y;  // its loss grows from the first epoch on, as the network learns y
  for (float& value : opposite.values) value = 1 - value;
  FitOptions<float> options = epochs<float>(50);
  options.validation = ValidationData<float>{p.X.cview(), opposite.cview()};
  options.early_stopping = EarlyStopping{3};
  Network<float> net = network<float>();
  const History history = net.fit(p.X.cview(), p.y.cview(), SgdOptions{0.5}, options);
  CHECK(history.stopped_by == StoppedBy::kEarlyStopping);
  REQUIRE(history.val_loss.size() == history.loss.size());
  const auto best = std::min_element(history.val_loss.begin(), history.val_loss.end());
  CHECK(net.epochs_trained() == best - history.val_loss.begin() + 1);
  CHECK(history.loss.size() == static_cast<std::size_t>(net.epochs_trained()) + 3);
  CHECK(net.loss(p.X.cview(), opposite.cview()).mean() == *best);
}

TEST_CASE("a callback sees every epoch and ends the run") {
  const Problem<float> p;
  std::vector<EpochLog> seen;
  FitOptions<float> options = epochs<float>(9);
  options.validation = ValidationData<float>{p.X.cview(), p.y.cview()};
  options.on_epoch = [&](const EpochLog& log) {
    seen.push_back(log);
    return log.epoch == 3;
  };
  Network<float> net = network<float>();
  const History history = net.fit(p.X.cview(), p.y.cview(), SgdOptions{}, options);
  CHECK(history.stopped_by == StoppedBy::kCallback);
  REQUIRE(seen.size() == 4);
  CHECK(seen[3].loss == history.loss[3]);
  CHECK(seen[3].val_loss == history.val_loss[3]);
  CHECK(seen[3].val_loss == net.loss(p.X.cview(), p.y.cview()).mean());
}

TEST_CASE(
    "a schedule sets the rate of each epoch by epochs_trained; the optimizer keeps its own rate") {
  const Problem<float> p;
  FitOptions<float> options = epochs<float>(2);
  std::vector<double> losses;  // that the schedule saw; -1 at the beginning of a fit
  options.schedule = [&](std::int64_t epoch, double rate, const EpochLog* last) {
    losses.push_back(last != nullptr ? last->loss : -1);
    return rate / static_cast<double>(epoch + 1);
  };
  Network<float> net = network<float>();
  Optimizer sgd(SgdOptions{0.8});
  const History first = net.fit(p.X.cview(), p.y.cview(), sgd, options);
  CHECK(first.learning_rate == std::vector<double>{0.8, 0.4});
  CHECK(losses == std::vector<double>{-1, first.loss[0], first.loss[1]});
  const History second = net.fit(p.X.cview(), p.y.cview(), sgd, options);
  CHECK(second.learning_rate == std::vector<double>{0.8 / 3, 0.2});
  CHECK(losses[3] == -1);
  CHECK(sgd.learning_rate() == 0.8);
  options.schedule = [](std::int64_t, double, const EpochLog*) { return -1.0; };
  CHECK_THROWS_AS(net.fit(p.X.cview(), p.y.cview(), sgd, options), std::invalid_argument);
  CHECK(sgd.learning_rate() == 0.8);
}

TEST_CASE("fit undoes an epoch that diverges, the optimizer's state included") {
  const Problem<float> p;
  Network<float> net({4, 6, 1}, {}, Output::kIdentity), twin = net.copy();
  net.initialize(1);
  twin.initialize(1);
  Optimizer adam(SgdOptions{0.01, 0.9}), adam_twin(SgdOptions{0.01, 0.9});
  net.fit(p.X.cview(), p.y.cview(), adam, epochs<float>(2));
  twin.fit(p.X.cview(), p.y.cview(), adam_twin, epochs<float>(2));
  adam.set_learning_rate(1e30);
  CHECK_THROWS_AS(net.fit(p.X.cview(), p.y.cview(), adam, epochs<float>(3)), Diverged);
  CHECK(same_bits(state_of(net), state_of(twin)));
  adam.set_learning_rate(0.01);
  net.fit(p.X.cview(), p.y.cview(), adam, epochs<float>(1));
  twin.fit(p.X.cview(), p.y.cview(), adam_twin, epochs<float>(1));
  CHECK(same_bits(state_of(net), state_of(twin)));
}

TEST_CASE("fit names the values that no learning rate can train on") {
  const auto message_of = [](float x_scale, float y_scale, double learning_rate) {
    Problem<float> p;
    for (float& x : p.X.values) x = x_scale * (2 + std::sin(x));
    for (float& y : p.y.values) y = y_scale * (1 + y);
    Network<float> net({4, 6, 1}, {}, Output::kIdentity);
    net.initialize(1);
    const std::vector<float> before = state_of(net);
    std::string message;
    try {
      net.fit(p.X.cview(), p.y.cview(), SgdOptions{learning_rate}, epochs<float>(3));
    } catch (const Diverged& error) {
      message = error.what();
    }
    CHECK(same_bits(state_of(net), before));
    return message;
  };
  const auto says = [](const std::string& message, const char* part) {
    CAPTURE(message);
    CHECK(message.find(part) != std::string::npos);
  };
  says(message_of(1, 1e25F, 0.01),
       " in epoch 0; the network is as before that epoch: its loss is not finite even without "
       "training: y, with values of up to 2");
  says(message_of(1, 1e25F, 0.01), "e+25, is too large for float; scale y, or use double");
  says(message_of(1e30F, 1, 0.01),
       ", are too large for float; scale X or the parameters, or use double");
  says(message_of(1e38F, 1, 0.01),
       ", are too large for float; scale X or the parameters, or use double");
  says(message_of(1, 1, 1e30),
       " at learning rate 1e+30; the network is as before that epoch: a lower learning rate or "
       "smaller values in X and y may help");
}

TEST_CASE("a refused fit changes nothing") {
  const Problem<float> p;
  const Matrix<float> none(0, 4), no_y(0, 1);
  Problem<float> nan;
  nan.X.values[7] = std::numeric_limits<float>::infinity();
  Network<float> net = network<float>();
  const std::vector<float> before = state_of(net);
  const auto refused = [&](const Matrix<float>& X, const Matrix<float>& y,
                           const FitOptions<float>& options, const char* message) {
    CHECK_THROWS_WITH_AS(net.fit(X.cview(), y.cview(), SgdOptions{}, options), message,
                         std::invalid_argument);
    CHECK(same_bits(state_of(net), before));
  };
  FitOptions<float> options;
  refused(nan.X, nan.y, options, "fit: X has inf at row 1, column 3; every value must be finite");
  refused(none, no_y, options, "fit: X has no rows; there must be at least one");
  refused(p.X, p.X, options,
          "fit: y has 4 values for each row; for X (50, 4) it must have one value for each row");
  options.epochs = 0;
  refused(p.X, p.y, options, "fit: epochs is 0; it must be at least 1");
  options = {};
  options.batch_size = 0;
  refused(p.X, p.y, options, "fit: batch_size is 0; it must be at least 1");
  options = {};
  options.dropout = {0.5};
  refused(p.X, p.y, options,
          "fit: dropout has 1 rates; there must be one for each of the 2 hidden layers, or none");
  options = {};
  options.early_stopping = EarlyStopping{2};
  refused(p.X, p.y, options, "fit: early_stopping needs validation");
  options.validation = ValidationData<float>{p.X.cview(), p.X.cview()};
  refused(p.X, p.y, options,
          "fit: validation: y has 4 values for each row; for X (50, 4) it must have one value for "
          "each row");
  options.early_stopping = EarlyStopping{0};
  refused(p.X, p.y, options, "EarlyStopping: patience is 0; it must be at least 1");
}

TEST_CASE("fit can be stopped in short and in long epochs") {
  for (const std::ptrdiff_t rows : {4, 20000}) {
    const Matrix<float> X = noise<float>(rows, 4, 1), y(rows, 1);
    FitOptions<float> options = epochs<float>(1'000'000'000);
    options.should_stop = [] { return true; };
    Network<float> net = network<float>();
    CHECK_THROWS_AS(net.fit(X.cview(), y.cview(), SgdOptions{}, options), Stopped);
    CHECK(net.loss(X.cview(), y.cview()).mean() > 0);  // the network can still be used
  }
}

TEST_CASE("predict gives the labels of forward's probabilities") {
  const Matrix<float> X = noise<float>(1300, 4, 5);
  Matrix<float> out(1300, 3);
  Matrix<std::int64_t> labels(1300, 3), classes(1300, 1);
  Network<float> several({4, 5, 3});
  several.initialize(1);
  several.forward(X.cview(), out.view());
  several.predict(X.cview(), labels.view(), 0.4);
  for (std::size_t i = 0; i < labels.values.size(); ++i) {
    CHECK(labels.values[i] == (out.values[i] >= 0.4F ? 1 : 0));
  }
  Network<float> softmax({4, 5, 3}, {}, Output::kSoftmax);
  softmax.initialize(1);
  softmax.forward(X.cview(), out.view());
  softmax.predict(X.cview(), classes.view());
  for (std::ptrdiff_t i = 0; i < 1300; ++i) {
    for (std::ptrdiff_t j = 0; j < 3; ++j) {
      CHECK(out.cview()(i, classes.values[static_cast<std::size_t>(i)]) >= out.cview()(i, j));
    }
  }
}

TEST_CASE("predict can be stopped") {
  const Network<float> net = network<float>();
  const std::ptrdiff_t rows = 3'000'000;
  const RowSource<float> slow(
      rows, 4, [&](const std::int64_t*, std::ptrdiff_t, std::ptrdiff_t count, float* out) {
        std::fill_n(out, count * 4, 0.5F);
      });
  Matrix<std::int64_t> many(rows, 1);
  CHECK_THROWS_AS(net.predict(slow, many.view(), 0.5, [] { return true; }), Stopped);
}

TEST_CASE("predict refuses outputs without labels, wrong shapes and NaN") {
  const Matrix<float> X = noise<float>(3, 4, 5);
  Matrix<std::int64_t> labels(3, 1);
  Network<float> net = network<float>(), values({4, 1}, {}, Output::kIdentity);
  CHECK_THROWS_WITH_AS(values.predict(X.cview(), labels.view()),
                       "predict: the output is identity, which has no labels; use forward",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(net.predict(X.cview(), Matrix<std::int64_t>(3, 2).view()),
                       "predict: labels has shape (3, 2); it must be (3, 1)",
                       std::invalid_argument);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(net.predict(X.cview(), labels.view(), nan), std::invalid_argument);
  labels.values = {7, 7, 7};
  net.parameters()[0] = static_cast<float>(nan);
  CHECK_THROWS_AS(net.predict(X.cview(), labels.view()), std::invalid_argument);
  CHECK(labels.values == std::vector<std::int64_t>{7, 7, 7});
}

TEST_CASE("a copy is the same network with parameters of its own") {
  const Problem<double> p;
  Network<double> net = network<double>(7);
  net.fit(p.X.cview(), p.y.cview(), SgdOptions{}, epochs<double>(2));
  Network<double> copy = net.copy();
  CHECK(copy.seed() == 7);
  CHECK(same_bits(state_of(copy), state_of(net)));
  net.fit(p.X.cview(), p.y.cview(), SgdOptions{}, epochs<double>(2));
  CHECK_FALSE(same_bits(state_of(copy), state_of(net)));
  copy.fit(p.X.cview(), p.y.cview(), SgdOptions{}, epochs<double>(2));
  CHECK(same_bits(state_of(copy), state_of(net)));
}

TEST_CASE("fit owns the network: its thread may use it in callbacks, other threads may not") {
  const Problem<float> p;
  Network<float> net = network<float>();
  const auto refused_elsewhere = [&](const auto& use) {
    bool refused = false;
    std::thread([&] {
      try {
        use();
      } catch (const std::runtime_error& error) {
        refused = std::string(error.what()).find("is in fit") != std::string::npos;
      }
    }).join();
    return refused;
  };
  Matrix<float> out(50, 1);
  const auto forward = [&] { net.forward(p.X.cview(), out.view()); };
  const auto step = [&] { net.step(p.X.cview(), p.y.cview(), 0.1); };
  const auto fit = [&] { net.fit(p.X.cview(), p.y.cview(), SgdOptions{0.1}, epochs<float>(1)); };
  FitOptions<float> options = epochs<float>(3);
  options.on_epoch = [&](const EpochLog& log) {
    CHECK(refused_elsewhere(forward));
    CHECK(refused_elsewhere(step));
    CHECK(refused_elsewhere(fit));
    CHECK(refused_elsewhere([&] { net.copy(); }));
    forward();
    net.copy();
    step();
    fit();
    CHECK(refused_elsewhere(forward));  // the inner fit has not ended the outer one
    if (log.epoch == 1) throw std::domain_error("a callback that fails");
    return false;
  };
  CHECK_THROWS_AS(net.fit(p.X.cview(), p.y.cview(), SgdOptions{0.1}, options), std::domain_error);
  CHECK(net.epochs_trained() == 4);  // two of fit, two of the callback
  CHECK(!refused_elsewhere(fit));
  {
    const auto owned = net.own();
    CHECK(refused_elsewhere(forward));
    forward();
  }
  CHECK(!refused_elsewhere(forward));
}
