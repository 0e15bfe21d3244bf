// Single arrays: their checks, views and outputs (see array.hpp).
#include "array.hpp"

#include "arguments.hpp"
#include "array_convert.hpp"
#include "gil.hpp"
#include "kernels/float_mode.hpp"

#include <pybind11/stl.h>

#include <cstring>

namespace fastmlp::python {
namespace {

/// Python's functions. They are looked up at import, because a process that ends imports nothing.
struct Functions {
  PyObject* asarray;
  PyObject* shares_memory;
  PyObject* as_array;  // of _frames.py, as the next one
  PyObject* require_real;
};

Functions& python() {
  static Functions found{};
  return found;
}

/// function(arguments...). Python ends the thread while it waits for the GIL at the end.
template <class... Arguments>
py::object call(PyObject* function, const Arguments&... arguments) {
  auto result = py::reinterpret_steal<py::object>(call_python(
      [&] { return PyObject_CallFunctionObjArgs(function, arguments.ptr()..., nullptr); }));
  if (!result) throw py::error_already_set();
  return result;
}

template <class T>
bool has_type(const py::array& array) {
  const py::dtype dtype = array.dtype();
  return dtype.kind() == 'f' && dtype.itemsize() == static_cast<py::ssize_t>(sizeof(T)) &&
         dtype.byteorder() == '=';
}

/// Whether every element is aligned for T and all strides are multiples of sizeof(T).
template <class T>
bool is_aligned(const py::array& array) {
  if (reinterpret_cast<std::uintptr_t>(array.data()) % alignof(T) != 0) return false;
  for (py::ssize_t d = 0; d < array.ndim(); ++d) {
    if (array.shape(d) > 1 && array.strides(d) % static_cast<py::ssize_t>(sizeof(T)) != 0) {
      return false;
    }
  }
  return true;
}

template <class T>
MatrixView<const T> view_of(const T* data, const py::array& array) {
  const auto stride = [&](py::ssize_t d) {  // that of a single element is arbitrary
    return array.shape(d) > 1 ? array.strides(d) / static_cast<py::ssize_t>(sizeof(T)) : 1;
  };
  switch (array.ndim()) {
    case 0:
      return {data, 1, 1};
    case 1:
      return {data, 1, array.shape(0), array.shape(0), stride(0)};
    case 2:
      return {data, array.shape(0), array.shape(1), array.shape(0) > 1 ? stride(0) : array.shape(1),
              stride(1)};
    default:
      return {data, 1, array.size()};
  }
}

/// The memory from the first byte of an array to its last.
struct Extent {
  const char* begin;
  const char* end;

  bool meets(const Extent& other) const { return begin < other.end && other.begin < end; }
};

Extent extent_of(const py::array& array) {
  const char* begin = static_cast<const char*>(array.data());
  const char* end = begin + array.itemsize();
  for (py::ssize_t d = 0; d < array.ndim(); ++d) {
    const py::ssize_t reach = array.strides(d) * (array.shape(d) - 1);
    (reach < 0 ? begin : end) += reach;
  }
  return {begin, end};
}

bool overlap(const py::array& a, const py::array& b) {
  if (a.size() == 0 || b.size() == 0) return false;
  if (!extent_of(a).meets(extent_of(b))) return false;
  // The extents of two views can overlap although no element is shared; NumPy can tell.
  return call(python().shares_memory, a, b).template cast<bool>();
}

bool is_plain(const py::handle& object) {
  return Py_TYPE(object.ptr()) == py::detail::npy_api::get().PyArray_Type_;
}

/// Refuses a masked array, or a list of arrays, in which a value is masked: a conversion to a plain
/// array drops the mask and uses the hidden values. (refuse_masked in _trainable.py is the same.)
void refuse_masked(const std::string& what, const py::object& object) {
  const auto check = [&](const py::handle& item) {
    if (is_plain(item) || !py::isinstance<py::array>(item)) return;
    const py::object mask = py::getattr(item, "mask", py::none());
    if (!py::isinstance<py::array>(mask) || !mask.attr("any")().cast<bool>()) return;
    throw py::value_error(what +
                          " has masked values; replace them, for example by filled(), or leave "
                          "their rows out");
  };
  check(object);
  if (py::isinstance<py::list>(object) || py::isinstance<py::tuple>(object)) {
    for (const py::handle item : object) check(item);
  }
}

py::array require_writable(const std::string& what, const py::object& object) {
  if (!py::isinstance<py::array>(object)) {
    throw py::type_error(what + " is a " + text(py::type::of(object).attr("__name__")) +
                         "; it must be a numpy.ndarray");
  }
  refuse_masked(what, object);
  py::array array = py::reinterpret_borrow<py::array>(object);
  if (!array.writeable()) throw py::value_error(what + " is read-only; it must be writable");
  return array;
}

void require_usable(const std::string& what, const py::array& array, bool aligned,
                    std::initializer_list<py::array> inputs) {
  if (!aligned) throw py::value_error(what + " is not aligned to its dtype");
  if (array.ndim() > 2 && !is_contiguous(array)) {
    throw py::value_error(what + " has more than two dimensions; it must be contiguous then");
  }
  for (const py::array& input : inputs) {
    if (overlap(array, input)) throw py::value_error(what + " shares memory with an input");
  }
}

}  // namespace

void register_arrays() {
  py::detail::npy_api::get();  // pybind11 looks up NumPy's C functions at their first use
  const auto module = py::module_::import("numpy");
  // NumPy imports the Python parts of these methods at their first use.
  const py::object array = module.attr("ones")(1);
  for (const char* method : {"all", "any", "max", "mean", "min", "sum"}) array.attr(method)();
  const auto frames = py::module_::import("fastmlp._frames");
  const auto found = [](const py::module_& in, const char* name) {
    return in.attr(name).cast<py::object>().release().ptr();
  };
  python() = {found(module, "asarray"), found(module, "shares_memory"), found(frames, "as_array"),
              found(frames, "require_real")};
}

bool may_be_frame(const py::object& object) {
  return !py::isinstance<py::array>(object) && PyList_Check(object.ptr()) == 0 &&
         PyTuple_Check(object.ptr()) == 0;
}

py::array as_array(const char* function, const char* name, const py::object& object,
                   const py::handle& network) {
  // A subclass may override indexing and conversion, so its plain array is used.
  const py::handle none = Py_None;
  const auto array_of = [&]() -> py::array {
    if (is_plain(object)) return py::reinterpret_borrow<py::array>(object);
    const std::string what = std::string(function) + ": " + name;
    if (may_be_frame(object)) {
      const detail::DefaultFloatMode mode;  // _frames.py converts the numbers of a frame
      return call(python().as_array, py::str(what), object, network ? network : none);
    }
    refuse_masked(what, object);
    return call(python().asarray, object);
  };
  const py::array array = array_of();
  const py::dtype dtype = array.dtype();
  if (std::strchr("fiub", dtype.kind()) == nullptr || !is_builtin(dtype)) {
    call(python().require_real, py::str(std::string(function) + ": " + name), array);
  }
  return array;
}

bool shares_memory(const py::array& array, const void* data, std::size_t bytes) {
  const char* begin = static_cast<const char*>(data);
  return array.size() > 0 && extent_of(array).meets({begin, begin + bytes});
}

bool is_single(std::initializer_list<py::array> arrays) {
  for (const py::array& array : arrays) {
    const bool is_float = array.dtype().kind() == 'f' || !is_builtin(array.dtype());
    if (!is_float || array.itemsize() > 4) return false;
  }
  return true;
}

template <class T>
bool is_usable(const py::array& array) {
  return has_type<T>(array) && is_aligned<T>(array) && (array.ndim() <= 2 || is_contiguous(array));
}

template <class T>
py::array usable(const py::array& array) {
  return is_usable<T>(array) ? array : converted<T>(array);
}

template <class T>
MatrixView<const T> view(const py::array& usable_array) {
  return view_of(static_cast<const T*>(usable_array.data()), usable_array);
}

template <class T>
MatrixView<T> mutable_view(const py::array& array) {
  const MatrixView<const T> v = view<T>(array);
  return {static_cast<T*>(const_cast<void*>(array.data())), v.rows, v.cols, v.row_stride,
          v.col_stride};
}

template <class T>
py::array output(const char* function, const py::object& out, const std::vector<py::ssize_t>& shape,
                 std::initializer_list<py::array> inputs) {
  if (out.is_none()) return py::array(py::dtype::of<T>(), shape);
  const std::string what = std::string(function) + ": out";
  py::array array = require_writable(what, out);
  if (!has_type<T>(array)) {
    throw py::type_error(what + " has dtype " + text(array.dtype()) + "; it must be " +
                         text(py::dtype::of<T>()));
  }
  if (shape_of(array) != shape) {
    throw py::value_error(what + " has shape " + shape_text(array) + "; it must be " +
                          text(py::tuple(py::cast(shape))));
  }
  require_usable(what, array, is_aligned<T>(array), inputs);
  return array;
}

py::array in_place(const char* function, const char* name, const py::object& object,
                   std::initializer_list<py::array> inputs) {
  const std::string what = std::string(function) + ": " + name;
  py::array array = require_writable(what, object);
  const bool single = has_type<float>(array);
  if (!single && !has_type<double>(array)) {
    throw py::type_error(what + " has dtype " + text(array.dtype()) +
                         "; it must be float32 or float64");
  }
  const bool aligned = single ? is_aligned<float>(array) : is_aligned<double>(array);
  require_usable(what, array, aligned, inputs);
  return array;
}

py::array floats_of(const char* function, const py::object& object) {
  py::array array = as_array(function, "a vector", object);
  if ((!has_type<float>(array) && !has_type<double>(array)) || array.ndim() != 1) {
    throw py::type_error(std::string(function) + ": a vector has dtype " + text(array.dtype()) +
                         " and shape " + shape_text(array) +
                         "; it must be float32 or float64 and have one dimension");
  }
  if (is_contiguous(array)) return array;
  return has_type<float>(array) ? converted<float>(array) : converted<double>(array);
}

template <class T>
py::array_t<T> values_of(const char* function, const char* name, const py::object& object,
                         std::ptrdiff_t n) {
  const py::array array = as_array(function, name, object);
  if (shape_of(array) != std::vector{n}) {
    throw py::value_error(std::string(function) + ": " + name + " has shape " + shape_text(array) +
                          "; it must be (" + std::to_string(n) + ",)");
  }
  if (is_usable<T>(array) && is_contiguous(array)) return array;
  return converted<T>(array);
}

double* doubles_of(const char* function, const char* name, const py::object& object,
                   std::ptrdiff_t n) {
  py::array array = in_place(function, name, object, {});
  if (!has_type<double>(array) || !is_contiguous(array) || shape_of(array) != std::vector{n}) {
    throw py::value_error(std::string(function) + ": " + name + " has dtype " +
                          text(array.dtype()) + " and shape " + shape_text(array) +
                          "; it must be contiguous float64 of shape (" + std::to_string(n) + ",)");
  }
  return static_cast<double*>(array.mutable_data());
}

bool is_contiguous(const py::array& array) {
  return (array.flags() & py::array::c_style) == py::array::c_style;
}

bool is_vector(const py::array& array) { return array.ndim() == 1; }

void require_two_dimensions(const char* function, const char* name, const py::array& array) {
  if (array.ndim() != 2) {
    throw py::value_error(std::string(function) + ": " + name + " has shape " + shape_text(array) +
                          "; it must have two dimensions");
  }
}

void require_same_shape(const char* function, const char* a_name, const py::array& a,
                        const char* b_name, const py::array& b) {
  if (shape_of(a) != shape_of(b)) {
    throw py::value_error(std::string(function) + ": " + a_name + " has shape " + shape_text(a) +
                          " and " + b_name + " has shape " + shape_text(b) +
                          "; they must have the same shape");
  }
}

std::string shape_text(const py::array& array) { return text(array.attr("shape")); }

std::vector<py::ssize_t> shape_of(const py::array& array) {
  return {array.shape(), array.shape() + array.ndim()};
}

template bool is_usable<float>(const py::array&);
template py::array usable<float>(const py::array&);
template py::array_t<float> values_of(const char*, const char*, const py::object&, std::ptrdiff_t);
template MatrixView<const float> view(const py::array&);
template MatrixView<float> mutable_view(const py::array&);
template py::array output<float>(const char*, const py::object&, const std::vector<py::ssize_t>&,
                                 std::initializer_list<py::array>);
template bool is_usable<double>(const py::array&);
template py::array usable<double>(const py::array&);
template py::array_t<double> values_of(const char*, const char*, const py::object&, std::ptrdiff_t);
template MatrixView<const double> view(const py::array&);
template MatrixView<double> mutable_view(const py::array&);
template py::array output<double>(const char*, const py::object&, const std::vector<py::ssize_t>&,
                                  std::initializer_list<py::array>);

}  // namespace fastmlp::python
