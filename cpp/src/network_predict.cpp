// Network<T>: its parameters as views, labels, copies and the seed.
#include "check.hpp"
#include "network_impl.hpp"

#include <algorithm>
#include <cmath>

namespace fastmlp {
namespace {

template <class T>
void refuse_nan(const MatrixView<const T>& outputs) {
  for (std::ptrdiff_t i = 0; i < outputs.rows; ++i) {
    for (std::ptrdiff_t j = 0; j < outputs.cols; ++j) {
      if (!std::isnan(outputs(i, j))) continue;
      detail::refuse("predict: a probability of row ", i,
                     " is NaN; X and the parameters must hold none");
    }
  }
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
  if (std::isnan(threshold)) detail::refuse("predict: threshold is nan; it must be a number");
  std::vector<T> memory(static_cast<std::size_t>(X.rows() * net.classes()));
  const MatrixView<T> outputs(memory.data(), X.rows(), net.classes());
  forward(X, outputs, should_stop);
  refuse_nan<T>(outputs);
  for (std::ptrdiff_t i = 0; i < X.rows(); ++i) {
    const T* row = memory.data() + i * net.classes();
    if (softmax) {
      labels(i, 0) = std::max_element(row, row + net.classes()) - row;
      continue;
    }
    for (std::ptrdiff_t j = 0; j < net.classes(); ++j) {
      labels(i, j) = row[j] >= static_cast<T>(threshold) ? 1 : 0;
    }
  }
}

template <class T>
void Network<T>::restore(const T* parameters, std::int64_t epochs_trained) {
  detail::check_epochs_trained(epochs_trained);
  const detail::Owning alone(impl_->users, detail::kInUse, detail::kPatience);
  std::copy_n(parameters, impl_->n_parameters, impl_->parameters.data());
  impl_->epochs_trained = epochs_trained;
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
template void Network<float>::restore(const float*, std::int64_t);
template Network<float> Network<float>::copy() const;
template void Network<double>::restore(const double*, std::int64_t);
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
