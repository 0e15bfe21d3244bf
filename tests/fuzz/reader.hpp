// The answer of the C++ reader to the bytes of a file, for both fuzzers.
#pragma once

#include <fastmlp/io_detail.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>
#include <sstream>
#include <string>

namespace fastmlp_fuzz {

/// The bytes that save() would write for the network in a file; nothing if the file is refused.
/// `known`: whether the reader is told the size, as it is for a regular file, unlike for a pipe.
template <class T>
std::optional<std::string> answer(const std::string& bytes, bool known) {
  namespace io = fastmlp::io_detail;
  std::istringstream file(bytes);
  try {
    const auto net = io::read<T>(file, known ? bytes.size() : io::kUnknown);
    std::string saved;
    io::write_parts(net, [&](const void* data, std::size_t size) {
      saved.append(static_cast<const char*>(data), size);
    });
    return saved;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

/// The answer for a file of type T. Stops the process if the answer depends on whether the file is
/// a pipe, or if what save() writes is not read back as the same network.
template <class T>
std::optional<std::string> checked_answer(const std::string& bytes) {
  const auto found = answer<T>(bytes, true);
  const bool check_pipe = found || bytes.size() % 8 == 0;  // often enough, and faster
  if (check_pipe && answer<T>(bytes, false) != found) std::abort();
  if (found && answer<T>(*found, true) != found) std::abort();
  return found;
}

}  // namespace fastmlp_fuzz
