// A safetensors file of any content: 8 bytes with the size of a JSON header, the header, the
// tensors one after another. io_detail.hpp has the files of networks, tabular.hpp those of tabular
// models; docs/file_format.md has the rules. Reading checks everything that a file says before
// using it, and allocates at most a small multiple of the file's size. Start at `read_header` and
// `read_tensors`.
#pragma once

#include <fastmlp/io_file.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <istream>
#include <limits>
#include <map>
#include <sstream>
#include <string>
#include <unordered_set>
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

struct Tensor {
  const char* dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t bytes;
  void* data = nullptr;  // where it is in memory; null: nowhere
};
using Tensors = std::map<std::string, Tensor>;  // in the order in which a file has them

inline Tensor doubles(std::uint64_t n) {
  return {"F64", {static_cast<std::int64_t>(n)}, n * sizeof(double)};
}

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

/// The metadata of a file, which are strings.
inline const Json& metadata_of(const Json& header) {
  const Json& metadata = member(header, "__metadata__", "the header");
  if (!metadata.is_object()) refuse("the metadata is not an object");
  if (metadata.size() > kMostMetadata) {
    refuse("the metadata has ", metadata.size(), " entries; at most ", kMostMetadata,
           " are allowed");
  }
  for (const Json& value : metadata) text(value, "the metadata");
  return metadata;
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

/// Reads the header of a file of this size; kUnknown is that of a pipe or a device. `size` becomes
/// that of the tensors.
inline Json read_header(std::istream& file, std::uint64_t& size) {
  std::uint64_t n = 0;
  std::memcpy(&n, take(file, sizeof n, "its first 8 bytes").data(), sizeof n);
  if (n > kMostHeader) {
    refuse("its first 8 bytes give a header of ", n, " bytes; at most ", kMostHeader,
           " are allowed");
  }
  // A layer adds 15 values to the header, which are more than 120 bytes.
  Json header = parse(take(file, n, "its header"), "its header", 3, 8);
  if (size != kUnknown) size -= sizeof n + n;
  return header;
}

/// Reads the tensors, to the end of the file. \pre `size` is the sum of their bytes, or kUnknown
/// Before they are read, place() makes room for them; those without a place are skipped.
template <class Place>
void read_tensors(std::istream& file, std::uint64_t size, const Json& header,
                  const Tensors& tensors, const Place& place) {
  const std::vector<const Tensor*> order = order_in(header, tensors);
  std::istringstream copy;
  const bool is_known = size != kUnknown;
  if (!is_known) {  // memory is allocated after the bytes have come
    std::uint64_t bytes = 0;
    for (const Tensor* tensor : order) bytes += tensor->bytes;
    copy.str(take(file, bytes, "its tensors"));
    if (file.peek() != std::istream::traits_type::eof()) refuse("more bytes follow its tensors");
  }
  std::istream& from = is_known ? file : copy;
  place();
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

}  // namespace io_detail
}  // namespace fastmlp
