// What describes a network in Python, other than arrays, as the library takes it.
#pragma once

#include <fastmlp/options.hpp>

#include <pybind11/pybind11.h>

#include <cstddef>
#include <vector>

namespace fastmlp::python {

namespace py = pybind11;

/// Layer sizes. \throws ValueError unless it is a sequence of integers.
std::vector<std::ptrdiff_t> layers_of(const py::object& object);

/// One activation for each hidden layer, from one name or a sequence of names.
std::vector<Activation> hidden_of(const py::object& object, std::size_t n_layers);

/// The output of a name. \throws ValueError for anything else.
/// Dropout rates: none, one for all hidden layers, or one each.
std::vector<double> dropout_of(const py::object& object, std::size_t n_hidden);

Output output_of(const py::object& object);

}  // namespace fastmlp::python
