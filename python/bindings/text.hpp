// str(object) for messages.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

namespace fastmlp::python {

namespace py = pybind11;

inline std::string text(const py::handle& object) { return py::cast<std::string>(py::str(object)); }

}  // namespace fastmlp::python
