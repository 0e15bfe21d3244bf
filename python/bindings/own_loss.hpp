// A loss in Python, which the library calls for each batch. The checks of what it returns are in
// _own_loss.py.
#pragma once

#include "gil.hpp"
#include "pybind11.hpp"

#include <fastmlp/network.hpp>

#include <pybind11/numpy.h>

#include <cstdint>

namespace fastmlp::python {

/// Calls `evaluate(loss, y, rows, Y, dY)` of _own_loss.py. Made and destroyed with the GIL; called
/// without it.
/// \throws ValueError if y does not have `rows` rows
template <class T>
class PyLoss {
 public:
  PyLoss(const char* function, const pybind11::object& loss, const pybind11::object& y,
         std::ptrdiff_t rows)
      : module_(pybind11::module_::import("fastmlp._own_loss")),
        evaluate_(module_.attr("evaluate")),
        loss_(loss),
        y_(module_.attr("targets")(function, y, rows)) {}

  double operator()(GilReleased& released, const std::int64_t* rows, const MatrixView<const T>& Y,
                    const MatrixView<T>& dY) {
    return released.with_gil([&] {
      // Arrays of the library's memory: a base, whatever it is, keeps them from copying.
      const pybind11::none base;
      arguments_ =
          pybind11::make_tuple(loss_, y_, pybind11::array_t<std::int64_t>(Y.rows, rows, base),
                               pybind11::array_t<T>({Y.rows, Y.cols}, Y.data, base),
                               pybind11::array_t<T>({dY.rows, dY.cols}, dY.data, base));
      result_ = nullptr;
      call_python([&] { return result_ = PyObject_CallObject(evaluate_.ptr(), arguments_.ptr()); });
      if (result_ == nullptr) throw pybind11::error_already_set();
      return pybind11::reinterpret_steal<pybind11::object>(result_).template cast<double>();
    });
  }

 private:
  const pybind11::object module_, evaluate_, loss_, y_;
  // Members, because no frame inside call_python() may own an object of Python.
  pybind11::tuple arguments_;
  PyObject* result_ = nullptr;
};

}  // namespace fastmlp::python
