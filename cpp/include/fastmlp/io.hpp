// save() and load(): networks in safetensors files, the same files as in Python. It needs
// nlohmann-json and exceptions; link the target fastmlp::io. docs/file_format.md has the format.
#pragma once

#include <fastmlp/io_detail.hpp>

#include <cstdint>
#include <filesystem>
#include <istream>
#include <optional>
#include <utility>

namespace fastmlp {

/// Writes the parameters, the structure, seed() and epochs_trained() of a network. The file has the
/// same bytes as one from Python's `Network.save`. It is written under a temporary name and then
/// renamed, so no reader ever sees half of it. An existing file is replaced.
///
/// ```cpp
/// fastmlp::save(net, "model.safetensors");
/// ```
/// A pipe or a device is written to. A read-only file is refused.
///
/// \throws FileError if the file cannot be written; an existing file is then unchanged
template <class T>
void save(const Network<T>& net, const std::filesystem::path& path) {
  io_detail::write_to("save", path, [&](const auto& write) { io_detail::write_parts(net, write); });
}

/// Reads a network from a file that save(), save_checkpoint() or Python wrote. T must be the dtype
/// of the file: float for float32, double for float64.
///
/// ```cpp
/// const auto net = fastmlp::load<float>("model.safetensors");
/// net.forward(X, out);  // the bits that Python gets
/// ```
/// A pipe is read to its end.
///
/// \throws FileError if the file does not exist, is damaged, has another dtype or is of another
/// kind
template <class T>
Network<T> load(const std::filesystem::path& path) {
  std::optional<Network<T>> net;
  io_detail::read_from(
      "load", path, "a network of this type",
      [&](std::istream& file, std::uint64_t size) { net = io_detail::read<T>(file, size); });
  return std::move(*net);  // NOLINT(bugprone-unchecked-optional-access): read, or thrown
}

}  // namespace fastmlp
