// What Python passes other than arrays, as the library takes it: text, and what describes a
// network.
#pragma once

#include "pybind11.hpp"

#include <fastmlp/options.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace fastmlp::python {

namespace py = pybind11;

/// str(object), for names and messages. Characters that UTF-8 cannot encode, such as half of a
/// surrogate pair, become question marks.
std::string text(const py::handle& object);

/// The sizes of the layers. \throws ValueError unless `object` is a sequence of integers.
std::vector<std::ptrdiff_t> layers_of(const py::object& object);

/// One activation for each hidden layer, from one name for all or a sequence of names.
/// \throws ValueError for an unknown name, or for no name at all.
std::vector<Activation> hidden_of(const py::object& object, std::size_t n_layers);

/// The output of that name. \throws ValueError for anything else.
Output output_of(const py::object& object);

/// The loss from its name or None, a number, and a sequence of numbers or None.
/// \throws ValueError for an unknown name and for anything that is not a number.
LossOptions loss_of(const py::object& name, const py::object& delta, const py::object& quantiles);

/// One dropout rate for each hidden layer, from one number for all or a sequence; none for None.
/// \throws TypeError for anything else.
std::vector<double> dropout_of(const py::object& object, std::size_t n_hidden);

}  // namespace fastmlp::python
