// Binds Optimizer, the native part of the classes in python/fastmlp/optimizers.py, and Objective.
#include "arguments.hpp"
#include "array.hpp"
#include "docs_optimizers.hpp"
#include "gil.hpp"
#include "native_object.hpp"
#include "py_optimizer.hpp"

#include <fastmlp/optimizer.hpp>

#include <pybind11/stl.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace fastmlp::python {
namespace {

/// The value of a hyper-parameter. \throws TypeError, naming it, unless it is a number or, if Value
/// is bool, a bool
template <class Value>
Value value_of(const std::string& optimizer, const char* name, const py::handle& given) {
  try {
    return given.cast<Value>();
  } catch (const py::cast_error&) {
    throw py::type_error(optimizer + ": " + name + " is " + text(py::repr(given)) +
                         "; it must be a " + (std::is_same_v<Value, bool> ? "bool" : "number"));
  }
}

/// If the optimizer called `kind` has these Options, sets `chosen` to them and returns true.
template <class Options>
bool choose(const std::string& kind, const std::string& name, const py::dict& parameters,
            OptimizerOptions& chosen) {
  if (kind != Options::kName) return false;
  Options options;
  Options::visit(options, [&](const char* parameter, auto& value, auto...) {
    value = value_of<std::decay_t<decltype(value)>>(name, parameter, parameters[parameter]);
  });
  chosen = options;
  return true;
}

template <class... Options>
OptimizerOptions options_of(const std::string& kind, const std::string& name,
                            const py::dict& parameters, const std::variant<Options...>&) {
  OptimizerOptions chosen;
  if (!(choose<Options>(kind, name, parameters, chosen) || ...)) {
    throw py::value_error("Optimizer: unknown kind '" + kind + "'");
  }
  return chosen;
}

py::dict parameters_of(const PyOptimizer& self) {
  py::dict parameters;
  std::visit(
      [&](const auto& options) {
        options.visit(options, [&](const char* name, auto value, auto...) {
          parameters[name] = py::cast(value);
        });
        // For some optimizers this is a constant, which visit() does not show.
        parameters["decoupled"] = py::bool_(options.decoupled);
      },
      self.get().options());
  return parameters;
}

template <class T>
py::object vector_of(const Optimizer::State& state, int i) {
  py::array_t<T> copy(state.size);
  T* to = copy.mutable_data();
  without_gil([&] { std::copy_n(static_cast<const T*>(state.vectors[i]), state.size, to); });
  return copy;
}

/// (steps, beta_1^steps, beta_2^steps, a copy of each vector)
py::tuple state_of(PyOptimizer& self) {
  const Optimizer::State state = self.get().state();
  py::list vectors;
  for (int i = 0; i < state.count; ++i) {
    vectors.append(state.bytes == sizeof(float) ? vector_of<float>(state, i)
                                                : vector_of<double>(state, i));
  }
  return py::make_tuple(state.steps, state.beta_1_power, state.beta_2_power, py::tuple(vectors));
}

void set_state(PyOptimizer& self, const py::object& given) {
  Optimizer::State state;
  py::sequence vectors;
  try {
    std::tie(state.steps, state.beta_1_power, state.beta_2_power, vectors) =
        given.cast<std::tuple<std::int64_t, double, double, py::sequence>>();
  } catch (const py::cast_error&) {
    throw py::type_error("set_state: state is " + text(py::repr(given)) +
                         "; it must be (steps, beta_1^steps, beta_2^steps, vectors)");
  }
  if (vectors.size() > 2) throw py::value_error("set_state: there are at most two vectors");
  std::vector<py::array> keep;
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    keep.push_back(floats_of("set_state", vectors[i]));
    if (keep[i].size() != keep[0].size() || keep[i].nbytes() != keep[0].nbytes()) {
      throw py::value_error("set_state: the vectors must have the same size and dtype");
    }
    state.vectors[i] = const_cast<void*>(keep[i].data());
    state.size = keep[i].size();
    state.bytes = state.size > 0 ? keep[i].nbytes() / state.size : 0;
  }
  state.count = static_cast<int>(vectors.size());
  without_gil([&] { self.get().set_state(state); });
}

}  // namespace

void register_optimizers(py::module_& module) {
  // Without __init__ an objective has the default values.
  py::class_<Objective> objective(module, "Objective", kObjectiveDoc, made_at_once<Objective>());
  define_initializer(
      objective, "__init__",
      [](Objective& self, double alpha, double loss_scale, double gradient_scale, double clip) {
        const Objective given{alpha, loss_scale, gradient_scale, clip};
        fastmlp::validate(given);
        self = given;
      },
      py::kw_only(), py::arg("alpha") = 0.0, py::arg("loss_scale") = 1.0,
      py::arg("gradient_scale") = 1.0, py::arg("clip") = 0.0);
  define_initializer(
      objective, "__setstate__",
      [](const py::object& self, const py::dict& state) {
        py::type::of<Objective>().attr("__init__")(self, **state);
      },
      py::arg("state"), "Set the values of __getstate__().");
  define_reduce(objective);
  objective
      .def(
          "__getstate__",
          [](const Objective& self) {
            return py::dict(py::arg("alpha") = self.alpha, py::arg("loss_scale") = self.loss_scale,
                            py::arg("gradient_scale") = self.gradient_scale,
                            py::arg("clip") = self.clip);
          },
          "The values by name: a dict.")
      .def_readonly("alpha", &Objective::alpha, "The penalty of squared weights: a float.")
      .def_readonly("loss_scale", &Objective::loss_scale, "The factor of the loss: a float.")
      .def_readonly("gradient_scale", &Objective::gradient_scale,
                    "The factor of the gradient: a float.")
      .def_readonly("clip", &Objective::clip,
                    "Losses are reported for probabilities in [clip, 1 - clip]: a float.");

  py::class_<PyOptimizer> optimizer(module, "Optimizer",
                                    "The native part of the optimizers; see fastmlp.optimizers.",
                                    made_at_once<PyOptimizer>());
  define_initializer(
      optimizer, "__init__",
      [](PyOptimizer& self, const std::string& kind, const std::string& name,
         const py::dict& parameters) {
        self.init(options_of(kind, name, parameters, OptimizerOptions()));
      },
      py::arg("kind"), py::arg("name"), py::arg("parameters"));
  define_reduce(optimizer);
  optimizer
      .def_property(
          "learning_rate", [](const PyOptimizer& self) { return self.get().learning_rate(); },
          [](PyOptimizer& self, double rate) { self.get().set_learning_rate(rate); },
          "The learning rate of the next update: a float.")
      .def_property_readonly(
          "steps", [](PyOptimizer& self) { return self.get().state().steps; },
          "The number of updates so far: an int. Plain SGD has no state and does not count them.")
      .def("_parameters", &parameters_of, "The hyper-parameters by name: a dict.")
      .def("_state", &state_of, "(steps, beta_1^steps, beta_2^steps, copies of the vectors).")
      .def("_adopt", &PyOptimizer::adopt, py::arg("made"),
           "Become `made`, which must not be used any more. Only instead of __init__.")
      .def("_set_state", &set_state, py::arg("state"),
           "Copy a state of _state(). The copy belongs to the next network that is updated.");
}

}  // namespace fastmlp::python
