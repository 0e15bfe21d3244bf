// The module fastmlp._core: one register function for each category.
#include "register.hpp"

#include <fastmlp/runtime.hpp>

PYBIND11_MODULE(_core, module) {
  module.doc() = "The native core of fastmlp. Use the package's public names instead.";
  // Settings from the environment that make no sense are reported now, not in the middle of a fit.
  fastmlp::isa();
  fastmlp::num_threads();
  fastmlp::python::register_runtime(module);
  fastmlp::python::register_ops(module);
  fastmlp::python::register_optimizers(module);
  fastmlp::python::register_network(module);
}
