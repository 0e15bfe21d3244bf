// The rows of data sets (see array.hpp): read in place, or converted block by block from other
// dtypes, byte orders and CSR matrices. Start at `source_of` and `csr_rows`.
#include "array.hpp"

#include "arguments.hpp"
#include "gil.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace fastmlp::python {
namespace {

/// Reads rows of From with any strides, alignment and byte order, and converts them to T.
template <class T, class From, bool kSwapped>
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
        char bytes[sizeof(From)];
        std::memcpy(bytes, element, sizeof bytes);
        if constexpr (kSwapped) std::reverse(bytes, bytes + sizeof bytes);
        From value;
        std::memcpy(&value, bytes, sizeof bytes);
        *out++ = static_cast<T>(value);
      }
    }
  };
}

/// The memory_reader for the dtype of an array; empty for float16 and long double.
template <class T, bool kSwapped>
typename RowSource<T>::Reader memory_reader_of(const py::array& array) {
  switch (array.dtype().kind() * 16 + array.itemsize()) {
    case 'f' * 16 + 4:
      return memory_reader<T, float, kSwapped>(array);
    case 'f' * 16 + 8:
      return memory_reader<T, double, kSwapped>(array);
    case 'i' * 16 + 1:
      return memory_reader<T, std::int8_t, kSwapped>(array);
    case 'i' * 16 + 2:
      return memory_reader<T, std::int16_t, kSwapped>(array);
    case 'i' * 16 + 4:
      return memory_reader<T, std::int32_t, kSwapped>(array);
    case 'i' * 16 + 8:
      return memory_reader<T, std::int64_t, kSwapped>(array);
    case 'b' * 16 + 1:
    case 'u' * 16 + 1:
      return memory_reader<T, std::uint8_t, kSwapped>(array);
    case 'u' * 16 + 2:
      return memory_reader<T, std::uint16_t, kSwapped>(array);
    case 'u' * 16 + 4:
      return memory_reader<T, std::uint32_t, kSwapped>(array);
    case 'u' * 16 + 8:
      return memory_reader<T, std::uint64_t, kSwapped>(array);
    default:
      return {};
  }
}

/// Reads rows of the other dtypes, which NumPy converts.
template <class T>
typename RowSource<T>::Reader numpy_reader(const py::array& array) {
  const py::handle borrowed = array;
  const std::ptrdiff_t cols = array.ndim() == 2 ? array.shape(1) : 1;
  return [borrowed, cols](const std::int64_t* indices, std::ptrdiff_t first, std::ptrdiff_t count,
                          T* out) {
    const GilTaken gil;
    const py::object rows =
        indices != nullptr
            ? borrowed.attr("take")(py::array_t<std::int64_t>(count, indices), py::arg("axis") = 0)
            : py::object(borrowed[py::slice(first, first + count, 1)]);
    const py::array converted = rows.attr("astype")(py::dtype::of<T>(), py::arg("order") = "C");
    if (converted.size() != count * cols)
      throw py::value_error("an array changed its shape during a call");
    std::memcpy(out, converted.data(), static_cast<std::size_t>(converted.nbytes()));
  };
}

template <class T>
RowSource<T> source_of(const py::array& array) {
  const std::ptrdiff_t cols = array.ndim() == 2 ? array.shape(1) : 1;
  if (is_usable<T>(array)) {
    const MatrixView<const T> matrix = view<T>(array);
    return array.ndim() == 2 ? matrix : matrix.transposed();  // a vector is one column here
  }
  const char order = array.dtype().byteorder();
  typename RowSource<T>::Reader reader = order == '=' || order == '|'
                                             ? memory_reader_of<T, false>(array)
                                             : memory_reader_of<T, true>(array);
  if (!reader) reader = numpy_reader<T>(array);
  return {array.shape(0), cols, std::move(reader)};
}

/// The rows of a CSR matrix whose indices are of type Index.
template <class T, class Index>
RowSource<T> csr_rows(std::ptrdiff_t rows, std::ptrdiff_t cols, const CsrArrays& arrays) {
  const T* data = static_cast<const T*>(arrays.data.data());
  const Index* columns = static_cast<const Index*>(arrays.indices.data());
  const Index* starts = static_cast<const Index*>(arrays.indptr.data());
  const auto stored = static_cast<Index>(std::min(arrays.data.shape(0), arrays.indices.shape(0)));
  return {rows, cols,
          [=](const std::int64_t* order, std::ptrdiff_t first, std::ptrdiff_t count, T* out) {
            std::fill_n(out, count * cols, T(0));
            for (std::ptrdiff_t i = 0; i < count; ++i, out += cols) {
              const std::ptrdiff_t row =
                  order != nullptr ? static_cast<std::ptrdiff_t>(order[i]) : first + i;
              const Index begin = starts[row], end = starts[row + 1];
              if (begin < 0 || begin > end || end > stored) {
                throw std::invalid_argument("a sparse matrix has an indptr that leaves its data");
              }
              for (Index p = begin; p < end; ++p) {
                if (columns[p] < 0 || columns[p] >= static_cast<Index>(cols)) {
                  throw std::invalid_argument("a sparse matrix has a column index out of range");
                }
                out[columns[p]] += data[p];
              }
            }
          }};
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

bool is_csr(const py::object& object) {
  if (py::isinstance<py::array>(object) || !py::hasattr(object, "indptr")) return false;
  const py::object format = py::getattr(object, "format", py::none());
  return py::isinstance<py::str>(format) && text(format) == "csr";
}

template <class T>
RowSource<T> csr_rows_of(const char* function, const char* name, const py::object& object,
                         CsrArrays& keep) {
  const std::string what = std::string(function) + ": " + name;
  keep.data = usable<T>(as_array(function, name, object.attr("data")));
  keep.indices = py::array(object.attr("indices"));
  keep.indptr = py::array(object.attr("indptr"));
  const py::tuple shape = object.attr("shape");
  const bool flat = keep.data.ndim() == 1 && keep.indices.ndim() == 1 && keep.indptr.ndim() == 1;
  if (!flat || shape.size() != 2)
    throw py::value_error(what + " is not a CSR matrix of two dimensions");
  const auto rows = shape[0].cast<std::ptrdiff_t>(), cols = shape[1].cast<std::ptrdiff_t>();
  if (rows < 0 || cols < 0 || keep.indptr.shape(0) != rows + 1) {
    throw py::value_error(what + " has shape " + text(shape) + " and an indptr of shape " +
                          shape_text(keep.indptr) + "; it must have one more than rows");
  }
  keep.data = py::module_::import("numpy").attr("ascontiguousarray")(keep.data);
  const bool narrow = keep.indices.dtype().kind() == 'i' && keep.indices.itemsize() == 4 &&
                      keep.indptr.dtype().kind() == 'i' && keep.indptr.itemsize() == 4;
  const auto as_index = [&](const py::array& array) {
    return py::array(array.attr("astype")(narrow ? "int32" : "int64", py::arg("order") = "C",
                                          py::arg("copy") = false));
  };
  keep.indices = as_index(keep.indices);
  keep.indptr = as_index(keep.indptr);
  return narrow ? csr_rows<T, std::int32_t>(rows, cols, keep)
                : csr_rows<T, std::int64_t>(rows, cols, keep);
}

template <class T>
py::array_t<T> sample_weight_of(const char* function, const py::object& object,
                                std::ptrdiff_t rows) {
  if (object.is_none()) return py::array_t<T>(0);
  const py::array array = as_array(function, "sample_weight", object);
  if (array.ndim() != 1 || array.shape(0) != rows) {
    throw py::value_error(std::string(function) + ": sample_weight has shape " + shape_text(array) +
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
    throw py::value_error(std::string(function) + ": order has shape " + shape_text(array) +
                          "; it must have one dimension");
  }
  return array.attr("astype")(py::dtype::of<std::int64_t>(), py::arg("order") = "C");
}

template RowSource<float> rows_of(const char*, const char*, const py::array&);
template RowSource<float> targets_of(const char*, const char*, const py::array&);
template RowSource<float> csr_rows_of(const char*, const char*, const py::object&, CsrArrays&);
template py::array_t<float> sample_weight_of(const char*, const py::object&, std::ptrdiff_t);
template RowSource<double> rows_of(const char*, const char*, const py::array&);
template RowSource<double> targets_of(const char*, const char*, const py::array&);
template RowSource<double> csr_rows_of(const char*, const char*, const py::object&, CsrArrays&);
template py::array_t<double> sample_weight_of(const char*, const py::object&, std::ptrdiff_t);

}  // namespace fastmlp::python
