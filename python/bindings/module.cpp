// The module fastmlp._core: one register function for each category of bindings.
#include "array.hpp"
#include "functions.hpp"
#include "own_loss.hpp"

#include <fastmlp/runtime.hpp>

namespace fastmlp::python {

void register_runtime(pybind11::module_& module);     // bind_runtime.cpp
void register_random(pybind11::module_& module);      // bind_random.cpp
void register_ops(pybind11::module_& module);         // bind_ops.cpp
void register_optimizers(pybind11::module_& module);  // bind_optimizers.cpp
void register_network(pybind11::module_& module);     // bind_network.cpp

}  // namespace fastmlp::python

PYBIND11_MODULE(_core_of_main_interpreter, module, pybind11::mod_gil_not_used()) {
  module.doc() = "The native core of fastmlp. Use the package's public names instead.";
  // A wrong setting in the environment is reported at import, not in the middle of a fit.
  fastmlp::isa();
  fastmlp::num_threads();
  fastmlp::python::register_arrays();
  fastmlp::python::register_own_losses();
  fastmlp::python::register_runtime(module);
  fastmlp::python::register_random(module);
  fastmlp::python::register_ops(module);
  fastmlp::python::register_optimizers(module);
  fastmlp::python::register_network(module);
  fastmlp::python::finish_functions(module);
}

/// What Python calls to import the module. In a subinterpreter, pybind11 would wait for the GIL for
/// ever, and NumPy, which the module needs, does not support subinterpreters.
// NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): Python names it
extern "C" PYBIND11_EXPORT PyObject* PyInit__core() {
  if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
    PyErr_SetString(PyExc_ImportError,
                    "fastmlp cannot be imported in a subinterpreter; import it in the main "
                    "interpreter, or use a process of its own");
    return nullptr;
  }
  return PyInit__core_of_main_interpreter();
}
