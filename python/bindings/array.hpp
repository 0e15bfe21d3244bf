// The one place that checks the dtype, dimensions, strides and alignment of arrays from Python. It
// turns arguments into views and row sources, and makes or checks outputs. array.cpp has single
// arrays, array_rows.cpp and array_csr.cpp the rows of data sets, array_convert.cpp the conversion
// of elements. What a shape means, the library checks (check.hpp).
#pragma once

#include "pybind11.hpp"

#include <fastmlp/matrix_view.hpp>
#include <fastmlp/row_source.hpp>

#include <pybind11/numpy.h>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

namespace fastmlp::python {

namespace py = pybind11;

/// Looks up what the functions below need of NumPy. Called once, when the module is imported.
void register_arrays();

// Any array

/// Below this many elements the GIL is kept: to release it and take it again would cost as much as
/// the work.
constexpr py::ssize_t kBriefElements = 20000;

/// `object` as an array of numbers. A data frame is copied, to the dtype of `network` if one is
/// given, whose feature_names must be the columns of X. \throws TypeError for objects, strings and
/// complex numbers; ValueError for masked and missing values, and for other columns.
py::array as_array(const char* function, const char* name, const py::object& object,
                   const py::handle& network = {});

/// Whether as_array lets _frames.py read this object, because it is no array, list or tuple.
bool may_be_frame(const py::object& object);

/// Whether an array lies, at least in part, in these `bytes` of memory.
bool shares_memory(const py::array& array, const void* data, std::size_t bytes);

bool is_contiguous(const py::array& array);  // row by row, without gaps
bool is_vector(const py::array& array);
std::vector<py::ssize_t> shape_of(const py::array& array);
std::string shape_text(const py::array& array);  // for messages
void require_two_dimensions(const char* function, const char* name, const py::array& array);
void require_same_shape(const char* function, const char* a_name, const py::array& a,
                        const char* b_name, const py::array& b);

// Operands

/// Whether all arrays are float32 or float16: operations on them are then done in float32.
bool is_single(std::initializer_list<py::array> arrays);

/// Whether an array can be used in place: of type T, aligned, and of at most two dimensions or
/// C-contiguous.
template <class T>
bool is_usable(const py::array& array);

/// The array itself if it is usable, else a C-contiguous aligned copy of type T.
template <class T>
py::array usable(const py::array& array);

/// A view of a usable array. A vector is one row; an array of more than two dimensions is one row
/// too.
template <class T>
MatrixView<const T> view(const py::array& usable_array);

/// `object` as a contiguous vector of float32 or float64. \throws TypeError for anything else.
py::array floats_of(const char* function, const py::object& object);

/// `object` as a contiguous vector of `n` numbers, converted to T. \throws ValueError for another
/// shape.
template <class T>
py::array_t<T> values_of(const char* function, const char* name, const py::object& object,
                         std::ptrdiff_t n);

// Outputs

/// `out` after checks, or a new array if it is None.
/// \throws TypeError for another type or dtype; ValueError for another shape, a read-only or
/// misaligned array, or one that shares memory with an input.
template <class T>
py::array output(const char* function, const py::object& out, const std::vector<py::ssize_t>& shape,
                 std::initializer_list<py::array> inputs);

/// `object` as an array of float32 or float64 that will be changed in place. \throws as output().
py::array in_place(const char* function, const char* name, const py::object& object,
                   std::initializer_list<py::array> inputs);

/// A writable view of an array that output() or in_place() returned.
template <class T>
MatrixView<T> mutable_view(const py::array& array);

/// The memory of `object`, a contiguous array of `n` float64 that will be written.
/// \throws as in_place().
double* doubles_of(const char* function, const char* name, const py::object& object,
                   std::ptrdiff_t n);

// Rows of data sets. The arrays must outlive the row sources made of them.

/// The rows of X, an array of two dimensions.
template <class T>
RowSource<T> rows_of(const char* function, const char* name, const py::array& array);

/// The rows of y. An array of one dimension is one column.
template <class T>
RowSource<T> targets_of(const char* function, const char* name, const py::array& array);

/// Whether `object` is a matrix in compressed sparse row form, as SciPy's are. SciPy itself is not
/// needed: only the attributes format, data, indices, indptr and shape are read.
bool is_csr(const py::object& object);

/// The arrays of a CSR matrix.
struct CsrArrays {
  py::array data, indices, indptr;
};

/// Returns an array, or a copy if the call writes to its memory.
using Apart = std::function<py::array(const py::array&)>;

/// The rows of a CSR matrix. `keep` receives the arrays that must outlive the result, each as
/// `apart` returns it.
/// \throws TypeError, ValueError if the arrays cannot be those of a CSR matrix. Whoever reads a row
/// checks its indices.
template <class T>
RowSource<T> csr_rows_of(const char* function, const char* name, const py::object& object,
                         CsrArrays& keep, const Apart& apart = {});

/// One weight for each of `rows` rows, as a contiguous array of double; empty for None.
py::array_t<double> sample_weight_of(const char* function, const py::object& object,
                                     std::ptrdiff_t rows);

/// The order of the rows of an epoch, as contiguous int64.
py::array_t<std::int64_t> order_of(const char* function, const py::object& object);

}  // namespace fastmlp::python
