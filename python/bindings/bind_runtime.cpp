// The module functions of fastmlp.runtime.
#include "kernels/float_mode.hpp"
#include "native_object.hpp"
#include "scope.hpp"

#include <fastmlp/options.hpp>
#include <fastmlp/runtime.hpp>

#include <pybind11/stl.h>

#include <memory>

namespace fastmlp::python {

namespace py = pybind11;

namespace {

std::string compiler() {
#if defined(__clang__)
  return "Clang " __clang_version__;
#elif defined(__GNUC__)
  return "GCC " __VERSION__;
#else
  return "unknown";
#endif
}

template <class Names>
py::tuple tuple_of(const Names& names) {
  py::tuple result(names.size());
  for (std::size_t i = 0; i < names.size(); ++i) result[i] = py::str(std::string(names[i]));
  return result;
}

}  // namespace

void register_runtime(py::module_& module) {
  module.attr("__version__") = std::string(version());
  module.attr("ACTIVATIONS") = tuple_of(activation_names());
  module.attr("OUTPUTS") = tuple_of(output_names());
  module.attr("LOSSES") = tuple_of(loss_names());
  module.def("compiler", &compiler, "The compiler that built the core.");
  module.def("has_openmp", &has_openmp, "Whether the core was built with OpenMP.");
  module.def("isa", &isa, R"(The instruction set in use, such as ``"avx2"``.

Returns
-------
str
    The best one available, unless the environment variable ``FASTMLP_ISA`` or :func:`set_isa` chose
    another. It changes the speed, but no bit of any result.
)");
  module.def(
      "available_isas", [] { return tuple_of(available_isas()); },
      R"(The instruction sets that this machine and this build have, best first.

Returns
-------
tuple of str
    The last is always ``"scalar"``.
)");
  module.def(
      "set_isa", [](const std::string& name) { set_isa(name); }, py::arg("name"),
      R"(Choose the instruction set. This changes the speed, but no bit of any result.

Parameters
----------
name : str
    One of :func:`available_isas`.

Raises
------
ValueError
    For an unknown or unavailable name.
RuntimeError
    While a call of the library is running on another thread.
)");
  module.def("get_num_threads", &num_threads, R"(The largest number of threads that a call uses.

Returns
-------
int
    The default is ``OMP_NUM_THREADS``, or else the number of processors that this process may use
    (affinity and cgroup quota). In a child made by ``os.fork`` every call uses one thread, whatever
    this says.
)");
  module.def(
      "set_num_threads", &set_num_threads, py::arg("n"),
      R"(Set the largest number of threads that a call uses. This changes no bit of any result.

Parameters
----------
n : int
    From 1 to 1024. It may be larger than the number of processors.

Raises
------
ValueError
    If `n` is out of that range.
)");
  py::class_<Scope>(module, "Scope",
                    "A context manager that releases what it owns at the end of its block.",
                    made_at_once<Scope>())
      .def("__enter__", [](py::object self) { return self; })
      .def("__exit__", [](Scope& self, const py::args&) { self.end(); });
  module.def(
      "has_default_float_mode", [] { return detail::float_mode() == detail::kDefaultMode; },
      "Whether this thread rounds to nearest and keeps denormals.");
  module.def(
      "default_float_mode",
      [] { return object_of(Scope(std::make_shared<detail::DefaultFloatMode>())); },
      "Make this thread round to nearest and keep denormals until the result's block ends.");
  module.def("_last_team_size", &last_team_size,
             "The number of threads of the last call; for tests.");
}

}  // namespace fastmlp::python
