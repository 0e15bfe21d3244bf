// _core.Network: a network of float or double behind one class.
// Each binding takes views, releases the GIL and calls the library.
#include "call_data.hpp"
#include "docs_network.hpp"
#include "gil.hpp"
#include "py_network.hpp"
#include "register.hpp"

#include <fastmlp/network.hpp>
#include <fastmlp/random.hpp>

#include <pybind11/stl.h>

#include <optional>
#include <utility>

namespace fastmlp::python {
namespace {

/// Work so small that other Python threads need not be let in: to release the GIL and to take it
/// again costs as much.
constexpr py::ssize_t kBriefFlops = 20000;

template <class T>
py::array forward_sparse(Network<T>& net, const py::object& X, const py::object& out) {
  CsrArrays keep;
  const RowSource<T> rows = csr_rows_of<T>("forward", "X", X, keep);
  const py::array result = output<T>("forward", out, {rows.rows(), net.layers().back()}, {});
  const MatrixView<T> target = mutable_view<T>(result);
  interruptible([&] { net.forward(rows, target, signal_arrived); });
  return result;
}

py::array forward(PyNetwork& self, const py::object& X, const py::object& out) {
  return self.visit([&](auto& net) -> py::array {
    using T = ElementOf<decltype(net)>;
    if (is_csr(X)) return forward_sparse<T>(net, X, out);
    const py::array given = as_array("forward", "X", X);
    const py::ssize_t n_out = net.layers().back();
    const bool one_row = is_vector(given);
    const bool in_place = one_row && is_usable<T>(given);
    const py::array matrix =
        one_row && !in_place ? given.attr("reshape")(1, -1).template cast<py::array>() : given;
    const RowSource<T> rows =
        in_place ? RowSource<T>(view<T>(matrix)) : rows_of<T>("forward", "X", matrix);
    const std::vector<py::ssize_t> shape =
        one_row ? std::vector<py::ssize_t>{n_out} : std::vector<py::ssize_t>{rows.rows(), n_out};
    const py::array result = output<T>("forward", out, shape, {given});
    if (!out.is_none() && is_view_of(net, result)) {
      throw py::value_error(
          "forward: out shares memory with the network's parameters or gradients");
    }
    const MatrixView<T> target = mutable_view<T>(result);
    if (one_row && 2 * net.n_parameters() <= kBriefFlops) {
      net.forward(rows, target);
    } else {
      interruptible([&] { net.forward(rows, target, signal_arrived); });
    }
    return result;
  });
}

double loss(PyNetwork& self, const py::object& X, const py::object& y, const py::object& weight) {
  return self.visit([&](auto& net) {
    const CallData<ElementOf<decltype(net)>> data("loss", net, X, y, weight);
    return interruptible(
        [&] { return net.loss(data.x_rows, data.y_rows, data.weights, signal_arrived).mean(); });
  });
}

double loss_and_gradients(PyNetwork& self, const py::object& X, const py::object& y,
                          const py::object& weight, const Objective& objective) {
  return self.visit([&](auto& net) {
    const CallData<ElementOf<decltype(net)>> data("loss_and_gradients", net, X, y, weight);
    return interruptible([&] {
      return net
          .loss_and_gradients(data.x_rows, data.y_rows, data.weights, signal_arrived, objective)
          .mean();
    });
  });
}

std::pair<double, double> accumulate_gradients(PyNetwork& self, const py::object& X,
                                               const py::object& y, const py::object& weight) {
  return self.visit([&](auto& net) {
    const CallData<ElementOf<decltype(net)>> data("accumulate_gradients", net, X, y, weight);
    const LossSum sum = interruptible([&] {
      return net.accumulate_gradients(data.x_rows, data.y_rows, data.weights, signal_arrived);
    });
    return std::pair(sum.loss, sum.weight);
  });
}

void apply_gradients(PyNetwork& self, Optimizer& optimizer, double scale) {
  self.visit([&](auto& net) {
    const GilReleased released;
    net.apply_gradients(optimizer, scale);
  });
}

double step(PyNetwork& self, const py::object& X, const py::object& y, double learning_rate) {
  return self.visit([&](auto& net) {
    const CallData<ElementOf<decltype(net)>> data("step", net, X, y, py::none());
    return interruptible(
        [&] { return net.step(data.x_rows, data.y_rows, learning_rate, signal_arrived); });
  });
}

double train_epoch(PyNetwork& self, const py::object& X, const py::object& y,
                   const py::object& order, py::ssize_t batch_size, Optimizer& optimizer,
                   const py::object& weight, const Objective& objective,
                   const py::object& batch_losses, const py::object& dropout,
                   std::optional<std::uint64_t> seed) {
  return self.visit([&](auto& net) {
    const CallData<ElementOf<decltype(net)>> data("train_epoch", net, X, y, weight);
    const py::array_t<std::int64_t> rows = order_of("train_epoch", order);
    const std::int64_t* first = rows.data();
    const std::ptrdiff_t count = rows.size();
    EpochOptions options;
    options.objective = objective;
    options.dropout = dropout_of(dropout, net.hidden().size());
    options.dropout_seed = seed.value_or(self.seed());
    if (!batch_losses.is_none()) {
      const std::ptrdiff_t batches = batch_size > 0 ? (count + batch_size - 1) / batch_size : 0;
      options.batch_losses = doubles_of("train_epoch", "batch_losses", batch_losses, batches);
    }
    return interruptible([&] {
      return net
          .train_epoch(data.x_rows, data.y_rows, first, count, batch_size, optimizer, data.weights,
                       signal_arrived, options)
          .mean();
    });
  });
}

/// (a copy of the parameters, epochs_trained), as they are between two steps.
py::tuple snapshot(PyNetwork& self) {
  return self.visit([](auto& net) -> py::tuple {
    py::array_t<ElementOf<decltype(net)>> parameters(net.n_parameters());
    auto* data = parameters.mutable_data();
    std::int64_t epochs = 0;
    {
      const GilReleased released;
      epochs = net.snapshot(data);
    }
    return py::make_tuple(parameters, epochs);
  });
}

void validate(PyNetwork& self, const char* function, const py::object& X, const py::object& y,
              const py::object& weight) {
  self.visit([&](auto& net) {
    const CallData<ElementOf<decltype(net)>> data(function, net, X, y, weight);
    interruptible(
        [&] { net.validate(function, data.x_rows, data.y_rows, data.weights, signal_arrived); });
  });
}

/// A writable NumPy view of (part of) the network's memory, which it keeps alive. Its base is not
/// the Python object: a network that keeps a view of itself would never be collected.
template <class T>
py::array view_of(PyNetwork& self, T* data, std::vector<py::ssize_t> shape) {
  return py::array_t<T>(std::move(shape), data, self.memory());
}

/// One view for each layer; part(net, l) says of what.
template <class Part>
py::tuple layer_views(PyNetwork& self, const Part& part) {
  return self.visit([&](auto& net) {
    py::tuple views(static_cast<std::size_t>(net.depth()));
    for (std::ptrdiff_t l = 0; l < net.depth(); ++l) {
      views[static_cast<std::size_t>(l)] = part(net, l);
    }
    return views;
  });
}

py::tuple weights(PyNetwork& self) {
  return layer_views(self, [&](auto& net, std::ptrdiff_t l) {
    const auto W = net.weights(l);
    return view_of(self, W.data, {W.rows, W.cols});
  });
}

py::tuple biases(PyNetwork& self) {
  return layer_views(self, [&](auto& net, std::ptrdiff_t l) {
    const auto b = net.biases(l);
    return view_of(self, b.data, {b.cols});
  });
}

py::tuple hidden(PyNetwork& self) {
  return self.visit([](auto& net) {
    py::tuple names(net.hidden().size());
    for (std::size_t l = 0; l < net.hidden().size(); ++l) {
      names[l] = py::str(std::string(name_of(net.hidden()[l])));
    }
    return names;
  });
}

py::array_t<std::int64_t> epoch_permutation(py::ssize_t n, std::uint64_t seed,
                                            std::uint64_t epoch) {
  py::array_t<std::int64_t> order(n);
  std::int64_t* data = order.mutable_data();
  interruptible([&] { permutation(data, n, seed, epoch, signal_arrived); });
  return order;
}

}  // namespace

void register_network(py::module_& module) {
  module.def("permutation", &epoch_permutation, py::arg("n"), py::arg("seed"), py::arg("epoch"),
             "The shuffle of ``range(n)`` for one epoch, int64 (n,); docs/mathematics.md, Random "
             "numbers.");

  const py::object none = py::none();
  py::class_<PyNetwork>(module, "Network", "The native part of fastmlp.Network; see there.")
      .def(py::init<const py::object&, const py::object&, const py::object&, const std::string&,
                    std::uint64_t>(),
           py::arg("layers"), py::arg("hidden"), py::arg("output"), py::arg("dtype"),
           py::arg("seed"))
      .def_property_readonly(
          "layers",
          [](PyNetwork& self) {
            return self.visit([](auto& net) { return py::tuple(py::cast(net.layers())); });
          },
          "The number of units of each layer, inputs first: a tuple of int.")
      .def_property_readonly("hidden", &hidden,
                             "The activation of each hidden layer: a tuple of str.")
      .def_property_readonly(
          "output",
          [](PyNetwork& self) {
            return self.visit([](auto& net) { return std::string(name_of(net.output())); });
          },
          "The output, which fixes the loss: a str.")
      .def_property_readonly(
          "dtype",
          [](PyNetwork& self) {
            return self.visit([](auto& net) { return py::dtype::of<ElementOf<decltype(net)>>(); });
          },
          "The numpy.dtype of parameters and results.")
      .def_property_readonly(
          "n_parameters",
          [](PyNetwork& self) { return self.visit([](auto& net) { return net.n_parameters(); }); },
          "The number of parameters: an int.")
      .def_property_readonly(
          "seed", [](PyNetwork& self) { return self.seed(); },
          "The seed of the initial weights and the shuffles: an int.")
      .def_property(
          "epochs_trained",
          [](PyNetwork& self) {
            return self.visit([](auto& net) { return net.epochs_trained(); });
          },
          [](PyNetwork& self, std::int64_t epochs) {
            self.visit([&](auto& net) {
              const GilReleased released;
              net.set_epochs_trained(epochs);
            });
          },
          "How many epochs have been completed; the shuffles count by it.")
      .def_property_readonly("weights", &weights,
                             "W_1 ... W_L: a tuple of writable views (n_in, n_out).")
      .def_property_readonly("biases", &biases, "b_1 ... b_L: a tuple of writable views (n_out,).")
      .def_property_readonly(
          "parameters",
          [](PyNetwork& self) {
            return self.visit(
                [&](auto& net) { return view_of(self, net.parameters(), {net.n_parameters()}); });
          },
          "All parameters, W_1 b_1 W_2 b_2 ...: a writable view (n_parameters,).")
      .def_property_readonly(
          "gradients",
          [](PyNetwork& self) {
            return self.visit(
                [&](auto& net) { return view_of(self, net.gradients(), {net.n_parameters()}); });
          },
          "The gradients, in the order of parameters: a writable view (n_parameters,).")
      .def("forward", &forward, py::arg("X"), py::arg("out") = none, kForwardDoc)
      .def("loss", &loss, py::arg("X"), py::arg("y"), py::arg("sample_weight") = none, kLossDoc)
      .def("loss_and_gradients", &loss_and_gradients, py::arg("X"), py::arg("y"),
           py::arg("sample_weight") = none, py::kw_only(), py::arg("objective") = Objective{},
           kLossAndGradientsDoc)
      .def("accumulate_gradients", &accumulate_gradients, py::arg("X"), py::arg("y"),
           py::arg("sample_weight") = none, kAccumulateGradientsDoc)
      .def("apply_gradients", &apply_gradients, py::arg("optimizer"), py::arg("scale") = 1.0,
           kApplyGradientsDoc)
      .def("step", &step, py::arg("X"), py::arg("y"), py::arg("learning_rate"), kStepDoc)
      .def("train_epoch", &train_epoch, py::arg("X"), py::arg("y"), py::arg("order"), py::kw_only(),
           py::arg("batch_size"), py::arg("optimizer"), py::arg("sample_weight") = none,
           py::arg("objective") = Objective{}, py::arg("batch_losses") = none,
           py::arg("dropout") = none, py::arg("seed") = none, kTrainEpochDoc)
      .def("_snapshot", &snapshot,
           "A copy of the parameters, and epochs_trained, between two calls that write them.")
      .def("_validate", &validate, py::arg("function"), py::arg("X"), py::arg("y"),
           py::arg("sample_weight") = none,
           "Raise what loss() would raise for these arguments, naming `function`.");
}

}  // namespace fastmlp::python
