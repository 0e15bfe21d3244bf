// Rows of a SciPy matrix in compressed sparse row form, made dense a block at a time. SciPy itself
// is not needed: what counts are the attributes format, data, indices, indptr and shape.
#pragma once

#include "array.hpp"

namespace fastmlp::python {

bool is_csr(const py::object& object);

/// The arrays of a CSR matrix, which must outlive the rows made of them.
struct CsrArrays {
  py::array data, indices, indptr;
};

/// Rows of a CSR matrix. Duplicates are summed. \throws TypeError, ValueError for arrays that are
/// not those of a CSR matrix; a row's reading throws where its indices lie outside of it.
template <class T>
RowSource<T> csr_rows_of(const char* function, const char* name, const py::object& object,
                         CsrArrays& keep);

}  // namespace fastmlp::python
