// One pass over rows, as docs/mathematics.md describes it: forward, loss, backward, update. Start
// at Impl::pass.
#include "network/impl.hpp"

#include "check.hpp"
#include "kernels/lanes.hpp"
#include "threads/parallel.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fastmlp {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Rough costs in flops for each element, from which the number of threads is chosen. They are the
// costs of a unit's loss (exp, log1p, a division), of the update of a parameter, of a copy, and of
// scaling.
constexpr double kLossFlops = 64;
constexpr double kUpdateFlops = 8;
constexpr double kGatherFlops = 8;
constexpr double kScaleFlops = 32;

/// The weight of row i of these rows.
template <class T>
double weight_of(const Rows<T>& rows, std::ptrdiff_t i) {
  return rows.weight != nullptr ? rows.weight[rows.index(i)] : 1.0;
}

/// The sum of the weights of these rows, in 16 lanes.
template <class T>
double weight_sum(const Rows<T>& rows) {
  if (rows.weight == nullptr) return static_cast<double>(rows.count);
  detail::LaneSum<double> sum;
  constexpr std::ptrdiff_t kPiece = 256;
  double weights[kPiece];
  for (std::ptrdiff_t first = 0; first < rows.count; first += kPiece) {
    const std::ptrdiff_t n = std::min(kPiece, rows.count - first);
    for (std::ptrdiff_t i = 0; i < n; ++i) weights[i] = weight_of(rows, first + i);
    sum.add(weights, n);
  }
  return sum.total();
}

/// `count` rows of X or y: order[first ...), or `first` and so on if `order` is null. Rows in order
/// are read in place. Rows in another order are copied to `scratch`, spaced<T>(cols) elements
/// apart. A caller's reader writes its rows to `scratch` without gaps.
template <class T>
MatrixView<const T> read(const detail::KernelTable<T>& kernels, const RowSource<T>& source,
                         const std::int64_t* order, std::ptrdiff_t first, std::ptrdiff_t count,
                         T* scratch, detail::Poller& poller) {
  if (order != nullptr) order += first;
  if (!source.in_place()) {
    const MatrixView<const T> read = order != nullptr ? source.gather(order, count, scratch)
                                                      : source.block(first, count, scratch);
    // The caller's reader may be slow, so the poller looks at the clock after it.
    poller.worked(detail::Poller::kFlopsPerLook);
    return read;
  }
  if (order == nullptr) return source.block(first, count, scratch);
  const MatrixView<const T>& matrix = source.matrix();
  const std::ptrdiff_t cols = matrix.cols;
  const MatrixView<T> copy(scratch, count, cols, detail::spaced<T>(cols), 1);
  detail::parallel_for(
      count, 1, kGatherFlops * static_cast<double>(count * cols),
      [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
        kernels.gather({matrix.data, matrix.row_stride, matrix.col_stride, order + begin,
                        end - begin, cols, &copy(begin, 0), copy.row_stride});
      });
  return copy;
}

/// Writes scaled rows to `out`, which may be the memory of `rows`.
template <class T>
void scale(const MatrixView<const T>& rows, const std::vector<double>& mean,
           const std::vector<double>& scale, const MatrixView<T>& out) {
  detail::parallel_for(rows.rows, 1, kScaleFlops * static_cast<double>(rows.rows * rows.cols),
                       [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
                         detail::scale_rows(rows.row_block(begin, end - begin), mean.data(),
                                            scale.data(), out.row_block(begin, end - begin));
                       });
}

}  // namespace

template <class T>
template <class Delta>
void Network<T>::Impl::set_delta(const Delta& delta) {
  if (!loss.kind || detail::about(*loss.kind).parameter != detail::LossParameter::kDelta) return;
  for (std::size_t j = 0; j < loss_parameters.size(); ++j) {
    loss_parameters[j] = static_cast<T>(delta(j));
  }
}

template <class T>
void Network<T>::Impl::unfold() {
  detail::unfold(known_scaling(), end_layers());
  unfolded = true;
  const std::vector<double>& scale = known_scaling().output_scale;
  if (scale.empty()) return;
  const double largest = *std::max_element(scale.begin(), scale.end());
  const int power = detail::power_of(output, loss);
  const auto raised = [&](double factor) { return power == 2 ? factor * factor : factor; };
  loss_factor = raised(largest);
  set_delta([&](std::size_t j) { return loss.delta / scale[j]; });
  if (scale.size() == 1) return;
  for (const double s : scale) loss_factors.push_back(static_cast<T>(raised(s / largest)));
}

template <class T>
void Network<T>::Impl::refold() {
  detail::fold(known_scaling(), end_layers());
  unfolded = false;
  loss_factor = 1;
  loss_factors.clear();
  set_delta([&](std::size_t) { return loss.delta; });
}

template <class T>
void Network<T>::Impl::check_data(const char* function, const RowSource<T>& X,
                                  const RowSource<T>& y, const double* sample_weight,
                                  const ShouldStop& should_stop) const {
  detail::check_features(function, X.rows(), X.cols(), layers.front());
  detail::check_target_shape(function, X, y, layers.back(), output, loss);
  detail::check_sample_weight(function, sample_weight, X.rows());
  if (detail::about(output).targets == detail::Targets::kReal) return;  // every y is valid
  constexpr std::ptrdiff_t kRows = 512;  // so that a copy of them takes little memory
  constexpr double kCheckFlops = 16;     // about the cost of reading and comparing a target
  detail::Poller poller(should_stop);
  detail::AlignedBuffer<T> copy;
  if (!y.in_place()) {
    copy.reserve(static_cast<std::size_t>(std::min(kRows, y.rows()) * y.cols()));
  }
  for (std::ptrdiff_t first = 0; first < y.rows(); first += kRows) {
    const std::ptrdiff_t count = std::min(kRows, y.rows() - first);
    poller.worked(kCheckFlops * static_cast<double>(count * y.cols()));
    detail::check_target_values(function, y.block(first, count, copy.data()), first, layers.back(),
                                output);
  }
}

template <class T>
InputRows<T> Network<T>::Impl::input(const detail::KernelTable<T>& kernels, detail::Scratch<T>& s,
                                     const RowSource<T>& X, const std::int64_t* order,
                                     std::ptrdiff_t first, std::ptrdiff_t count, bool gradient,
                                     detail::Poller& poller) const {
  if (!takes_sparse(X)) {
    const MatrixView<const T> rows = read(kernels, X, order, first, count, s.x.data(), poller);
    if (!unfolded) return {count, rows};
    const std::ptrdiff_t stride =
        rows.data == s.x.data() ? rows.row_stride : detail::spaced<T>(rows.cols);
    const MatrixView<T> scaled(s.x.data(), count, rows.cols, stride, 1);
    scale(rows, known_scaling().input_mean, known_scaling().input_scale, scaled);
    return {count, scaled};
  }
  s.sparse_x.read(*X.csr(), order != nullptr ? order + first : nullptr, first, count);
  if (gradient) s.sparse_x.transpose();
  const MatrixView<const T> W = weights(parameters.data(), 0);
  if (!s.finite.known()) s.finite.look(kernels, W);
  poller.worked(detail::Poller::kFlopsPerLook);
  return {count, {}, true};
}

template <class T>
void Network<T>::Impl::forward(const detail::KernelTable<T>& kernels, detail::Scratch<T>& s,
                               const InputRows<T>& X, std::ptrdiff_t first, T* z,
                               detail::Poller& poller) const {
  const detail::GemmContext<T> context{kernels, s.workspace, s.max_team, &poller};
  MatrixView<const T> A = X.dense;
  for (std::ptrdiff_t l = 0; l < depth(); ++l) {
    const bool last = l + 1 == depth();
    const Activation g = last ? Activation::kIdentity : hidden[static_cast<std::size_t>(l)];
    const MatrixView<T> next =
        last ? MatrixView<T>(z, X.rows, classes())
             : hidden_rows(s.a[static_cast<std::size_t>(l) + 1], X.rows, l + 1);
    detail::Epilogue<T> to;
    to.c = next.data;
    to.ldc = next.row_stride;
    to.bias = biases(parameters.data(), l).data;
    to.z = s.z[static_cast<std::size_t>(l) + 1];
    to.ld_z = next.row_stride;
    // A_l = g_l(A_{l-1} . W_l + b_l)
    const MatrixView<const T> W = weights(parameters.data(), l);
    const auto& activate = kernels.activations[static_cast<std::size_t>(g)].activate;
    if (l == 0 && X.is_sparse) {
      detail::sparse_gemm(context, s.sparse_x.rows(), W, s.finite.flags(), activate, to);
    } else {
      detail::gemm<T>(context, A, W, activate, to);
    }
    A = s.dropout.drops(l + 1) ? s.dropout.keep(l + 1, next, first) : next;
  }
}

template <class T>
void Network<T>::Impl::predict(const detail::KernelTable<T>& kernels, detail::Scratch<T>& s,
                               const RowSource<T>& X, std::ptrdiff_t first, MatrixView<T> out,
                               detail::Poller& poller) const {
  const auto& output_forward = kernels.outputs[static_cast<std::size_t>(output)].forward;
  T* z = out.is_contiguous() ? out.data : s.a.back();
  forward(kernels, s, input(kernels, s, X, nullptr, first, out.rows, false, poller), 0, z, poller);
  // An output's exp and division cost about 32 flops.
  detail::parallel_for(out.rows, detail::kLanes, 32.0 * static_cast<double>(out.rows * out.cols),
                       [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
                         T* block = z + begin * out.cols;
                         output_forward(block, block, end - begin, out.cols);
                       });
  const bool unscale = unfolded && !known_scaling().output_scale.empty();
  if (z == out.data && !unscale) return;
  for (std::ptrdiff_t i = 0; i < out.rows; ++i) {
    for (std::ptrdiff_t j = 0; j < out.cols; ++j) {
      const T y = z[i * out.cols + j];
      out(i, j) = unscale ? detail::unscaled(known_scaling(), y, j) : y;
    }
  }
}

template <class T>
const T* Network<T>::Impl::targets(const detail::KernelTable<T>& kernels, detail::Scratch<T>& s,
                                   const Rows<T>& rows, detail::Poller& poller) const {
  const MatrixView<const T> y =
      read(kernels, rows.y, rows.order, rows.first, rows.count, s.y, poller);
  if (kernels.outputs[static_cast<std::size_t>(output)].targets == detail::Targets::kClasses) {
    // Class indices are checked again here, because the caller's memory may have changed since
    // validate(). One-hot rows become indices; row i is read before index i is written over it.
    for (std::ptrdiff_t i = 0; i < y.rows; ++i) {
      s.y[i] = static_cast<T>(detail::check_class("y", y, i, rows.index(i), classes()));
    }
    return s.y;
  }
  if (unfolded && !known_scaling().output_scale.empty()) {
    const MatrixView<T> scaled(s.y, y.rows, y.cols);
    // In order, because `scaled` and `y` may share memory with different distances of rows.
    detail::scale_rows(y, known_scaling().output_mean.data(), known_scaling().output_scale.data(),
                       scaled);
    return s.y;
  }
  if (y.is_contiguous()) return y.data;
  for (std::ptrdiff_t i = 0; i < y.rows; ++i) {
    for (std::ptrdiff_t j = 0; j < y.cols; ++j) s.y[i * y.cols + j] = y(i, j);
  }
  return s.y;
}

template <class T>
void Network<T>::Impl::output_loss(const detail::KernelTable<T>& kernels, detail::Scratch<T>& s,
                                   const T* y, std::ptrdiff_t rows, const Goal& goal) const {
  const bool gradient = goal.use != GradientUse::kNone;
  // Outputs with labels are probabilities, which can be clipped.
  const bool clips = goal.objective.clip > 0 && labels_of(output) != Labels::kNone;
  const T low = static_cast<T>(clips ? -std::log1p(-goal.objective.clip) : -kInfinity);
  const T high = static_cast<T>(clips ? -std::log(goal.objective.clip) : kInfinity);
  const std::ptrdiff_t cols = classes();
  const bool one_target =
      detail::about(output).targets == detail::Targets::kClasses || detail::has_one_target(loss);
  const std::ptrdiff_t y_cols = one_target ? 1 : cols;
  T* z = s.a.back();
  const auto kernel = loss.kind ? kernels.losses[static_cast<std::size_t>(*loss.kind)].loss
                                : kernels.outputs[static_cast<std::size_t>(output)].loss;
  detail::parallel_for(
      rows, detail::kLanes, kLossFlops * static_cast<double>(rows * cols),
      [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
        T* block = z + begin * cols;
        kernel({block, end - begin, cols, y + begin * y_cols, s.scale + begin,
                gradient ? block : nullptr, s.row_losses + begin, low, high, loss_parameters.data(),
                loss_factors.empty() ? nullptr : loss_factors.data()});
      });
}

template <class T>
MatrixView<const T> Network<T>::Impl::delta_below(const detail::GemmContext<T>& context,
                                                  detail::Scratch<T>& s,
                                                  const MatrixView<const T>& dZ,
                                                  std::ptrdiff_t l) const {
  const auto below = static_cast<std::size_t>(l);
  const auto g = static_cast<std::size_t>(hidden[below - 1]);
  const MatrixView<T> A = hidden_rows(s.a[below], dZ.rows, l);
  const MatrixView<T> dZ_below = hidden_rows(s.delta[l % 2], dZ.rows, l);
  detail::Epilogue<T> to;
  to.c = dZ_below.data;
  to.ldc = dZ_below.row_stride;
  to.activated = A.data;
  to.ld_activated = A.row_stride;
  to.z = s.z[below];
  to.ld_z = A.row_stride;
  detail::gemm<T>(context, dZ, weights(parameters.data(), l).transposed(),
                  context.kernels.activations[g].derivative, to);
  if (s.dropout.drops(l)) s.dropout.restrict(l, dZ_below);
  return dZ_below;
}

template <class T>
MatrixView<const T> Network<T>::Impl::backward(const detail::KernelTable<T>& kernels,
                                               detail::Scratch<T>& s, const InputRows<T>& X,
                                               const detail::EpilogueKernels<T>& epilogue,
                                               T* target, double alpha,
                                               detail::Poller* poller) const {
  const detail::GemmContext<T> context{kernels, s.workspace, s.max_team, poller};
  MatrixView<const T> dZ(s.a.back(), X.rows, classes());
  for (std::ptrdiff_t l = depth() - 1; l >= 0; --l) {
    // Before the update of W_l, which it reads.
    const MatrixView<const T> dZ_below = l > 0 ? delta_below(context, s, dZ, l) : dZ;
    detail::Epilogue<T> to;
    to.alpha = static_cast<T>(alpha);
    to.c = weights(target, l).data;
    to.ldc = outputs(l);
    if (l == 0 && X.is_sparse) {
      detail::mostly_empty_gemm(context, s.sparse_x.transposed(), dZ, epilogue, to);
    } else {
      const MatrixView<const T> A =
          l == 0 ? X.dense
                 : MatrixView<const T>(hidden_rows(s.a[static_cast<std::size_t>(l)], X.rows, l));
      const MatrixView<const T> kept = s.dropout.drops(l) ? s.dropout.kept(l, X.rows) : A;
      detail::gemm(context, kept.transposed(), dZ, epilogue, to);  // dW = A^T . dZ
    }
    to.c = biases(target, l).data;
    detail::sum_rows(context, dZ, epilogue, to);  // db = sum of the rows of dZ
    dZ = dZ_below;
  }
  return dZ;
}

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
  double decay = goal.objective.alpha / total_weight;
  if (goal.optimizer == nullptr) {
    detail::OptimizerStep<T> step;
    step.numbers.rate = static_cast<T>(goal.learning_rate);
    step.decay = static_cast<T>(decay);
    return apply(kernels, detail::kPlainRule, step);
  }
  decay += goal.optimizer->decay();
  detail::OptimizerStep<T> step = goal.optimizer->template begin_step<T>();
  step.decay = static_cast<T>(decay);
  apply(kernels, goal.optimizer->rule, step);
}

template <class T>
void Network<T>::Impl::apply(const detail::KernelTable<T>& kernels, std::size_t rule,
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
                           kernels.rules[rule](piece);
                         });
  };
  if (step.decay == T(0) && step.shrink == T(1)) return part(0, n_parameters, false);
  for (std::ptrdiff_t l = 0; l < depth(); ++l) {  // weights decay, biases do not
    const std::ptrdiff_t first = offsets[static_cast<std::size_t>(l)];
    part(first, inputs(l) * outputs(l), true);
    part(first + inputs(l) * outputs(l), outputs(l), false);
  }
}

template <class T>
LossSum Network<T>::Impl::pass(const detail::KernelTable<T>& kernels, detail::Scratch<T>& s,
                               const Rows<T>& rows, const Goal& goal,
                               detail::Poller& poller) const {
  const GradientUse use = goal.use;
  const double total_weight = weight_sum(rows);
  if (!(total_weight > 0)) {
    if (use == GradientUse::kStore) std::fill_n(gradients.data(), n_parameters, T(0));
    return {};
  }
  const double divisor = use == GradientUse::kAdd ? 1 : total_weight;
  const double gradient_scale = goal.objective.gradient_scale;
  const double penalty =
      goal.objective.alpha > 0 ? goal.objective.alpha / 2 * squared_weights(kernels) : 0;
  const std::ptrdiff_t step = block_rows(rows.X, rows.count, use);
  const detail::Poller::Clock::time_point start = poller.now();
  bool stored = false;  // whether the gradient is in gradients()
  detail::LaneSum<double> sum;
  for (std::ptrdiff_t first = 0; first < rows.count; first += step) {
    const Rows<T> block = rows.part(first, std::min(step, rows.count - first));
    for (std::ptrdiff_t i = 0; i < block.count; ++i) {
      s.scale[i] = static_cast<T>(gradient_scale * weight_of(block, i) / divisor);
    }
    const InputRows<T> X = input(kernels, s, block.X, block.order, block.first, block.count,
                                 use != GradientUse::kNone, poller);
    const T* y = targets(kernels, s, block, poller);
    forward(kernels, s, X, first, s.a.back(), poller);
    output_loss(kernels, s, y, block.count, goal);
    for (std::ptrdiff_t i = 0; i < block.count; ++i) s.row_losses[i] *= weight_of(block, i);
    sum.add(s.row_losses, block.count);
    if (use == GradientUse::kNone) continue;
    // An update takes one of two paths, which give the same bits.
    // Fused: the epilogue of dW = A^T . dZ updates W while dW is in registers, and no gradient is
    // stored. It is faster, but once it has begun to write W it must finish. So it is for plain
    // gradient descent, for a batch of one block, and while the step is too short for anybody to
    // want to stop it.
    // Stored: dW goes to gradients() block by block and can be abandoned at any time; update() then
    // changes the parameters in one short sweep. This path serves every other case.
    const bool fused = use == GradientUse::kUpdate && goal.is_plain() && step == rows.count &&
                       !poller.is_slow_since(start);
    if (fused) {
      backward(kernels, s, X, kernels.update, parameters.data(), goal.rate(), nullptr);
      poller.count(2 * detail::product_flops(n_parameters, 1, block.count));
      // The other rows of W_1 are as they were.
      if (!X.is_sparse || s.finite.flags() != nullptr ||
          !detail::finite_where_written<T>(kernels, s.sparse_x.transposed(),
                                           weights(parameters.data(), 0))) {
        s.finite.forget();
      }
    } else {
      const bool begins = use != GradientUse::kAdd && first == 0;
      backward(kernels, s, X, begins ? kernels.store : kernels.add, gradients.data(), 0, &poller);
      stored = true;
    }
  }
  if (use == GradientUse::kUpdate && stored) {
    update(kernels, goal, total_weight);
    s.finite.forget();
  }
  if (use == GradientUse::kStore && goal.objective.alpha > 0) {
    add_decay(goal.objective.alpha / total_weight);
  }
  return {loss_factor * goal.objective.loss_scale * sum.total() + penalty, total_weight};
}

template <class T>
int Network<T>::Impl::team(std::ptrdiff_t rows, GradientUse use, std::ptrdiff_t batch_size) const {
  const std::ptrdiff_t block =
      std::min({rows, batch_size, use == GradientUse::kNone ? kForwardRows : detail::kChunk});
  double widest = 0;
  for (std::ptrdiff_t l = 0; l < depth(); ++l) {
    widest = std::max(widest, detail::product_flops(block, inputs(l), outputs(l)));
  }
  if (use == GradientUse::kNone) {
    return detail::team_for(detail::product_flops(rows, n_parameters, 1), widest);
  }
  // When predicting, each thread keeps the same rows in every layer. When training, each thread
  // reads what the others have written, and between processors that share no cache this takes
  // longer than the sums of a small layer. So a product must be this many times larger in training
  // to be worth a team.
  constexpr double kMoved = 8;
  return detail::team_for(3 * detail::product_flops(rows, n_parameters, 1), widest / kMoved);
}

template struct Network<float>::Impl;
template struct Network<double>::Impl;

}  // namespace fastmlp
