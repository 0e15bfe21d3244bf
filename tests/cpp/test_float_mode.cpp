// Every public call gives the same bits if its caller rounds up, down or to zero, or flushes
// denormals to zero, and leaves the caller's mode as it was.
#include "kernels/float_mode.hpp"
#include "support.hpp"
#include "threads/parallel.hpp"

#include <fastmlp/network.hpp>
#include <fastmlp/ops.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <utility>

using namespace fastmlp;
using namespace fastmlp::testing;

namespace {

using Mode = decltype(detail::float_mode());
using NamedMode = std::pair<const char*, Mode>;

#if defined(__x86_64__)
constexpr std::array<NamedMode, 4> kModes = {{{"up", 0x4000 | 0x0800 << 16},
                                              {"down", 0x2000 | 0x0400 << 16},
                                              {"to zero", 0x6000 | 0x0C00 << 16},
                                              {"flush", 0x8040}}};
#elif defined(__aarch64__)
constexpr std::array<NamedMode, 4> kModes = {
    {{"up", 1 << 22}, {"down", 2 << 22}, {"to zero", 3 << 22}, {"flush", 1 << 24}}};
#else
constexpr std::array<NamedMode, 0> kModes;
#endif

/// The results of many calls, as bytes, with the name of the call.
class Results {
 public:
  template <class T>
  void add(const char* name, const std::vector<T>& values) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(values.data());
    all[name].assign(bytes, bytes + values.size() * sizeof(T));
  }
  void add(const char* name, double value) { add(name, std::vector<double>{value}); }

  std::map<std::string, std::vector<unsigned char>> all;
};

template <class T>
std::vector<T> copy_of(const T* values, std::ptrdiff_t n) {
  return {values, values + n};
}

template <class T>
void add_network_calls(Results& results, const Matrix<T>& X, const Matrix<T>& y,
                       const std::vector<double>& weight) {
  const auto made = [] {
    Network<T> net({6, 7, 1}, {Activation::kTanh});
    net.initialize(5);
    return net;
  };
  const auto x = X.cview();
  const auto t = y.cview();
  Network<T> net = made();
  const std::ptrdiff_t n = net.n_parameters();
  results.add("initialize", copy_of(net.parameters(), n));
  Matrix<T> out(X.rows, 1);
  net.forward(x, out.view());
  results.add("forward", out.values);
  Matrix<std::int64_t> labels(X.rows, 1);
  net.predict(x, labels.view(), static_cast<double>(out.values[3]) + 1e-12);
  results.add("predict", labels.values);
  results.add("loss", net.loss(x, t, weight.data()).mean());
  results.add("loss_and_gradients", net.loss_and_gradients(x, t, weight.data()).mean());
  results.add("gradients", copy_of(net.gradients(), n));
  results.add("accumulate_gradients", net.accumulate_gradients(x, t).loss);
  Optimizer adam(AdamOptions{});
  net.apply_gradients(adam, 1.0 / 3);
  results.add("apply_gradients", copy_of(net.parameters(), n));
  results.add("step", net.step(x, t, 0.1));
  results.add("parameters after step", copy_of(net.parameters(), n));
  results.add("a learning rate that only a denormal can hold", net.step(x, t, 1e-40));

  const std::int64_t order[] = {3, 1};
  results.add("train_epoch", net.train_epoch(x, t, order, 2, 1, SgdOptions{1e-40}).mean());

  FitOptions<T> options;
  options.epochs = 3;
  options.batch_size = 8;
  options.sample_weight = weight.data();
  options.dropout = {0.3};
  options.validation = ValidationData<T>{x, t, nullptr};
  options.early_stopping = EarlyStopping{1, 1e-3};
  options.schedule = [](std::int64_t epoch, double rate, const EpochLog*) {
    return rate / static_cast<double>(epoch + 3);
  };
  Network<T> trained = made();
  const History history = trained.fit(x, t, Optimizer(RmspropOptions{}), options);
  results.add("fit", copy_of(trained.parameters(), n));
  results.add("fit's losses", history.loss);
  results.add("fit's validation losses", history.val_loss);
  results.add("fit's learning rates", history.learning_rate);
}

/// What the calls are given. It is made in the default mode.
struct Data {
  Matrix<float> X = noise<float>(40, 6, 1), y{40, 1}, parameter = noise<float>(40, 6, 4);
  std::vector<double> weight = noise<double>(1, 40, 2).values;
  Data() {
    for (std::size_t i = 0; i < 40; ++i) {
      y.values[i] = X.values[6 * i] > 0 ? 1.0f : 0.0f;
      weight[i] = i % 5 == 0 ? 1e-310 : weight[i] * weight[i];
    }
  }
};

Results all_results(const Data& data) {
  Results results;
  const auto& [X, y, parameter_before, weight] = data;
  add_network_calls<float>(results, X, y, weight);
  std::vector<double> tiny(40, 1e-310);  // with one normal weight, or the sum would be refused
  tiny[0] = 1e-307;
  Network<float> net({6, 1});
  net.initialize(1);
  results.add("loss of denormal weights", net.loss(X.cview(), y.cview(), tiny.data()).mean());

  // The sum of these weights is normal, and denormal hyper-parameters are positive. The calls throw
  // if they find something else.
  const std::vector<double> denormal(40, 1e-309);
  net.validate("validate", X.cview(), y.cview(), denormal.data());
  Objective objective;
  objective.loss_scale = 1e-310;
  validate(objective);
  Optimizer sgd(SgdOptions{1e-310});
  sgd.set_learning_rate(1e-311);
  results.add("learning_rate", sgd.learning_rate());

  Matrix<float> square(6, 6), parameter = parameter_before, activated(40, 6);
  matmul(X.cview().transposed(), X.cview(), square.view());
  results.add("matmul", square.values);
  sigmoid(X.cview(), activated.view());
  results.add("sigmoid", activated.values);
  sgd_update(parameter.view(), X.cview(), 0.1);
  results.add("sgd_update", parameter.values);
  results.add("binary_cross_entropy", binary_cross_entropy(X.cview(), activated.cview()));
  results.add("dot", dot(X.values.data(), parameter.values.data(), 240));
  return results;
}

}  // namespace

TEST_CASE("no public call depends on the caller's rounding or denormals, or changes them") {
  const Data data;
  const Results expected = all_results(data);
  const Mode before = detail::float_mode();
  for (const auto& mode : kModes) {  // no names for its parts: a macro of doctest captures them
    const auto bits = mode.second;
    CAPTURE(mode.first);
    detail::set_float_mode(before | bits);
    const Results found = all_results(data);
    const Mode after = detail::float_mode();
    detail::set_float_mode(before);
    CHECK(after == (before | bits));
    for (const auto& call : expected.all) {
      CAPTURE(call.first);
      CHECK(found.all.at(call.first) == call.second);
    }
  }
}

TEST_CASE("a callback that changes the mode changes no bit of fit") {
  const Data data;
  const Mode before = detail::float_mode();
  const auto fitted = [&](Mode mode) {
    Network<float> net({6, 7, 1}, {Activation::kTanh});
    net.initialize(5);
    FitOptions<float> options;
    options.epochs = 4;
    options.schedule = [](std::int64_t epoch, double rate, const EpochLog*) {
      return rate / static_cast<double>(epoch + 3);
    };
    options.on_epoch = [&](const EpochLog&) {
      detail::set_float_mode(mode);
      return false;
    };
    const History history =
        net.fit(data.X.cview(), data.y.cview(), Optimizer(SgdOptions{}), options);
    detail::set_float_mode(before);
    Results results;
    results.add("parameters", copy_of(net.parameters(), net.n_parameters()));
    results.add("learning rates", history.learning_rate);
    return results.all;
  };
  const auto expected = fitted(before);
  for (const auto& mode : kModes) CHECK(fitted(before | mode.second) == expected);
}

TEST_CASE("the threads of a team compute in the default mode, whatever mode they were left in") {
  const Settings restore;
  set_num_threads(3);
  const Mode before = detail::float_mode();
  const auto on_each_thread = [](const auto& body) {
    detail::with_team(3, [&] {
      detail::Team* const team = detail::current_team();
      if (team != nullptr) team->run([&](int) noexcept { body(); });  // null without OpenMP
    });
  };
  for (const auto& mode : kModes) {
    std::atomic<int> others{0};
    std::thread caller([&, bits = mode.second] {  // it has a team of its own
      on_each_thread([&] { detail::set_float_mode(before | bits); });
      on_each_thread([&] { others += detail::float_mode() != before; });
    });
    caller.join();
    CHECK(others == 0);
  }
}
