// What array.cpp and array_rows.cpp share: questions to an array, and its view.
#pragma once

#include "array.hpp"
#include "text.hpp"

namespace fastmlp::python {

inline std::string shape_text(const py::array& array) { return text(array.attr("shape")); }

[[noreturn]] inline void refuse_value(const std::string& message) {
  throw py::value_error(message);
}

template <class T>
bool has_type(const py::array& array) {
  const py::dtype dtype = array.dtype();
  return dtype.kind() == 'f' && dtype.itemsize() == static_cast<py::ssize_t>(sizeof(T)) &&
         dtype.byteorder() == '=';
}

/// Whether every element lies where a T may lie, at strides of whole T.
template <class T>
bool is_aligned(const py::array& array) {
  if (reinterpret_cast<std::uintptr_t>(array.data()) % alignof(T) != 0) return false;
  for (py::ssize_t d = 0; d < array.ndim(); ++d) {
    if (array.shape(d) > 1 && array.strides(d) % static_cast<py::ssize_t>(sizeof(T)) != 0) {
      return false;
    }
  }
  return true;
}

inline bool is_contiguous(const py::array& array) {
  return (array.flags() & py::array::c_style) == py::array::c_style;
}

template <class T>
MatrixView<const T> view_of(const T* data, const py::array& array) {
  const auto stride = [&](py::ssize_t d) {  // that of a single element is arbitrary
    return array.shape(d) > 1 ? array.strides(d) / static_cast<py::ssize_t>(sizeof(T)) : 1;
  };
  switch (array.ndim()) {
    case 0:
      return {data, 1, 1};
    case 1:
      return {data, 1, array.shape(0), array.shape(0), stride(0)};
    case 2:
      return {data, array.shape(0), array.shape(1), array.shape(0) > 1 ? stride(0) : array.shape(1),
              stride(1)};
    default:
      return {data, 1, array.size()};
  }
}

}  // namespace fastmlp::python
