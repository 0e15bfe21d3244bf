// Network<T>: its parameters as views, labels, copies and the seed.
#include "check.hpp"
#include "network_impl.hpp"

#include <algorithm>
#include <cmath>

namespace fastmlp {
namespace {

/// The label of each output that has one of its own; NaN is refused, `row` being its place.
template <class T>
void label_row(const T* outputs, std::ptrdiff_t n, std::ptrdiff_t row, bool softmax, T threshold,
               const MatrixView<std::int64_t>& labels) {
  for (std::ptrdiff_t j = 0; j < n; ++j) {
    if (std::isnan(outputs[j])) {
      detail::refuse("predict: a probability of row ", row,
                     " is NaN; X and the parameters must hold none");
    }
  }
  if (softmax) {
    labels(row, 0) = std::max_element(outputs, outputs + n) - outputs;
    return;
  }
  for (std::ptrdiff_t j = 0; j < n; ++j) labels(row, j) = outputs[j] >= threshold ? 1 : 0;
}

}  // namespace

template <class T>
void Network<T>::predict(const RowSource<T>& X, MatrixView<std::int64_t> labels, double threshold,
                         const ShouldStop& should_stop) const {
  const Impl& net = *impl_;
  const bool softmax = net.output == Output::kSoftmax;
  detail::check_features("predict", X.rows(), X.cols(), net.layers.front());
  detail::check_has_labels(net.output);
  detail::check_out("predict", "labels", labels, X.rows(), softmax ? 1 : net.classes());
  const std::ptrdiff_t step = std::min(Impl::kForwardRows, X.rows());
  std::vector<T> block(static_cast<std::size_t>(step * (X.cols() + net.classes())));
  T* const outputs = block.data() + step * X.cols();
  for (std::ptrdiff_t first = 0; first < X.rows(); first += step) {
    const std::ptrdiff_t rows = std::min(step, X.rows() - first);
    forward(X.block(first, rows, block.data()), {outputs, rows, net.classes()}, should_stop);
    for (std::ptrdiff_t i = 0; i < rows; ++i) {
      label_row(outputs + i * net.classes(), net.classes(), first + i, softmax,
                static_cast<T>(threshold), labels);
    }
  }
}

template <class T>
Network<T> Network<T>::copy() const {
  Network twin(layers(), hidden(), output());
  twin.impl_->epochs_trained = snapshot(twin.parameters());
  twin.impl_->seed = seed();
  return twin;
}

template <class T>
std::uint64_t Network<T>::seed() const {
  return impl_->seed;
}

template <class T>
void Network<T>::set_seed(std::uint64_t seed) {
  impl_->seed = seed;
}

template <class T>
MatrixView<T> Network<T>::weights(std::ptrdiff_t l) {
  detail::check_layer_index("weights", l, depth());
  return impl_->weights(impl_->parameters.data(), l);
}

template <class T>
MatrixView<T> Network<T>::biases(std::ptrdiff_t l) {
  detail::check_layer_index("biases", l, depth());
  return impl_->biases(impl_->parameters.data(), l);
}

template <class T>
T* Network<T>::parameters() {
  return impl_->parameters.data();
}

template <class T>
T* Network<T>::gradients() {
  return impl_->gradients.data();
}

template <class T>
MatrixView<const T> Network<T>::weights(std::ptrdiff_t l) const {
  detail::check_layer_index("weights", l, depth());
  return impl_->weights(impl_->parameters.data(), l);
}

template <class T>
MatrixView<const T> Network<T>::biases(std::ptrdiff_t l) const {
  detail::check_layer_index("biases", l, depth());
  return impl_->biases(impl_->parameters.data(), l);
}

template <class T>
const T* Network<T>::parameters() const {
  return impl_->parameters.data();
}

template <class T>
const T* Network<T>::gradients() const {
  return impl_->gradients.data();
}

template void Network<float>::predict(const RowSource<float>&, MatrixView<std::int64_t>, double,
                                      const ShouldStop&) const;
template void Network<double>::predict(const RowSource<double>&, MatrixView<std::int64_t>, double,
                                       const ShouldStop&) const;
template Network<float> Network<float>::copy() const;
template Network<double> Network<double>::copy() const;
template std::uint64_t Network<float>::seed() const;
template std::uint64_t Network<double>::seed() const;
template void Network<float>::set_seed(std::uint64_t);
template void Network<double>::set_seed(std::uint64_t);
template MatrixView<float> Network<float>::weights(std::ptrdiff_t);
template MatrixView<float> Network<float>::biases(std::ptrdiff_t);
template MatrixView<const float> Network<float>::weights(std::ptrdiff_t) const;
template MatrixView<const float> Network<float>::biases(std::ptrdiff_t) const;
template float* Network<float>::parameters();
template float* Network<float>::gradients();
template const float* Network<float>::parameters() const;
template const float* Network<float>::gradients() const;
template MatrixView<double> Network<double>::weights(std::ptrdiff_t);
template MatrixView<double> Network<double>::biases(std::ptrdiff_t);
template MatrixView<const double> Network<double>::weights(std::ptrdiff_t) const;
template MatrixView<const double> Network<double>::biases(std::ptrdiff_t) const;
template double* Network<double>::parameters();
template double* Network<double>::gradients();
template const double* Network<double>::parameters() const;
template const double* Network<double>::gradients() const;

}  // namespace fastmlp
