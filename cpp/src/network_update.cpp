// What becomes of the parameters where an update goes through the gradients.
#include "network_impl.hpp"
#include "parallel.hpp"

#include <algorithm>

namespace fastmlp {
namespace {

constexpr double kUpdateFlops = 8;  // about what the update of a parameter costs

}  // namespace

template <class T>
double Network<T>::Impl::squared_weights(const detail::KernelTable<T>& kernels) const {
  double sum = 0;
  for (std::ptrdiff_t l = 0; l < depth(); ++l) {
    const MatrixView<T> W = weights(parameters.data(), l);
    const std::ptrdiff_t n = W.rows * W.cols;
    for (std::ptrdiff_t k = 0; k < n; k += detail::kChunk) {
      const std::ptrdiff_t count = std::min(detail::kChunk, n - k);
      T dot = 0;
      kernels.row_dots(W.data + k, count, W.data + k, count, 1, &dot);
      sum += static_cast<double>(dot);
    }
  }
  return sum;
}

template <class T>
void Network<T>::Impl::add_decay(double decay) const {
  const T factor = static_cast<T>(decay);
  for (std::ptrdiff_t l = 0; l < depth(); ++l) {
    const MatrixView<T> W = weights(parameters.data(), l);
    T* dW = weights(gradients.data(), l).data;
    for (std::ptrdiff_t k = 0; k < W.rows * W.cols; ++k) dW[k] += factor * W.data[k];
  }
}

template <class T>
void Network<T>::Impl::update(const detail::KernelTable<T>& kernels, const Goal& goal,
                              double total_weight) const {
  detail::Rule rule = detail::Rule::kGradientDescent;
  detail::OptimizerStep<T> step;
  step.rate = static_cast<T>(goal.learning_rate);
  double decay = 0;
  if (goal.optimizer != nullptr) {
    rule = goal.optimizer->rule;
    decay = goal.optimizer->decay();
    step = goal.optimizer->template begin_step<T>();
  }
  step.decay = static_cast<T>(decay + goal.objective.alpha / total_weight);
  apply(kernels, rule, step);
}

template <class T>
void Network<T>::Impl::apply(const detail::KernelTable<T>& kernels, detail::Rule rule,
                             const detail::OptimizerStep<T>& step) const {
  const auto part = [&](std::ptrdiff_t from, std::ptrdiff_t count, bool decays) {
    detail::parallel_for(count, 64, kUpdateFlops * static_cast<double>(count),
                         [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
                           detail::OptimizerStep<T> piece = step;
                           piece.parameters = parameters.data() + from + begin;
                           piece.gradients = gradients.data() + from + begin;
                           for (T*& state : piece.state) {
                             if (state != nullptr) state += from + begin;
                           }
                           piece.n = end - begin;
                           if (!decays) {
                             piece.decay = 0;
                             piece.shrink = 1;
                           }
                           kernels.rules[static_cast<std::size_t>(rule)](piece);
                         });
  };
  if (step.decay == T(0) && step.shrink == T(1)) return part(0, n_parameters, false);
  for (std::ptrdiff_t l = 0; l < depth(); ++l) {  // of weights, not of biases
    const std::ptrdiff_t first = offsets[static_cast<std::size_t>(l)];
    part(first, inputs(l) * outputs(l), true);
    part(first + inputs(l) * outputs(l), outputs(l), false);
  }
}

// The members above; those of network_impl.cpp are instantiated there.
template double Network<float>::Impl::squared_weights(const detail::KernelTable<float>&) const;
template double Network<double>::Impl::squared_weights(const detail::KernelTable<double>&) const;
template void Network<float>::Impl::add_decay(double) const;
template void Network<double>::Impl::add_decay(double) const;
template void Network<float>::Impl::update(const detail::KernelTable<float>&, const Goal&,
                                           double) const;
template void Network<double>::Impl::update(const detail::KernelTable<double>&, const Goal&,
                                            double) const;
template void Network<float>::Impl::apply(const detail::KernelTable<float>&, detail::Rule,
                                          const detail::OptimizerStep<float>&) const;
template void Network<double>::Impl::apply(const detail::KernelTable<double>&, detail::Rule,
                                           const detail::OptimizerStep<double>&) const;

}  // namespace fastmlp
