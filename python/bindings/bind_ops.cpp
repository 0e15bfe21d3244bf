// The single operations. Each binding takes views, releases the GIL and calls the library.
#include "array.hpp"
#include "register.hpp"

#include <fastmlp/ops.hpp>

namespace fastmlp::python {
namespace {

template <class T>
py::array matmul_as(const py::array& A, const py::array& B, const py::object& out) {
  const py::array a = usable<T>(A), b = usable<T>(B);
  const py::array c = output<T>("matmul", out, {A.shape(0), B.shape(1)}, {A, B});
  const MatrixView<const T> av = view<T>(a), bv = view<T>(b);
  const MatrixView<T> cv = mutable_view<T>(c);
  const py::gil_scoped_release release;
  matmul(av, bv, cv);
  return c;
}

py::array bind_matmul(const py::object& A, const py::object& B, const py::object& out) {
  const py::array a = as_array("matmul", "A", A), b = as_array("matmul", "B", B);
  require_two_dimensions("matmul", "A", a);
  require_two_dimensions("matmul", "B", b);
  return is_single({a, b}) ? matmul_as<float>(a, b, out) : matmul_as<double>(a, b, out);
}

template <class T>
py::array forward_as(const char* function, void (*op)(MatrixView<const T>, MatrixView<T>),
                     const py::array& Z, const py::object& out) {
  const py::array z = usable<T>(Z);
  const py::array a = output<T>(function, out, shape_of(Z), {Z});
  const MatrixView<const T> zv = view<T>(z);
  const MatrixView<T> av = mutable_view<T>(a);
  const py::gil_scoped_release release;
  op(zv, av);
  return a;
}

template <class T>
using Backward = void (*)(MatrixView<const T>, MatrixView<const T>, MatrixView<T>);

template <class T>
py::array backward_as(const char* function, Backward<T> op, const py::array& dA,
                      const py::array& other, const py::object& out) {
  const py::array d = usable<T>(dA), o = usable<T>(other);
  const py::array dz = output<T>(function, out, shape_of(dA), {dA, other});
  const MatrixView<const T> dv = view<T>(d), ov = view<T>(o);
  const MatrixView<T> dzv = mutable_view<T>(dz);
  const py::gil_scoped_release release;
  op(dv, ov, dzv);
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
  if (Z.ndim() == 1) {  // a vector is one output of many rows
    zv = zv.transposed();
    yv = yv.transposed();
  }
  const py::gil_scoped_release release;
  return binary_cross_entropy(zv, yv);
}

double bind_binary_cross_entropy(const py::object& Z, const py::object& y) {
  const char* function = "binary_cross_entropy";
  const py::array z = as_array(function, "Z", Z), targets = as_array(function, "y", y);
  require_same_shape(function, "Z", z, "y", targets);
  if (z.ndim() != 1) require_two_dimensions(function, "Z", z);
  return is_single({z}) ? binary_cross_entropy_as<float>(z, targets)
                        : binary_cross_entropy_as<double>(z, targets);
}

template <class T>
void sgd_update_as(const py::array& parameter, const py::array& gradient, double learning_rate) {
  const py::array g = usable<T>(gradient);
  const MatrixView<T> p = mutable_view<T>(parameter);
  const MatrixView<const T> gv = view<T>(g);
  const py::gil_scoped_release release;
  sgd_update(p, gv, learning_rate);
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

}  // namespace

void register_ops(py::module_& module) {
  module.def("matmul", &bind_matmul, py::arg("A"), py::arg("B"), py::arg("out") = py::none(),
             R"(The matrix product ``A @ B``.

Parameters
----------
A : array (m, k)
B : array (k, n)
    Any strides; transposed views are taken as they are.
out : ndarray (m, n), optional
    Where to put the result; it must not share memory with `A` or `B`.

Returns
-------
ndarray (m, n)
    float32 where both operands are float32 (or float16), else float64; `out` if it was given.

Raises
------
ValueError
    If shapes do not fit, or `out` is read-only or shares memory with an operand.
TypeError
    For arrays that are not of real numbers, or an `out` of another dtype.

Notes
-----
Each element is one chain of fused multiply-adds in the order of k (in chunks of 4096), so the
result has the same bits for any number of threads and instruction set.

Examples
--------
>>> import numpy as np, fastmlp
>>> fastmlp.ops.matmul(np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]]).T)
array([[1., 3.],
       [2., 4.]])
)");
  module.def("relu", &bind_relu, py::arg("Z"), py::arg("out") = py::none(),
             R"(The rectified linear unit: ``Z`` where ``Z > 0``, else 0; a NaN stays.

Parameters
----------
Z : array, any shape
out : ndarray of the same shape, optional
    It must not share memory with `Z`.

Returns
-------
ndarray
    Shape of `Z`; float32 where `Z` is float32 (or float16), else float64.

Raises
------
ValueError, TypeError
    As for :func:`matmul`.

Examples
--------
>>> import fastmlp
>>> fastmlp.ops.relu([-1.0, 0.0, 2.0])
array([0., 0., 2.])
)");
  module.def("relu_backward", &bind_relu_backward, py::arg("dA"), py::arg("Z"),
             py::arg("out") = py::none(),
             R"(The backward pass of :func:`relu`: ``dA`` where ``Z > 0``, else 0.

Parameters
----------
dA : array, any shape
    Derivative of the loss by the layer's output.
Z : array of the same shape
    The layer's input, or its output, which is positive in the same places.
out : ndarray of the same shape, optional
    It must not share memory with `dA` or `Z`.

Returns
-------
ndarray
    dZ; float32 where both are float32 (or float16), else float64.

Raises
------
ValueError, TypeError
    As for :func:`matmul`.

Examples
--------
>>> import fastmlp
>>> fastmlp.ops.relu_backward([5.0, 5.0, 5.0], [-1.0, 0.0, 2.0])
array([0., 0., 5.])
)");
  module.def("sigmoid", &bind_sigmoid, py::arg("Z"), py::arg("out") = py::none(),
             R"(The logistic function ``1 / (1 + exp(-Z))``, without overflow.

Parameters
----------
Z : array, any shape
out : ndarray of the same shape, optional
    It must not share memory with `Z`.

Returns
-------
ndarray
    Shape of `Z`; float32 where `Z` is float32 (or float16), else float64.

Raises
------
ValueError, TypeError
    As for :func:`matmul`.

Examples
--------
>>> import fastmlp
>>> fastmlp.ops.sigmoid([-1000.0, 0.0, 1000.0])
array([0. , 0.5, 1. ])
)");
  module.def("sigmoid_backward", &bind_sigmoid_backward, py::arg("dA"), py::arg("A"),
             py::arg("out") = py::none(),
             R"(The backward pass of :func:`sigmoid`: ``dA * A * (1 - A)``.

Parameters
----------
dA : array, any shape
    Derivative of the loss by the layer's output.
A : array of the same shape
    The layer's output, ``sigmoid(Z)``.
out : ndarray of the same shape, optional
    It must not share memory with `dA` or `A`.

Returns
-------
ndarray
    dZ; float32 where both are float32 (or float16), else float64.

Raises
------
ValueError, TypeError
    As for :func:`matmul`.

Examples
--------
>>> import fastmlp
>>> fastmlp.ops.sigmoid_backward([4.0], [0.5])
array([1.])
)");
  module.def("binary_cross_entropy", &bind_binary_cross_entropy, py::arg("Z"), py::arg("y"),
             R"(The mean binary cross-entropy of ``sigmoid(Z)``, computed from the logits.

Parameters
----------
Z : array (m,) or (m, n)
    Logits; its dtype decides the precision, as for :func:`relu`.
y : array of the same shape
    Targets in [0, 1].

Returns
-------
float
    ``max(z, 0) - z y + log(1 + exp(-|z|))``, summed over the n outputs, the mean over the m rows;
    finite for every finite `Z`; 0.0 for no rows.

Raises
------
ValueError
    If the shapes differ, or a target is outside [0, 1].
TypeError
    For arrays that are not of real numbers.

Examples
--------
>>> import fastmlp
>>> round(fastmlp.ops.binary_cross_entropy([0.0, 0.0], [0, 1]), 6)
0.693147
)");
  module.def("sgd_update", &bind_sgd_update, py::arg("parameter"), py::arg("gradient"),
             py::arg("learning_rate"),
             R"(Gradient descent in place: ``parameter -= learning_rate * gradient``, rounded once.

Parameters
----------
parameter : ndarray, float32 or float64
    Changed in place.
gradient : array of the same shape
    Converted to the parameter's dtype; it must not share memory with `parameter`.
learning_rate : float
    Positive and finite.

Raises
------
ValueError, TypeError
    As for :func:`matmul`; nothing is changed then.

Examples
--------
>>> import numpy as np, fastmlp
>>> w = np.array([1.0, 2.0])
>>> fastmlp.ops.sgd_update(w, [1.0, -1.0], 0.5)
>>> w
array([0.5, 2.5])
)");
}

}  // namespace fastmlp::python
