// See functions.hpp. pybind11 keeps what it knows of a function in a record, the function's
// `__self__`, and calls every function through its dispatcher. Start at finish_functions.
#include "functions.hpp"

#include "native_object.hpp"

#include <array>
#include <cstddef>
#include <stdexcept>
#include <utility>

namespace fastmlp::python {
namespace {

namespace py = pybind11;

using Call = PyObject*(PyObject* self, PyObject* const* args, std::size_t nargs, PyObject* names);

Call* dispatcher = nullptr;  // pybind11's

/// What all methods call. The dispatcher throws when it runs out of memory in the middle of a
/// message, and an exception must not enter Python.
PyObject* dispatch(PyObject* record, PyObject* const* args, std::size_t nargs, PyObject* names) {
  return or_raise([&] { return dispatcher(record, args, nargs, names); });
}

// pickle writes getattr(__self__, name) for a built-in function whose __self__ is not its module.
// So __self__ is the module, and each function of the module has a C function that knows its
// record.
constexpr std::size_t kMostFunctions = 32;
PyObject* records[kMostFunctions];

template <std::size_t number>
PyObject* dispatch_number(PyObject*, PyObject* const* args, std::size_t nargs, PyObject* names) {
  return dispatch(records[number], args, nargs, names);
}

template <std::size_t... number>
constexpr std::array<Call*, kMostFunctions> calls_of(std::index_sequence<number...>) {
  return {&dispatch_number<number>...};
}
constexpr auto kCalls = calls_of(std::make_index_sequence<kMostFunctions>());

void set_call(PyObject* function, Call* call) {
  PyMethodDef* definition = reinterpret_cast<PyCFunctionObject*>(function)->m_ml;
  definition->ml_meth = reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call));
}

/// Removes `__new__` and `__init__` from the type of the records: calling them would end the
/// process.
void forbid_construction(PyTypeObject* record) {
  for (const char* name : {"__new__", "__init__"}) {
    py::delattr(reinterpret_cast<PyObject*>(record), name);
  }
  record->tp_new = nullptr;
}

}  // namespace

void finish_functions(const py::module_& module) {
  PyObject* known = py::object(module.attr("isa")).ptr();
  PyTypeObject* record = Py_TYPE(PyCFunction_GET_SELF(known));
  dispatcher = reinterpret_cast<Call*>(
      reinterpret_cast<void (*)()>(reinterpret_cast<PyCFunctionObject*>(known)->m_ml->ml_meth));
  const auto is_ours = [&](const py::handle& object) {
    return PyCFunction_Check(object.ptr()) && Py_TYPE(PyCFunction_GET_SELF(object.ptr())) == record;
  };
  const auto finish_method = [&](const py::object& member) {
    const py::object method = py::getattr(member, "__func__", member);
    if (is_ours(method)) set_call(method.ptr(), &dispatch);
  };
  std::size_t number = 0;
  for (const auto& [name, object] : module.attr("__dict__").cast<py::dict>()) {
    if (PyType_Check(object.ptr())) {
      for (const auto& item : py::dict(object.attr("__dict__"))) {
        const auto member = py::reinterpret_borrow<py::object>(item.second);
        finish_method(member);
        for (const char* accessor : {"fget", "fset"}) {
          finish_method(py::getattr(member, accessor, py::none()));
        }
      }
    } else if (is_ours(object)) {
      if (number == kMostFunctions) throw std::length_error("kMostFunctions is too small");
      set_call(object.ptr(), kCalls[number]);
      PyObject*& self = reinterpret_cast<PyCFunctionObject*>(object.ptr())->m_self;
      records[number++] = std::exchange(self, py::object(module).release().ptr());
    }
  }
  forbid_construction(record);
}

}  // namespace fastmlp::python
