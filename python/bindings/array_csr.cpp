// The rows of CSR matrices (see array.hpp). Start at `csr_rows_of`.
#include "array.hpp"

#include "arguments.hpp"
#include "array_convert.hpp"
#include "gil.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace fastmlp::python {
namespace {

/// object.name, which may be a property that Python computes.
py::object attribute(const py::object& object, const char* name) {
  const auto found = py::reinterpret_steal<py::object>(
      call_python([&] { return PyObject_GetAttrString(object.ptr(), name); }));
  if (!found) throw py::error_already_set();
  return found;
}

/// `object` as it is if it is a contiguous array of int32 or int64, else a copy of int64.
py::array indices_of(const char* function, const char* name, const py::object& object) {
  const py::array array = as_array(function, name, object);
  if (std::strchr("iu", array.dtype().kind()) == nullptr) {
    throw py::type_error(std::string(function) + ": " + name + " has dtype " + text(array.dtype()) +
                         "; it must be integers");
  }
  const auto size = static_cast<std::uintptr_t>(array.itemsize());
  const bool aligned = reinterpret_cast<std::uintptr_t>(array.data()) % size == 0;
  const bool fits = array.dtype().kind() == 'i' && size >= 4 && array.dtype().byteorder() == '=';
  return fits && aligned && is_contiguous(array) ? array : converted<std::int64_t>(array);
}

IndexView index_view(const py::array& array) {
  if (array.itemsize() == 4) return static_cast<const std::int32_t*>(array.data());
  return static_cast<const std::int64_t*>(array.data());
}

}  // namespace

bool is_csr(const py::object& object) {
  if (py::isinstance<py::array>(object) || !py::hasattr(object, "indptr")) return false;
  const auto format = py::reinterpret_steal<py::object>(
      call_python([&] { return PyObject_GetAttrString(object.ptr(), "format"); }));
  if (!format) PyErr_Clear();
  return format && py::isinstance<py::str>(format) && text(format) == "csr";
}

template <class T>
RowSource<T> csr_rows_of(const char* function, const char* name, const py::object& object,
                         CsrArrays& keep, const Apart& apart) {
  const std::string what = std::string(function) + ": " + name;
  const py::array data = as_array(function, name, attribute(object, "data"));
  keep.data = is_usable<T>(data) && is_contiguous(data) ? data : converted<T>(data);
  keep.indices = indices_of(function, "X.indices", attribute(object, "indices"));
  keep.indptr = indices_of(function, "X.indptr", attribute(object, "indptr"));
  for (py::array* array : {&keep.data, &keep.indices, &keep.indptr}) {
    if (apart) *array = apart(*array);
  }
  const py::tuple shape = attribute(object, "shape");
  const auto size = [&](std::size_t axis) {
    const Py_ssize_t n = PyNumber_AsSsize_t(py::object(shape[axis]).ptr(), PyExc_ValueError);
    if (n == -1 && PyErr_Occurred() != nullptr) throw py::error_already_set();
    return n;
  };
  const bool flat = keep.data.ndim() == 1 && keep.indices.ndim() == 1 && keep.indptr.ndim() == 1;
  if (!flat || shape.size() != 2)
    throw py::value_error(what + " is not a CSR matrix of two dimensions");
  const std::ptrdiff_t rows = size(0), cols = size(1);
  if (rows < 0 || keep.indptr.shape(0) - 1 != rows) {
    throw py::value_error(what + " has shape " + text(shape) + " and an indptr of shape " +
                          shape_text(keep.indptr) +
                          "; indptr must have one element more than there are rows");
  }
  return CsrView<T>{rows,
                    cols,
                    static_cast<const T*>(keep.data.data()),
                    index_view(keep.indices),
                    index_view(keep.indptr),
                    std::min(keep.data.shape(0), keep.indices.shape(0))};
}

template RowSource<float> csr_rows_of(const char*, const char*, const py::object&, CsrArrays&,
                                      const Apart&);
template RowSource<double> csr_rows_of(const char*, const char*, const py::object&, CsrArrays&,
                                       const Apart&);

}  // namespace fastmlp::python
