// save_checkpoint() and load_checkpoint(): the state of a training run in a file, the same file as
// that of Python's `fit(checkpoint=...)`. Like io.hpp, it needs the target fastmlp::io.
#pragma once

#include <fastmlp/fit.hpp>
#include <fastmlp/io_detail.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <istream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace fastmlp {
namespace io_detail {

/// The numbers of the tensor `training.optimizer`.
inline std::vector<double> numbers_of(const TrainingRecord& s) {
  std::vector<double> numbers;
  for (const auto& item : hyper_parameters(s.optimizer)) numbers.push_back(item.second);
  numbers.insert(numbers.end(), {s.learning_rate, s.beta_1_power, s.beta_2_power});
  return numbers;
}

/// If `name` is that of these Options, reads them from `numbers` and returns true.
template <class Options>
bool choose(const std::string& name, const std::vector<double>& numbers, OptimizerOptions& chosen) {
  if (name != Options::kName) return false;
  Options options;
  std::size_t i = 0;
  Options::visit(options, [&](const char*, auto& value, auto...) {
    if (i < numbers.size()) value = static_cast<std::decay_t<decltype(value)>>(numbers[i++]);
  });
  chosen = options;
  return true;
}

template <class... Options>
OptimizerOptions optimizer_of(const std::string& name, const std::vector<double>& numbers,
                              const std::variant<Options...>&) {
  OptimizerOptions chosen;
  if (!(choose<Options>(name, numbers, chosen) || ...)) {
    refuse("its optimizer is '", name.substr(0, 80), "', which does not exist in C++");
  }
  return chosen;
}

template <class T>
Training training_of(const TrainingState<T>& s) {
  Training t;
  t.batch_size = static_cast<std::uint64_t>(s.batch_size);
  t.epochs = s.history.loss.size();
  t.first_epoch = static_cast<std::uint64_t>(s.first_epoch);
  t.numbers = numbers_of(s).size();
  t.rows = static_cast<std::uint64_t>(s.rows);
  t.seed = s.seed;
  t.steps = static_cast<std::uint64_t>(s.steps);
  for (const std::vector<T>& vector : s.vectors) t.vectors += !vector.empty();
  t.dropout = !s.dropout.empty();
  t.early_stopping = s.early_stopping;
  t.sample_weight = s.sample_weight;
  t.schedule = s.schedule;
  t.shuffle = s.shuffle;
  t.standardize = s.standardize;
  t.validation = s.validation;
  t.optimizer = std::visit([](const auto& o) { return std::string(o.kName); }, s.optimizer);
  t.stopped_by = kEndings[static_cast<std::size_t>(s.history.stopped_by)];
  return t;
}

/// A state with these settings, in which the vectors have their sizes.
template <class T>
TrainingState<T> state_of(const Settings& settings, const Training& t) {
  if (t.own_loss) refuse("its run has a loss of the user's own, which only Python's fit has");
  TrainingState<T> s;
  s.layers = settings.layers;
  s.hidden = settings.hidden;
  s.output = settings.output;
  s.network_seed = settings.seed;
  s.epochs_trained = settings.epochs_trained;
  if (settings.scaling) s.scaling.emplace();
  s.metadata = settings.texts;
  s.parameters.resize(static_cast<std::size_t>(bytes_of(s.layers, sizeof(T))) / sizeof(T));
  s.steps = static_cast<std::int64_t>(t.steps);
  if (t.vectors > std::size(s.vectors)) refuse("its optimizer's state has more than 2 vectors");
  for (std::size_t i = 0; i < t.vectors; ++i) s.vectors[i] = s.parameters;
  s.first_epoch = static_cast<std::int64_t>(t.first_epoch);
  const auto epochs = static_cast<std::size_t>(t.epochs);
  s.history.loss.resize(epochs);
  s.history.learning_rate.resize(epochs);
  if (t.validation) s.history.val_loss.resize(epochs);
  const auto ending = std::find(std::begin(kEndings), std::end(kEndings), t.stopped_by);
  s.history.stopped_by = static_cast<StoppedBy>(ending - std::begin(kEndings));
  if (t.early_stopping) s.best = s.parameters;
  s.rows = static_cast<std::ptrdiff_t>(t.rows);
  s.batch_size = static_cast<std::ptrdiff_t>(t.batch_size);
  s.shuffle = t.shuffle;
  s.standardize = t.standardize;
  s.seed = t.seed;
  if (t.dropout) s.dropout.resize(s.hidden.size());
  s.sample_weight = t.sample_weight;
  s.schedule = t.schedule;
  s.validation = t.validation;
  s.early_stopping = t.early_stopping;
  return s;
}

/// Places the tensors in the state and in `numbers`. Refuses a state whose vectors do not have the
/// sizes of the tensors.
template <class T>
void place_all(Tensors& tensors, TrainingState<T>& s, std::vector<double>& numbers) {
  const auto place = [&](const std::string& name, auto& values) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) return;
    if (values.size() * sizeof(values[0]) != found->second.bytes) {
      refuse("save_checkpoint: the state has ", values.size(), " numbers for ", name,
             "; it must have ", found->second.bytes / sizeof(values[0]));
    }
    found->second.data = values.data();
  };
  place_layers(tensors, s.layers.size() - 1, s.parameters.data());
  place("training.loss", s.history.loss);
  place("training.val_loss", s.history.val_loss);
  place("training.learning_rate", s.history.learning_rate);
  place("training.optimizer", numbers);
  place("training.dropout", s.dropout);
  place("training.best", s.best);
  place("training.optimizer.0", s.vectors[0]);
  place("training.optimizer.1", s.vectors[1]);
}

/// Reads a state from a file of this size, as read() reads a network.
template <class T>
TrainingState<T> read_state(std::istream& file, std::uint64_t size) {
  TrainingState<T> state;
  std::vector<double> numbers, of_loss;
  std::string optimizer;
  Settings known;
  read_file<T>(file, size, [&](const Settings& settings, const auto& training, Tensors& tensors) {
    if (!training) {
      refuse("it holds only a network; read it with load() and leave FitOptions::resume null");
    }
    optimizer = training->optimizer;
    optimizer_of(optimizer, {}, OptimizerOptions());  // refuses one that only Python has
    state = state_of<T>(settings, *training);
    if (state.scaling) place_scaling(settings, tensors, *state.scaling);
    place_loss(settings, tensors, of_loss);
    known = settings;
    numbers.resize(static_cast<std::size_t>(training->numbers));
    place_all(tensors, state, numbers);
  });
  state.loss = loss_of(known, of_loss);
  const Network<T> checked({1, known.layers.back()}, {}, known.output, state.loss);  // or refused
  state.optimizer = optimizer_of(optimizer, numbers, OptimizerOptions());
  const std::size_t expected = numbers_of(state).size();
  if (numbers.size() != expected || state.history.stopped_by > StoppedBy::kCallback) {
    refuse("it has the wrong numbers or the wrong stopped_by for the optimizer ", optimizer);
  }
  state.learning_rate = numbers[expected - 3];
  state.beta_1_power = numbers[expected - 2];
  state.beta_2_power = numbers[expected - 1];
  return state;
}

/// The parts of the file of a state.
template <class T, class Write>
void write_parts(const TrainingState<T>& state, const Write& write) {
  if (state.layers.size() != state.hidden.size() + 2 || state.parameters.empty() ||
      state.parameters.size() * sizeof(T) != bytes_of(state.layers, sizeof(T))) {
    refuse("save_checkpoint: the state has ", state.parameters.size(),
           " parameters; its layers need another number of them");
  }
  const Settings settings{state.layers,
                          state.hidden,
                          state.output,
                          Dtype<T>::kName,
                          state.network_seed,
                          state.epochs_trained,
                          state.scaling.has_value(),
                          state.loss.kind,
                          state.metadata};
  const std::optional<Training> training = training_of(state);
  bytes_of(settings, training, sizeof(T));  // refuses sizes that no file has
  Tensors tensors = tensors_of<T>(settings, training);
  std::vector<double> numbers = numbers_of(state);
  std::optional<Scaling> scaling = state.scaling;
  if (scaling) place_scaling(settings, tensors, *scaling);
  std::vector<double> of_loss = parameters_of(state.loss);
  if (of_loss.size() != loss_parameters(settings)) {
    refuse("save_checkpoint: the state has ", of_loss.size(), " quantiles; its outputs need ",
           loss_parameters(settings));
  }
  place_loss(settings, tensors, of_loss);
  // Places are not const, because read_state() writes to them; here they are only read.
  place_all(tensors, const_cast<TrainingState<T>&>(state), numbers);
  write_tensors(settings, training, tensors, write);
}

}  // namespace io_detail

/// Writes the state that fit() gives to FitOptions::on_checkpoint. As with save(), readers see the
/// old file or the new one. load() reads the network in it.
///
/// ```cpp
/// std::optional<fastmlp::TrainingState<float>> state;
/// if (std::filesystem::exists(path)) state = fastmlp::load_checkpoint<float>(path);
/// options.resume = state ? &*state : nullptr;
/// options.on_checkpoint = [&](const auto& now) { fastmlp::save_checkpoint(now, path); };
/// net.fit(X, y, fastmlp::AdamOptions{}, options);
/// ```
/// \throws FileError if the file cannot be written; an existing file is then unchanged
template <class T>
void save_checkpoint(const TrainingState<T>& state, const std::filesystem::path& path) {
  io_detail::write_to("save_checkpoint", path,
                      [&](const auto& write) { io_detail::write_parts(state, write); });
}

/// Reads a state that save_checkpoint() or Python's `fit` wrote. T must be the dtype of the file.
/// \throws FileError if the file does not exist, is damaged, has another dtype or is of another
/// kind, or if its optimizer exists only in Python
template <class T>
TrainingState<T> load_checkpoint(const std::filesystem::path& path) {
  TrainingState<T> state;
  io_detail::read_from("load_checkpoint", path, "a checkpoint of this type",
                       [&](std::istream& file, std::uint64_t size) {
                         state = io_detail::read_state<T>(file, size);
                       });
  return state;
}

}  // namespace fastmlp
