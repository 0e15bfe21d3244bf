// A loss in Python, which the library calls for each batch. The checks of what it returns are in
// _own_loss.py.
#pragma once

#include "gil.hpp"
#include "pybind11.hpp"

#include <fastmlp/network.hpp>

#include <pybind11/numpy.h>

#include <algorithm>
#include <cstdint>

namespace fastmlp::python {

/// The functions of _own_loss.py. They are looked up once, because a call that runs while Python
/// ends cannot import a module.
struct OwnLossFunctions {
  pybind11::handle evaluate, targets;
};
inline OwnLossFunctions& own_loss_functions() {
  static OwnLossFunctions functions;
  return functions;
}
inline void register_own_losses() {
  const auto module = pybind11::module_::import("fastmlp._own_loss");
  const auto found = [&](const char* name) {
    return module.attr(name).cast<pybind11::object>().release();
  };
  own_loss_functions() = {found("evaluate"), found("targets")};
}

/// Calls `evaluate(loss, y, rows, Y)` of _own_loss.py. Make and destroy it with the GIL; call it
/// without.
template <class T>
class PyLoss {
 public:
  /// \throws TypeError if loss cannot be called; ValueError if y does not have `rows` rows
  PyLoss(const char* function, const pybind11::object& loss, const pybind11::object& y,
         std::ptrdiff_t rows)
      : loss_(loss), y_(own_loss_functions().targets(function, loss, y, rows)) {}

  double operator()(GilReleased& released, const std::int64_t* rows, const MatrixView<const T>& Y,
                    const MatrixView<T>& dY) {
    return released.with_gil([&] {
      // Copies, because a traceback, or the loss, may keep them.
      arguments_ = pybind11::make_tuple(loss_, y_, pybind11::array_t<std::int64_t>(Y.rows, rows),
                                        pybind11::array_t<T>({Y.rows, Y.cols}, Y.data));
      PyObject* const evaluate = own_loss_functions().evaluate.ptr();
      call_python([&] { return result_ = PyObject_CallObject(evaluate, arguments_.ptr()); });
      if (result_ == nullptr) throw pybind11::error_already_set();
      const auto result = pybind11::reinterpret_steal<pybind11::tuple>(result_);
      const auto gradient = result[1].template cast<pybind11::array_t<T>>();
      std::copy_n(gradient.data(), gradient.size(), dY.data);
      return result[0].template cast<double>();
    });
  }

 private:
  const pybind11::object loss_, y_;
  // Members, because no frame inside call_python() may own an object of Python.
  pybind11::tuple arguments_;
  PyObject* result_ = nullptr;
};

}  // namespace fastmlp::python
