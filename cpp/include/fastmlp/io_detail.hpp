// How io.hpp and io_checkpoint.hpp read and write the file of a network, and of its training if it
// has one; io_safetensors.hpp has the container. docs/file_format.md has the rules. Writing gives
// the same bytes as Python. Start at `read_file` and `write_tensors`.
#pragma once

#include <fastmlp/io_file.hpp>
#include <fastmlp/io_safetensors.hpp>
#include <fastmlp/network.hpp>
#include <fastmlp/options.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <istream>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace fastmlp {

namespace io_detail {

constexpr const char* kTabularKey = "fastmlp_tabular";  // in the metadata of a tabular model

template <class T>
struct Dtype {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>);
  static constexpr const char* kName = sizeof(T) == 4 ? "float32" : "float64";
  static constexpr const char* kTensor = sizeof(T) == 4 ? "F32" : "F64";
};

/// The metadata `fastmlp` of a file.
struct Settings {
  std::vector<std::ptrdiff_t> layers;
  std::vector<Activation> hidden;
  Output output = Output::kSigmoid;
  std::string dtype;
  std::uint64_t seed = 0;
  std::int64_t epochs_trained = 0;
  bool scaling = false;                        // whether the network has one
  std::optional<Loss> loss{};                  // nothing: the output's own
  std::map<std::string, std::string> texts{};  // the other metadata, which are the user's
};

/// The size of the tensor loss.parameters: delta, or the quantiles; 0 without that tensor.
inline std::size_t loss_parameters(const Settings& settings) {
  if (settings.loss == Loss::kHuber) return 1;
  return settings.loss == Loss::kPinball ? static_cast<std::size_t>(settings.layers.back()) : 0;
}

/// Calls see(name, vector, size) for each vector of the scaling that a network has.
template <class AnyScaling, class See>
void visit_scaling(const Settings& settings, AnyScaling& s, const See& see) {
  if (!settings.scaling) return;
  const auto n_in = static_cast<std::size_t>(settings.layers.front());
  see("scaling.input_mean", s.input_mean, n_in);
  see("scaling.input_scale", s.input_scale, n_in);
  if (settings.output != Output::kIdentity) return;
  const auto n_out = static_cast<std::size_t>(settings.layers.back());
  see("scaling.output_mean", s.output_mean, n_out);
  see("scaling.output_scale", s.output_scale, n_out);
}

/// The metadata `fastmlp_training` of a file.
struct Training {
  std::uint64_t format = kFormat;
  std::uint64_t batch_size = 1, epochs = 1, first_epoch = 0, numbers = 1, rows = 1, seed = 0;
  std::uint64_t steps = 0, vectors = 0;
  bool dropout = false, early_stopping = false, sample_weight = false, schedule = false;
  bool shuffle = false, standardize = false, validation = false;
  bool own_loss = false;  // of Python's fit(loss=...); true or left out, and never written here
  std::string optimizer, stopped_by;

  /// Calls see() for each member in the order of the file, and gives it the least and the largest
  /// value of a number.
  template <class Self, class See>
  static void visit(Self& t, const See& see) {
    see("batch_size", t.batch_size, 1, kMost);
    see("dropout", t.dropout);
    see("early_stopping", t.early_stopping);
    see("epochs", t.epochs, 1, kMost);
    see("first_epoch", t.first_epoch, 0, kMost);
    see("format", t.format, kFormat, kFormat);
    see("numbers", t.numbers, 1, kMost);
    see("optimizer", t.optimizer);
    see("rows", t.rows, 1, kMost);
    see("sample_weight", t.sample_weight);
    see("schedule", t.schedule);
    see("seed", t.seed, 0, kMostSeed);
    see("shuffle", t.shuffle);
    see("standardize", t.standardize);
    see("steps", t.steps, 0, kMost);
    see("stopped_by", t.stopped_by);
    see("validation", t.validation);
    see("vectors", t.vectors, 0, kMost);
  }
};

/// The values of `stopped_by`, those of C++ first, in the order of StoppedBy.
constexpr const char* kEndings[] = {"epochs", "early_stopping", "callback", "converged",
                                    "line_search"};

// The tensors

/// The number of bytes of all parameters.
inline std::uint64_t bytes_of(const std::vector<std::ptrdiff_t>& layers, std::uint64_t element) {
  std::uint64_t left = kMost / element;  // more than any file has
  const std::uint64_t most = left;
  for (std::size_t l = 0; l + 1 < layers.size(); ++l) {
    const auto n_in = static_cast<std::uint64_t>(layers[l]);
    const auto n_out = static_cast<std::uint64_t>(layers[l + 1]);
    if (n_in >= left || n_out > left / (n_in + 1)) refuse("its layers are too large for any file");
    left -= (n_in + 1) * n_out;
  }
  return (most - left) * element;
}

/// The number of bytes of all tensors.
inline std::uint64_t bytes_of(const Settings& settings, const std::optional<Training>& training,
                              std::uint64_t element) {
  const std::uint64_t parameters = bytes_of(settings.layers, element);
  std::uint64_t total = parameters;
  const auto add = [&](std::uint64_t count, std::uint64_t bytes) {
    if (count > (kMost - total) / bytes) refuse("its tensors are too large for any file");
    total += count * bytes;
  };
  Scaling none;
  visit_scaling(settings, none, [&](const char*, auto&, std::size_t n) { add(n, sizeof(double)); });
  add(loss_parameters(settings), sizeof(double));
  if (training) {
    add(training->epochs, (training->validation ? 3 : 2) * sizeof(double));
    add(training->numbers, sizeof(double));
    add(training->dropout ? settings.hidden.size() : 0, sizeof(double));
    add(training->vectors, parameters);
    add(training->early_stopping ? 1 : 0, parameters);
  }
  return total;
}

/// Their number, without making them: many layers in a file then allocate nothing.
inline std::uint64_t count_of_tensors(const Settings& settings) {
  std::uint64_t count = 2 * settings.layers.size() - 2 + (loss_parameters(settings) > 0);
  Scaling none;
  visit_scaling(settings, none, [&](const char*, auto&, std::size_t) { ++count; });
  return count;
}

/// The tensors that a file with these settings has. \pre bytes_of() has not refused them
/// Their names begin with `prefix`, those of a training do not.
template <class T>
Tensors tensors_of(const Settings& settings, const std::optional<Training>& training,
                   const std::string& prefix = "") {
  Tensors tensors;
  const char* const own = Dtype<T>::kTensor;
  for (std::size_t l = 0; l + 1 < settings.layers.size(); ++l) {
    const std::string name = prefix + "layers." + std::to_string(l);
    const std::int64_t n_in = settings.layers[l], n_out = settings.layers[l + 1];
    const auto size = static_cast<std::uint64_t>(n_out) * sizeof(T);
    tensors[name + ".weight"] = {own, {n_in, n_out}, size * static_cast<std::uint64_t>(n_in)};
    tensors[name + ".bias"] = {own, {n_out}, size};
  }
  Scaling none;
  visit_scaling(settings, none, [&](const char* name, auto&, std::size_t n) {
    tensors[prefix + name] = doubles(n);
  });
  if (const std::size_t n = loss_parameters(settings)) {
    tensors[prefix + "loss.parameters"] = doubles(n);
  }
  if (!training) return tensors;
  const std::uint64_t bytes = bytes_of(settings.layers, sizeof(T));
  const Tensor parameters{own, {static_cast<std::int64_t>(bytes / sizeof(T))}, bytes};
  tensors["training.loss"] = tensors["training.learning_rate"] = doubles(training->epochs);
  tensors["training.optimizer"] = doubles(training->numbers);
  for (std::uint64_t i = 0; i < training->vectors; ++i) {
    tensors["training.optimizer." + std::to_string(i)] = parameters;
  }
  if (training->validation) tensors["training.val_loss"] = doubles(training->epochs);
  if (training->dropout) tensors["training.dropout"] = doubles(settings.hidden.size());
  if (training->early_stopping) tensors["training.best"] = parameters;
  return tensors;
}

/// Places the tensors of the layers in `parameters`: W_1 b_1 W_2 b_2 ...
template <class T>
void place_layers(Tensors& tensors, std::size_t depth, T* parameters,
                  const std::string& prefix = "") {
  for (std::size_t l = 0; l < depth; ++l) {
    for (const char* part : {".weight", ".bias"}) {
      Tensor& tensor = tensors.at(prefix + "layers." + std::to_string(l) + part);
      tensor.data = parameters;
      const auto elements = static_cast<std::ptrdiff_t>(tensor.bytes / sizeof(T));
      parameters += elements;
    }
  }
}

/// Places the tensors of the scaling in `scaling`, in which the vectors get their sizes.
inline void place_scaling(const Settings& settings, Tensors& tensors, Scaling& scaling,
                          const std::string& prefix = "") {
  visit_scaling(settings, scaling, [&](const char* name, std::vector<double>& part, std::size_t n) {
    part.resize(n);
    tensors.at(prefix + name).data = part.data();
  });
}

/// Places the tensor of the loss in `parameters`, which gets its size.
inline void place_loss(const Settings& settings, Tensors& tensors, std::vector<double>& parameters,
                       const std::string& prefix = "") {
  parameters.resize(loss_parameters(settings));
  if (!parameters.empty()) tensors.at(prefix + "loss.parameters").data = parameters.data();
}

/// The contents of that tensor, and the loss that it belongs to.
inline std::vector<double> parameters_of(const LossOptions& loss) {
  if (loss.kind == Loss::kHuber) return {loss.delta};
  return loss.quantiles;
}
inline LossOptions loss_of(const Settings& settings, const std::vector<double>& parameters) {
  LossOptions loss;
  loss.kind = settings.loss;
  if (loss.kind == Loss::kHuber) loss.delta = parameters[0];
  if (loss.kind == Loss::kPinball) loss.quantiles = parameters;
  return loss;
}

// Reading

/// The settings of a network as JSON. `what` begins the messages.
inline Settings settings_in(const Json& json, const char* what) {
  constexpr std::uint64_t kMostUnits = std::numeric_limits<std::int64_t>::max();
  integer(member(json, "format", what), "format", kFormat, kFormat);
  Settings s;
  for (const Json& n : list(member(json, "layers", what), "layers")) {
    s.layers.push_back(static_cast<std::ptrdiff_t>(integer(n, "layers", 1, kMostUnits)));
  }
  for (const Json& name : list(member(json, "hidden", what), "hidden")) {
    s.hidden.push_back(parse_activation(text(name, "hidden")));
  }
  if (s.layers.size() < 2 || s.hidden.size() != s.layers.size() - 2) {
    refuse("layers has ", s.layers.size(), " entries and hidden has ", s.hidden.size(),
           "; layers must have at least 2, hidden exactly 2 fewer");
  }
  s.output = parse_output(text(member(json, "output", what), "output"));
  s.dtype = text(member(json, "dtype", what), "dtype");
  s.seed = integer(member(json, "seed", what), "seed", 0, kMostSeed);
  s.epochs_trained = static_cast<std::int64_t>(
      integer(member(json, "epochs_trained", what), "epochs_trained", 0, kMost));
  const auto scaling = json.find("scaling");
  s.scaling = scaling != json.end();
  if (s.scaling && *scaling != Json(true))
    refuse("scaling is not true; it must be true or left out");
  const auto loss = json.find("loss");
  if (loss != json.end()) s.loss = parse_loss(text(*loss, "loss"));
  if (json.size() !=
      7 + static_cast<std::size_t>(s.scaling) + static_cast<std::size_t>(s.loss.has_value())) {
    refuse(what, " has a key that format ", kFormat, " does not have");
  }
  return s;
}

/// The settings of the network in a file, and the other metadata.
inline Settings settings_of(const Json& metadata) {
  constexpr const char* kWhat = "the metadata 'fastmlp'";
  const auto found = metadata.find("fastmlp");
  if (found == metadata.end()) {
    if (metadata.find(kTabularKey) != metadata.end()) {
      refuse(
          "it holds a model of fastmlp.tabular; read it with load_tabular() of "
          "fastmlp/tabular.hpp");
    }
    refuse("the metadata has no key 'fastmlp'; this file was not written by fastmlp");
  }
  // A layer adds two values: at least ',1' and ',"elu"', which are 8 bytes.
  Settings s = settings_in(parse(text(*found, kWhat), kWhat, 2, 4), kWhat);
  for (const auto& [key, value] : metadata.items()) {
    if (key == "fastmlp" || key == "fastmlp_training") continue;
    if (key.compare(0, 7, "fastmlp") == 0) {
      refuse("the metadata has the key '", key.substr(0, 80), "', which is not known here");
    }
    s.texts[key] = value.template get<std::string>();
  }
  return s;
}

/// Reads the members of a Training.
struct TrainingReader {
  const Json& json;
  std::size_t& count;  // of members read
  static constexpr const char* kWhat = "the metadata 'fastmlp_training'";

  const Json& next(const char* name) const {
    ++count;
    return member(json, name, kWhat);
  }
  void operator()(const char* name, std::uint64_t& value, std::uint64_t least,
                  std::uint64_t most) const {
    value = integer(next(name), name, least, most);
  }
  void operator()(const char* name, bool& value) const {
    const Json& found = next(name);
    if (!found.is_boolean()) {
      refuse(name, " is ", found.dump().substr(0, 80), "; it must be true or false");
    }
    value = found.get<bool>();
  }
  void operator()(const char* name, std::string& value) const { value = text(next(name), name); }
};

/// The settings of the training run; nothing if the file holds only a network.
inline std::optional<Training> training_of(const Json& metadata, std::size_t n_hidden) {
  const auto found = metadata.find("fastmlp_training");
  if (found == metadata.end()) return std::nullopt;
  constexpr const char* kWhat = TrainingReader::kWhat;
  const Json json = parse(text(*found, kWhat), kWhat, 1, 4);
  Training training;
  std::size_t count = 0;
  Training::visit(training, TrainingReader{json, count});
  const auto own_loss = json.find("own_loss");
  training.own_loss = own_loss != json.end();
  if (training.own_loss && *own_loss != Json(true)) {
    refuse("own_loss is not true; it must be true or left out");
  }
  if (json.size() != count + static_cast<std::size_t>(training.own_loss)) {
    refuse(kWhat, " has a key that format ", kFormat, " does not have");
  }
  if (std::count(std::begin(kEndings), std::end(kEndings), training.stopped_by) == 0) {
    std::string known;
    for (const char* ending : kEndings) known.append(known.empty() ? "" : ", ").append(ending);
    refuse("stopped_by is '", training.stopped_by.substr(0, 80), "'; it must be one of ", known);
  }
  if (training.dropout && n_hidden == 0) refuse("dropout is true without hidden layers");
  return training;
}

template <class T>
void check_dtype(const Settings& settings) {
  if (settings.dtype != Dtype<T>::kName) {
    refuse("its dtype is '", settings.dtype.substr(0, 80), "' and a network of ", Dtype<T>::kName,
           " was asked for");
  }
}

/// Reads a file of a network. `size` is that of a regular file; that of a pipe or a device is
/// kUnknown. Before the tensors are read, place(settings, training, tensors) makes room for them.
template <class T, class Place>
void read_file(std::istream& file, std::uint64_t size, const Place& place) {
  const Json header = read_header(file, size);
  const Json& metadata = metadata_of(header);
  const Settings settings = settings_of(metadata);
  const std::optional<Training> training = training_of(metadata, settings.hidden.size());
  check_dtype<T>(settings);
  const std::uint64_t bytes = bytes_of(settings, training, sizeof(T));
  if (size != kUnknown && size != bytes) {
    refuse("its tensors have ", size, " bytes; ",
           training ? "by its metadata they must have " : "layers of these sizes have ", bytes);
  }
  std::uint64_t count = count_of_tensors(settings);
  if (training) {
    count +=
        3 + training->vectors + training->dropout + training->early_stopping + training->validation;
  }
  if (header.size() - 1 != count) {
    refuse("the file has ", header.size() - 1, " tensors; ",
           training ? "by its metadata it must have " : "its layers have ", count);
  }
  Tensors tensors = tensors_of<T>(settings, training);
  read_tensors(file, size, header, tensors, [&] { place(settings, training, tensors); });
}

/// A network that is being read: the constructor makes room for its tensors.
template <class T>
class NetworkReader {
 public:
  NetworkReader(const Settings& settings, Tensors& tensors, const std::string& prefix = "")
      : settings_(settings), net_(settings.layers, settings.hidden, settings.output) {
    place_layers(tensors, settings.hidden.size() + 1, net_.parameters(), prefix);
    if (settings.scaling) place_scaling(settings, tensors, scaling_.emplace(), prefix);
    place_loss(settings, tensors, loss_, prefix);
  }

  /// \pre the tensors have been read
  Network<T> finish() {
    if (settings_.loss) {  // its numbers have come with the tensors
      Network<T> made(settings_.layers, settings_.hidden, settings_.output,
                      loss_of(settings_, loss_));
      made.restore(net_.parameters(), 0);
      net_ = std::move(made);
    }
    net_.set_seed(settings_.seed);
    net_.set_epochs_trained(settings_.epochs_trained);
    net_.metadata() = std::move(settings_.texts);
    if (scaling_) net_.set_scaling(std::move(scaling_));
    return std::move(net_);
  }

 private:
  Settings settings_;
  Network<T> net_;
  std::optional<Scaling> scaling_;
  std::vector<double> loss_;
};

/// Reads a network.
template <class T>
Network<T> read(std::istream& file, std::uint64_t size) {
  std::optional<NetworkReader<T>> reader;
  read_file<T>(file, size, [&](const Settings& settings, const auto&, Tensors& tensors) {
    reader.emplace(settings, tensors);
  });
  return reader->finish();  // NOLINT(bugprone-unchecked-optional-access): read, or thrown
}

// Writing

/// The metadata as Python's json.dumps(..., sort_keys=True) writes it. No name needs an escape.
inline std::string text_of(const Settings& s) {
  std::string hidden, layers;
  for (const Activation g : s.hidden) {
    hidden.append(hidden.empty() ? "\"" : ", \"").append(name_of(g)).append("\"");
  }
  for (const std::ptrdiff_t n : s.layers) {
    layers.append(layers.empty() ? "" : ", ").append(std::to_string(n));
  }
  return "{\"dtype\": \"" + s.dtype +
         "\", \"epochs_trained\": " + std::to_string(s.epochs_trained) +
         ", \"format\": " + std::to_string(kFormat) + ", \"hidden\": [" + hidden +
         "], \"layers\": [" + layers + "]" +
         (s.loss ? ", \"loss\": \"" + std::string(name_of(*s.loss)) + "\"" : "") +
         ", \"output\": \"" + std::string(name_of(s.output)) + "\"" +
         (s.scaling ? ", \"scaling\": true" : "") + ", \"seed\": " + std::to_string(s.seed) + "}";
}

inline std::string text_of(const Training& training) {
  std::string all;
  Training::visit(training, [&](const char* name, const auto& value, auto...) {
    all.append(all.empty() ? "{\"" : ", \"").append(name).append("\": ");
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) {
      all.append("\"").append(value).append("\"");
    } else if constexpr (std::is_same_v<std::decay_t<decltype(value)>, bool>) {
      all.append(value ? "true" : "false");
    } else {
      all.append(std::to_string(value));
    }
  });
  return all + "}";
}

/// A string in JSON, with escapes for all that is not ASCII, as Python writes it.
inline std::string ascii(const std::string& text) {
  try {
    return Json(text).dump(-1, ' ', true);
  } catch (const Json::exception&) {
    refuse("save: the metadata has a text that is not UTF-8: ", text.substr(0, 80));
  }
}

/// Everything before the tensors, which follow in the order of the map.
inline std::string header_of(const Settings& settings, const std::optional<Training>& training,
                             const Tensors& tensors) {
  // Not by Json, which would sort the keys: Python writes dtype, shape, data_offsets in this order.
  std::map<std::string, std::string> metadata = settings.texts;
  for (const auto& item : metadata) {
    if (item.first.compare(0, 7, "fastmlp") == 0) {
      refuse("save: the key '", item.first.substr(0, 80),
             "' of the metadata begins with 'fastmlp', which is reserved for the library");
    }
  }
  metadata["fastmlp"] = text_of(settings);
  if (training) metadata["fastmlp_training"] = text_of(*training);
  if (metadata.size() > kMostMetadata) {
    refuse("save: the metadata has ", metadata.size(), " entries; at most ", kMostMetadata,
           " are allowed");
  }
  std::string text = "{\"__metadata__\":{";
  for (const auto& [key, value] : metadata) {
    text.append(text.back() == '{' ? "" : ",").append(ascii(key)).append(":").append(ascii(value));
  }
  text += '}';
  std::uint64_t begin = 0;
  for (const auto& [name, tensor] : tensors) {
    text.append(",\"")
        .append(name)
        .append("\":{\"dtype\":\"")
        .append(tensor.dtype)
        .append("\",\"shape\":[");
    for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
      text.append(i > 0 ? "," : "").append(std::to_string(tensor.shape[i]));
    }
    text.append("],\"data_offsets\":[").append(std::to_string(begin)).append(",");
    begin += tensor.bytes;
    text.append(std::to_string(begin)).append("]}");
  }
  text.append("}");
  text.append((8 - text.size() % 8) % 8, ' ');  // aligns the tensors to 8 bytes
  if (text.size() > kMostHeader) {
    refuse("save: the network has so many layers or so much metadata that the header would have ",
           text.size(), " bytes; at most ", kMostHeader, " can be read back");
  }
  std::uint64_t size = text.size();
  std::string bytes(sizeof size, '\0');
  std::memcpy(bytes.data(), &size, sizeof size);
  return bytes + text;
}

/// Gives the parts of a file to write(data, bytes), each in its turn.
template <class Write>
void write_tensors(const Settings& settings, const std::optional<Training>& training,
                   const Tensors& tensors, const Write& write) {
  const std::string header = header_of(settings, training, tensors);
  write(header.data(), header.size());
  for (const auto& item : tensors) {
    write(item.second.data, static_cast<std::size_t>(item.second.bytes));
  }
}

/// The parts of the file of a network.
template <class T, class Write>
void write_parts(const Network<T>& net, const Write& write) {
  std::vector<T> parameters(static_cast<std::size_t>(net.n_parameters()));
  Settings settings{net.layers(), net.hidden(), net.output(), Dtype<T>::kName, net.seed(), 0};
  settings.epochs_trained = net.snapshot(parameters.data());
  std::optional<Scaling> scaling = net.scaling();
  settings.scaling = scaling.has_value();
  settings.texts = net.metadata();
  settings.loss = net.loss_options().kind;
  std::vector<double> of_loss = parameters_of(net.loss_options());
  Tensors tensors = tensors_of<T>(settings, std::nullopt);
  if (scaling) place_scaling(settings, tensors, *scaling);
  place_loss(settings, tensors, of_loss);
  place_layers(tensors, settings.hidden.size() + 1, parameters.data());
  write_tensors(settings, std::nullopt, tensors, write);
}

}  // namespace io_detail
}  // namespace fastmlp
