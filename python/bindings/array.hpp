// The one place that looks at dtype, ndim, strides and alignment of what Python passes: it turns
// arguments into views and row sources, and makes or checks outputs. The shapes' meaning is the
// library's to check (cpp/src/check.hpp).
#pragma once

#include <fastmlp/matrix_view.hpp>
#include <fastmlp/row_source.hpp>

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace fastmlp::python {

namespace py = pybind11;

/// `object` as an array of numbers. \throws TypeError for objects, strings and complex numbers.
py::array as_array(const char* function, const char* name, const py::object& object);

/// Whether an array lies in (part of) some memory.
bool shares_memory(const py::array& array, const void* data, std::size_t bytes);

/// Whether operations on these arrays are to be done in float32: where all are, or are float16.
bool is_single(std::initializer_list<py::array> arrays);

/// Whether it can be used in place: of T, aligned, at most two dimensions or C-contiguous.
template <class T>
bool is_usable(const py::array& array);

/// A copy as a C-contiguous aligned array of T, or the array itself where it can be used in place.
template <class T>
py::array usable(const py::array& array);

/// A view of a usable array of at most two dimensions, or of any number where it is C-contiguous. A
/// vector is one row.
template <class T>
MatrixView<const T> view(const py::array& usable_array);

/// Rows of X: two dimensions. The array must outlive the result.
template <class T>
RowSource<T> rows_of(const char* function, const char* name, const py::array& array);

/// Rows of y, where one dimension is one column; likewise.
template <class T>
RowSource<T> targets_of(const char* function, const char* name, const py::array& array);

/// One weight for each of `rows` rows, as a contiguous array of T; empty for None.
template <class T>
py::array_t<T> sample_weight_of(const char* function, const py::object& object,
                                std::ptrdiff_t rows);

/// The order of rows for an epoch, as contiguous int64.
py::array_t<std::int64_t> order_of(const char* function, const py::object& object);

/// `out`, checked, or a new array where it is None.
/// \throws TypeError for another type or dtype, ValueError for another shape, a read-only or
/// misaligned array, or one that shares memory with an input.
template <class T>
py::array output(const char* function, const py::object& out, const std::vector<py::ssize_t>& shape,
                 std::initializer_list<py::array> inputs);

/// `object` as an array to be updated in place. \throws TypeError, ValueError as output() does.
py::array in_place(const char* function, const char* name, const py::object& object,
                   std::initializer_list<py::array> inputs);

/// `object` as a contiguous vector of float32 or float64. \throws TypeError for anything else.
py::array floats_of(const char* function, const py::object& object);

/// The memory of `object`, a contiguous array of `n` float64 to be written.
/// \throws TypeError, ValueError as in_place() does.
double* doubles_of(const char* function, const char* name, const py::object& object,
                   std::ptrdiff_t n);

/// A writable view of an array that output() or in_place() returned.
template <class T>
MatrixView<T> mutable_view(const py::array& array);

/// Whether it has one dimension.
bool is_vector(const py::array& array);
void require_two_dimensions(const char* function, const char* name, const py::array& array);
void require_same_shape(const char* function, const char* a_name, const py::array& a,
                        const char* b_name, const py::array& b);
std::vector<py::ssize_t> shape_of(const py::array& array);

}  // namespace fastmlp::python
