// Writing for fastmlp/io.hpp: the bytes that Python's Network.save writes, and a file that is
// complete or not there.
#pragma once

#include <fastmlp/io_format.hpp>
#include <fastmlp/network.hpp>

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <system_error>
#include <vector>
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace fastmlp::io_detail {

/// The metadata as Python's json.dumps(..., sort_keys=True) has it. No name needs an escape.
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

/// Everything before the tensors, which are in the order of the map.
inline std::string header_of(const Settings& settings, const std::map<std::string, Tensor>& tensors,
                             const char* dtype) {
  // By hand, as no name needs an escape: the order is that of the format's own library.
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
  text.append((8 - text.size() % 8) % 8, ' ');  // the tensors are aligned
  std::uint64_t size = text.size();
  std::string bytes(sizeof size, '\0');
  std::memcpy(bytes.data(), &size, sizeof size);
  return bytes + text;
}

/// A file that is written, as C has it: only that tells of every error, and can be synchronised.
class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& path)
      : file_(std::fopen(path.string().c_str(), "wb")) {
    if (!file_) fail();
  }
  void write(const void* data, std::size_t bytes) {
    if (std::fwrite(data, 1, bytes, file_.get()) != bytes) fail();
  }
  /// Puts it on the disk, and closes it.
  void finish() {
    if (std::fflush(file_.get()) != 0) fail();
#if defined(__unix__) || defined(__APPLE__)
    // What is no file on a disk, such as a pipe, cannot be synchronised.
    if (::fsync(::fileno(file_.get())) != 0 && errno != EINVAL && errno != ENOTSUP) fail();
#endif
    if (std::fclose(file_.release()) != 0) fail();
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  [[noreturn]] static void fail() { throw std::system_error(errno, std::generic_category()); }
  std::unique_ptr<std::FILE, Close> file_;
};

/// A name beside `target` that no other process takes.
inline std::filesystem::path beside(const std::filesystem::path& target) {
  std::random_device random;
  char name[40];
  std::snprintf(name, sizeof name, ".fastmlp-%08x%08x.tmp", static_cast<unsigned>(random()),
                static_cast<unsigned>(random()));
  return target.parent_path() / name;
}

/// Calls write(path) for a file beside `path` and puts that in its place: a reader sees the old
/// file or the new one. Through a symbolic link, and with the permissions of the file that was
/// there.
template <class Write>
void replace(const std::filesystem::path& path, const Write& write) {
  namespace fs = std::filesystem;
  if (fs::exists(path) && !fs::is_regular_file(path)) {
    return write(path);  // a device or a pipe is written to; a folder is the system's to refuse
  }
  fs::path link = path;  // the last of a chain of links may lead to what is not there yet
  for (int i = 0; i < 40 && fs::is_symlink(link); ++i) {
    link = link.parent_path() / fs::read_symlink(link);
  }
  const fs::path target = fs::weakly_canonical(link);
  const fs::path temporary = beside(target);
  try {
    write(temporary);
    if (fs::exists(target)) fs::permissions(temporary, fs::status(target).permissions());
    fs::rename(temporary, target);
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
}

template <class T>
void write(const Network<T>& net, const std::filesystem::path& path) {
  std::vector<T> parameters(static_cast<std::size_t>(net.n_parameters()));
  Settings settings{net.layers(), net.hidden(), net.output(), Dtype<T>::kName, net.seed(), 0};
  settings.epochs_trained = net.snapshot(parameters.data());
  const auto tensors = tensors_of<T>(settings.layers);
  const std::string header = header_of(settings, tensors, Dtype<T>::kTensor);
  std::map<std::string, std::size_t> begins;  // in parameters(): W_1 b_1 W_2 b_2 ...
  std::size_t begin = 0;
  for (std::size_t l = 0; l + 1 < settings.layers.size(); ++l) {
    for (const char* part : {".weight", ".bias"}) {
      const std::string name = "layers." + std::to_string(l) + part;
      begins[name] = begin;
      begin += static_cast<std::size_t>(tensors.at(name).bytes) / sizeof(T);
    }
  }
  replace(path, [&](const std::filesystem::path& to) {
    OutputFile file(to);
    file.write(header.data(), header.size());
    for (const auto& [name, tensor] : tensors) {
      file.write(parameters.data() + begins[name], static_cast<std::size_t>(tensor.bytes));
    }
    file.finish();
  });
}

}  // namespace fastmlp::io_detail
