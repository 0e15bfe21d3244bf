// How Python makes the objects of the bound classes. Each has its C++ part as soon as it exists, so
// no member can find it missing: not after __new__ alone, nor when a subclass leaves out __init__.
#pragma once

#include "pybind11.hpp"

#include <exception>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace fastmlp::python {

/// Returns make(), a new reference, or null with Python's exception for the C++ exception.
template <class Make>
PyObject* or_raise(const Make& make) {
  try {
    return make();
  } catch (pybind11::error_already_set& error) {
    error.restore();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

/// The native classes that `type` extends. pybind11 remembers them for each class. If it runs out
/// of memory in the middle of that, it would remember too few.
inline const std::vector<pybind11::detail::type_info*>& native_classes(PyTypeObject* type) {
  try {
    return pybind11::detail::all_type_info(type);
  } catch (...) {
    pybind11::detail::with_internals(
        [&](auto& internals) { internals.registered_types_py.erase(type); });
    throw;
  }
}

/// `__new__` of the class that binds T. pybind11's own leaves the C++ part to `__init__`, and ends
/// the process if there is no memory.
template <class T>
PyObject* new_object(PyTypeObject* type) {
  return or_raise([&]() -> PyObject* {
    // There is one: Python refuses a class with two native bases, because their layouts differ.
    auto* const native = native_classes(type).front();
    auto part = std::make_unique<T>();
    const auto self = pybind11::reinterpret_steal<pybind11::object>(type->tp_alloc(type, 0));
    if (!self) return nullptr;
    auto* instance = reinterpret_cast<pybind11::detail::instance*>(self.ptr());
    instance->allocate_layout();
    auto slot = instance->get_value_and_holder(native);
    slot.value_ptr() = part.release();
    slot.type->init_instance(instance, nullptr);
    return pybind11::object(self).release().ptr();
  });
}

/// A new Python object that holds `part`. pybind11's own conversion ends the process if there is no
/// memory.
template <class T>
pybind11::object object_of(T part) {
  auto* type = reinterpret_cast<PyTypeObject*>(pybind11::type::of<T>().ptr());
  auto self = pybind11::reinterpret_steal<pybind11::object>(new_object<T>(type));
  if (!self) throw pybind11::error_already_set();
  self.template cast<T&>() = std::move(part);
  return self;
}

/// An extra of py::class_<T>, which makes its objects by new_object.
template <class T>
pybind11::custom_type_setup made_at_once() {
  return pybind11::custom_type_setup([](PyHeapTypeObject* type) {
    type->ht_type.tp_new = [](PyTypeObject* made, PyObject*, PyObject*) {
      return new_object<T>(made);
    };
    // Python allows `__class__ = other` between classes of the same layout. The extra pointer makes
    // the layout differ, so no object gets a class whose C++ part it lacks.
    type->ht_type.tp_basicsize += static_cast<Py_ssize_t>(sizeof(void*));
  });
}

/// Lets copy and pickle call `__new__`, then `__setstate__` with the state of `__getstate__`. In a
/// pickle this names the class and nothing else, except under protocols 0 and 1, where it names
/// copyreg.__newobj__ too.
template <class T>
void define_reduce(pybind11::class_<T>& cls) {
  const pybind11::object make = pybind11::module_::import("copyreg").attr("__newobj__");
  cls.def(
      "__reduce__",
      // NOLINTNEXTLINE(bugprone-exception-escape): a copy of `make` throws only without the GIL
      [make](const pybind11::object& self) {
        return pybind11::make_tuple(make, pybind11::make_tuple(pybind11::type::of(self)),
                                    self.attr("__getstate__")());
      },
      "How to make a copy: a tuple for copy and pickle.");
}

/// Binds a special method that completes an object: `__init__` or `__setstate__`. By these names
/// `def` would bind a constructor, which makes the C++ part itself.
template <class T, class F, class... Extra>
void define_initializer(pybind11::class_<T>& cls, const char* name, F&& f, const Extra&... extra) {
  cls.attr(name) = pybind11::cpp_function(std::forward<F>(f), pybind11::name("init"),
                                          pybind11::is_method(cls), extra...);
}

}  // namespace fastmlp::python
