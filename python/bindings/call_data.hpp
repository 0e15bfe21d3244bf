// CallData: the arrays of one call on a network, kept alive and as the library takes them.
#pragma once

#include "array.hpp"
#include "array_csr.hpp"

#include <fastmlp/network.hpp>

namespace fastmlp::python {

/// Whether an array is a view of a network's parameters or gradients.
template <class T>
bool is_view_of(Network<T>& net, const py::array& array) {
  const std::size_t bytes = static_cast<std::size_t>(net.n_parameters()) * sizeof(T);
  return shares_memory(array, net.parameters(), bytes) ||
         shares_memory(array, net.gradients(), bytes);
}

/// X, y and the weights of one call. Neither X nor y is in place where it is a view of the network.
template <class T>
class CallData {
 public:
  CallData(const char* function, Network<T>& net, const py::object& X, const py::object& y,
           const py::object& weight)
      : x_(is_csr(X) ? py::array() : apart_from(net, as_array(function, "X", X))),
        y_(apart_from(net, as_array(function, "y", y))),
        x_rows(is_csr(X) ? csr_rows_of<T>(function, "X", X, csr_) : rows_of<T>(function, "X", x_)),
        y_rows(targets_of<T>(function, "y", y_)),
        weight_(sample_weight_of<T>(function, weight, x_rows.rows())),
        weights(weight.is_none() ? nullptr : weight_.data()) {}

 private:
  // What a step reads must not be what it writes.
  static py::array apart_from(Network<T>& net, const py::array& array) {
    return is_view_of(net, array) ? py::array(array.attr("copy")()) : array;
  }

  py::array x_, y_;
  CsrArrays csr_;  // in place of x_ where X is sparse

 public:
  const RowSource<T> x_rows, y_rows;

 private:
  py::array_t<T> weight_;

 public:
  const T* const weights;
};

}  // namespace fastmlp::python
