// str(object) for names and messages.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

namespace fastmlp::python {

namespace py = pybind11;

inline std::string text(const py::handle& object) {
  // What UTF-8 cannot say, such as half of a surrogate pair, becomes a question mark.
  return py::cast<std::string>(py::str(object).attr("encode")("utf-8", "replace"));
}

}  // namespace fastmlp::python
