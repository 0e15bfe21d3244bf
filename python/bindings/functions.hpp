// Works around two faults in the functions and methods that pybind11 makes.
#pragma once

#include "pybind11.hpp"

namespace fastmlp::python {

/// Makes all functions and methods of the module raise MemoryError where pybind11 would end the
/// process, and lets pickle find the module's functions by name. Called once, when everything has
/// been registered.
void finish_functions(const pybind11::module_& module);

}  // namespace fastmlp::python
