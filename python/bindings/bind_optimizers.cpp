// Optimizer and its kinds SGD, Adam and AdamW, and Objective.
#include "array.hpp"
#include "docs_optimizers.hpp"
#include "register.hpp"
#include "text.hpp"

#include <fastmlp/optimizer.hpp>

#include <cstring>
#include <utility>

namespace fastmlp::python {
namespace {

// Python tells the kinds apart by their types.
struct Sgd : Optimizer {
  using Optimizer::Optimizer;
  const SgdOptions& values() const { return std::get<SgdOptions>(options()); }
};
struct Adam : Optimizer {
  using Optimizer::Optimizer;
  const AdamOptions& values() const { return std::get<AdamOptions>(options()); }
};
struct AdamW : Adam {
  using Adam::Adam;
};

template <class T>
py::object vector_of(const Optimizer::State& state, int i) {
  return py::array_t<T>(state.size, static_cast<const T*>(state.vectors[i]));
}

/// (steps, beta_1^steps, beta_2^steps, a copy of each vector)
py::tuple state_of(Optimizer& optimizer) {
  const Optimizer::State state = optimizer.state();
  py::list vectors;
  for (int i = 0; i < state.count; ++i) {
    vectors.append(state.bytes == sizeof(float) ? vector_of<float>(state, i)
                                                : vector_of<double>(state, i));
  }
  return py::make_tuple(state.steps, state.beta_1_power, state.beta_2_power, py::tuple(vectors));
}

void set_state(Optimizer& optimizer, const py::tuple& given) {
  Optimizer::State state;
  state.steps = given[0].cast<std::int64_t>();
  state.beta_1_power = given[1].cast<double>();
  state.beta_2_power = given[2].cast<double>();
  const py::tuple vectors = given[3];
  if (vectors.size() > 2) throw py::value_error("set_state: there are at most two vectors");
  std::vector<py::array> keep;
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    keep.push_back(floats_of("set_state", vectors[i]));
    if (keep[i].size() != keep[0].size() || keep[i].nbytes() != keep[0].nbytes()) {
      throw py::value_error("set_state: the vectors must be alike");
    }
    state.vectors[i] = const_cast<void*>(keep[i].data());
    state.size = keep[i].size();
    state.bytes = state.size > 0 ? keep[i].nbytes() / state.size : 0;
  }
  state.count = static_cast<int>(vectors.size());
  optimizer.set_state(state);
}

AdamOptions adam_options(double learning_rate, double beta_1, double beta_2, double epsilon,
                         const py::object& epsilon_hat, double weight_decay, bool decoupled) {
  const bool hat = !epsilon_hat.is_none();
  return {learning_rate, beta_1,       beta_2,   hat ? epsilon_hat.cast<double>() : epsilon,
          hat,           weight_decay, decoupled};
}

/// The arguments that made it, with the learning rate as it is now.
py::dict arguments_of(const Sgd& sgd) {
  const SgdOptions& o = sgd.values();
  py::dict d;
  d["learning_rate"] = o.learning_rate;
  d["momentum"] = o.momentum;
  d["nesterov"] = o.nesterov;
  d["weight_decay"] = o.weight_decay;
  if (o.decoupled) d["decoupled"] = true;
  return d;
}
py::dict arguments_of(const Adam& adam) {
  const AdamOptions& o = adam.values();
  py::dict d;
  d["learning_rate"] = o.learning_rate;
  d["beta_1"] = o.beta_1;
  d["beta_2"] = o.beta_2;
  d[o.epsilon_hat ? "epsilon_hat" : "epsilon"] = o.epsilon;
  d["weight_decay"] = o.weight_decay;
  return d;
}

template <class Kind, class Class>
void add_common(Class& cls) {
  cls.def("__repr__",
          [](const py::object& self) {
            std::string arguments;
            for (const auto& [name, value] : arguments_of(self.cast<const Kind&>())) {
              arguments +=
                  (arguments.empty() ? "" : ", ") + text(name) + "=" + text(py::repr(value));
            }
            return text(py::type::of(self).attr("__name__")) + "(" + arguments + ")";
          })
      .def("__reduce__", [](const py::object& self) {
        return py::make_tuple(
            py::module_::import("fastmlp._core").attr("_rebuild_optimizer"),
            py::make_tuple(py::type::of(self), arguments_of(self.cast<const Kind&>()),
                           self.attr("_state")()));
      });
}

py::object rebuild(const py::object& type, const py::dict& arguments, const py::tuple& state) {
  py::object optimizer = type(**arguments);
  optimizer.attr("_set_state")(state);
  return optimizer;
}

}  // namespace

void register_optimizers(py::module_& module) {
  const py::object none = py::none();
  py::class_<Objective>(module, "Objective", kObjectiveDoc)
      .def(py::init([](double alpha, double loss_scale, double gradient_scale, double clip) {
             const Objective objective{alpha, loss_scale, gradient_scale, clip};
             fastmlp::validate(objective);
             return objective;
           }),
           py::kw_only(), py::arg("alpha") = 0.0, py::arg("loss_scale") = 1.0,
           py::arg("gradient_scale") = 1.0, py::arg("clip") = 0.0)
      .def_readonly("alpha", &Objective::alpha, "The penalty of squared weights: a float.")
      .def_readonly("loss_scale", &Objective::loss_scale,
                    "What the loss is multiplied by: a float.")
      .def_readonly("gradient_scale", &Objective::gradient_scale,
                    "What the gradient is multiplied by: a float.")
      .def_readonly("clip", &Objective::clip,
                    "How near to 0 and 1 a reported probability may be: a float.");

  module.def("_rebuild_optimizer", &rebuild, "What copies and pickles of optimizers call.");
  py::class_<Optimizer>(module, "Optimizer", "What SGD, Adam and AdamW have in common.")
      .def_property("learning_rate", &Optimizer::learning_rate, &Optimizer::set_learning_rate,
                    "The learning rate, from the next update on.")
      .def_property_readonly(
          "steps", [](Optimizer& self) { return self.state().steps; },
          "The updates so far; counted where there is a state, which plain SGD has not.")
      .def("_state", &state_of, "(steps, beta_1^steps, beta_2^steps, copies of the vectors).")
      .def("_set_state", &set_state, py::arg("state"),
           "Take a copy of what _state() gave; it then belongs to the next network.");

  py::class_<Sgd, Optimizer> sgd(module, "SGD", kSgdDoc);
  sgd.def(py::init([](double learning_rate, double momentum, bool nesterov, double weight_decay,
                      bool decoupled) {
            return Sgd(SgdOptions{learning_rate, momentum, nesterov, weight_decay, decoupled});
          }),
          py::arg("learning_rate") = SgdOptions{}.learning_rate, py::arg("momentum") = 0.0,
          py::arg("nesterov") = false, py::arg("weight_decay") = 0.0, py::kw_only(),
          py::arg("decoupled") = false)
      .def_property_readonly(
          "decoupled", [](const Sgd& self) { return self.values().decoupled; },
          "Whether the decay is not part of the gradient: a bool.")
      .def_property_readonly(
          "momentum", [](const Sgd& self) { return self.values().momentum; },
          "The share of the velocity that stays: a float.")
      .def_property_readonly(
          "nesterov", [](const Sgd& self) { return self.values().nesterov; },
          "Whether it looks ahead: a bool.")
      .def_property_readonly(
          "weight_decay", [](const Sgd& self) { return self.values().weight_decay; },
          "What of the weights is added to their gradient: a float.");
  add_common<Sgd>(sgd);

  py::class_<Adam, Optimizer> adam(module, "Adam", kAdamDoc);
  adam.def(py::init([](double learning_rate, double beta_1, double beta_2, double epsilon,
                       const py::object& epsilon_hat, double weight_decay) {
             return Adam(adam_options(learning_rate, beta_1, beta_2, epsilon, epsilon_hat,
                                      weight_decay, false));
           }),
           py::arg("learning_rate") = AdamOptions{}.learning_rate,
           py::arg("beta_1") = AdamOptions{}.beta_1, py::arg("beta_2") = AdamOptions{}.beta_2,
           py::arg("epsilon") = AdamOptions{}.epsilon, py::kw_only(), py::arg("epsilon_hat") = none,
           py::arg("weight_decay") = 0.0)
      .def_property_readonly(
          "beta_1", [](const Adam& self) { return self.values().beta_1; },
          "The share of m that stays: a float.")
      .def_property_readonly(
          "beta_2", [](const Adam& self) { return self.values().beta_2; },
          "The share of v that stays: a float.")
      .def_property_readonly(
          "epsilon", [](const Adam& self) { return self.values().epsilon; },
          "What is added to the root: a float.")
      .def_property_readonly(
          "epsilon_hat", [](const Adam& self) { return self.values().epsilon_hat; },
          "Whether it is added to sqrt(v) instead of sqrt(v'): a bool.")
      .def_property_readonly(
          "weight_decay", [](const Adam& self) { return self.values().weight_decay; },
          "The decay of weights, in the gradient or for AdamW apart from it: a float.");
  add_common<Adam>(adam);

  py::class_<AdamW, Adam> adamw(module, "AdamW", kAdamWDoc);
  adamw.def(py::init([](double learning_rate, double beta_1, double beta_2, double epsilon,
                        const py::object& epsilon_hat, double weight_decay) {
              return AdamW(adam_options(learning_rate, beta_1, beta_2, epsilon, epsilon_hat,
                                        weight_decay, true));
            }),
            py::arg("learning_rate") = AdamOptions{}.learning_rate,
            py::arg("beta_1") = AdamOptions{}.beta_1, py::arg("beta_2") = AdamOptions{}.beta_2,
            py::arg("epsilon") = AdamOptions{}.epsilon, py::kw_only(),
            py::arg("epsilon_hat") = none, py::arg("weight_decay") = 0.01);
}

}  // namespace fastmlp::python
