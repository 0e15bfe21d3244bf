// Numbers, names and shapes as the text of a message. Who refuses what is check.hpp's.
#pragma once

#include <fastmlp/matrix_view.hpp>

#include <cstddef>
#include <cstdlib>
#include <sstream>
#include <string>
#include <type_traits>

namespace fastmlp::detail {

/// A number with as few digits as tell it from its neighbours.
template <class T>
std::string digits(T value) {
  if (value != value) return "nan";  // some write its sign too
  std::string text;
  for (int precision : {6, 9, 12, 15, 17}) {
    std::ostringstream stream;
    stream.precision(precision);
    stream << value;
    text = stream.str();
    if (static_cast<T>(std::strtod(text.c_str(), nullptr)) == value) break;
  }
  return text;
}

template <class Part>
decltype(auto) shown(const Part& part) {
  if constexpr (std::is_floating_point_v<Part>) {
    return digits(part);
  } else {
    return part;
  }
}

template <class Names>
std::string join(const Names& names) {
  std::string all;
  for (const auto& name : names) all.append(all.empty() ? "" : ", ").append(name);
  return all;
}

inline std::string shape(std::ptrdiff_t rows, std::ptrdiff_t cols) {
  return "(" + std::to_string(rows) + ", " + std::to_string(cols) + ")";
}
template <class T>
constexpr const char* type_name() {
  return sizeof(T) == sizeof(float) ? "float32" : "float64";
}

template <class T>
std::string shape(const MatrixView<T>& m) {
  return shape(m.rows, m.cols);
}

}  // namespace fastmlp::detail
