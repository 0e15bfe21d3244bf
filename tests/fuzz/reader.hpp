// The answer of the C++ reader to the bytes of a file, for both fuzzers.
#pragma once

#include <fastmlp/io_checkpoint.hpp>
#include <fastmlp/tabular.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>
#include <sstream>
#include <string>

namespace fastmlp_fuzz {

/// The bytes that save() would write for what read(stream, size) finds in a file; nothing if the
/// file is refused. `known`: whether the reader is told the size, as it is for a regular file,
/// unlike for a pipe.
template <class Read>
std::optional<std::string> answer(const Read& read, const std::string& bytes, bool known) {
  namespace io = fastmlp::io_detail;
  std::istringstream file(bytes);
  try {
    const auto found = read(file, known ? bytes.size() : io::kUnknown);
    std::string saved;
    io::write_parts(found, [&](const void* data, std::size_t size) {
      saved.append(static_cast<const char*>(data), size);
    });
    return saved;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

/// The answer of one reader. Stops the process if the answer depends on whether the file is a pipe,
/// or if what is saved is not read back as the same.
template <class Read>
std::optional<std::string> checked(const Read& read, const std::string& bytes) {
  const auto found = answer(read, bytes, true);
  const bool check_pipe = found || bytes.size() % 8 == 0;  // often enough, and faster
  if (check_pipe && answer(read, bytes, false) != found) std::abort();
  if (found && answer(read, *found, true) != found) std::abort();
  return found;
}

/// Gives load_tabular() the bytes, and predicts from a row if they are a model.
template <class Model>
void check_table(const std::string& bytes) {
  std::istringstream file(bytes);
  try {
    const auto model = fastmlp::io_detail::read_tabular<Model>(file, bytes.size());
    for (const fastmlp::Value& value : {fastmlp::Value(), fastmlp::Value("1")}) {
      model.predict(fastmlp::Row(model.columns().size(), value));
    }
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): it is refused
  }
}

/// The answer of load<T>(). Gives load_checkpoint<T>() the same bytes.
template <class T>
std::optional<std::string> checked_answer(const std::string& bytes) {
  namespace io = fastmlp::io_detail;
  checked([](auto& file, auto size) { return io::read_state<T>(file, size); }, bytes);
  return checked([](auto& file, auto size) { return io::read<T>(file, size); }, bytes);
}

}  // namespace fastmlp_fuzz
