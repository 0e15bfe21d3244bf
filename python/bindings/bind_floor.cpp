// The floors that benchmarks compare with.
#include "array.hpp"
#include "gil.hpp"
#include "register.hpp"

#include <fastmlp/floor.hpp>

namespace fastmlp::python {
namespace {

double bind_do_flops(double flops, bool single) {
  return without_gil([&] { return single ? do_flops<float>(flops) : do_flops<double>(flops); });
}

template <class T>
double read_as(const py::array& array) {
  const py::array contiguous = usable<T>(array);
  const MatrixView<const T> v = view<T>(contiguous);
  return without_gil([&] { return static_cast<double>(read_once(v.data, v.rows * v.cols)); });
}

double bind_read_once(const py::object& array) {
  const py::array a = as_array("read_once", "array", array);
  return is_single({a}) ? read_as<float>(a) : read_as<double>(a);
}

}  // namespace

void register_floor(py::module_& module) {
  module.def("do_flops", &bind_do_flops, py::arg("flops"), py::arg("single") = true,
             R"(Do about so many flops, as fused multiply-adds in registers, shared by all threads.

Its time is the least that a product of so many flops can take.

Parameters
----------
flops : float
    Floating-point operations, two for each multiply-add.
single : bool, default True
    float32, or else float64.

Returns
-------
float
    How many operations it was.

Examples
--------
>>> from fastmlp._core import do_flops
>>> do_flops(1e6) >= 1e6
True
)");
  module.def(
      "read_once", &bind_read_once, py::arg("array"),
      R"(Read an array once, shared by all threads: the least that a call which needs it takes.

Parameters
----------
array : array_like, real
    A float32 or float64 array in C order is read in place.

Returns
-------
float
    The sum of the elements, in no defined order.

Examples
--------
>>> import numpy as np
>>> from fastmlp._core import read_once
>>> read_once(np.ones(1000, dtype="float32"))
1000.0
)");
}

}  // namespace fastmlp::python
