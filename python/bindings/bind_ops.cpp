// The module functions of fastmlp.ops. Each takes views of its arrays, releases the GIL and calls
// the library, which Ctrl-C can interrupt.
#include "array.hpp"
#include "docs_ops.hpp"
#include "gil.hpp"

#include <fastmlp/ops.hpp>

namespace fastmlp::python {
namespace {

template <class T>
py::array matmul_as(const py::array& A, const py::array& B, const py::object& out) {
  const py::array a = usable<T>(A), b = usable<T>(B);
  const py::array c = output<T>("matmul", out, {A.shape(0), B.shape(1)}, {A, B});
  const MatrixView<const T> av = view<T>(a), bv = view<T>(b);
  const MatrixView<T> cv = mutable_view<T>(c);
  interruptible([&](const ShouldStop& should_stop) { matmul(av, bv, cv, should_stop); });
  return c;
}

py::array bind_matmul(const py::object& A, const py::object& B, const py::object& out) {
  const py::array a = as_array("matmul", "A", A), b = as_array("matmul", "B", B);
  require_two_dimensions("matmul", "A", a);
  require_two_dimensions("matmul", "B", b);
  return is_single({a, b}) ? matmul_as<float>(a, b, out) : matmul_as<double>(a, b, out);
}

template <class T>
using Forward = void (*)(MatrixView<const T>, MatrixView<T>, const ShouldStop&);

template <class T>
py::array forward_as(const char* function, Forward<T> op, const py::array& Z,
                     const py::object& out) {
  const py::array z = usable<T>(Z);
  const py::array a = output<T>(function, out, shape_of(Z), {Z});
  const MatrixView<const T> zv = view<T>(z);
  const MatrixView<T> av = mutable_view<T>(a);
  interruptible([&](const ShouldStop& should_stop) { op(zv, av, should_stop); });
  return a;
}

template <class T>
using Backward = void (*)(MatrixView<const T>, MatrixView<const T>, MatrixView<T>,
                          const ShouldStop&);

template <class T>
py::array backward_as(const char* function, Backward<T> op, const py::array& dA,
                      const py::array& other, const py::object& out) {
  const py::array d = usable<T>(dA), o = usable<T>(other);
  const py::array dz = output<T>(function, out, shape_of(dA), {dA, other});
  const MatrixView<const T> dv = view<T>(d), ov = view<T>(o);
  const MatrixView<T> dzv = mutable_view<T>(dz);
  interruptible([&](const ShouldStop& should_stop) { op(dv, ov, dzv, should_stop); });
  return dz;
}

py::array bind_relu(const py::object& Z, const py::object& out) {
  const py::array z = as_array("relu", "Z", Z);
  return is_single({z}) ? forward_as<float>("relu", relu, z, out)
                        : forward_as<double>("relu", relu, z, out);
}

py::array bind_sigmoid(const py::object& Z, const py::object& out) {
  const py::array z = as_array("sigmoid", "Z", Z);
  return is_single({z}) ? forward_as<float>("sigmoid", sigmoid, z, out)
                        : forward_as<double>("sigmoid", sigmoid, z, out);
}

py::array bind_relu_backward(const py::object& dA, const py::object& Z, const py::object& out) {
  const char* function = "relu_backward";
  const py::array d = as_array(function, "dA", dA), z = as_array(function, "Z", Z);
  require_same_shape(function, "dA", d, "Z", z);
  return is_single({d, z}) ? backward_as<float>(function, relu_backward, d, z, out)
                           : backward_as<double>(function, relu_backward, d, z, out);
}

py::array bind_sigmoid_backward(const py::object& dA, const py::object& A, const py::object& out) {
  const char* function = "sigmoid_backward";
  const py::array d = as_array(function, "dA", dA), a = as_array(function, "A", A);
  require_same_shape(function, "dA", d, "A", a);
  return is_single({d, a}) ? backward_as<float>(function, sigmoid_backward, d, a, out)
                           : backward_as<double>(function, sigmoid_backward, d, a, out);
}

template <class T>
double binary_cross_entropy_as(const py::array& Z, const py::array& y) {
  const py::array z = usable<T>(Z), targets = usable<T>(y);
  MatrixView<const T> zv = view<T>(z), yv = view<T>(targets);
  if (is_vector(Z)) {  // a vector is one output of many rows
    zv = zv.transposed();
    yv = yv.transposed();
  }
  return interruptible(
      [&](const ShouldStop& should_stop) { return binary_cross_entropy(zv, yv, should_stop); });
}

double bind_binary_cross_entropy(const py::object& Z, const py::object& y) {
  const char* function = "binary_cross_entropy";
  const py::array z = as_array(function, "Z", Z), targets = as_array(function, "y", y);
  require_same_shape(function, "Z", z, "y", targets);
  if (!is_vector(z)) require_two_dimensions(function, "Z", z);
  return is_single({z}) ? binary_cross_entropy_as<float>(z, targets)
                        : binary_cross_entropy_as<double>(z, targets);
}

template <class T>
void sgd_update_as(const py::array& parameter, const py::array& gradient, double learning_rate) {
  const py::array g = usable<T>(gradient);
  const MatrixView<T> p = mutable_view<T>(parameter);
  const MatrixView<const T> gv = view<T>(g);
  interruptible(
      [&](const ShouldStop& should_stop) { sgd_update(p, gv, learning_rate, should_stop); });
}

void bind_sgd_update(const py::object& parameter, const py::object& gradient,
                     double learning_rate) {
  const char* function = "sgd_update";
  const py::array g = as_array(function, "gradient", gradient);
  const py::array p = in_place(function, "parameter", parameter, {g});
  require_same_shape(function, "parameter", p, "gradient", g);
  if (is_single({p})) {
    sgd_update_as<float>(p, g, learning_rate);
  } else {
    sgd_update_as<double>(p, g, learning_rate);
  }
}

template <class T>
double dot_as(const py::array& a, const py::array& b) {
  const py::array flat_a = usable<T>(a).attr("ravel")(), flat_b = usable<T>(b).attr("ravel")();
  const MatrixView<const T> av = view<T>(flat_a), bv = view<T>(flat_b);
  return interruptible(
      [&](const ShouldStop& should_stop) { return dot(av.data, bv.data, av.cols, should_stop); });
}

double bind_dot(const py::object& A, const py::object& B) {
  const py::array a = as_array("dot", "a", A), b = as_array("dot", "b", B);
  require_same_shape("dot", "a", a, "b", b);
  return is_single({a, b}) ? dot_as<float>(a, b) : dot_as<double>(a, b);
}

}  // namespace

void register_ops(py::module_& module) {
  module.def("matmul", &bind_matmul, py::arg("A"), py::arg("B"), py::arg("out") = py::none(),
             kMatmulDoc);
  module.def("relu", &bind_relu, py::arg("Z"), py::arg("out") = py::none(), kReluDoc);
  module.def("relu_backward", &bind_relu_backward, py::arg("dA"), py::arg("Z"),
             py::arg("out") = py::none(), kReluBackwardDoc);
  module.def("sigmoid", &bind_sigmoid, py::arg("Z"), py::arg("out") = py::none(), kSigmoidDoc);
  module.def("sigmoid_backward", &bind_sigmoid_backward, py::arg("dA"), py::arg("A"),
             py::arg("out") = py::none(), kSigmoidBackwardDoc);
  module.def("binary_cross_entropy", &bind_binary_cross_entropy, py::arg("Z"), py::arg("y"),
             kBinaryCrossEntropyDoc);
  module.def("sgd_update", &bind_sgd_update, py::arg("parameter"), py::arg("gradient"),
             py::arg("learning_rate"), kSgdUpdateDoc);
  module.def("dot", &bind_dot, py::arg("a"), py::arg("b"), kDotDoc);
}

}  // namespace fastmlp::python
