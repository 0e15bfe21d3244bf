// The C++ reader as a shared library with a C interface, which load_fuzzer.py compares with
// Python's.
#include "reader.hpp"

#include <algorithm>
#include <cstddef>
#include <string>

/// Writes what save() would write for the file in `data` to `out`, which has `capacity` bytes.
/// Returns its size; 0 if the file is refused.
extern "C" std::size_t fastmlp_read(const char* data, std::size_t size, char* out,
                                    std::size_t capacity) {
  const std::string bytes(data, size);
  auto found = fastmlp_fuzz::checked_answer<float>(bytes);
  if (!found) found = fastmlp_fuzz::checked_answer<double>(bytes);
  if (!found || found->size() > capacity) return 0;
  std::copy(found->begin(), found->end(), out);
  return found->size();
}
