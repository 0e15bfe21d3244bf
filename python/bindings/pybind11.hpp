// pybind11, with two functions that it calls and does not check: without memory they return null,
// which ends the process. Include this before every other header of pybind11. (docs/reliability.md,
// "What is left: failed allocations")
#pragma once

#ifdef PYBIND11_VERSION_MAJOR
#error "include pybind11.hpp before the headers of pybind11"
#endif

#include <Python.h>

#include <cstring>
#include <new>

namespace fastmlp::python {

inline PyObject* checked_intern(const char* text) {
  PyObject* string = PyUnicode_InternFromString(text);
  if (string != nullptr) return string;
  PyErr_Clear();
  throw std::bad_alloc();
}

#ifndef _MSC_VER  // pybind11 calls _strdup there
inline char* checked_strdup(const char* text) {
  if (char* copy = ::strdup(text)) return copy;
  throw std::bad_alloc();
}
#undef strdup
#define strdup ::fastmlp::python::checked_strdup
#endif

}  // namespace fastmlp::python

#define PyUnicode_InternFromString ::fastmlp::python::checked_intern
#include <pybind11/pybind11.h>
#undef PyUnicode_InternFromString
#undef strdup
