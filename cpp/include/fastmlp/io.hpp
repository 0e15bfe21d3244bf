// save() and load(): networks in safetensors files, the same files as in Python. It needs
// nlohmann-json and exceptions; link the target fastmlp::io. The format is in io_detail.hpp.
#pragma once

#include <fastmlp/io_detail.hpp>

#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <new>

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
  try {
    io_detail::write(net, path);
  } catch (const std::system_error& error) {
    io_detail::refuse("save: ", path.string(), ": ", error.code().message());
  }
}

/// Reads a network from a file that save() or Python's `Network.save` wrote. T must be the dtype of
/// the file: float for float32, double for float64.
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
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  const int number = errno != 0 ? errno : ENOENT;
  std::error_code ignored;
  const std::filesystem::file_status status = std::filesystem::status(path, ignored);
  const bool is_folder = std::filesystem::is_directory(status);  // Windows does not open one
  if (!file || is_folder) {
    io_detail::refuse("load: ", path.string(), ": ",
                      is_folder ? "a folder" : std::generic_category().message(number));
  }
  try {
    std::uint64_t size = io_detail::kUnknown;
    if (std::filesystem::is_regular_file(status)) {
      size = static_cast<std::uint64_t>(file.seekg(0, std::ios::end).tellg());
      file.seekg(0);
    }
    return io_detail::read<T>(file, size);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    io_detail::refuse("load: ", path.string(),
                      " is damaged or not a network of this type: ", error.what());
  }
}

}  // namespace fastmlp
