// Converter: reads the elements of an array of any real dtype as float, double or int64. It calls
// neither NumPy nor Python, so it can work without the GIL.
#pragma once

#include "pybind11.hpp"

#include <pybind11/numpy.h>

#include <array>
#include <cstddef>
#include <memory>

namespace fastmlp::python {

template <class To>
class Converter {
 public:
  /// \pre as_array() returned `array`. For int64: its dtype is bool or an integer.
  explicit Converter(const pybind11::array& array);

  /// Writes to[i] for the element i * stride bytes after `from`, for i below n.
  void operator()(const char* from, std::ptrdiff_t stride, std::ptrdiff_t n, To* to) const;

 private:
  using Function = void(const char* from, std::ptrdiff_t stride, std::ptrdiff_t n, To* to);

  Function* convert_;                                    // null for an array that has a table
  std::shared_ptr<const std::array<float, 256>> table_;  // the value of each byte
  std::ptrdiff_t itemsize_;
  bool swapped_;
};

/// Whether a dtype is one of NumPy's own, not one that another library has registered.
bool is_builtin(const pybind11::dtype& dtype);

/// A C-contiguous copy of `array`, of any shape, with elements of type To. \pre as for Converter
template <class To>
pybind11::array converted(const pybind11::array& array);

}  // namespace fastmlp::python
