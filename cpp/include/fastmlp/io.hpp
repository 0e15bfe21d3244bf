// Networks in safetensors files, the same that Python's Network.save and Network.load write and
// read. For the target fastmlp::io: it needs nlohmann-json, and exceptions.
#pragma once

#include <fastmlp/io_detail.hpp>

#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>

namespace fastmlp {

/// Writes a network: its parameters, structure, seed() and epochs_trained(), in the bytes that
/// Python's `Network.save` writes. The file is complete or not there: it is written beside `path`
/// and then renamed; one that exists is replaced.
///
/// ```cpp
/// fastmlp::save(net, "model.safetensors");
/// ```
/// \throws FileError where it cannot be written; what was at `path` is untouched
template <class T>
void save(const Network<T>& net, const std::filesystem::path& path) {
  try {
    io_detail::write(net, path);
  } catch (const std::system_error& error) {
    io_detail::refuse("save: ", path.string(), ": ", error.code().message());
  }
}

/// Reads a network from a file that save() or Python's `Network.save` wrote: T must be the file's
/// dtype, float for float32 and double for float64.
///
/// ```cpp
/// const auto net = fastmlp::load<float>("model.safetensors");
/// net.forward(X, out);  // the bits that Python gets
/// ```
/// \throws FileError where there is no such file, or it is damaged or another kind of file
template <class T>
Network<T> load(const std::filesystem::path& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file || std::filesystem::is_directory(path)) {
    io_detail::refuse("load: ", path.string(), ": ",
                      file ? "a folder" : std::strerror(errno != 0 ? errno : ENOENT));
  }
  try {
    return io_detail::read<T>(file);
  } catch (const std::exception& error) {
    io_detail::refuse("load: ", path.string(),
                      " is damaged or not a network of this type: ", error.what());
  }
}

}  // namespace fastmlp
