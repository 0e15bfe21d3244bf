// How fastmlp/io.hpp reads and writes a safetensors file: 8 bytes with the size of a JSON header,
// the header, the tensors one after another. docs/file_format.md has the rules. Reading checks
// everything that a file says before using it, and allocates at most a small multiple of the file's
// size. Writing gives the same bytes as Python's Network.save. For io.hpp only. Start at `read` and
// `write`, at the end.
#pragma once

#include <fastmlp/network.hpp>
#include <fastmlp/options.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <istream>
#include <limits>
#include <locale>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>
#if defined(__unix__) || defined(__APPLE__)
#include <sys/file.h>
#include <unistd.h>
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "fastmlp/io.hpp: numbers in a safetensors file are little-endian; this machine's are not"
#endif

namespace fastmlp {

/// Thrown by save() and load(). The message names the function, the path and the fault.
class FileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace io_detail {

constexpr int kFormat = 1;  // version of the metadata; a reader refuses any that it does not know
constexpr std::uint64_t kMostHeader = 100'000'000;  // bytes; the limit of the safetensors library
constexpr std::size_t kMostMetadata = 100;          // entries

template <class... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
  std::ostringstream message;
  message.imbue(std::locale::classic());  // the program's own may write 1.234 for 1234
  (message << ... << parts);
  throw FileError(message.str());
}

template <class T>
struct Dtype {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>);
  static constexpr const char* kName = sizeof(T) == 4 ? "float32" : "float64";
  static constexpr const char* kTensor = sizeof(T) == 4 ? "F32" : "F64";
};

/// W_{l+1} or b_{l+1} in a file, for layer l.
struct Tensor {
  std::ptrdiff_t layer;
  bool is_bias;
  std::vector<std::int64_t> shape;
  std::uint64_t bytes;
};

/// The tensors of a network by name, in the order in which a file has them.
template <class T>
std::map<std::string, Tensor> tensors_of(const std::vector<std::ptrdiff_t>& layers) {
  std::map<std::string, Tensor> tensors;
  for (std::size_t l = 0; l + 1 < layers.size(); ++l) {
    const std::string name = "layers." + std::to_string(l);
    const std::int64_t n_in = layers[l], n_out = layers[l + 1];
    const auto layer = static_cast<std::ptrdiff_t>(l);
    const auto size = static_cast<std::uint64_t>(n_out) * sizeof(T);
    tensors[name + ".weight"] = {
        layer, false, {n_in, n_out}, size * static_cast<std::uint64_t>(n_in)};
    tensors[name + ".bias"] = {layer, true, {n_out}, size};
  }
  return tensors;
}

/// The metadata of a file.
struct Settings {
  std::vector<std::ptrdiff_t> layers;
  std::vector<Activation> hidden;
  Output output = Output::kSigmoid;
  std::string dtype;
  std::uint64_t seed = 0;
  std::int64_t epochs_trained = 0;
};

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
    return value() && (names_.size() <= depth_ || stop("is nested too deep"));
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

const Json& list(Json&&, const char*) = delete;  // the list is part of what is given
inline const Json& list(const Json& value, const char* name) {
  if (!value.is_array()) refuse(name, " is ", value.dump().substr(0, 80), "; it must be a list");
  return value;
}

inline Settings settings_of(const Json& header) {
  const Json& metadata = member(header, "__metadata__", "the header");
  if (!metadata.is_object()) refuse("the metadata is not an object");
  if (metadata.size() > kMostMetadata) {
    refuse("the metadata has ", metadata.size(), " entries; at most ", kMostMetadata,
           " are allowed");
  }
  for (const Json& value : metadata) text(value, "the metadata");
  if (metadata.find("fastmlp") == metadata.end()) {
    refuse("the metadata has no key 'fastmlp'; this file was not written by fastmlp");
  }
  constexpr const char* kWhat = "the metadata 'fastmlp'";
  // A layer adds two values: at least ',1' and ',"elu"', which are 8 bytes.
  const Json json = parse(text(metadata["fastmlp"], kWhat), kWhat, 2, 4);
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  integer(member(json, "format", kWhat), "format", kFormat, kFormat);
  Settings s;
  for (const Json& n : list(member(json, "layers", kWhat), "layers")) {
    s.layers.push_back(static_cast<std::ptrdiff_t>(integer(n, "layers", 1, kMost)));
  }
  for (const Json& name : list(member(json, "hidden", kWhat), "hidden")) {
    s.hidden.push_back(parse_activation(text(name, "hidden")));
  }
  if (s.layers.size() < 2 || s.hidden.size() != s.layers.size() - 2) {
    refuse("layers has ", s.layers.size(), " entries and hidden ", s.hidden.size(),
           "; there must be at least 2, and 2 less");
  }
  s.output = parse_output(text(member(json, "output", kWhat), "output"));
  s.dtype = text(member(json, "dtype", kWhat), "dtype");
  s.seed =
      integer(member(json, "seed", kWhat), "seed", 0, std::numeric_limits<std::uint64_t>::max());
  s.epochs_trained = static_cast<std::int64_t>(
      integer(member(json, "epochs_trained", kWhat), "epochs_trained", 0, kMost));
  if (json.size() != 7) refuse(kWhat, " has a key that format ", kFormat, " does not have");
  return s;
}

/// The number of bytes of all parameters.
inline std::uint64_t bytes_of(const std::vector<std::ptrdiff_t>& layers, std::uint64_t element) {
  std::uint64_t left = (std::uint64_t{1} << 62) / element;  // more than any file has
  const std::uint64_t most = left;
  for (std::size_t l = 0; l + 1 < layers.size(); ++l) {
    const auto n_in = static_cast<std::uint64_t>(layers[l]);
    const auto n_out = static_cast<std::uint64_t>(layers[l + 1]);
    if (n_in >= left || n_out > left / (n_in + 1))
      refuse("no file has tensors of its layers' size");
    left -= (n_in + 1) * n_out;
  }
  return (most - left) * element;
}

/// The tensors by the byte at which each begins, counted from the first tensor. Refuses a header
/// that does not have exactly the tensors of the layers, one after another.
template <class T>
std::map<std::uint64_t, Tensor> tensors_in(const Json& header,
                                           const std::vector<std::ptrdiff_t>& layers) {
  // Numbers are compared first: a long list of layers without tensors must not cost memory.
  if (header.size() != 2 * layers.size() - 1) {
    refuse("the file has ", header.size() - 1, " tensors; its layers have ", 2 * layers.size() - 2);
  }
  std::map<std::uint64_t, Tensor> parts;
  for (auto& [name, tensor] : tensors_of<T>(layers)) {
    const Json& entry = member(header, name.c_str(), "the file");
    if (!entry.is_object()) refuse(name, " is not described by an object");
    const std::string& dtype = text(member(entry, "dtype", name.c_str()), "dtype");
    const Json& shape = member(entry, "shape", name.c_str());
    const bool integers = std::all_of(shape.begin(), shape.end(),
                                      [](const Json& n) { return n.is_number_unsigned(); });
    if (dtype != Dtype<T>::kTensor || !integers || shape != Json(tensor.shape)) {
      refuse(name, " is ", dtype.substr(0, 8), " of shape ", shape.dump().substr(0, 80),
             "; by its metadata it must be ", Dtype<T>::kTensor, " of shape ",
             Json(tensor.shape).dump());
    }
    const Json& range = list(member(entry, "data_offsets", name.c_str()), "data_offsets");
    if (range.size() != 2) refuse("data_offsets of ", name, " must be two numbers");
    constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
    const std::uint64_t begin = integer(range[0], "data_offsets", 0, kMost);
    const std::uint64_t end = integer(range[1], "data_offsets", begin, kMost);
    if (end - begin != tensor.bytes) {
      refuse(name, " has ", end - begin, " bytes; for its shape it must have ", tensor.bytes);
    }
    if (entry.size() != 3) refuse(name, " has a key that tensors do not have");
    parts.emplace(begin, std::move(tensor));
  }
  std::uint64_t next = 0;
  for (const auto& [begin, tensor] : parts) {
    if (begin != next) break;
    next += tensor.bytes;
  }
  if (next != bytes_of(layers, sizeof(T))) {
    refuse("its tensors overlap or leave a hole at byte ", next);
  }
  return parts;
}

/// Reads so many bytes. Memory grows with what the stream really has, because `bytes` may be a lie.
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

constexpr std::uint64_t kUnknown = std::numeric_limits<std::uint64_t>::max();

/// Reads a network. `size` is that of a regular file; that of a pipe or a device is kUnknown.
template <class T>
Network<T> read(std::istream& file, std::uint64_t size) {
  std::uint64_t n = 0;
  std::memcpy(&n, take(file, sizeof n, "its first 8 bytes").data(), sizeof n);
  if (n > kMostHeader) {
    refuse("its header has ", n, " bytes by the file's first eight; at most ", kMostHeader,
           " are allowed");
  }
  // A layer adds 15 values to the header, which are more than 120 bytes.
  const Json header = parse(take(file, n, "its header"), "its header", 3, 8);
  const Settings settings = settings_of(header);
  if (settings.dtype != Dtype<T>::kName) {
    refuse("its dtype is '", settings.dtype.substr(0, 80), "' and a network of ", Dtype<T>::kName,
           " was asked for");
  }
  const std::uint64_t bytes = bytes_of(settings.layers, sizeof(T));
  const bool is_known = size != kUnknown;
  if (is_known && size - sizeof n - n != bytes) {
    refuse("its tensors have ", size - sizeof n - n, " bytes; layers of these sizes have ", bytes);
  }
  const auto tensors = tensors_in<T>(header, settings.layers);
  std::istringstream copy;
  if (!is_known) {  // the network is allocated after its bytes have come
    copy.str(take(file, bytes, "its tensors"));
    if (file.peek() != std::istream::traits_type::eof()) refuse("more bytes follow its tensors");
  }
  std::istream& from = is_known ? file : copy;
  Network<T> net(settings.layers, settings.hidden, settings.output);
  for (const auto& [begin, tensor] : tensors) {
    T* data = tensor.is_bias ? net.biases(tensor.layer).data : net.weights(tensor.layer).data;
    if (!from.read(reinterpret_cast<char*>(data), static_cast<std::streamsize>(tensor.bytes))) {
      refuse("the file ends in its tensors");
    }
  }
  net.set_seed(settings.seed);
  net.set_epochs_trained(settings.epochs_trained);
  return net;
}

// Writing

/// The metadata as Python's json.dumps(..., sort_keys=True) writes it. No name needs an escape.
inline std::string metadata_of(const Settings& s) {
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
         "], \"layers\": [" + layers + "], \"output\": \"" + std::string(name_of(s.output)) +
         "\", \"seed\": " + std::to_string(s.seed) + "}";
}

/// Everything before the tensors, which follow in the order of the map.
inline std::string header_of(const Settings& settings, const std::map<std::string, Tensor>& tensors,
                             const char* dtype) {
  // Written by hand, because Json would sort the keys: the safetensors library has another order.
  std::string text =
      "{\"__metadata__\":{\"fastmlp\":" + nlohmann::json(metadata_of(settings)).dump() + "}";
  std::uint64_t begin = 0;
  for (const auto& [name, tensor] : tensors) {
    text.append(",\"")
        .append(name)
        .append("\":{\"dtype\":\"")
        .append(dtype)
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
  std::uint64_t size = text.size();
  std::string bytes(sizeof size, '\0');
  std::memcpy(bytes.data(), &size, sizeof size);
  return bytes + text;
}

/// A file for writing. It uses C's stdio, because streams do not report every error and cannot be
/// synchronised with the disk.
class OutputFile {
 public:
  OutputFile(const std::filesystem::path& path, const char* mode)
      : file_(std::fopen(path.string().c_str(), mode)) {
    if (!file_) fail();
  }
  void write(const void* data, std::size_t bytes) {
    if (std::fwrite(data, 1, bytes, file_.get()) != bytes) fail();
  }
  /// Makes sure that everything is on the disk.
  void flush() {
    if (std::fflush(file_.get()) != 0) fail();
#if defined(__unix__) || defined(__APPLE__)
    // A pipe or a device cannot be synchronised: EINVAL or ENOTSUP.
    if (::fsync(::fileno(file_.get())) != 0 && errno != EINVAL && errno != ENOTSUP) fail();
#endif
  }
  void close() {
    if (std::fclose(file_.release()) != 0) fail();
  }
  /// Locks the file until it is closed, or until the process ends, however that happens. Returns
  /// whether it could: it does not wait if `now`.
  bool lock([[maybe_unused]] bool now) {
#if defined(__unix__) || defined(__APPLE__)
    return ::flock(::fileno(file_.get()), LOCK_EX | (now ? LOCK_NB : 0)) == 0;
#else
    return false;
#endif
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { (void)std::fclose(file); }
  };
  [[noreturn]] static void fail() { throw std::system_error(errno, std::generic_category()); }
  std::unique_ptr<std::FILE, Close> file_;
};

/// How the names of temporary files for `target` begin, in Python too. A hash (FNV-1a) stands for
/// the name of the target, because both names together may be too long.
inline std::string temporary_prefix(const std::filesystem::path& target) {
  std::uint32_t hash = 0x811c9dc5;
  for (const auto byte : target.filename().u8string()) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x01000193;
  }
  char prefix[24];
  (void)std::snprintf(prefix, sizeof prefix, ".fastmlp-%08x-", static_cast<unsigned>(hash));
  return prefix;
}

/// Removes the temporary files that killed processes left: those that nobody has locked.
inline void remove_stale(const std::filesystem::path& target) {
  namespace fs = std::filesystem;
  const std::string prefix = temporary_prefix(target);
  std::error_code error;
  fs::directory_iterator entry(target.parent_path(), error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (entry->path().filename().string().rfind(prefix, 0) != 0) continue;
    std::error_code ignored;
    if (entry->symlink_status(ignored).type() != fs::file_type::regular) continue;
    try {
      OutputFile file(entry->path(), "r+b");
      if (file.lock(true)) fs::remove(entry->path(), ignored);
    } catch (const std::system_error&) {
      continue;  // another save has removed it, or it is somebody else's
    }
  }
}

/// Makes an empty file beside `target` and locks it. Returns it and its path.
inline std::pair<OutputFile, std::filesystem::path> temporary_beside(
    const std::filesystem::path& target) {
  std::random_device random;
  for (;;) {
    char name[24];
    (void)std::snprintf(name, sizeof name, "%08x%08x.tmp", static_cast<unsigned>(random()),
                        static_cast<unsigned>(random()));
    const std::filesystem::path path = target.parent_path() / (temporary_prefix(target) + name);
    OutputFile file(path, "wbx");
    file.lock(false);
    // Before the lock, another save may have taken it for one that was left, and removed it.
    if (std::filesystem::exists(path)) return {std::move(file), path};
  }
}

/// Calls write(file) for a file in the same folder, then renames it to `path`: a reader sees the
/// old file or the new one. A symbolic link is followed, and the permissions of the old file stay.
template <class Write>
void replace(const std::filesystem::path& path, const Write& write) {
  namespace fs = std::filesystem;
  const fs::file_status old = fs::status(path);  // throws if links form a loop
  if (fs::exists(old) && !fs::is_regular_file(old)) {
    OutputFile file(path, "wb");  // a device or a pipe is written to; a folder is refused here
    write(file);
    file.flush();
    return file.close();
  }
  if (fs::exists(old)) OutputFile(path, "ab");  // refuses a read-only file, which rename would not
  fs::path link = path;  // the last of a chain of links may point to a file that does not exist
  for (int i = 0; i < 40 && fs::is_symlink(link); ++i) {
    link = link.parent_path() / fs::read_symlink(link);
  }
  const fs::path target = fs::weakly_canonical(link);
  remove_stale(target);
  auto [file, temporary] = temporary_beside(target);
  try {
    write(file);
    file.flush();
#ifdef _WIN32
    file.close();  // Windows renames no open file; elsewhere the lock holds until after the rename
#endif
    if (fs::exists(old)) fs::permissions(temporary, old.permissions());
    fs::rename(temporary, target);
  } catch (...) {
    std::error_code ignored;
    {
      const OutputFile closed = std::move(file);
    }
    fs::remove(temporary, ignored);
    throw;
  }
}

/// The parts of a file, each given to write(data, bytes) in its turn.
template <class T, class Write>
void write_parts(const Network<T>& net, const Write& write) {
  std::vector<T> parameters(static_cast<std::size_t>(net.n_parameters()));
  Settings settings{net.layers(), net.hidden(), net.output(), Dtype<T>::kName, net.seed(), 0};
  settings.epochs_trained = net.snapshot(parameters.data());
  const auto tensors = tensors_of<T>(settings.layers);
  const std::string header = header_of(settings, tensors, Dtype<T>::kTensor);
  std::map<std::string, std::size_t> begins;  // indices into parameters: W_1 b_1 W_2 b_2 ...
  std::size_t begin = 0;
  for (std::size_t l = 0; l + 1 < settings.layers.size(); ++l) {
    for (const char* part : {".weight", ".bias"}) {
      const std::string name = "layers." + std::to_string(l) + part;
      begins[name] = begin;
      begin += static_cast<std::size_t>(tensors.at(name).bytes) / sizeof(T);
    }
  }
  write(header.data(), header.size());
  for (const auto& [name, tensor] : tensors) {
    write(parameters.data() + begins[name], static_cast<std::size_t>(tensor.bytes));
  }
}

template <class T>
void write(const Network<T>& net, const std::filesystem::path& path) {
  replace(path, [&](OutputFile& file) {
    write_parts(net, [&](const void* data, std::size_t bytes) { file.write(data, bytes); });
  });
}

}  // namespace io_detail
}  // namespace fastmlp
