// The rows of CSR matrices (see array.hpp). Start at `csr_rows_of`.
#include "array.hpp"

#include "arguments.hpp"

#include <algorithm>
#include <stdexcept>

namespace fastmlp::python {
namespace {

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
  keep.data = py::array::ensure(keep.data, py::array::c_style);
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

template RowSource<float> csr_rows_of(const char*, const char*, const py::object&, CsrArrays&);
template RowSource<double> csr_rows_of(const char*, const char*, const py::object&, CsrArrays&);

}  // namespace fastmlp::python
