// _core.Network: a network of float or double behind one class. Each binding takes views of its
// arrays, releases the GIL and calls the library. Docstrings are in docs_network.hpp, checks of
// arrays in array.hpp. Start at PyNetwork, then `train_epoch`.
#include "arguments.hpp"
#include "array.hpp"
#include "array_convert.hpp"
#include "docs_network.hpp"
#include "gil.hpp"
#include "native_object.hpp"
#include "own_loss.hpp"
#include "py_optimizer.hpp"
#include "scope.hpp"
#include "set_once.hpp"

#include <fastmlp/network.hpp>

#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace fastmlp::python {
namespace {

using AnyNetwork = std::variant<Network<float>, Network<double>>;

std::shared_ptr<AnyNetwork> make_network(const std::string& dtype,
                                         std::vector<std::ptrdiff_t> layers,
                                         std::vector<Activation> hidden, Output output,
                                         LossOptions loss) {
  const GilReleased released;  // a large network takes a while to allocate
  if (dtype == "float32") {
    return std::make_shared<AnyNetwork>(std::in_place_type<Network<float>>, std::move(layers),
                                        std::move(hidden), output, std::move(loss));
  }
  if (dtype == "float64") {
    return std::make_shared<AnyNetwork>(std::in_place_type<Network<double>>, std::move(layers),
                                        std::move(hidden), output, std::move(loss));
  }
  throw py::value_error("Network: dtype is '" + dtype + "'; allowed: float32, float64");
}

/// A network of float or double behind one type, which Python sees as _core.Network. It has no
/// network before __init__.
class PyNetwork {
 public:
  /// Without `initialize` no weights are drawn: all parameters are zero.
  void init(const py::object& layers, const py::object& hidden, const py::object& output,
            const std::string& dtype, std::uint64_t seed, bool initialize, const py::object& loss,
            const py::object& delta, const py::object& quantiles) {
    const std::vector<std::ptrdiff_t> sizes = layers_of(layers);
    auto net = make_network(dtype, sizes, hidden_of(hidden, sizes.size()), output_of(output),
                            loss_of(loss, delta, quantiles));
    interruptible([&](const ShouldStop& should_stop) {
      std::visit([&](auto& n) { initialize ? n.initialize(seed, should_stop) : n.set_seed(seed); },
                 *net);
    });
    // The last step, because Python code of the arguments may have called __init__ too.
    set(std::move(net));
  }

  /// Takes the network of `made`, which is then dropped.
  void adopt(const PyNetwork& made) { set(made.shared()); }

  /// f(Network<T>&)
  template <class F>
  decltype(auto) visit(F&& f) {
    return std::visit(std::forward<F>(f), *shared());
  }

  std::uint64_t seed() {
    return visit([](auto& net) { return net.seed(); });
  }

  /// Keeps the memory of the network alive.
  const std::shared_ptr<AnyNetwork>& shared() const {
    const auto* net = net_.get();
    if (net == nullptr) throw std::runtime_error("Network: __init__ has not been called");
    return *net;
  }

  /// The base of NumPy views: it keeps the memory of the network alive.
  py::capsule memory() const {
    using Owner = std::shared_ptr<AnyNetwork>;
    auto owner = std::make_unique<Owner>(shared());
    py::capsule base(owner.get(), [](void* kept) { delete static_cast<Owner*>(kept); });
    static_cast<void>(owner.release());
    return base;
  }

 private:
  void set(std::shared_ptr<AnyNetwork> net) {
    if (!net_.set(std::move(net))) {
      throw std::runtime_error("Network: __init__ has been called before");
    }
  }

  SetOnce<std::shared_ptr<AnyNetwork>> net_;
};

template <class T>
T element_of(const Network<T>&);  // never called or defined
template <class Net>
using ElementOf = decltype(element_of(std::declval<Net&>()));

/// Whether an array is a view of a network's parameters or gradients.
template <class T>
bool is_view_of(Network<T>& net, const py::array& array) {
  const std::size_t bytes = static_cast<std::size_t>(net.n_parameters()) * sizeof(T);
  return shares_memory(array, net.parameters(), bytes) ||
         shares_memory(array, net.gradients(), bytes);
}

/// An argument as an array. What is no array may be a frame, of which as_array compares the columns
/// with those that this network knows.
py::array array_of(const char* function, const char* name, PyNetwork& self,
                   const py::object& object) {
  if (!may_be_frame(object)) return as_array(function, name, object);
  return as_array(function, name, object, py::cast(self, py::return_value_policy::reference));
}

/// X, y and the weights of one call, kept alive. If X or y is a view of the network, it is a copy.
template <class T>
class CallData {
 public:
  CallData(const char* function, PyNetwork& self, Network<T>& net, const py::object& X,
           const py::object& y, const py::object& weight, const char* y_name = "y")
      : x_(is_csr(X) ? py::array() : apart_from(net, array_of(function, "X", self, X))),
        y_(apart_from(net, array_of(function, y_name, self, y))),
        x_rows(is_csr(X) ? csr_rows_of<T>(function, "X", X, csr_,
                                          [&](const py::array& array) {
                                            return is_view_of(net, array) ? copy_of(array) : array;
                                          })
                         : rows_of<T>(function, "X", x_)),
        y_rows(targets_of<T>(function, y_name, y_)),
        weight_(sample_weight_of(function, weight, x_rows.rows())),
        weights(weight.is_none() ? nullptr : weight_.data()) {}

 private:
  // A step writes the parameters, so it must not read its rows from them.
  static py::array apart_from(Network<T>& net, const py::array& array) {
    return is_view_of(net, array) ? converted<T>(array) : array;
  }
  static py::array copy_of(const py::array& array) { return array.attr("copy")(); }

  py::array x_, y_;
  CsrArrays csr_;  // instead of x_ if X is sparse

 public:
  const RowSource<T> x_rows, y_rows;

 private:
  py::array_t<double> weight_;

 public:
  const double* const weights;
};

/// Refuses an `out` of forward that is a view of the network.
template <class T>
void require_apart(Network<T>& net, const py::object& out, const py::array& result) {
  if (!out.is_none() && is_view_of(net, result)) {
    throw py::value_error("forward: out shares memory with the network's parameters or gradients");
  }
}

/// Below this much work the GIL is kept: releasing it and taking it again costs as much.
constexpr py::ssize_t kBriefFlops = 20000;

template <class T>
py::array forward_sparse(Network<T>& net, const py::object& X, const py::object& out) {
  CsrArrays keep;
  const RowSource<T> rows = csr_rows_of<T>("forward", "X", X, keep);
  const py::array result = output<T>("forward", out, {rows.rows(), net.layers().back()},
                                     {keep.data, keep.indices, keep.indptr});
  require_apart(net, out, result);
  const MatrixView<T> target = mutable_view<T>(result);
  interruptible([&](const ShouldStop& should_stop) { net.forward(rows, target, should_stop); });
  return result;
}

py::array forward(PyNetwork& self, const py::object& X, const py::object& out) {
  return self.visit([&](auto& net) -> py::array {
    using T = ElementOf<decltype(net)>;
    if (is_csr(X)) return forward_sparse<T>(net, X, out);
    const py::array given = array_of("forward", "X", self, X);
    const py::ssize_t n_out = net.layers().back();
    const bool one_row = is_vector(given);
    const py::array matrix = one_row ? usable<T>(given) : given;
    const RowSource<T> rows =
        one_row ? RowSource<T>(view<T>(matrix)) : rows_of<T>("forward", "X", matrix);
    const std::vector<py::ssize_t> shape =
        one_row ? std::vector<py::ssize_t>{n_out} : std::vector<py::ssize_t>{rows.rows(), n_out};
    const py::array result = output<T>("forward", out, shape, {given});
    require_apart(net, out, result);
    const MatrixView<T> target = mutable_view<T>(result);
    if (one_row && 2 * net.n_parameters() <= kBriefFlops) {
      net.forward(rows, target);
    } else {
      interruptible([&](const ShouldStop& should_stop) { net.forward(rows, target, should_stop); });
    }
    return result;
  });
}

double loss(PyNetwork& self, const py::object& X, const py::object& y, const py::object& weight) {
  return self.visit([&](auto& net) {
    const CallData<ElementOf<decltype(net)>> data("loss", self, net, X, y, weight);
    return interruptible([&](const ShouldStop& should_stop) {
      return net.loss(data.x_rows, data.y_rows, data.weights, should_stop).mean();
    });
  });
}

double loss_and_gradients(PyNetwork& self, const py::object& X, const py::object& y,
                          const py::object& weight, Objective objective) {
  return self.visit([&](auto& net) {
    const CallData<ElementOf<decltype(net)>> data("loss_and_gradients", self, net, X, y, weight);
    return interruptible([&](const ShouldStop& should_stop) {
      return net.loss_and_gradients(data.x_rows, data.y_rows, data.weights, should_stop, objective)
          .mean();
    });
  });
}

std::pair<double, double> accumulate_gradients(PyNetwork& self, const py::object& X,
                                               const py::object& y, const py::object& weight) {
  return self.visit([&](auto& net) {
    const CallData<ElementOf<decltype(net)>> data("accumulate_gradients", self, net, X, y, weight);
    const LossSum sum = interruptible([&](const ShouldStop& should_stop) {
      return net.accumulate_gradients(data.x_rows, data.y_rows, data.weights, should_stop);
    });
    return std::pair(sum.loss, sum.weight);
  });
}

/// X and dY of a call that returns a result for each row. One row may be a vector; its result has
/// no axis of rows.
class RowsOrOne {
 public:
  RowsOrOne(const char* function, PyNetwork& self, const py::object& X, const py::object& dY)
      : X_(X), dY_(dY) {
    if (is_csr(X)) return;
    const py::array given = array_of(function, "X", self, X);
    one_ = is_vector(given);
    X_ = given;
    if (!one_) return;
    X_ = given.attr("reshape")(1, -1);
    if (dY.is_none()) return;
    const py::array gradient = as_array(function, "dY", dY);
    if (is_vector(gradient)) dY_ = gradient.attr("reshape")(1, -1);
  }
  const py::object& X() const { return X_; }
  const py::object& dY() const { return dY_; }
  py::object result(const py::array& rows) const {
    if (!one_) return rows;
    return rows[py::int_(0)];
  }

 private:
  py::object X_, dY_;
  bool one_ = false;
};

/// A new array for a result of `function`.
template <class T>
py::array result_of(const char* function, const std::vector<py::ssize_t>& shape) {
  return output<T>(function, py::none(), shape, {});
}

py::object backward(PyNetwork& self, const py::object& X, const py::object& dY) {
  return self.visit([&](auto& net) {
    using T = ElementOf<decltype(net)>;
    const RowsOrOne given("backward", self, X, dY);
    const CallData<T> data("backward", self, net, given.X(), given.dY(), py::none(), "dY");
    const py::array dX = result_of<T>("backward", {data.x_rows.rows(), net.layers().front()});
    const MatrixView<T> to = mutable_view<T>(dX);
    interruptible([&](const ShouldStop& should_stop) {
      net.backward(data.x_rows, data.y_rows, &to, should_stop);
    });
    return given.result(dX);
  });
}

py::object input_gradients(PyNetwork& self, const py::object& X, const py::object& dY) {
  return self.visit([&](auto& net) {
    using T = ElementOf<decltype(net)>;
    const RowsOrOne given("input_gradients", self, X, dY);
    const CallData<T> data("input_gradients", self, net, given.X(), given.dY(), py::none(), "dY");
    const py::array dX =
        result_of<T>("input_gradients", {data.x_rows.rows(), net.layers().front()});
    const MatrixView<T> to = mutable_view<T>(dX);
    interruptible([&](const ShouldStop& should_stop) {
      net.input_gradients(data.x_rows, data.y_rows, to, should_stop);
    });
    return given.result(dX);
  });
}

py::object jacobian(PyNetwork& self, const py::object& X) {
  return self.visit([&](auto& net) {
    using T = ElementOf<decltype(net)>;
    const RowsOrOne given("jacobian", self, X, py::none());
    const CallData<T> data("jacobian", self, net, given.X(), py::array(), py::none());
    const std::ptrdiff_t rows = data.x_rows.rows(), n_out = net.layers().back(),
                         n_in = net.layers().front();
    const py::array J = result_of<T>("jacobian", {rows, n_out, n_in});
    const MatrixView<T> to(static_cast<T*>(const_cast<void*>(J.data())), rows, n_out * n_in);
    interruptible(
        [&](const ShouldStop& should_stop) { net.jacobian(data.x_rows, to, should_stop); });
    return given.result(J);
  });
}

py::object activations(PyNetwork& self, const py::object& X) {
  return self.visit([&](auto& net) {
    using T = ElementOf<decltype(net)>;
    const RowsOrOne given("activations", self, X, py::none());
    const CallData<T> data("activations", self, net, given.X(), py::array(), py::none());
    std::vector<py::array> arrays;
    std::vector<MatrixView<T>> to;
    for (std::size_t l = 1; l < net.layers().size(); ++l) {
      arrays.push_back(result_of<T>("activations", {data.x_rows.rows(), net.layers()[l]}));
      to.push_back(mutable_view<T>(arrays.back()));
    }
    interruptible(
        [&](const ShouldStop& should_stop) { net.activations(data.x_rows, to, should_stop); });
    py::list results;
    for (const py::array& array : arrays) results.append(given.result(array));
    return results;
  });
}

void apply_gradients(PyNetwork& self, PyOptimizer& optimizer, double scale) {
  self.visit([&](auto& net) {
    const GilReleased released;
    net.apply_gradients(optimizer.get(), scale);
  });
}

double step(PyNetwork& self, const py::object& X, const py::object& y, double learning_rate) {
  return self.visit([&](auto& net) {
    const CallData<ElementOf<decltype(net)>> data("step", self, net, X, y, py::none());
    return interruptible([&](const ShouldStop& should_stop) {
      return net.step(data.x_rows, data.y_rows, learning_rate, should_stop);
    });
  });
}

/// The losses of the batches of an epoch. They are copied to the caller's array when the epoch has
/// ended, because it may share memory with what the epoch reads.
class BatchLosses {
 public:
  template <class T>
  BatchLosses(Network<T>& net, const py::object& array, std::ptrdiff_t batches)
      : to_(doubles_of("train_epoch", "batch_losses", array, batches)),
        losses_(to_, to_ + batches) {
    if (is_view_of(net, py::reinterpret_borrow<py::array>(array))) {
      throw py::value_error(
          "train_epoch: batch_losses is a view of the network; give another array");
    }
  }
  ~BatchLosses() { std::copy(losses_.begin(), losses_.end(), to_); }
  BatchLosses(const BatchLosses&) = delete;
  BatchLosses& operator=(const BatchLosses&) = delete;

  double* data() { return losses_.data(); }

 private:
  double* to_;
  std::vector<double> losses_;
};

double train_epoch(PyNetwork& self, const py::object& X, const py::object& y,
                   const py::object& order, py::ssize_t batch_size, PyOptimizer& optimizer,
                   const py::object& weight, const std::optional<Objective>& objective,
                   const py::object& batch_losses, const py::object& dropout,
                   std::optional<std::uint64_t> seed, const py::object& loss) {
  return self.visit([&](auto& net) {
    using T = ElementOf<decltype(net)>;
    const bool own_loss = !loss.is_none();
    if (own_loss && !(weight.is_none() && !objective)) {
      throw py::value_error(
          "train_epoch: sample_weight and objective are for the losses of the library; let loss "
          "apply them itself");
    }
    const CallData<T> data("train_epoch", self, net, X, own_loss ? py::array() : y, weight);
    const py::array_t<std::int64_t> rows = order_of("train_epoch", order);
    const std::int64_t* first = rows.data();
    const std::ptrdiff_t count = rows.size();
    EpochOptions options;
    options.objective = objective.value_or(Objective());
    options.dropout = dropout_of(dropout, net.hidden().size());
    options.dropout_seed = seed.value_or(self.seed());
    std::optional<BatchLosses> losses;
    if (!batch_losses.is_none()) {
      const bool last_is_short = batch_size > 0 && count % batch_size != 0;
      const std::ptrdiff_t batches = batch_size > 0 ? count / batch_size + last_is_short : 0;
      losses.emplace(net, batch_losses, batches);
      options.batch_losses = losses->data();
    }
    if (own_loss) {
      PyLoss<T> of_python("train_epoch", loss, y, data.x_rows.rows());
      return interruptible([&](const ShouldStop& should_stop, GilReleased& released) {
        const BatchLoss<T> of_batch = [&](const std::int64_t* of, MatrixView<const T> Y,
                                          MatrixView<T> dY) {
          return of_python(released, of, Y, dY);
        };
        return net
            .train_epoch(data.x_rows, of_batch, first, count, batch_size, optimizer.get(),
                         should_stop, options)
            .mean();
      });
    }
    return interruptible([&](const ShouldStop& should_stop) {
      return net
          .train_epoch(data.x_rows, data.y_rows, first, count, batch_size, optimizer.get(),
                       data.weights, should_stop, options)
          .mean();
    });
  });
}

/// (a copy of the parameters, epochs_trained), not taken in the middle of a step.
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

void restore(PyNetwork& self, const py::object& parameters, std::int64_t epochs_trained,
             std::optional<std::uint64_t> seed) {
  self.visit([&](auto& net) {
    using T = ElementOf<decltype(net)>;
    const py::array_t<T> values =
        values_of<T>("restore", "parameters", parameters, net.n_parameters());
    const T* data = values.data();
    const GilReleased released;
    net.restore(data, epochs_trained);
    if (seed) net.set_seed(*seed);
  });
}

py::object own(PyNetwork& self) {
  return self.visit([&](auto& net) {
    struct Held {
      std::shared_ptr<void> network;
      std::shared_ptr<void> ownership;  // ends before the network
    };
    return object_of(Scope(std::make_shared<Held>(Held{self.shared(), net.own()})));
  });
}

void validate(PyNetwork& self, const char* function, const py::object& X, const py::object& y,
              const py::object& weight) {
  self.visit([&](auto& net) {
    const bool has_y = !y.is_none();
    const CallData<ElementOf<decltype(net)>> data(function, self, net, X, has_y ? y : py::array(),
                                                  weight);
    if (!has_y) return net.validate(function, data.x_rows);
    interruptible([&](const ShouldStop& should_stop) {
      net.validate(function, data.x_rows, data.y_rows, data.weights, should_stop);
    });
  });
}

// Scaling

std::vector<double> part_of(const char* function, const char* name, const py::object& part,
                            std::ptrdiff_t n) {
  if (part.is_none()) return {};
  const py::array_t<double> values = values_of<double>(function, name, part, n);
  return {values.data(), values.data() + n};
}

Scaling scaling_of(const char* function, std::ptrdiff_t n_in, std::ptrdiff_t n_out,
                   const py::object& input_mean, const py::object& input_scale,
                   const py::object& output_mean, const py::object& output_scale) {
  return {part_of(function, "input_mean", input_mean, n_in),
          part_of(function, "input_scale", input_scale, n_in),
          part_of(function, "output_mean", output_mean, n_out),
          part_of(function, "output_scale", output_scale, n_out)};
}

void fold_scaling(PyNetwork& self, const py::object& input_mean, const py::object& input_scale,
                  const py::object& output_mean, const py::object& output_scale) {
  self.visit([&](auto& net) {
    const Scaling scaling = scaling_of("fold_scaling", net.layers().front(), net.layers().back(),
                                       input_mean, input_scale, output_mean, output_scale);
    const GilReleased released;
    net.fold_scaling(scaling);
  });
}

void set_scaling(PyNetwork& self, const py::object& value) {
  if (!value.is_none() && !py::isinstance<py::dict>(value)) {
    throw py::type_error("scaling: it is " + std::string(py::repr(value)) +
                         "; it must be None or a dict with the arguments of fold_scaling");
  }
  self.visit([&](auto& net) {
    std::optional<Scaling> scaling;
    if (!value.is_none()) {
      const auto parts = py::reinterpret_borrow<py::dict>(value);
      const auto part = [&](const char* name) -> py::object {
        return parts.contains(name) ? py::object(parts[name]) : py::none();
      };
      scaling = scaling_of("scaling", net.layers().front(), net.layers().back(), part("input_mean"),
                           part("input_scale"), part("output_mean"), part("output_scale"));
    }
    const GilReleased released;
    net.set_scaling(std::move(scaling));
  });
}

py::object scaling(PyNetwork& self) {
  return self.visit([](auto& net) -> py::object {
    const std::optional<Scaling> found = net.scaling();
    if (!found) return py::none();
    py::dict parts;
    const auto add = [&](const char* name, const std::vector<double>& values) {
      if (values.empty()) return;
      parts[name] = py::array_t<double>(static_cast<py::ssize_t>(values.size()), values.data());
    };
    add("input_mean", found->input_mean);
    add("input_scale", found->input_scale);
    add("output_mean", found->output_mean);
    add("output_scale", found->output_scale);
    return std::move(parts);
  });
}

/// The means and the deviations of X and, if the network scales its targets, of y.
py::dict measure(PyNetwork& self, const py::object& X, const py::object& y,
                 const py::object& weight) {
  return self.visit([&](auto& net) {
    const bool has_y = !y.is_none();
    const CallData<ElementOf<decltype(net)>> data("fit", self, net, X, has_y ? y : py::array(),
                                                  weight);
    py::dict parts;
    const auto add = [&](const char* side, const auto& rows, std::ptrdiff_t cols) {
      Statistics found = interruptible([&](const ShouldStop& should_stop) {
        return statistics_of(rows, data.weights, should_stop);
      });
      // With the loss pinball, all outputs have the same target.
      found.mean.resize(static_cast<std::size_t>(cols), found.mean[0]);
      found.deviation.resize(static_cast<std::size_t>(cols), found.deviation[0]);
      const auto n = static_cast<py::ssize_t>(found.mean.size());
      const std::string name = side;
      parts[py::str(name + "_mean")] = py::array_t<double>(n, found.mean.data());
      parts[py::str(name + "_scale")] = py::array_t<double>(n, found.deviation.data());
    };
    add("input", data.x_rows, net.layers().front());
    if (has_y && net.output() == Output::kIdentity) add("output", data.y_rows, net.layers().back());
    return parts;
  });
}

/// A writable NumPy view of the network's memory, or of part of it; it keeps that memory alive. Its
/// base is not the Python object, because a network with an attribute that is a view of itself
/// would then never be freed.
template <class T>
py::array view_of(PyNetwork& self, T* data, std::vector<py::ssize_t> shape) {
  return py::array_t<T>(std::move(shape), data, self.memory());
}

/// A tuple of part(net, l), one view for each layer l.
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

}  // namespace

void register_network(py::module_& module) {
  const py::object none = py::none();
  py::class_<PyNetwork> network(module, "Network", "The native part of fastmlp.Network; see there.",
                                made_at_once<PyNetwork>());
  define_initializer(network, "__init__", &PyNetwork::init, py::arg("layers"), py::arg("hidden"),
                     py::arg("output"), py::arg("dtype"), py::arg("seed"), py::kw_only(),
                     py::arg("initialize") = true, py::arg("loss") = none, py::arg("delta") = 1.0,
                     py::arg("quantiles") = none);
  define_reduce(network);
  network
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
          "The output: a str.")
      .def_property_readonly(
          "loss_name",
          [](PyNetwork& self) -> py::object {
            return self.visit([](auto& net) -> py::object {
              const LossOptions& loss = net.loss_options();
              if (!loss.kind) return py::none();
              return py::str(std::string(name_of(*loss.kind)));
            });
          },
          "The loss: a str, or None for the output's own.")
      .def_property_readonly(
          "delta",
          [](PyNetwork& self) {
            return self.visit([](auto& n) { return n.loss_options().delta; });
          },
          "The delta of the loss huber: a float.")
      .def_property_readonly(
          "quantiles",
          [](PyNetwork& self) {
            return self.visit(
                [](auto& net) { return py::tuple(py::cast(net.loss_options().quantiles)); });
          },
          "The quantile that each output estimates, with the loss pinball: a tuple of float.")
      .def_property_readonly(
          "_labels",
          [](PyNetwork& self) -> py::object {
            return self.visit([](auto& net) -> py::object {
              switch (labels_of(net.output())) {
                case Labels::kThreshold:
                  return py::str("threshold");
                case Labels::kLargest:
                  return py::str("largest");
                case Labels::kNone:
                  break;
              }
              return py::none();
            });
          },
          "How predict makes labels of the outputs: \"threshold\", \"largest\" or None.")
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
          "The number of completed epochs, on which the order of the next epoch's rows depends.")
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
      .def("backward", &backward, py::arg("X"), py::arg("dY"), kBackwardDoc)
      .def("input_gradients", &input_gradients, py::arg("X"), py::arg("dY"), kInputGradientsDoc)
      .def("jacobian", &jacobian, py::arg("X"), kJacobianDoc)
      .def("activations", &activations, py::arg("X"), kActivationsDoc)
      .def("apply_gradients", &apply_gradients, py::arg("optimizer"), py::arg("scale") = 1.0,
           kApplyGradientsDoc)
      .def("step", &step, py::arg("X"), py::arg("y"), py::arg("learning_rate"), kStepDoc)
      .def("train_epoch", &train_epoch, py::arg("X"), py::arg("y"), py::arg("order"), py::kw_only(),
           py::arg("batch_size"), py::arg("optimizer"), py::arg("sample_weight") = none,
           py::arg("objective") = none, py::arg("batch_losses") = none, py::arg("dropout") = none,
           py::arg("seed") = none, py::arg("loss") = none, kTrainEpochDoc)
      .def("_snapshot", &snapshot,
           "Return (a copy of the parameters, epochs_trained), not in the middle of a step.")
      .def("_restore", &restore, py::arg("parameters"), py::arg("epochs_trained"),
           py::arg("seed") = none,
           "Set the parameters, epochs_trained and, if given, the seed. Wait for calls that read.")
      .def("_adopt", &PyNetwork::adopt, py::arg("made"),
           "Become `made`, which must not be used any more. Only instead of __init__.")
      .def("_own", &own,
           "Refuse other threads until the result's block ends. RuntimeError if one owns the "
           "network "
           "or trains it.")
      .def("fold_scaling", &fold_scaling, py::kw_only(), py::arg("input_mean") = none,
           py::arg("input_scale") = none, py::arg("output_mean") = none,
           py::arg("output_scale") = none, kFoldScalingDoc)
      .def_property("scaling", &scaling, &set_scaling,
                    "The scaling that is folded into the parameters: a dict of float64 arrays with "
                    "the names of fold_scaling's arguments, or None. Setting it leaves the "
                    "parameters as they are; after `scaling = None`, "
                    "`fit(..., standardize=True)` measures the rows again.")
      .def("_measure_scaling", &measure, py::arg("X"), py::arg("y"), py::arg("sample_weight"),
           "Return the means and deviations of these rows, as `scaling` has them.")
      .def(
          "_unfold_scaling",
          [](PyNetwork& self) {
            self.visit([](auto& net) {
              const GilReleased released;
              net.unfold_scaling();
            });
          },
          "Take the scaling out of the parameters; calls then scale the rows that they read.")
      .def(
          "_refold_scaling",
          [](PyNetwork& self) {
            self.visit([](auto& net) {
              const GilReleased released;
              net.refold_scaling();
            });
          },
          "Put the scaling back, if it was taken out.")
      .def("_validate", &validate, py::arg("function"), py::arg("X"), py::arg("y"),
           py::arg("sample_weight") = none,
           "Raise what loss() would raise for these arguments, with `function` in the message.");
}

}  // namespace fastmlp::python
