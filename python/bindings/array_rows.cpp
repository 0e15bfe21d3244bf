// The rows of data sets (see array.hpp): read in place, or converted block by block from other
// dtypes and byte orders. Start at `source_of`. array_csr.cpp has the rows of CSR matrices.
#include "array.hpp"

#include "arguments.hpp"
#include "array_convert.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace fastmlp::python {
namespace {

/// Reads rows of any dtype, strides, alignment and byte order, and converts them to T.
template <class T>
typename RowSource<T>::Reader memory_reader(const py::array& array) {
  const char* data = static_cast<const char*>(array.data());
  const std::ptrdiff_t cols = array.ndim() == 2 ? array.shape(1) : 1;
  const std::ptrdiff_t row_bytes = array.strides(0);
  const std::ptrdiff_t col_bytes = array.ndim() == 2 ? array.strides(1) : 0;
  return [=, convert = Converter<T>(array)](const std::int64_t* indices, std::ptrdiff_t first,
                                            std::ptrdiff_t count, T* out) {
    for (std::ptrdiff_t i = 0; i < count; ++i, out += cols) {
      const std::ptrdiff_t row =
          indices != nullptr ? static_cast<std::ptrdiff_t>(indices[i]) : first + i;
      convert(data + row * row_bytes, col_bytes, cols, out);
    }
  };
}

template <class T>
RowSource<T> source_of(const py::array& array) {
  const std::ptrdiff_t cols = array.ndim() == 2 ? array.shape(1) : 1;
  if (is_usable<T>(array)) {
    const MatrixView<const T> matrix = view<T>(array);
    return array.ndim() == 2 ? matrix : matrix.transposed();  // a vector is one column here
  }
  return {array.shape(0), cols, memory_reader<T>(array)};
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
    throw py::value_error(std::string(function) + ": " + name + " has shape " + shape_text(array) +
                          "; it must have one or two dimensions");
  }
  return source_of<T>(array);
}

py::array_t<double> sample_weight_of(const char* function, const py::object& object,
                                     std::ptrdiff_t rows) {
  if (object.is_none()) return py::array_t<double>(0);
  const py::array array = as_array(function, "sample_weight", object);
  if (array.ndim() != 1 || array.shape(0) != rows) {
    throw py::value_error(std::string(function) + ": sample_weight has shape " + shape_text(array) +
                          "; it must be (" + std::to_string(rows) + ",), one for each row of X");
  }
  return converted<double>(array);
}

py::array_t<std::int64_t> order_of(const char* function, const py::object& object) {
  const py::array array = as_array(function, "order", object);
  if (std::strchr("iu", array.dtype().kind()) == nullptr && array.size() > 0) {
    throw py::type_error(std::string(function) + ": order has dtype " + text(array.dtype()) +
                         "; it must be integers");
  }
  if (array.ndim() != 1) {
    throw py::value_error(std::string(function) + ": order has shape " + shape_text(array) +
                          "; it must have one dimension");
  }
  return array.size() > 0 ? converted<std::int64_t>(array) : py::array_t<std::int64_t>(0);
}

template RowSource<float> rows_of(const char*, const char*, const py::array&);
template RowSource<float> targets_of(const char*, const char*, const py::array&);
template RowSource<double> rows_of(const char*, const char*, const py::array&);
template RowSource<double> targets_of(const char*, const char*, const py::array&);

}  // namespace fastmlp::python
