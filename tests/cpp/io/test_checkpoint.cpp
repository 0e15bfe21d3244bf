// FitOptions::on_checkpoint and resume, and fastmlp/io_checkpoint.hpp: a run that is
// interrupted after any epoch and resumed ends with the same bits.
#include "files.hpp"
#include "support.hpp"

#include <fastmlp/io.hpp>
#include <fastmlp/io_checkpoint.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace fastmlp;
using namespace fastmlp::testing;
namespace fs = std::filesystem;

namespace {

constexpr std::ptrdiff_t kRows = 60, kFeatures = 5;

template <class T>
struct Problem {
  Matrix<T> X = noise<T>(kRows, kFeatures, 1), y{kRows, 1}, opposite{kRows, 1};
  std::vector<double> weight;
  Problem() {
    for (std::ptrdiff_t i = 0; i < kRows; ++i) {
      y.view()(i, 0) = X.cview()(i, 0) > X.cview()(i, 1) ? T(1) : T(0);
      opposite.view()(i, 0) = 1 - y.view()(i, 0);
      weight.push_back(0.5 + static_cast<double>(i % 7));
    }
  }
};

template <class T>
Network<T> network(std::uint64_t seed = 7) {
  Network<T> net({kFeatures, 6, 4, 1}, {Activation::kTanh, Activation::kRelu});
  net.initialize(seed);
  return net;
}

std::vector<OptimizerOptions> all_optimizers() {
  SgdOptions decoupled{0.1, 0.9, true, 1e-3, true};
  AdamOptions adam, hat;
  adam.learning_rate = hat.learning_rate = 0.02;
  hat.epsilon_hat = hat.decoupled = true;
  hat.weight_decay = 0.01;
  return {SgdOptions{0.1},  SgdOptions{0.1, 0.9}, decoupled, adam, hat,
          RmspropOptions{}, LionOptions{0.01}};
}

template <class T>
FitOptions<T> seven_epochs() {
  FitOptions<T> options;
  options.epochs = 7;
  options.batch_size = 16;
  return options;
}

/// Halves the rate whenever the loss has not improved by 0.02; made anew for each fit().
std::function<double(std::int64_t, double, const EpochLog*)> plateau() {
  double lowest = std::numeric_limits<double>::infinity(), factor = 1;
  return [=](std::int64_t, double rate, const EpochLog* last) mutable {
    if (last != nullptr) {
      const double loss = last->val_loss.value_or(last->loss);
      if (loss < lowest - 0.02) {
        lowest = loss;
      } else {
        factor /= 2;
      }
    }
    return rate * factor;
  };
}

template <class T>
struct Outcome {
  TrainingState<T> state;  // of the last epoch
  History history;
  std::vector<T> parameters;  // at the end of fit(), and after another one
  std::int64_t epochs_trained;
};

template <class T>
using MakeOptions = std::function<FitOptions<T>()>;

template <class T>
Outcome<T> train(const RowSource<T>& X, const RowSource<T>& y, const OptimizerOptions& how,
                 const MakeOptions<T>& make_options, const TrainingState<T>* resume) {
  Network<T> net = network<T>(resume == nullptr ? 7 : 8);  // a resumed run gets its seed back
  Optimizer optimizer(how);
  Outcome<T> out;
  FitOptions<T> options = make_options();
  options.resume = resume;
  options.on_checkpoint = [&](const TrainingState<T>& state) { out.state = state; };
  out.history = net.fit(X, y, optimizer, options);
  out.parameters.assign(net.parameters(), net.parameters() + net.n_parameters());
  out.epochs_trained = net.epochs_trained();
  FitOptions<T> two;
  two.epochs = 2;
  net.fit(X, y, optimizer, two);
  out.parameters.insert(out.parameters.end(), net.parameters(),
                        net.parameters() + net.n_parameters());
  return out;
}

template <class T>
std::string bytes_of(const TrainingState<T>& state) {
  std::string all;
  io_detail::write_parts(state, [&](const void* data, std::size_t size) {
    all.append(static_cast<const char*>(data), size);
  });
  return all;
}

/// Stores the state after every epoch in a file and resumes from each.
template <class T>
void compare(const RowSource<T>& X, const RowSource<T>& y, const OptimizerOptions& how,
             const MakeOptions<T>& make_options) {
  const Folder folder;
  std::vector<fs::path> files;
  const Outcome<T> whole = train<T>(X, y, how, make_options, nullptr);
  Network<T> net = network<T>();
  FitOptions<T> options = make_options();
  options.on_checkpoint = [&](const TrainingState<T>& state) {
    files.push_back(folder / std::to_string(files.size()).c_str());
    save_checkpoint(state, files.back());
    CHECK(bytes_of(load_checkpoint<T>(files.back())) == read(files.back()));
    const Network<T> loaded = load<T>(files.back());
    CHECK(same_bits(state.parameters,
                    std::vector<T>(loaded.parameters(), loaded.parameters() + net.n_parameters())));
    CHECK(loaded.epochs_trained() == net.epochs_trained());
  };
  net.fit(X, y, how, options);
  REQUIRE(files.size() == whole.history.loss.size());
  for (const fs::path& file : files) {
    CAPTURE(file);
    const TrainingState<T> state = load_checkpoint<T>(file);
    const Outcome<T> again = train<T>(X, y, how, make_options, &state);
    CHECK(same_bits(again.parameters, whole.parameters));
    CHECK(again.epochs_trained == whole.epochs_trained);
    CHECK(same_bits(again.history.loss, whole.history.loss));
    CHECK(same_bits(again.history.val_loss, whole.history.val_loss));
    CHECK(same_bits(again.history.learning_rate, whole.history.learning_rate));
    CHECK(again.history.stopped_by == whole.history.stopped_by);
    if (file != files.back()) CHECK(bytes_of(again.state) == bytes_of(whole.state));
  }
}

template <class T>
void check_refused(const Problem<T>& p, Network<T>& net, const OptimizerOptions& how,
                   FitOptions<T> options, const TrainingState<T>& state,
                   const std::string& message) {
  CAPTURE(message);
  options.resume = &state;
  Optimizer optimizer(how);
  std::vector<T> before(net.parameters(), net.parameters() + net.n_parameters());
  const std::int64_t epochs = net.epochs_trained();
  CHECK_THROWS_WITH_AS(net.fit(p.X.cview(), p.y.cview(), optimizer, options),
                       doctest::Contains(message.c_str()), std::invalid_argument);
  CHECK(same_bits(before, std::vector<T>(net.parameters(), net.parameters() + before.size())));
  CHECK(net.epochs_trained() == epochs);
  CHECK(optimizer.state().steps == 0);
}

}  // namespace

TEST_CASE_TEMPLATE("every optimizer resumes to the same bits", T, float, double) {
  const Problem<T> p;
  for (const OptimizerOptions& how : all_optimizers()) {
    compare<T>(p.X.cview(), p.y.cview(), how, [&] { return seven_epochs<T>(); });
  }
}

TEST_CASE("every option resumes to the same bits") {
  const Problem<float> p;
  const RowSource<float> X = p.X.cview(), y = p.y.cview();
  const auto change = [&](const std::function<void(FitOptions<float>&)>& set) {
    compare<float>(X, y, AdamOptions{}, [&] {
      FitOptions<float> options = seven_epochs<float>();
      set(options);
      return options;
    });
  };
  const ValidationData<float> opposite{p.X.cview(), p.opposite.cview()};
  change([](auto& options) { options.shuffle = false; });
  change([](auto& options) { options.dropout = {0.25, 0}; });
  change([](auto& options) { options.seed = ~std::uint64_t(0); });
  change([&](auto& options) { options.sample_weight = p.weight.data(); });
  change([&](auto& options) { options.validation = opposite; });
  change([&](auto& options) { options.schedule = plateau(); });
  change([&](auto& options) {
    options.on_epoch = [](const EpochLog& log) { return log.epoch == 4; };
  });
  change([&](auto& options) {
    options.validation = opposite;
    options.early_stopping = EarlyStopping{3, 0.01};
    options.schedule = plateau();
    options.dropout = {0.1, 0.1};
    options.sample_weight = p.weight.data();
  });
}

TEST_CASE("a run on sparse rows resumes to the same bits") {
  std::vector<std::int64_t> indptr{0}, indices;
  std::vector<double> values;
  const Problem<double> p;
  for (std::ptrdiff_t i = 0; i < kRows; ++i) {
    for (std::ptrdiff_t j = i % 2; j < kFeatures; j += 2) {
      indices.push_back(j);
      values.push_back(p.X.cview()(i, j));
    }
    indptr.push_back(static_cast<std::int64_t>(values.size()));
  }
  const CsrView<double> X{kRows,         kFeatures,
                          values.data(), indices.data(),
                          indptr.data(), static_cast<std::ptrdiff_t>(values.size())};
  compare<double>(X, p.y.cview(), AdamOptions{}, [] { return seven_epochs<double>(); });
}

TEST_CASE("a finished run returns at once, unless it gets more epochs or patience") {
  const Problem<float> p;
  FitOptions<float> options = seven_epochs<float>();
  options.epochs = 20;
  options.validation = ValidationData<float>{p.X.cview(), p.opposite.cview()};
  TrainingState<float> state;
  options.on_checkpoint = [&](const auto& now) { state = now; };
  options.early_stopping = EarlyStopping{2};
  Network<float> net = network<float>(), again = network<float>(), more = network<float>();
  again.parameters()[0] += 1;
  const History ended = net.fit(p.X.cview(), p.y.cview(), AdamOptions{}, options);
  CHECK(ended.stopped_by == StoppedBy::kEarlyStopping);
  const TrainingState<float> kept = state;
  options.resume = &kept;
  options.on_epoch = [](const EpochLog&) -> bool { throw std::logic_error("not at once"); };
  const History same = again.fit(p.X.cview(), p.y.cview(), AdamOptions{}, options);
  CHECK(same.stopped_by == StoppedBy::kEarlyStopping);
  CHECK(same_bits(same.val_loss, ended.val_loss));
  const auto n = static_cast<std::size_t>(net.n_parameters()) * sizeof(float);
  CHECK(std::memcmp(again.parameters(), net.parameters(), n) == 0);
  CHECK(again.epochs_trained() == net.epochs_trained());

  options.on_epoch = nullptr;
  options.early_stopping->patience = 5;
  const History longer = again.fit(p.X.cview(), p.y.cview(), AdamOptions{}, options);
  options.resume = nullptr;
  const History once = more.fit(p.X.cview(), p.y.cview(), AdamOptions{}, options);
  CHECK(longer.loss.size() > ended.loss.size());
  CHECK(same_bits(longer.val_loss, once.val_loss));
  CHECK(std::memcmp(again.parameters(), more.parameters(), n) == 0);
}

TEST_CASE("the rate that a callback has set is kept") {
  const Problem<float> p;
  TrainingState<float> third;
  const auto run = [&](const TrainingState<float>* resume) {
    Optimizer sgd(SgdOptions{0.1});
    FitOptions<float> options = seven_epochs<float>();
    options.on_epoch = [&](const EpochLog&) {
      sgd.set_learning_rate(sgd.learning_rate() / 2);
      return false;
    };
    options.on_checkpoint = [&](const TrainingState<float>& state) {
      if (state.history.loss.size() == 3) third = state;
    };
    options.resume = resume;
    const History history = network<float>().fit(p.X.cview(), p.y.cview(), sgd, options);
    CHECK(sgd.learning_rate() == 0.1 / 128);
    return history;
  };
  const History whole = run(nullptr);
  const TrainingState<float> state = third;
  CHECK(same_bits(run(&state).loss, whole.loss));
}

TEST_CASE("every says how often the state is given, and the last epoch always is") {
  const Problem<float> p;
  FitOptions<float> options = seven_epochs<float>();
  std::vector<std::size_t> seen;
  options.every = 3;
  options.on_checkpoint = [&](const auto& state) { seen.push_back(state.history.loss.size()); };
  Network<float> net = network<float>();
  net.fit(p.X.cview(), p.y.cview(), AdamOptions{}, options);
  CHECK(seen == std::vector<std::size_t>{3, 6, 7});
  options.on_epoch = [](const EpochLog& log) { return log.epoch == 3; };
  net.fit(p.X.cview(), p.y.cview(), AdamOptions{}, options);
  CHECK(seen == std::vector<std::size_t>{3, 6, 7, 3, 4});
  options.every = 0;
  CHECK_THROWS_AS(net.fit(p.X.cview(), p.y.cview(), AdamOptions{}, options), std::invalid_argument);
}

TEST_CASE("what would give another result is refused and changes nothing") {
  const Problem<float> p;
  const FitOptions<float> options = seven_epochs<float>();
  TrainingState<float> state;
  Network<float> net = network<float>(), other({kFeatures, 6, 1});
  const auto trained = [&](FitOptions<float> how) {
    how.on_checkpoint = [&](const auto& now) { state = now; };
    network<float>().fit(p.X.cview(), p.y.cview(), AdamOptions{}, how);
    return state;
  };
  const TrainingState<float> plain = trained(options);
  const auto refused = [&](const char* message, const std::function<void(FitOptions<float>&)>& set,
                           const TrainingState<float>& from) {
    FitOptions<float> changed = options;
    set(changed);
    check_refused(p, net, AdamOptions{}, changed, from, message);
  };
  check_refused(p, other, AdamOptions{}, options, plain,
                "fit: layers is [5, 6, 1] here and [5, 6, 4, 1] in the checkpoint");
  check_refused(p, net, SgdOptions{}, options, plain, "optimizer is SGD here and Adam in");
  AdamOptions beta;
  beta.beta_2 = 0.5;
  check_refused(p, net, beta, options, plain, "optimizer's beta_2 is 0.5 here and 0.999 in");
  refused("batch_size is 8 here and 16", [](auto& o) { o.batch_size = 8; }, plain);
  refused("shuffle is not set here and set", [](auto& o) { o.shuffle = false; }, plain);
  refused("dropout is [0.5, 0.5] here and [] in", [](auto& o) { o.dropout = {0.5, 0.5}; }, plain);
  refused("seed is 8 here and 7 in", [](auto& o) { o.seed = 8; }, plain);
  refused("sample_weight is set here", [&](auto& o) { o.sample_weight = p.weight.data(); }, plain);
  refused("schedule is set here and not set", [](auto& o) { o.schedule = plateau(); }, plain);
  refused("epochs is 6 and the checkpoint has 7", [](auto& o) { o.epochs = 6; }, plain);
  const auto validate = [&](auto& o) {
    o.validation = ValidationData<float>{p.X.cview(), p.opposite.cview()};
  };
  refused("validation is set here and not set", validate, plain);
  FitOptions<float> stopping = options;
  validate(stopping);
  stopping.early_stopping = EarlyStopping{4};
  const TrainingState<float> stopped = trained(stopping);
  refused("early_stopping is not set here and set in", validate, stopped);
  refused(
      "would have ended the training after",
      [&](auto& o) {
        validate(o);
        o.early_stopping = EarlyStopping{1};
      },
      stopped);
  FitOptions<float> scheduled = options;
  scheduled.schedule = plateau();
  const TrainingState<float> with_schedule = trained(scheduled);
  refused("schedule is not set here and set", [](auto&) {}, with_schedule);
  refused(
      "schedule gave 0.0005 as the learning rate of epoch 0",
      [](auto& o) {
        o.schedule = [](std::int64_t, double rate, const EpochLog*) { return rate / 2; };
      },
      with_schedule);
  TrainingState<float> wrong = plain;
  wrong.vectors[1].clear();
  refused("the vectors of resume do not have the sizes", [](auto&) {}, wrong);
  wrong = plain;
  wrong.parameters.pop_back();
  refused("the vectors of resume do not have the sizes", [](auto&) {}, wrong);
  wrong = plain;
  wrong.learning_rate = -1;
  refused("learning_rate of resume is -1", [](auto&) {}, wrong);
  wrong = plain;
  wrong.beta_1_power = 2;
  refused("beta_1^steps is 2", [](auto&) {}, wrong);
}

TEST_CASE("load_checkpoint refuses files that have no state for C++") {
  const Folder folder;
  const fs::path path = folder / "file";
  save(network<float>(), path);
  CHECK_THROWS_WITH_AS(load_checkpoint<float>(path), doctest::Contains("it holds only a network"),
                       FileError);
  CHECK_THROWS_WITH_AS(load_checkpoint<float>(folder / "none"),
                       doctest::Contains("load_checkpoint: "), FileError);
  const Problem<float> p;
  FitOptions<float> options = seven_epochs<float>();
  options.on_checkpoint = [&](const auto& state) { save_checkpoint(state, path); };
  network<float>().fit(p.X.cview(), p.y.cview(), AdamOptions{}, options);
  std::string bytes = read(path);
  const std::size_t at = bytes.find("\\\"Adam\\\"");
  REQUIRE(at != std::string::npos);
  write(path, bytes.replace(at, 8, "\\\"LBFG\\\""));
  CHECK_THROWS_WITH_AS(load_checkpoint<float>(path),
                       doctest::Contains("its optimizer is 'LBFG', which does not exist in C++"),
                       FileError);
  CHECK(load<float>(path).epochs_trained() == 7);
  TrainingState<float> state;
  options.on_checkpoint = [&](const auto& now) { state = now; };
  network<float>().fit(p.X.cview(), p.y.cview(), AdamOptions{}, options);
  state.history.loss.resize(2);
  CHECK_THROWS_AS(save_checkpoint(state, path), FileError);
  CHECK_THROWS_AS(save_checkpoint(TrainingState<float>(), path), FileError);
}

TEST_CASE("a checkpoint has Python's bytes, and Python's resumes to Python's bits") {
  std::vector<float> x(800), t(200);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
  for (std::size_t i = 0; i < t.size(); ++i) t[i] = x[4 * i] > x[4 * i + 1] ? 1.0f : 0.0f;
  const MatrixView<const float> X(x.data(), 200, 4), y(t.data(), 200, 1);
  FitOptions<float> options;
  options.epochs = 9;
  options.batch_size = 16;
  options.dropout = {0.1, 0.0};
  options.validation = ValidationData<float>{X.row_block(0, 50), y.row_block(0, 50)};
  options.early_stopping = EarlyStopping{3, 1e-4};
  options.schedule = [](std::int64_t epoch, double rate, const EpochLog*) {
    return rate / std::sqrt(1.0 + static_cast<double>(epoch));
  };
  AdamOptions adam;
  adam.weight_decay = 0.01;
  adam.decoupled = true;
  TrainingState<float> fourth, last;
  options.on_checkpoint = [&](const TrainingState<float>& state) {
    if (state.history.loss.size() == 4) fourth = state;
    last = state;
  };
  Network<float> net({4, 9, 7, 1}, {Activation::kGelu, Activation::kTanh});
  net.initialize(3);
  net.fit(X, y, adam, options);
  const fs::path data = FASTMLP_TEST_DATA;
  CHECK(bytes_of(fourth) == read(data / "checkpoint-4.safetensors"));
  CHECK(bytes_of(last) == read(data / "checkpoint-9.safetensors"));
  const auto python = load_checkpoint<float>(data / "checkpoint-4.safetensors");
  options.resume = &python;
  net.fit(X, y, adam, options);
  CHECK(bytes_of(last) == read(data / "checkpoint-9.safetensors"));
}
