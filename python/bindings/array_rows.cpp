// Rows of X and y, weights and orders from Python arrays: in place, or converted block by block.
#include "array_detail.hpp"

#include <cstring>

namespace fastmlp::python {
namespace {

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

}  // namespace

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

template RowSource<float> rows_of(const char*, const char*, const py::array&);
template RowSource<float> targets_of(const char*, const char*, const py::array&);
template py::array_t<float> sample_weight_of(const char*, const py::object&, std::ptrdiff_t);
template RowSource<double> rows_of(const char*, const char*, const py::array&);
template RowSource<double> targets_of(const char*, const char*, const py::array&);
template py::array_t<double> sample_weight_of(const char*, const py::object&, std::ptrdiff_t);

}  // namespace fastmlp::python
