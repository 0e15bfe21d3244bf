// What module.cpp calls, one function for each category of bindings.
#pragma once

#include <pybind11/pybind11.h>

namespace fastmlp::python {

void register_runtime(pybind11::module_& module);
void register_ops(pybind11::module_& module);
void register_optimizers(pybind11::module_& module);
void register_network(pybind11::module_& module);

}  // namespace fastmlp::python
