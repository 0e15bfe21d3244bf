// The public calls of Network<T>: checks and guards here, the work in pass.cpp; fit() is in
// fit.cpp.
#include <fastmlp/network.hpp>

#include "check.hpp"
#include "network/impl.hpp"
#include "threads/parallel.hpp"

#include <fastmlp/random.hpp>

#include <algorithm>
#include <cmath>

namespace fastmlp {
namespace detail {
namespace {

/// The weights of a layer, (n_in, n_out), start in (-r, r); this is r.
double initial_radius(Initialization initialization, std::ptrdiff_t n_in, std::ptrdiff_t n_out) {
  const auto fan_in = static_cast<double>(n_in), fan_out = static_cast<double>(n_out);
  switch (initialization) {
    case Initialization::kHe:
      return std::sqrt(6.0 / fan_in);
    case Initialization::kLeCun:
      return std::sqrt(3.0 / fan_in);
    case Initialization::kGlorot:
      break;
  }
  return std::sqrt(6.0 / (fan_in + fan_out));
}

}  // namespace
}  // namespace detail

double LossSum::mean() const {
  const detail::DefaultFloatMode mode;
  return weight > 0 ? loss / weight : 0;
}

template <class T>
Network<T>::Network(std::vector<std::ptrdiff_t> layers, std::vector<Activation> hidden,
                    Output output, LossOptions loss)
    : impl_(std::make_unique<Impl>()) {
  const detail::DefaultFloatMode mode;
  Impl& net = *impl_;
  for (const Activation g : hidden)
    detail::check_enum("activation", g, detail::scalar_kernels().n_activations);
  detail::check_enum("output", output, detail::scalar_kernels().n_outputs);
  if (hidden.empty() && layers.size() > 2) hidden.assign(layers.size() - 2, Activation::kRelu);
  net.n_parameters = detail::check_layers(layers, hidden.size(), output);
  net.loss_parameters = detail::check_loss<T>(loss, output, layers.back());
  std::ptrdiff_t offset = 0;
  for (std::size_t l = 1; l < layers.size(); ++l) {
    net.offsets.push_back(offset);
    offset += (layers[l - 1] + 1) * layers[l];
  }
  net.layers = std::move(layers);
  net.hidden = std::move(hidden);
  net.output = output;
  net.loss = std::move(loss);
  const auto size = static_cast<std::size_t>(net.n_parameters);
  net.parameters.reserve(size);
  net.gradients.reserve(size);
  std::fill_n(net.parameters.data(), size, T(0));
  std::fill_n(net.gradients.data(), size, T(0));
}

template <class T>
Network<T>::~Network() = default;

template <class T>
Network<T>::Network(Network&&) noexcept = default;

template <class T>
Network<T>& Network<T>::operator=(Network&&) noexcept = default;

template <class T>
void Network<T>::initialize(std::uint64_t seed, const ShouldStop& should_stop) {
  constexpr double kDrawFlops = 100;  // a draw takes about as long as so many flops of a product
  constexpr std::ptrdiff_t kBlock = std::ptrdiff_t{1} << 20;  // drawn before should_stop is asked
  constexpr std::ptrdiff_t kWords = 4;  // of one step of the generator; kBlock is a multiple
  const detail::DefaultFloatMode mode;
  const detail::WriteLock alone(impl_->users, detail::kInUse, detail::kPatience, should_stop);
  detail::Poller poller(should_stop);
  impl_->seed = seed;
  const double flops = kDrawFlops * static_cast<double>(impl_->n_parameters);
  detail::with_team(detail::team_for(flops, flops), [&] {
    for (std::ptrdiff_t l = 0; l < depth(); ++l) {
      const MatrixView<T> W = impl_->weights(impl_->parameters.data(), l);
      const bool last = l + 1 == depth();
      const double r = detail::initial_radius(
          last ? detail::Initialization::kGlorot
               : detail::about(impl_->hidden[static_cast<std::size_t>(l)]).initialization,
          W.rows, W.cols);
      for (std::ptrdiff_t first = 0; first < W.rows * W.cols; first += kBlock) {
        const std::ptrdiff_t count = std::min(kBlock, W.rows * W.cols - first);
        const double work = kDrawFlops * static_cast<double>(count);
        detail::parallel_for(count, kWords, work, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
          // The stream of this layer, from word first + begin on.
          Philox random(seed, {static_cast<std::uint64_t>((first + begin) / kWords),
                               static_cast<std::uint64_t>(l), 0,
                               static_cast<std::uint64_t>(Stream::kWeights)});
          for (std::ptrdiff_t k = first + begin; k < first + end; ++k) {
            W.data[k] = static_cast<T>(r * (2 * random.uniform() - 1));
          }
        });
        poller.worked(work);
      }
      std::fill_n(impl_->biases(impl_->parameters.data(), l).data, W.cols, T(0));
    }
  });
}

template <class T>
const std::vector<std::ptrdiff_t>& Network<T>::layers() const {
  return impl_->layers;
}

template <class T>
const std::vector<Activation>& Network<T>::hidden() const {
  return impl_->hidden;
}

template <class T>
Output Network<T>::output() const {
  return impl_->output;
}

template <class T>
const LossOptions& Network<T>::loss_options() const {
  return impl_->loss;
}

template <class T>
std::ptrdiff_t Network<T>::depth() const {
  return impl_->depth();
}

template <class T>
std::ptrdiff_t Network<T>::n_parameters() const {
  return impl_->n_parameters;
}

template <class T>
std::int64_t Network<T>::epochs_trained() const {
  return impl_->epochs_trained;
}

template <class T>
void Network<T>::set_epochs_trained(std::int64_t epochs) {
  detail::check_epochs_trained(epochs);
  const detail::WriteLock alone(impl_->users, detail::kInUse, detail::kShortPatience);
  impl_->epochs_trained = epochs;
}

template <class T>
std::int64_t Network<T>::snapshot(T* out) const {
  const detail::ReadLock reading(impl_->users, detail::kTraining);
  std::copy_n(impl_->parameters.data(), impl_->n_parameters, out);
  return impl_->epochs_trained;
}

template <class T>
std::shared_ptr<void> Network<T>::own() {
  return std::make_shared<detail::Ownership>(impl_->users, detail::kInUse);
}

template <class T>
void Network<T>::validate(const char* function, const RowSource<T>& X, const RowSource<T>& y,
                          const double* sample_weight, const ShouldStop& should_stop) const {
  const detail::DefaultFloatMode mode;
  impl_->check_data(function, X, y, sample_weight, should_stop);
  detail::check_weight_sum(function, sample_weight, X.rows());
}

template <class T>
void Network<T>::validate(const char* function, const RowSource<T>& X) const {
  detail::check_features(function, X.rows(), X.cols(), impl_->layers.front());
}

namespace {

/// Writes the outputs of X to `out`, block by block. Calls use(scratch, first, rows) after each
/// block, while the outputs of its hidden layers are in scratch memory.
template <class T, class Impl, class Use>
void predict_blocks(const Impl& net, const RowSource<T>& X, const MatrixView<T>& out,
                    const ShouldStop& should_stop, const Use& use) {
  if (X.rows() == 0) return;
  const detail::ReadLock reading(net.users, detail::kTraining);
  const detail::Call<T> call;
  const std::ptrdiff_t step = net.block_rows(X, X.rows(), GradientUse::kNone);
  const typename detail::ScratchPool<T>::Lease s(net.pool);
  s->prepare(net.layers, net.hidden, step, false, net.copies(X, nullptr), call.kernels());
  detail::Poller poller(should_stop);
  detail::with_team(net.team(X.rows(), GradientUse::kNone), [&] {
    for (std::ptrdiff_t first = 0; first < X.rows(); first += step) {
      const std::ptrdiff_t rows = std::min(step, X.rows() - first);
      net.predict(call.kernels(), *s, X, first, out.row_block(first, rows), poller);
      use(*s, first, rows);
    }
  });
}

}  // namespace

template <class T>
void Network<T>::forward(const RowSource<T>& X, MatrixView<T> out,
                         const ShouldStop& should_stop) const {
  detail::check_features("forward", X.rows(), X.cols(), impl_->layers.front());
  detail::check_out("forward", "out", out, X.rows(), impl_->classes());
  predict_blocks(*impl_, X, out, should_stop,
                 [](const detail::Scratch<T>&, std::ptrdiff_t, std::ptrdiff_t) {});
}

template <class T>
void Network<T>::activations(const RowSource<T>& X, const std::vector<MatrixView<T>>& out,
                             const ShouldStop& should_stop) const {
  const Impl& net = *impl_;
  detail::check_features("activations", X.rows(), X.cols(), net.layers.front());
  const std::size_t depth = net.layers.size() - 1;
  if (out.size() != depth) {
    detail::refuse("activations: out has ", out.size(), " matrices; the network has ", depth,
                   " layers after its inputs");
  }
  for (std::size_t l = 0; l < depth; ++l) {
    detail::check_out("activations", "a matrix of out", out[l], X.rows(), net.layers[l + 1]);
  }
  predict_blocks(net, X, out.back(), should_stop,
                 [&](const detail::Scratch<T>& s, std::ptrdiff_t first, std::ptrdiff_t rows) {
                   for (std::size_t l = 1; l < depth; ++l) {
                     const MatrixView<const T> from =
                         net.hidden_rows(s.a[l], rows, static_cast<std::ptrdiff_t>(l));
                     const MatrixView<T> to = out[l - 1].row_block(first, rows);
                     for (std::ptrdiff_t i = 0; i < rows; ++i) {
                       for (std::ptrdiff_t j = 0; j < to.cols; ++j) to(i, j) = from(i, j);
                     }
                   }
                 });
}

template <class T>
LossSum Network<T>::loss(const RowSource<T>& X, const RowSource<T>& y, const double* sample_weight,
                         const ShouldStop& should_stop) const {
  validate("loss", X, y, sample_weight, should_stop);
  const detail::ReadLock reading(impl_->users, detail::kTraining);
  const detail::Call<T> call;
  const typename detail::ScratchPool<T>::Lease s(impl_->pool);
  s->prepare(impl_->layers, impl_->hidden, impl_->block_rows(X, X.rows(), GradientUse::kNone),
             false, impl_->copies(X, nullptr), call.kernels());
  detail::Poller poller(should_stop);
  LossSum sum;
  detail::with_team(impl_->team(X.rows(), GradientUse::kNone), [&] {
    sum = impl_->pass(call.kernels(), *s, {X, y, sample_weight, nullptr, 0, X.rows()}, {}, poller);
  });
  return sum;
}

namespace {

/// A pass with a gradient over all rows, in order. The caller holds the write lock.
template <class T, class Impl>
LossSum pass_over(Impl& net, detail::Scratch<T>& scratch, const RowSource<T>& X,
                  const RowSource<T>& y, const double* sample_weight, const Goal& goal,
                  const ShouldStop& should_stop) {
  const GradientUse use = goal.use;
  const detail::Call<T> call;
  scratch.prepare(net.layers, net.hidden, net.block_rows(X, X.rows(), use), true,
                  net.copies(X, nullptr), call.kernels());
  detail::Poller poller(should_stop);
  LossSum sum;
  detail::with_team(net.team(X.rows(), use), [&] {
    sum = net.pass(call.kernels(), scratch, {X, y, sample_weight, nullptr, 0, X.rows()}, goal,
                   poller);
  });
  return sum;
}

/// A pass that computes a gradient but does not train. It may have many more rows than a training
/// step, so its memory comes from the pool, which frees it if it is too large to keep.
template <class T, class Impl>
LossSum evaluate(Impl& net, const RowSource<T>& X, const RowSource<T>& y,
                 const double* sample_weight, const Goal& goal, const ShouldStop& should_stop) {
  const detail::WriteLock alone(net.users, detail::kInUse, detail::kPatience, should_stop);
  const typename detail::ScratchPool<T>::Lease scratch(net.pool);
  return pass_over(net, *scratch, X, y, sample_weight, goal, should_stop);
}

}  // namespace

template <class T>
LossSum Network<T>::loss_and_gradients(const RowSource<T>& X, const RowSource<T>& y,
                                       const double* sample_weight, const ShouldStop& should_stop,
                                       const Objective& objective) {
  fastmlp::validate(objective);
  impl_->check_data("loss_and_gradients", X, y, sample_weight, should_stop);
  return evaluate(*impl_, X, y, sample_weight, {GradientUse::kStore, objective}, should_stop);
}

template <class T>
LossSum Network<T>::accumulate_gradients(const RowSource<T>& X, const RowSource<T>& y,
                                         const double* sample_weight,
                                         const ShouldStop& should_stop) {
  impl_->check_data("accumulate_gradients", X, y, sample_weight, should_stop);
  detail::check_summed_weight<T>("accumulate_gradients", sample_weight, X.rows());
  return evaluate(*impl_, X, y, sample_weight, {GradientUse::kAdd}, should_stop);
}

template <class T>
void Network<T>::apply_gradients(Optimizer& optimizer, double scale) {
  const detail::DefaultFloatMode mode;
  detail::check_learning_rate<T>("apply_gradients", optimizer.learning_rate());
  detail::check_scale<T>("apply_gradients", scale);
  const detail::WriteLock alone(impl_->users, detail::kInUse, detail::kShortPatience);
  const Optimizer::Impl::Updating updating(optimizer.impl());
  const detail::Call<T> call;
  optimizer.impl().template bind<T>("apply_gradients", impl_->id, impl_->n_parameters);
  detail::OptimizerStep<T> step = optimizer.impl().template begin_step<T>();
  step.scale = static_cast<T>(scale);
  const double flops = 8.0 * static_cast<double>(impl_->n_parameters);
  detail::with_team(detail::team_for(flops, flops),
                    [&] { impl_->apply(call.kernels(), optimizer.impl().rule, step); });
}

template <class T>
void Network<T>::zero_gradients() {
  const detail::WriteLock alone(impl_->users, detail::kInUse, detail::kShortPatience);
  std::fill_n(impl_->gradients.data(), impl_->n_parameters, T(0));
}

template <class T>
double Network<T>::step(const RowSource<T>& X, const RowSource<T>& y, double learning_rate,
                        const ShouldStop& should_stop) {
  const detail::DefaultFloatMode mode;
  detail::check_learning_rate<T>("step", learning_rate);
  impl_->check_data("step", X, y, nullptr, should_stop);
  const Goal goal{GradientUse::kUpdate, {}, nullptr, learning_rate};
  const detail::WriteLock alone(impl_->users, detail::kInUse, detail::kPatience, should_stop);
  return pass_over<T>(*impl_, impl_->scratch, X, y, nullptr, goal, should_stop).mean();
}

template <class T>
LossSum Network<T>::train_epoch(const RowSource<T>& X, const RowSource<T>& y,
                                const std::int64_t* order, std::ptrdiff_t count,
                                std::ptrdiff_t batch_size, Optimizer& optimizer,
                                const double* sample_weight, const ShouldStop& should_stop,
                                const EpochOptions& options) {
  const detail::DefaultFloatMode mode;
  detail::check_at_least_one("train_epoch", "batch_size", batch_size);
  detail::check_learning_rate<T>("train_epoch", optimizer.learning_rate());
  fastmlp::validate(options.objective);
  detail::check_dropout("train_epoch", options.dropout, impl_->hidden.size());
  impl_->check_data("train_epoch", X, y, sample_weight, should_stop);
  detail::check_order("train_epoch", order, count, X.rows());
  Impl& net = *impl_;
  const detail::WriteLock alone(net.users, detail::kInUse, detail::kPatience, should_stop);
  const Optimizer::Impl::Updating updating(optimizer.impl(), should_stop);
  const detail::Call<T> call;
  const std::ptrdiff_t block = net.block_rows(X, std::min(batch_size, count), GradientUse::kUpdate);
  net.scratch.prepare(net.layers, net.hidden, block, true, net.copies(X, order), call.kernels());
  optimizer.impl().template bind<T>("train_epoch", net.id, net.n_parameters);
  const Goal goal{GradientUse::kUpdate, options.objective, &optimizer.impl()};
  net.scratch.dropout.begin_epoch(net.layers, block, options.dropout, options.dropout_seed,
                                  static_cast<std::uint64_t>(net.epochs_trained));
  const typename detail::Dropout<T>::End end{net.scratch.dropout};  // also if a step throws
  double* batch_loss = options.batch_losses;
  detail::Poller poller(should_stop);
  LossSum epoch;
  detail::with_team(net.team(count, GradientUse::kUpdate, batch_size), [&] {
    for (std::ptrdiff_t first = 0; first < count; first += batch_size) {
      const std::ptrdiff_t rows = std::min(batch_size, count - first);
      const std::ptrdiff_t next = first + rows;
      net.scratch.dropout.begin_step(static_cast<std::uint64_t>(first / batch_size));
      X.prefetch(order + next, std::min(batch_size, count - next));
      const LossSum batch = net.pass(call.kernels(), net.scratch,
                                     {X, y, sample_weight, order, first, rows}, goal, poller);
      if (batch_loss != nullptr) *batch_loss++ = batch.mean();
      epoch.loss += batch.loss;
      epoch.weight += batch.weight;
    }
  });
  ++net.epochs_trained;
  return epoch;
}

namespace {

template <class T>
void refuse_nan(const MatrixView<const T>& outputs) {
  for (std::ptrdiff_t i = 0; i < outputs.rows; ++i) {
    for (std::ptrdiff_t j = 0; j < outputs.cols; ++j) {
      if (!std::isnan(outputs(i, j))) continue;
      detail::refuse("predict: a probability of row ", i,
                     " is NaN; X and the parameters must not contain NaN");
    }
  }
}

}  // namespace

template <class T>
void Network<T>::predict(const RowSource<T>& X, MatrixView<std::int64_t> labels, double threshold,
                         const ShouldStop& should_stop) const {
  const detail::DefaultFloatMode mode;
  const Impl& net = *impl_;
  const bool softmax = labels_of(net.output) == Labels::kLargest;
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
  const detail::WriteLock alone(impl_->users, detail::kInUse, detail::kShortPatience);
  std::copy_n(parameters, impl_->n_parameters, impl_->parameters.data());
  impl_->epochs_trained = epochs_trained;
}

template <class T>
void Network<T>::fold_scaling(const Scaling& scaling) {
  const detail::DefaultFloatMode mode;
  Impl& net = *impl_;
  Scaling full = detail::checked_scaling<T>("fold_scaling", scaling, net.layers.front(),
                                            net.classes(), net.output, net.loss);
  const detail::WriteLock alone(net.users, detail::kInUse, detail::kShortPatience);
  Scaling all = net.scaling ? detail::checked_scaling<T>(
                                  "fold_scaling", detail::composed(*net.scaling, full),
                                  net.layers.front(), net.classes(), net.output, net.loss)
                            : full;
  if (net.unfolded)
    detail::refuse("fold_scaling: unfold_scaling() has been called; call refold_scaling() first");
  detail::fold_or_refuse("fold_scaling", full, net.end_layers());
  net.scaling = std::move(all);
}

template <class T>
void Network<T>::set_scaling(std::optional<Scaling> scaling) {
  Impl& net = *impl_;
  if (scaling) {
    scaling = detail::checked_scaling<T>("set_scaling", *scaling, net.layers.front(), net.classes(),
                                         net.output, net.loss);
  }
  const detail::WriteLock alone(net.users, detail::kInUse, detail::kShortPatience);
  net.scaling = std::move(scaling);
}

template <class T>
std::optional<Scaling> Network<T>::scaling() const {
  const detail::ReadLock reading(impl_->users, detail::kTraining);
  return impl_->scaling;
}

template <class T>
void Network<T>::unfold_scaling() {
  const detail::DefaultFloatMode mode;
  const detail::WriteLock alone(impl_->users, detail::kInUse, detail::kShortPatience);
  if (impl_->unfolded || !impl_->scaling) return;
  impl_->unfold();
}

template <class T>
void Network<T>::refold_scaling() {
  const detail::DefaultFloatMode mode;
  const detail::WriteLock alone(impl_->users, detail::kInUse, detail::kShortPatience);
  if (!impl_->unfolded) return;
  impl_->refold();
}

template <class T>
std::map<std::string, std::string>& Network<T>::metadata() {
  return impl_->metadata;
}

template <class T>
const std::map<std::string, std::string>& Network<T>::metadata() const {
  return impl_->metadata;
}

template <class T>
Network<T> Network<T>::copy() const {
  Network twin(layers(), hidden(), output(), loss_options());
  twin.impl_->scaling = scaling();
  twin.impl_->metadata = metadata();
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

template class Network<float>;
template class Network<double>;

}  // namespace fastmlp
