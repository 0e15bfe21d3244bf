// How io.hpp and io_checkpoint.hpp read and write a safetensors file: 8 bytes with the size of a
// JSON header, the header, the tensors one after another. docs/file_format.md has the rules.
// Reading checks everything that a file says before using it, and allocates at most a small
// multiple of the file's size. Writing gives the same bytes as Python. Start at `read_file` and
// `write_tensors`.
#pragma once

#include <fastmlp/io_file.hpp>
#include <fastmlp/network.hpp>
#include <fastmlp/options.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <istream>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "fastmlp/io.hpp: numbers in a safetensors file are little-endian; this machine's are not"
#endif

namespace fastmlp {

namespace io_detail {

constexpr int kFormat = 1;  // version of the metadata; a reader refuses any that it does not know
constexpr std::uint64_t kMostHeader = 100'000'000;  // bytes; the limit of the safetensors library
constexpr std::size_t kMostMetadata = 100;          // entries
constexpr std::uint64_t kMost = std::uint64_t{1} << 62;  // epochs, steps, bytes and the like
constexpr std::uint64_t kMostSeed = std::numeric_limits<std::uint64_t>::max();

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

struct Tensor {
  const char* dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t bytes;
  void* data = nullptr;  // where it is in memory; null: nowhere
};
using Tensors = std::map<std::string, Tensor>;  // in the order in which a file has them

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

/// The tensors that a file with these settings has. \pre bytes_of() has not refused them
template <class T>
Tensors tensors_of(const Settings& settings, const std::optional<Training>& training) {
  Tensors tensors;
  const char* const own = Dtype<T>::kTensor;
  for (std::size_t l = 0; l + 1 < settings.layers.size(); ++l) {
    const std::string name = "layers." + std::to_string(l);
    const std::int64_t n_in = settings.layers[l], n_out = settings.layers[l + 1];
    const auto size = static_cast<std::uint64_t>(n_out) * sizeof(T);
    tensors[name + ".weight"] = {own, {n_in, n_out}, size * static_cast<std::uint64_t>(n_in)};
    tensors[name + ".bias"] = {own, {n_out}, size};
  }
  const auto doubles = [](std::uint64_t n) {
    return Tensor{"F64", {static_cast<std::int64_t>(n)}, n * sizeof(double)};
  };
  Scaling none;
  visit_scaling(settings, none,
                [&](const char* name, auto&, std::size_t n) { tensors[name] = doubles(n); });
  if (const std::size_t n = loss_parameters(settings)) tensors["loss.parameters"] = doubles(n);
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
void place_layers(Tensors& tensors, std::size_t depth, T* parameters) {
  for (std::size_t l = 0; l < depth; ++l) {
    for (const char* part : {".weight", ".bias"}) {
      Tensor& tensor = tensors.at("layers." + std::to_string(l) + part);
      tensor.data = parameters;
      const auto elements = static_cast<std::ptrdiff_t>(tensor.bytes / sizeof(T));
      parameters += elements;
    }
  }
}

/// Places the tensors of the scaling in `scaling`, in which the vectors get their sizes.
inline void place_scaling(const Settings& settings, Tensors& tensors, Scaling& scaling) {
  visit_scaling(settings, scaling, [&](const char* name, std::vector<double>& part, std::size_t n) {
    part.resize(n);
    tensors.at(name).data = part.data();
  });
}

/// Places the tensor of the loss in `parameters`, which gets its size.
inline void place_loss(const Settings& settings, Tensors& tensors,
                       std::vector<double>& parameters) {
  parameters.resize(loss_parameters(settings));
  if (!parameters.empty()) tensors.at("loss.parameters").data = parameters.data();
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

using Json = nlohmann::json;  // a sorted map: finding one of a million names is fast

/// Reads JSON without storing it, to find out whether it is safe to store. It stops if an object
/// has the same name twice, if values are nested deeper than `depth`, or if there are more than
/// `most` values.
class Look : public nlohmann::json_sax<Json> {
 public:
  Look(std::size_t depth, std::uint64_t most) : depth_(depth), left_(most) {}
  const char* wrong() const { return wrong_; }

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(Json::number_integer_t) override { return value(); }
  bool number_unsigned(Json::number_unsigned_t) override { return value(); }
  bool number_float(Json::number_float_t, const std::string&) override { return value(); }
  bool string(std::string&) override { return value(); }
  bool binary(Json::binary_t&) override { return value(); }
  bool start_object(std::size_t) override { return open(); }
  bool start_array(std::size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override {
    return names_.back().insert(name).second || stop("has a name twice");
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return stop("is not JSON");
  }

 private:
  bool stop(const char* wrong) {
    wrong_ = wrong;
    return false;
  }
  bool value() { return left_-- > 0 || stop("has more values than a network needs"); }
  bool open() {
    names_.emplace_back();
    return value() && (names_.size() <= depth_ || stop("is nested too deeply"));
  }
  bool close() {
    names_.pop_back();
    return true;
  }

  std::size_t depth_;
  std::uint64_t left_;
  const char* wrong_ = nullptr;
  std::vector<std::unordered_set<std::string>> names_;  // one set for each open object or array
};

/// Parses a JSON object that has at most 1 value for `spacing` bytes, and 1,000 more. `what` begins
/// the messages.
inline Json parse(const std::string& text, const char* what, std::size_t depth,
                  std::size_t spacing) {
  if (text.empty() || text[0] != '{') refuse(what, " does not begin with '{'");
  if (text.find('\0') != std::string::npos) refuse(what, " is not JSON");
  Look look(depth, 1000 + text.size() / spacing);
  if (!Json::sax_parse(text, &look)) refuse(what, " ", look.wrong());
  return Json::parse(text);
}

inline const Json& member(const Json& object, const char* name, const char* what) {
  const auto found = object.find(name);
  if (found == object.end()) refuse(what, " has no '", name, "'");
  return *found;
}

/// Returns `value` as an integer; refuses one outside [low, high].
inline std::uint64_t integer(const Json& value, const char* name, std::uint64_t low,
                             std::uint64_t high) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() < low ||
      value.get<std::uint64_t>() > high) {
    refuse(name, " is ", value.dump().substr(0, 80), "; it must be an integer in [", low, ", ",
           high, "]");
  }
  return value.get<std::uint64_t>();
}

inline const std::string& text(const Json& value, const char* name) {
  if (!value.is_string()) refuse(name, " is ", value.dump().substr(0, 80), "; it must be a string");
  return value.get_ref<const std::string&>();
}

const Json& list(Json&&, const char*) = delete;  // the result would point into a temporary
inline const Json& list(const Json& value, const char* name) {
  if (!value.is_array()) refuse(name, " is ", value.dump().substr(0, 80), "; it must be a list");
  return value;
}

inline const Json& metadata_of(const Json& header) {
  const Json& metadata = member(header, "__metadata__", "the header");
  if (!metadata.is_object()) refuse("the metadata is not an object");
  if (metadata.size() > kMostMetadata) {
    refuse("the metadata has ", metadata.size(), " entries; at most ", kMostMetadata,
           " are allowed");
  }
  for (const Json& value : metadata) text(value, "the metadata");
  if (metadata.find("fastmlp") == metadata.end()) {
    if (metadata.find("fastmlp_tabular") != metadata.end()) {
      refuse("it holds a model of fastmlp.tabular; read it with fastmlp/tabular.hpp");
    }
    refuse("the metadata has no key 'fastmlp'; this file was not written by fastmlp");
  }
  return metadata;
}

inline Settings settings_of(const Json& metadata) {
  constexpr const char* kWhat = "the metadata 'fastmlp'";
  // A layer adds two values: at least ',1' and ',"elu"', which are 8 bytes.
  const Json json = parse(text(metadata["fastmlp"], kWhat), kWhat, 2, 4);
  constexpr std::uint64_t kMostUnits = std::numeric_limits<std::int64_t>::max();
  integer(member(json, "format", kWhat), "format", kFormat, kFormat);
  Settings s;
  for (const Json& n : list(member(json, "layers", kWhat), "layers")) {
    s.layers.push_back(static_cast<std::ptrdiff_t>(integer(n, "layers", 1, kMostUnits)));
  }
  for (const Json& name : list(member(json, "hidden", kWhat), "hidden")) {
    s.hidden.push_back(parse_activation(text(name, "hidden")));
  }
  if (s.layers.size() < 2 || s.hidden.size() != s.layers.size() - 2) {
    refuse("layers has ", s.layers.size(), " entries and hidden has ", s.hidden.size(),
           "; layers must have at least 2, hidden exactly 2 fewer");
  }
  s.output = parse_output(text(member(json, "output", kWhat), "output"));
  s.dtype = text(member(json, "dtype", kWhat), "dtype");
  s.seed = integer(member(json, "seed", kWhat), "seed", 0, kMostSeed);
  s.epochs_trained = static_cast<std::int64_t>(
      integer(member(json, "epochs_trained", kWhat), "epochs_trained", 0, kMost));
  const auto scaling = json.find("scaling");
  s.scaling = scaling != json.end();
  if (s.scaling && *scaling != Json(true))
    refuse("scaling is not true; it must be true or left out");
  const auto loss = json.find("loss");
  if (loss != json.end()) s.loss = parse_loss(text(*loss, "loss"));
  if (json.size() !=
      7 + static_cast<std::size_t>(s.scaling) + static_cast<std::size_t>(s.loss.has_value())) {
    refuse(kWhat, " has a key that format ", kFormat, " does not have");
  }
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
  if (json.size() != count) refuse(kWhat, " has a key that format ", kFormat, " does not have");
  if (std::count(std::begin(kEndings), std::end(kEndings), training.stopped_by) == 0) {
    std::string known;
    for (const char* ending : kEndings) known.append(known.empty() ? "" : ", ").append(ending);
    refuse("stopped_by is '", training.stopped_by.substr(0, 80), "'; it must be one of ", known);
  }
  if (training.dropout && n_hidden == 0) refuse("dropout is true without hidden layers");
  return training;
}

/// Returns the tensors in the order in which they follow the header. Refuses a header that does not
/// have exactly these tensors, one after another.
inline std::vector<const Tensor*> order_in(const Json& header, const Tensors& tensors) {
  std::map<std::uint64_t, const Tensor*> parts;
  std::uint64_t total = 0;
  for (const auto& [name, tensor] : tensors) {
    const Json& entry = member(header, name.c_str(), "the file");
    if (!entry.is_object()) refuse(name, " is not described by an object");
    const std::string& dtype = text(member(entry, "dtype", name.c_str()), "dtype");
    const Json& shape = member(entry, "shape", name.c_str());
    const bool integers = std::all_of(shape.begin(), shape.end(),
                                      [](const Json& n) { return n.is_number_unsigned(); });
    if (dtype != tensor.dtype || !integers || shape != Json(tensor.shape)) {
      refuse(name, " is ", dtype.substr(0, 8), " of shape ", shape.dump().substr(0, 80),
             "; by its metadata it must be ", tensor.dtype, " of shape ",
             Json(tensor.shape).dump());
    }
    const Json& range = list(member(entry, "data_offsets", name.c_str()), "data_offsets");
    if (range.size() != 2) refuse("data_offsets of ", name, " must be two numbers");
    const std::uint64_t begin = integer(range[0], "data_offsets", 0, kMostSeed);
    const std::uint64_t end = integer(range[1], "data_offsets", begin, kMostSeed);
    if (end - begin != tensor.bytes) {
      refuse(name, " has ", end - begin, " bytes; for its shape it must have ", tensor.bytes);
    }
    if (entry.size() != 3) refuse(name, " has a key that tensors do not have");
    parts.emplace(begin, &tensor);
    total += tensor.bytes;
  }
  std::vector<const Tensor*> order;
  std::uint64_t next = 0;
  for (const auto& [begin, tensor] : parts) {
    if (begin != next) break;
    next += tensor->bytes;
    order.push_back(tensor);
  }
  if (next != total) refuse("its tensors overlap or leave a hole at byte ", next);
  return order;
}

/// Reads that many bytes. Memory grows with the data that arrive, because `bytes` may be wrong.
inline std::string take(std::istream& file, std::uint64_t bytes, const char* what) {
  constexpr std::uint64_t kFirst = 1 << 16;
  std::string data;
  while (data.size() < bytes) {
    const std::size_t old = data.size();
    const std::uint64_t more =
        std::min<std::uint64_t>(bytes - old, std::max<std::uint64_t>(old, kFirst));
    data.resize(old + static_cast<std::size_t>(more));
    if (!file.read(&data[old], static_cast<std::streamsize>(more))) {
      refuse("the file ends in ", what);
    }
  }
  return data;
}

/// Reads a file. `size` is that of a regular file; that of a pipe or a device is kUnknown. Before
/// the tensors are read, place(settings, training, tensors) makes room for them; those without a
/// place are skipped.
template <class T, class Place>
void read_file(std::istream& file, std::uint64_t size, const Place& place) {
  std::uint64_t n = 0;
  std::memcpy(&n, take(file, sizeof n, "its first 8 bytes").data(), sizeof n);
  if (n > kMostHeader) {
    refuse("its first 8 bytes give a header of ", n, " bytes; at most ", kMostHeader,
           " are allowed");
  }
  // A layer adds 15 values to the header, which are more than 120 bytes.
  const Json header = parse(take(file, n, "its header"), "its header", 3, 8);
  const Json& metadata = metadata_of(header);
  const Settings settings = settings_of(metadata);
  const std::optional<Training> training = training_of(metadata, settings.hidden.size());
  if (settings.dtype != Dtype<T>::kName) {
    refuse("its dtype is '", settings.dtype.substr(0, 80), "' and a network of ", Dtype<T>::kName,
           " was asked for");
  }
  const std::uint64_t bytes = bytes_of(settings, training, sizeof(T));
  const bool is_known = size != kUnknown;
  if (is_known && size - sizeof n - n != bytes) {
    refuse("its tensors have ", size - sizeof n - n, " bytes; ",
           training ? "by its metadata they must have " : "layers of these sizes have ", bytes);
  }
  // Compares the counts first, so that many layers without tensors allocate nothing.
  std::uint64_t count = 2 * settings.layers.size() - 2;
  Scaling none;
  visit_scaling(settings, none, [&](const char*, auto&, std::size_t) { ++count; });
  if (loss_parameters(settings) > 0) ++count;
  if (training) {
    count +=
        3 + training->vectors + training->dropout + training->early_stopping + training->validation;
  }
  if (header.size() - 1 != count) {
    refuse("the file has ", header.size() - 1, " tensors; ",
           training ? "by its metadata it must have " : "its layers have ", count);
  }
  Tensors tensors = tensors_of<T>(settings, training);
  const std::vector<const Tensor*> order = order_in(header, tensors);
  std::istringstream copy;
  if (!is_known) {  // memory is allocated after the bytes have come
    copy.str(take(file, bytes, "its tensors"));
    if (file.peek() != std::istream::traits_type::eof()) refuse("more bytes follow its tensors");
  }
  std::istream& from = is_known ? file : copy;
  place(settings, training, tensors);
  for (const Tensor* tensor : order) {
    const auto wanted = static_cast<std::streamsize>(tensor->bytes);
    if (tensor->data == nullptr) {
      from.ignore(wanted);
    } else {
      from.read(static_cast<char*>(tensor->data), wanted);
    }
    if (from.gcount() != wanted) refuse("the file ends in its tensors");
  }
}

/// Reads a network.
template <class T>
Network<T> read(std::istream& file, std::uint64_t size) {
  std::optional<Network<T>> net;
  std::optional<Scaling> scaling;
  std::vector<double> parameters;
  std::optional<Settings> known;
  read_file<T>(file, size, [&](const Settings& settings, const auto&, Tensors& tensors) {
    net.emplace(settings.layers, settings.hidden, settings.output);
    net->set_seed(settings.seed);
    net->set_epochs_trained(settings.epochs_trained);
    net->metadata() = settings.texts;
    place_layers(tensors, settings.hidden.size() + 1, net->parameters());
    if (settings.scaling) place_scaling(settings, tensors, scaling.emplace());
    place_loss(settings, tensors, parameters);
    known = settings;
  });
  if (known->loss) {  // its numbers have come with the tensors
    Network<T> made(known->layers, known->hidden, known->output, loss_of(*known, parameters));
    made.restore(net->parameters(), known->epochs_trained);
    made.set_seed(known->seed);
    made.metadata() = std::move(net->metadata());
    net = std::move(made);
  }
  if (scaling) net->set_scaling(std::move(scaling));
  return std::move(*net);  // NOLINT(bugprone-unchecked-optional-access): read, or thrown
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
