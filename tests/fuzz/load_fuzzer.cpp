// libFuzzer: any bytes are a file for the C++ reader. README.md has the commands.
#include "reader.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  fastmlp_fuzz::check_table<fastmlp::TabularClassifier>(bytes);
  fastmlp_fuzz::check_table<fastmlp::TabularRegressor>(bytes);
  if (bytes.find("float64") == std::string::npos) {
    fastmlp_fuzz::checked_answer<float>(bytes);
  } else {
    fastmlp_fuzz::checked_answer<double>(bytes);
  }
  return 0;
}
