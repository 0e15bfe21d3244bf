// Settings and build information.
#include <fastmlp/options.hpp>
#include <fastmlp/runtime.hpp>

#include <pybind11/stl.h>

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
  module.def("compiler", &compiler, "The compiler that built the core.");
  module.def("has_openmp", &has_openmp, "Whether the core was built with OpenMP.");
  module.def("isa", &isa, R"(The instruction set in use, such as ``"avx2"``.

Returns
-------
str
    The best one there is, unless the environment's ``FASTMLP_ISA`` or :func:`set_isa` chose
    another. It changes the speed and no bit of any result.
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
      R"(Choose the instruction set; it changes the speed and no bit of any result.

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
  module.def("get_num_threads", &num_threads, R"(The largest team of threads that work is given to.

Returns
-------
int
    By default what ``OMP_NUM_THREADS`` says, or else as many as there are processors for this
    process (affinity and cgroup quota). In a child made by ``os.fork`` all work is done on one
    thread, whatever this says.
)");
  module.def(
      "set_num_threads", &set_num_threads, py::arg("n"),
      R"(Set the largest team of threads that work is given to; it changes no bit of any result.

Parameters
----------
n : int
    From 1 to 1024; obeyed also beyond the number of processors.

Raises
------
ValueError
    If `n` is out of that range.
)");
  module.def("_last_team_size", &last_team_size,
             "How many threads the last piece of work ran on; for tests.");
}

}  // namespace fastmlp::python
