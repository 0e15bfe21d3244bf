// Helpers of several tests: matrices that own their memory, data, and a loop over all settings that
// must not change a bit of a result.
#pragma once

#include <fastmlp/matrix_view.hpp>
#include <fastmlp/options.hpp>
#include <fastmlp/runtime.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace fastmlp::testing {

template <class T>
struct Matrix {
  std::ptrdiff_t rows, cols;
  std::vector<T> values;

  Matrix(std::ptrdiff_t rows_, std::ptrdiff_t cols_)
      : rows(rows_), cols(cols_), values(static_cast<std::size_t>(rows_ * cols_)) {}
  MatrixView<T> view() { return {values.data(), rows, cols}; }
  MatrixView<const T> cview() const { return {values.data(), rows, cols}; }
};

/// Small multiples of 1/8 that repeat after a prime number of elements.
template <class T>
Matrix<T> pattern(std::ptrdiff_t rows, std::ptrdiff_t cols, int salt = 0) {
  Matrix<T> m(rows, cols);
  for (std::size_t i = 0; i < m.values.size(); ++i) {
    m.values[i] =
        static_cast<T>(static_cast<int>((i * 31 + static_cast<std::size_t>(salt)) % 97) - 48) / 8;
  }
  return m;
}

/// Numbers in [-1, 1) that use all bits of T, so that a sum of them depends on its order.
template <class T>
Matrix<T> noise(std::ptrdiff_t rows, std::ptrdiff_t cols, std::uint64_t salt) {
  Matrix<T> m(rows, cols);
  std::uint64_t state = salt;
  for (T& value : m.values) {  // SplitMix64
    std::uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    value = static_cast<T>(static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-52 - 1);
  }
  return m;
}

/// All activations, and all outputs, of the library.
inline std::vector<Activation> all_activations() {
  std::vector<Activation> all;
  for (const std::string_view name : activation_names()) all.push_back(parse_activation(name));
  return all;
}
inline std::vector<Output> all_outputs() {
  std::vector<Output> all;
  for (const std::string_view name : output_names()) all.push_back(parse_output(name));
  return all;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return false;
  return a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

/// Restores the instruction set and the number of threads at its end.
class Settings {
 public:
  Settings() = default;
  ~Settings() {
    set_isa(isa_);
    set_num_threads(threads_);
  }
  Settings(const Settings&) = delete;
  Settings& operator=(const Settings&) = delete;

 private:
  std::string isa_ = isa();
  int threads_ = num_threads();
};

/// Runs f(isa, threads) with every instruction set of this CPU and 1 to 4 threads.
template <class F>
void under_all_settings(F f) {
  const Settings restore;
  for (const std::string& name : available_isas()) {
    for (int threads = 1; threads <= 4; ++threads) {
      set_isa(name);
      set_num_threads(threads);
      f(name, threads);
    }
  }
}

}  // namespace fastmlp::testing
