// TrainingState<T>: what fit() writes into one, what it compares before it goes on from one, and
// how it does so. The past of a schedule and of early stopping is replayed in fit.cpp. Start at
// `check_resume`.
#pragma once

#include "check.hpp"

#include <fastmlp/network.hpp>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

namespace fastmlp::detail {

/// What must be the same when a training goes on. What makes no difference to the result is left
/// out: the seed if nothing is drawn, and a batch size above the number of rows.
template <class T>
TrainingState<T> constants_of(const Network<T>& net, const Optimizer& optimizer,
                              const FitOptions<T>& options, std::ptrdiff_t rows) {
  TrainingState<T> s;
  s.layers = net.layers();
  s.hidden = net.hidden();
  s.output = net.output();
  s.optimizer = optimizer.options();
  s.first_epoch = net.epochs_trained();
  s.rows = rows;
  s.batch_size = std::min(options.batch_size, rows);
  s.shuffle = options.shuffle;
  const bool dropped = std::any_of(options.dropout.begin(), options.dropout.end(),
                                   [](double rate) { return rate > 0; });
  if (dropped) s.dropout = options.dropout;
  if (options.shuffle || dropped) s.seed = options.seed.value_or(net.seed());
  s.sample_weight = options.sample_weight != nullptr;
  s.schedule = static_cast<bool>(options.schedule);
  return s;
}

/// Writes the present state of the network and the optimizer.
template <class T>
void capture(const Network<T>& net, Optimizer& optimizer, TrainingState<T>& s) {
  s.network_seed = net.seed();
  s.parameters.resize(static_cast<std::size_t>(net.n_parameters()));
  s.epochs_trained = net.snapshot(s.parameters.data());
  s.learning_rate = optimizer.learning_rate();
  const Optimizer::State now = optimizer.state();
  s.steps = now.steps;
  s.beta_1_power = now.beta_1_power;
  s.beta_2_power = now.beta_2_power;
  s.vectors.resize(static_cast<std::size_t>(now.count));
  for (std::size_t i = 0; i < s.vectors.size(); ++i) {
    const T* values = static_cast<const T*>(now.vectors[i]);
    s.vectors[i].assign(values, values + now.size);
  }
}

// Values in messages

template <class Value>
std::string told(Value value) {
  return std::to_string(value);
}
inline std::string told(bool set) { return set ? "set" : "not set"; }
inline std::string told(double value) { return digits(value); }
inline std::string told(std::string_view name) { return std::string(name); }
inline std::string told(Activation g) { return told(name_of(g)); }
inline std::string told(Output output) { return told(name_of(output)); }
template <class Value>
std::string told(const std::vector<Value>& values) {
  std::vector<std::string> all;
  for (const Value& value : values) all.push_back(told(value));
  return "[" + join(all) + "]";
}

template <class Value>
void check_same(const std::string& what, const Value& here, const Value& there) {
  if (here == there) return;
  refuse("fit: ", what, " is ", told(here), " here and ", told(there),
         " in the checkpoint; go on with the options of that training, or begin another");
}

template <class T>
void check_sizes(const TrainingState<T>& s, std::size_t parameters, int state_count) {
  bool right = s.parameters.size() == parameters;
  right &= s.vectors.empty() || s.vectors.size() == static_cast<std::size_t>(state_count);
  for (const auto& vector : s.vectors) right &= vector.size() == parameters;
  right &= s.best.empty() || s.best.size() == parameters;
  const History& h = s.history;
  right &= !h.loss.empty() && h.learning_rate.size() == h.loss.size();
  right &= h.val_loss.empty() || h.val_loss.size() == h.loss.size();
  if (!right) refuse("fit: the vectors of resume do not have the sizes that its network needs");
  check_epochs_trained(s.first_epoch);
  check_epochs_trained(s.epochs_trained);
  check_positive("fit", "learning_rate of resume", s.learning_rate);
}

/// Refuses a state from which fit() would not give the result of one training. `here` are the
/// constants of this training.
template <class T>
void check_resume(const TrainingState<T>& here, const FitOptions<T>& options,
                  std::ptrdiff_t n_parameters, int state_count) {
  const TrainingState<T>& there = *options.resume;
  check_same("layers", here.layers, there.layers);
  check_same("hidden", here.hidden, there.hidden);
  check_same("output", here.output, there.output);
  check_same("rows", here.rows, there.rows);
  const auto name = [](const auto& o) { return std::string_view(o.kName); };
  check_same("optimizer", std::visit(name, here.optimizer), std::visit(name, there.optimizer));
  const auto numbers = hyper_parameters(here.optimizer), old = hyper_parameters(there.optimizer);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    check_same("the optimizer's " + std::string(numbers[i].first), numbers[i].second,
               old[i].second);
  }
  check_same("batch_size", here.batch_size, there.batch_size);
  check_same("shuffle", here.shuffle, there.shuffle);
  check_same("dropout", here.dropout, there.dropout);
  check_same("seed", here.seed, there.seed);
  check_same("schedule", here.schedule, there.schedule);
  check_same("sample_weight", here.sample_weight, there.sample_weight);
  check_same("validation", options.validation.has_value(), !there.history.val_loss.empty());
  check_same("early_stopping", options.early_stopping.has_value(), !there.best.empty());
  const auto done = static_cast<std::int64_t>(there.history.loss.size());
  check_same("epochs", options.epochs, std::max(options.epochs, done));
  check_sizes(there, static_cast<std::size_t>(n_parameters), state_count);
}

/// Gives the network and the optimizer the state; changes nothing if it throws.
template <class T>
void apply(Network<T>& net, Optimizer& optimizer, const TrainingState<T>& s) {
  Optimizer::State state;
  state.count = static_cast<int>(s.vectors.size());
  for (int i = 0; i < state.count; ++i) {
    state.size = net.n_parameters();
    state.bytes = sizeof(T);
    state.vectors[i] = const_cast<T*>(s.vectors[static_cast<std::size_t>(i)].data());
  }
  state.steps = s.steps;
  state.beta_1_power = s.beta_1_power;
  state.beta_2_power = s.beta_2_power;
  Optimizer trial(s.optimizer);
  trial.set_state(state);
  net.restore(s.parameters.data(), s.epochs_trained);
  optimizer = std::move(trial);
  if (!s.schedule) optimizer.set_learning_rate(s.learning_rate);
}

}  // namespace fastmlp::detail
