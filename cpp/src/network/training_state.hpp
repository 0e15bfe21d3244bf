// TrainingState<T>: how fit() fills one, checks one before it resumes, and applies it. fit.cpp
// replays the schedule and early stopping. Start at `check_resume`.
#pragma once

#include "check.hpp"

#include <fastmlp/network.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace fastmlp::detail {

/// The seed of the shuffling and the dropout. A resumed run takes that of its checkpoint.
template <class T>
std::uint64_t seed_of(const Network<T>& net, const FitOptions<T>& options) {
  return options.seed.value_or(options.resume != nullptr ? options.resume->seed : net.seed());
}

/// Sets what must be the same in a resumed run. Settings without effect get one fixed value: the
/// seed is 0 if nothing is drawn, and batch_size is at most the number of rows.
template <class T>
void set_constants(const Network<T>& net, const Optimizer& optimizer, const FitOptions<T>& options,
                   std::ptrdiff_t rows, TrainingRecord& r) {
  r.layers = net.layers();
  r.hidden = net.hidden();
  r.output = net.output();
  r.loss = net.loss_options();
  r.optimizer = optimizer.options();
  r.first_epoch = net.epochs_trained();
  r.rows = rows;
  r.batch_size = std::min(options.batch_size, rows);
  r.shuffle = options.shuffle;
  for (const double rate : options.dropout) {
    if (rate > 0) r.dropout = options.dropout;
  }
  if (r.shuffle || !r.dropout.empty()) r.seed = seed_of(net, options);
  r.sample_weight = options.sample_weight != nullptr;
  r.schedule = static_cast<bool>(options.schedule);
  r.validation = options.validation.has_value();
  r.early_stopping = options.early_stopping.has_value();
  r.standardize = options.standardize;
}

/// Writes the present state of the network and the optimizer.
template <class T>
void capture(const Network<T>& net, Optimizer& optimizer, TrainingState<T>& s) {
  s.network_seed = net.seed();
  s.scaling = net.scaling();
  s.metadata = net.metadata();
  s.parameters.resize(static_cast<std::size_t>(net.n_parameters()));
  s.epochs_trained = net.snapshot(s.parameters.data());
  s.learning_rate = optimizer.learning_rate();
  const Optimizer::State now = optimizer.state();
  s.steps = now.steps;
  s.beta_1_power = now.beta_1_power;
  s.beta_2_power = now.beta_2_power;
  for (int i = 0; i < now.count; ++i) {
    const T* const values = static_cast<const T*>(now.vectors[i]);
    s.vectors[i].assign(values, values + now.size);
  }
}

/// What must be the same, by name, as in messages.
inline std::vector<std::pair<std::string, std::string>> described(const TrainingRecord& r) {
  std::vector<std::pair<std::string, std::string>> all;
  const auto add = [&](std::string_view name, std::string_view value) {
    all.emplace_back(name, value);
  };
  const auto add_list = [&](const char* name, const auto& values, const auto& text_of) {
    std::vector<std::string> texts;
    texts.reserve(values.size());
    for (const auto& value : values) texts.emplace_back(text_of(value));
    add(name, "[" + join(texts) + "]");
  };
  const auto number = [](auto n) { return std::to_string(n); };
  const auto add_flag = [&](const char* name, bool is_set) {
    add(name, is_set ? "set" : "not set");
  };
  add_list("layers", r.layers, number);
  add_list("hidden", r.hidden, [](Activation g) { return name_of(g); });
  add("output", name_of(r.output));
  add("loss", r.loss.kind ? name_of(*r.loss.kind) : "the output's own");
  add("delta", digits(r.loss.delta));
  add_list("quantiles", r.loss.quantiles, digits<double>);
  add("rows", number(r.rows));
  add("batch_size", number(r.batch_size));
  add_flag("shuffle", r.shuffle);
  add_list("dropout", r.dropout, digits<double>);
  add("seed", number(r.seed));
  add_flag("schedule", r.schedule);
  add_flag("sample_weight", r.sample_weight);
  add_flag("validation", r.validation);
  add_flag("early_stopping", r.early_stopping);
  add_flag("standardize", r.standardize);
  add("optimizer", std::visit([](const auto& o) { return o.kName; }, r.optimizer));
  for (const auto& [name, value] : hyper_parameters(r.optimizer)) {
    add("the optimizer's " + std::string(name), digits(value));
  }
  return all;
}

/// Refuses a state from which fit() would not give the result of an uninterrupted run. `here` has
/// the settings of this call, `there` the state.
inline void check_resume(const TrainingRecord& here, const TrainingRecord& there,
                         std::int64_t epochs) {
  const auto ours = described(here), theirs = described(there);
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (ours[i] == theirs[i]) continue;
    refuse("fit: ", ours[i].first, " is ", ours[i].second, " here and ", theirs[i].second,
           " in the checkpoint; resume with the options of that run, or start a new run");
  }
  const History& h = there.history;
  const std::size_t done = h.loss.size();
  if (epochs < static_cast<std::int64_t>(done)) {
    refuse("fit: epochs is ", epochs, " and the checkpoint has ", done, "; give at least as many");
  }
  if (done == 0 || h.learning_rate.size() != done ||
      h.val_loss.size() != (there.validation ? done : 0)) {
    refuse("fit: the history of resume does not have an entry for each epoch");
  }
  check_epochs_trained(there.first_epoch);
  check_epochs_trained(there.epochs_trained);
  check_positive("fit", "learning_rate of resume", there.learning_rate);
}

/// Gives the network and the optimizer the state; changes nothing if it throws.
template <class T>
void apply(Network<T>& net, Optimizer& optimizer, const TrainingState<T>& s) {
  Optimizer::State state;
  state.count = optimizer.state_count();
  state.size = s.vectors[0].empty() ? 0 : net.n_parameters();
  state.bytes = sizeof(T);
  for (int i = 0; i < state.count; ++i) state.vectors[i] = const_cast<T*>(s.vectors[i].data());
  state.steps = s.steps;
  state.beta_1_power = s.beta_1_power;
  state.beta_2_power = s.beta_2_power;
  Optimizer trial(s.optimizer);
  trial.set_state(state);
  net.set_scaling(s.scaling);
  net.restore(s.parameters.data(), s.epochs_trained);
  net.set_seed(s.network_seed);
  optimizer = std::move(trial);
  if (!s.schedule) optimizer.set_learning_rate(s.learning_rate);
}

/// Refuses vectors that do not have the sizes that the network and the optimizer need.
template <class T>
void check_vectors(const TrainingState<T>& s, std::size_t parameters, int state_count) {
  bool right = s.parameters.size() == parameters;
  right &= s.best.size() == (s.early_stopping ? parameters : 0);
  const std::size_t first = s.vectors[0].size();
  right &= first == 0 || (state_count > 0 && first == parameters);
  right &= s.vectors[1].size() == (state_count > 1 ? first : 0);
  if (!right) refuse("fit: the vectors of resume do not have the sizes that its network needs");
}

}  // namespace fastmlp::detail
