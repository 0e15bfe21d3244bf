// See arguments.hpp.
#include "arguments.hpp"

#include "gil.hpp"

namespace fastmlp::python {

std::string text(const py::handle& object) {
  const auto str =
      py::reinterpret_steal<py::str>(call_python([&] { return PyObject_Str(object.ptr()); }));
  if (!str) throw py::error_already_set();
  const auto utf8 =
      py::reinterpret_steal<py::bytes>(PyUnicode_AsEncodedString(str.ptr(), "utf-8", "replace"));
  if (!utf8) throw py::error_already_set();
  return utf8;
}

std::vector<std::ptrdiff_t> layers_of(const py::object& object) {
  const auto refuse_layers = [&]() {
    throw py::value_error("Network: layers is " + text(py::repr(object)) +
                          "; it must be a sequence of positive integers, such as [30, 64, 32, 1]");
  };
  const bool is_text = py::isinstance<py::str>(object) || py::isinstance<py::bytes>(object);
  if (is_text || PySequence_Check(object.ptr()) == 0) refuse_layers();
  std::vector<std::ptrdiff_t> layers;
  for (const py::handle item : object) {
    if (PyIndex_Check(item.ptr()) == 0 || py::isinstance<py::bool_>(item)) refuse_layers();
    const Py_ssize_t size =
        PyNumber_AsSsize_t(item.ptr(), nullptr);  // too large a number is clipped
    if (size == -1 && PyErr_Occurred() != nullptr) {
      PyErr_Clear();  // for example a TypeError of NumPy, for a row of a matrix
      refuse_layers();
    }
    layers.push_back(size);
  }
  return layers;
}

std::vector<Activation> hidden_of(const py::object& object, std::size_t n_layers) {
  if (py::isinstance<py::str>(object)) {
    const Activation all = parse_activation(text(object));
    return std::vector<Activation>(n_layers > 2 ? n_layers - 2 : 0, all);
  }
  if (!py::isinstance<py::iterable>(object)) return {parse_activation(text(py::repr(object)))};
  std::vector<Activation> hidden;
  for (const py::handle item : object) hidden.push_back(parse_activation(text(item)));
  if (hidden.empty() && n_layers > 2) {
    throw py::value_error("Network: hidden is empty; give one name, or one for each of the " +
                          std::to_string(n_layers - 2) + " hidden layers");
  }
  return hidden;
}

Output output_of(const py::object& object) {
  return parse_output(
      text(py::isinstance<py::str>(object) ? object : py::object(py::repr(object))));
}

LossOptions loss_of(const py::object& name, const py::object& delta, const py::object& quantiles) {
  LossOptions loss;
  if (!name.is_none()) {
    try {
      loss.kind =
          parse_loss(text(py::isinstance<py::str>(name) ? name : py::object(py::repr(name))));
    } catch (const std::invalid_argument& error) {
      throw py::value_error(std::string(error.what()) +
                            ", and None for the loss that belongs to the output");
    }
  }
  try {
    loss.delta = delta.cast<double>();
  } catch (const py::cast_error&) {
    throw py::value_error("Network: delta is " + text(py::repr(delta)) + "; it must be a number");
  }
  if (quantiles.is_none()) return loss;
  try {
    if (PySequence_Check(quantiles.ptr()) == 0) throw py::cast_error();
    for (const py::handle item : quantiles) loss.quantiles.push_back(item.cast<double>());
  } catch (const py::cast_error&) {
    throw py::value_error("Network: quantiles is " + text(py::repr(quantiles)) +
                          "; it must be a sequence of numbers, such as [0.05, 0.5, 0.95]");
  }
  return loss;
}

std::vector<double> dropout_of(const py::object& object, std::size_t n_hidden) {
  if (object.is_none()) return {};
  std::vector<double> rates;
  try {
    if (PyNumber_Check(object.ptr()) != 0 && PySequence_Check(object.ptr()) == 0) {
      rates.assign(n_hidden, object.cast<double>());
    } else if (py::isinstance<py::iterable>(object)) {
      for (const py::handle item : object) rates.push_back(item.cast<double>());
    } else {
      throw py::cast_error();
    }
  } catch (const py::cast_error&) {
    throw py::type_error("train_epoch: dropout is " + text(py::repr(object)) +
                         "; it must be a number, or one for each hidden layer");
  }
  return rates;
}

}  // namespace fastmlp::python
