// What a file of fastmlp/io.hpp is made of; for io.hpp only. The format is safetensors: 8 bytes
// with the size of a JSON header, the header, the tensors one after another.
#pragma once

#include <fastmlp/options.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "fastmlp/io.hpp: numbers in a safetensors file are little-endian; this machine's are not"
#endif

namespace fastmlp {

/// Thrown by save() and load(): the function, the path and what is wrong with it.
class FileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace io_detail {

constexpr int kFormat = 1;  // of the metadata; a reader refuses a number that it does not know
constexpr std::uint64_t kMostHeader = 100'000'000;  // bytes, as in the format's own library

template <class... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw FileError(message.str());
}

template <class T>
struct Dtype {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>);
  static constexpr const char* kName = sizeof(T) == 4 ? "float32" : "float64";
  static constexpr const char* kTensor = sizeof(T) == 4 ? "F32" : "F64";
};

/// W_{l+1} or b_{l+1} in a file.
struct Tensor {
  std::ptrdiff_t layer;
  bool is_bias;
  std::vector<std::int64_t> shape;
  std::uint64_t bytes;
};

/// The tensors of a network by name, in the order that files have them in.
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

/// What the metadata of a file says of its network.
struct Settings {
  std::vector<std::ptrdiff_t> layers;
  std::vector<Activation> hidden;
  Output output = Output::kSigmoid;
  std::string dtype;
  std::uint64_t seed = 0;
  std::int64_t epochs_trained = 0;
};

}  // namespace io_detail
}  // namespace fastmlp
