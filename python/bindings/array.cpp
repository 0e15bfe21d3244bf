#include "array.hpp"

#include <pybind11/stl.h>

#include <cstring>
#include <limits>

namespace fastmlp::python {
namespace {

std::string text(const py::handle& object) { return py::cast<std::string>(py::str(object)); }

std::string shape_text(const py::array& array) { return text(array.attr("shape")); }

[[noreturn]] void refuse_value(const std::string& message) { throw py::value_error(message); }

template <class T>
bool has_type(const py::array& array) {
  const py::dtype dtype = array.dtype();
  return dtype.kind() == 'f' && dtype.itemsize() == static_cast<py::ssize_t>(sizeof(T)) &&
         dtype.byteorder() == '=';
}

/// Whether every element lies where a T may lie, at strides of whole T.
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

bool is_contiguous(const py::array& array) {
  return (array.flags() & py::array::c_style) == py::array::c_style;
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

/// Rows of float or double in memory, whatever their strides and alignment, converted to T.
template <class T, class From>
typename RowSource<T>::Reader memory_reader(const py::array& array) {
  const char* data = static_cast<const char*>(array.data());
  const std::ptrdiff_t cols = array.ndim() == 2 ? array.shape(1) : 1;
  const std::ptrdiff_t row_bytes = array.strides(0);
  const std::ptrdiff_t col_bytes = array.ndim() == 2 ? array.strides(1) : 0;
  return [=](const std::int64_t* indices, std::ptrdiff_t first, std::ptrdiff_t count, T* out) {
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      const std::ptrdiff_t row =
          indices != nullptr ? static_cast<std::ptrdiff_t>(indices[i]) : first + i;
      const char* element = data + row * row_bytes;
      for (std::ptrdiff_t j = 0; j < cols; ++j, element += col_bytes) {
        From value;
        std::memcpy(&value, element, sizeof value);
        *out++ = static_cast<T>(value);
      }
    }
  };
}

/// Rows of anything else (integers, bool, float16, other byte orders), converted by NumPy.
template <class T>
typename RowSource<T>::Reader numpy_reader(const py::array& array) {
  const py::handle borrowed = array;
  return [borrowed](const std::int64_t* indices, std::ptrdiff_t first, std::ptrdiff_t count,
                    T* out) {
    const py::gil_scoped_acquire gil;
    const py::object rows =
        indices != nullptr
            ? borrowed.attr("take")(py::array_t<std::int64_t>(count, indices), py::arg("axis") = 0)
            : py::object(borrowed[py::slice(first, first + count, 1)]);
    const py::array converted = rows.attr("astype")(py::dtype::of<T>(), py::arg("order") = "C");
    std::memcpy(out, converted.data(), static_cast<std::size_t>(converted.nbytes()));
  };
}

template <class T>
RowSource<T> source_of(const py::array& array) {
  const std::ptrdiff_t cols = array.ndim() == 2 ? array.shape(1) : 1;
  if (has_type<T>(array) && is_aligned<T>(array)) {
    const MatrixView<const T> matrix = view_of(static_cast<const T*>(array.data()), array);
    return array.ndim() == 2 ? matrix : matrix.transposed();  // a vector is one column here
  }
  if (has_type<float>(array)) return {array.shape(0), cols, memory_reader<T, float>(array)};
  if (has_type<double>(array)) return {array.shape(0), cols, memory_reader<T, double>(array)};
  return {array.shape(0), cols, numpy_reader<T>(array)};
}

struct Extent {
  const char* begin;
  const char* end;
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
  const Extent x = extent_of(a), y = extent_of(b);
  if (x.end <= y.begin || y.end <= x.begin) return false;
  // Two views may interleave without sharing an element; NumPy finds out.
  return py::module_::import("numpy").attr("shares_memory")(a, b).cast<bool>();
}

py::array require_writable(const std::string& what, const py::object& object) {
  if (!py::isinstance<py::array>(object)) {
    throw py::type_error(what + " is a " + text(py::type::of(object).attr("__name__")) +
                         "; it must be a numpy.ndarray");
  }
  py::array array = py::reinterpret_borrow<py::array>(object);
  if (!array.writeable()) refuse_value(what + " is read-only; it must be writable");
  return array;
}

void require_usable(const std::string& what, const py::array& array, bool aligned,
                    std::initializer_list<py::array> inputs) {
  if (!aligned) refuse_value(what + " is not aligned to its dtype");
  if (array.ndim() > 2 && !is_contiguous(array)) {
    refuse_value(what + " has more than two dimensions; it must be contiguous then");
  }
  for (const py::array& input : inputs) {
    if (overlap(array, input)) refuse_value(what + " shares memory with an input");
  }
}

}  // namespace

py::array as_array(const char* function, const char* name, const py::object& object) {
  py::array array = py::isinstance<py::array>(object)
                        ? py::reinterpret_borrow<py::array>(object)
                        : py::array(py::module_::import("numpy").attr("asarray")(object));
  if (std::strchr("fiub", array.dtype().kind()) == nullptr) {
    throw py::type_error(std::string(function) + ": " + name + " has dtype " + text(array.dtype()) +
                         "; it must be real numbers");
  }
  return array;
}

bool is_single(std::initializer_list<py::array> arrays) {
  for (const py::array& array : arrays) {
    if (array.dtype().kind() != 'f' || array.itemsize() > 4) return false;
  }
  return true;
}

template <class T>
py::array usable(const py::array& array) {
  if (has_type<T>(array) && is_aligned<T>(array) && (array.ndim() <= 2 || is_contiguous(array))) {
    return array;
  }
  return array.attr("astype")(py::dtype::of<T>(), py::arg("order") = "C");
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
RowSource<T> rows_of(const char* function, const char* name, const py::array& array) {
  require_two_dimensions(function, name, array);
  return source_of<T>(array);
}

template <class T>
RowSource<T> targets_of(const char* function, const char* name, const py::array& array) {
  if (array.ndim() != 1 && array.ndim() != 2) {
    refuse_value(std::string(function) + ": " + name + " has shape " + shape_text(array) +
                 "; it must have one or two dimensions");
  }
  return source_of<T>(array);
}

template <class T>
py::array_t<T> sample_weight_of(const char* function, const py::object& object,
                                std::ptrdiff_t rows) {
  if (object.is_none()) return py::array_t<T>(0);
  const py::array array = as_array(function, "sample_weight", object);
  if (array.ndim() != 1 || array.shape(0) != rows) {
    refuse_value(std::string(function) + ": sample_weight has shape " + shape_text(array) +
                 "; it must be (" + std::to_string(rows) + ",), one for each row of X");
  }
  return array.attr("astype")(py::dtype::of<T>(), py::arg("order") = "C");
}

py::array_t<std::int64_t> order_of(const char* function, const py::object& object) {
  const py::array array = as_array(function, "order", object);
  if (std::strchr("iu", array.dtype().kind()) == nullptr && array.size() > 0) {
    throw py::type_error(std::string(function) + ": order has dtype " + text(array.dtype()) +
                         "; it must be integers");
  }
  if (array.ndim() != 1) {
    refuse_value(std::string(function) + ": order has shape " + shape_text(array) +
                 "; it must have one dimension");
  }
  return array.attr("astype")(py::dtype::of<std::int64_t>(), py::arg("order") = "C");
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
    refuse_value(what + " has shape " + shape_text(array) + "; it must be " +
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

bool is_vector(const py::array& array) { return array.ndim() == 1; }

void require_two_dimensions(const char* function, const char* name, const py::array& array) {
  if (array.ndim() != 2) {
    refuse_value(std::string(function) + ": " + name + " has shape " + shape_text(array) +
                 "; it must have two dimensions");
  }
}

void require_same_shape(const char* function, const char* a_name, const py::array& a,
                        const char* b_name, const py::array& b) {
  if (shape_of(a) != shape_of(b)) {
    refuse_value(std::string(function) + ": " + a_name + " has shape " + shape_text(a) + " and " +
                 b_name + " has shape " + shape_text(b) + "; they must have the same shape");
  }
}

std::vector<py::ssize_t> shape_of(const py::array& array) {
  return {array.shape(), array.shape() + array.ndim()};
}

template py::array usable<float>(const py::array&);
template MatrixView<const float> view(const py::array&);
template MatrixView<float> mutable_view(const py::array&);
template RowSource<float> rows_of(const char*, const char*, const py::array&);
template RowSource<float> targets_of(const char*, const char*, const py::array&);
template py::array_t<float> sample_weight_of(const char*, const py::object&, std::ptrdiff_t);
template py::array output<float>(const char*, const py::object&, const std::vector<py::ssize_t>&,
                                 std::initializer_list<py::array>);
template py::array usable<double>(const py::array&);
template MatrixView<const double> view(const py::array&);
template MatrixView<double> mutable_view(const py::array&);
template RowSource<double> rows_of(const char*, const char*, const py::array&);
template RowSource<double> targets_of(const char*, const char*, const py::array&);
template py::array_t<double> sample_weight_of(const char*, const py::object&, std::ptrdiff_t);
template py::array output<double>(const char*, const py::object&, const std::vector<py::ssize_t>&,
                                  std::initializer_list<py::array>);

}  // namespace fastmlp::python
