// Derivatives of the outputs with respect to X and to the parameters. The equations are those of
// backpropagation (docs/mathematics.md), but they start from a gradient of the caller instead of a
// loss. The caller passes this gradient, or a function that computes it for each batch of an epoch.
// Start at Network::backward.
#include "check.hpp"
#include "network/impl.hpp"
#include "threads/parallel.hpp"

#include <algorithm>

namespace fastmlp {
namespace {

template <class T>
void check_gradient(const char* function, const RowSource<T>& dY, std::ptrdiff_t rows,
                    std::ptrdiff_t cols) {
  if (dY.rows() == rows && dY.cols() == cols) return;
  detail::refuse(function, ": dY has shape ", detail::shape(dY.rows(), dY.cols()),
                 "; it must be that of the outputs, ", detail::shape(rows, cols));
}

/// Rows of X, block by block: forward through the layers, and back from a gradient of the caller.
template <class T, class Impl>
class Sweeps {
 public:
  /// The rows `order[0 ... count)` of X, or its first `count` ones if `order` is null.
  Sweeps(const Impl& net, const detail::KernelTable<T>& kernels, detail::Scratch<T>& scratch,
         detail::Poller& poller, const RowSource<T>& X, const std::int64_t* order,
         std::ptrdiff_t count)
      : net_(net),
        kernels_(kernels),
        s_(scratch),
        poller_(poller),
        X_(X),
        order_(order),
        count_(count),
        step_(net.block_rows(X, count, GradientUse::kStore)) {}

  bool has_one_block() const { return step_ == count_; }

  /// Calls use(first, rows of X) for each block after its forward pass.
  template <class Use>
  void for_each_block(bool of_parameters, const Use& use) {
    for (std::ptrdiff_t first = 0; first < count_; first += step_) {
      use(first, forward(first, of_parameters));
    }
  }

  /// The forward pass of the block that begins with row `first`. Leaves Yhat in scratch memory, in
  /// scaled units while the scaling is unfolded.
  InputRows<T> forward(std::ptrdiff_t first, bool of_parameters) {
    const std::ptrdiff_t rows = std::min(step_, count_ - first);
    const InputRows<T> X =
        net_.input(kernels_, s_, X_, order_, first, rows, of_parameters, poller_);
    net_.forward(kernels_, s_, X, first, s_.a.back(), poller_);
    output().forward(s_.a.back(), s_.y, rows, net_.classes());
    return X;
  }

  /// Writes Yhat of the block to `out`, in raw units.
  void outputs(const MatrixView<T>& out) const {
    for (std::ptrdiff_t i = 0; i < out.rows; ++i) {
      for (std::ptrdiff_t j = 0; j < out.cols; ++j) {
        const T y = s_.y[i * out.cols + j];
        out(i, j) = scales_outputs() ? detail::unscaled(net_.known_scaling(), y, j) : y;
      }
    }
  }

  /// Begins the way back through the layers: dZ_L from dY(i, j) = dy(i, j).
  template <class Gradient>
  MatrixView<const T> begin(std::ptrdiff_t rows, const Gradient& dy) {
    T* const dZ = s_.a.back();
    for (std::ptrdiff_t i = 0; i < rows; ++i) {
      for (std::ptrdiff_t j = 0; j < net_.classes(); ++j) {
        const T d = dy(i, j);
        dZ[i * net_.classes() + j] =
            scales_outputs() ? static_cast<T>(d * net_.known_scaling().output_scale[at(j)]) : d;
      }
    }
    output().backward(s_.y, dZ, dZ, rows, net_.classes());
    return {dZ, rows, net_.classes()};
  }

  /// The same from the rows of dY that begin with row `first`.
  MatrixView<const T> begin(std::ptrdiff_t rows, const RowSource<T>& dY, std::ptrdiff_t first) {
    if (!dY.in_place()) rows_.reserve(static_cast<std::size_t>(rows * dY.cols()));
    const MatrixView<const T> block = dY.block(first, rows, rows_.data());
    return begin(rows, [&](std::ptrdiff_t i, std::ptrdiff_t j) { return block(i, j); });
  }

  /// Adds the gradient of the parameters to gradients(), which the first block overwrites. Returns
  /// dZ_1.
  MatrixView<const T> parameters(std::ptrdiff_t first, const InputRows<T>& X) {
    return net_.backward(kernels_, s_, X, first == 0 ? kernels_.store : kernels_.add,
                         net_.gradients.data(), 0, &poller_);
  }

  /// The same without the gradient of the parameters.
  MatrixView<const T> first_delta(MatrixView<const T> dZ) {
    const detail::GemmContext<T> context{kernels_, s_.workspace, s_.max_team, &poller_};
    for (std::ptrdiff_t l = net_.depth() - 1; l > 0; --l) {
      dZ = net_.delta_below(context, s_, dZ, l);
    }
    return dZ;
  }

  /// dX = dZ_1 . W_1^T, to rows of `out`.
  void inputs(const MatrixView<const T>& dZ, const MatrixView<T>& out) {
    const detail::GemmContext<T> context{kernels_, s_.workspace, s_.max_team, &poller_};
    detail::Epilogue<T> to;
    to.c = out.data;
    to.ldc = out.row_stride;
    // A product with one column writes its elements one after another, whatever ldc is.
    const bool direct = out.col_stride == 1 && (out.cols > 1 || out.row_stride == 1);
    if (!direct) {
      rows_.reserve(static_cast<std::size_t>(out.rows * out.cols));
      to.c = rows_.data();
      to.ldc = out.cols;
    }
    const MatrixView<const T> W = net_.weights(net_.parameters.data(), 0);
    detail::gemm<T>(context, dZ, W.transposed(), kernels_.store, to);
    if (direct && !net_.unfolded) return;
    for (std::ptrdiff_t i = 0; i < out.rows; ++i) {
      for (std::ptrdiff_t j = 0; j < out.cols; ++j) {
        const T d = to.c[i * to.ldc + j];
        out(i, j) = net_.unfolded ? static_cast<T>(d / net_.known_scaling().input_scale[at(j)]) : d;
      }
    }
  }

 private:
  static std::size_t at(std::ptrdiff_t j) { return static_cast<std::size_t>(j); }
  bool scales_outputs() const {
    return net_.unfolded && !net_.known_scaling().output_scale.empty();
  }
  const detail::OutputKernels<T>& output() const { return kernels_.outputs[at(int(net_.output))]; }

  const Impl& net_;
  const detail::KernelTable<T>& kernels_;
  detail::Scratch<T>& s_;
  detail::Poller& poller_;
  const RowSource<T>& X_;
  const std::int64_t* const order_;
  const std::ptrdiff_t count_, step_;
  detail::AlignedBuffer<T> rows_;
};

/// Calls use(sweeps) with sweeps over all rows of X, in scratch memory of the pool.
template <class T, class Impl, class Use>
void sweep_all(const Impl& net, const RowSource<T>& X, const ShouldStop& should_stop,
               const Use& use) {
  const detail::Call<T> call;
  const typename detail::ScratchPool<T>::Lease scratch(net.pool);
  scratch->prepare(net.layers, net.hidden, net.block_rows(X, X.rows(), GradientUse::kStore), true,
                   net.copies(X, nullptr), call.kernels());
  detail::Poller poller(should_stop);
  Sweeps<T, Impl> sweeps(net, call.kernels(), *scratch, poller, X, nullptr, X.rows());
  detail::with_team(net.team(X.rows(), GradientUse::kStore), [&] { use(sweeps); });
}

}  // namespace

template <class T>
void Network<T>::backward(const RowSource<T>& X, const RowSource<T>& dY, const MatrixView<T>* dX,
                          const ShouldStop& should_stop) {
  Impl& net = *impl_;
  detail::check_features("backward", X.rows(), X.cols(), net.layers.front());
  check_gradient("backward", dY, X.rows(), net.classes());
  if (dX != nullptr) detail::check_out("backward", "dX", *dX, X.rows(), X.cols());
  const detail::WriteLock alone(net.users, detail::kInUse, detail::kPatience, should_stop);
  if (X.rows() == 0) std::fill_n(net.gradients.data(), net.n_parameters, T(0));
  if (X.rows() == 0) return;
  sweep_all(net, X, should_stop, [&](auto& sweeps) {
    sweeps.for_each_block(true, [&](std::ptrdiff_t first, const InputRows<T>& rows) {
      sweeps.begin(rows.rows, dY, first);
      const MatrixView<const T> dZ = sweeps.parameters(first, rows);
      if (dX != nullptr) sweeps.inputs(dZ, dX->row_block(first, rows.rows));
    });
  });
}

template <class T>
void Network<T>::input_gradients(const RowSource<T>& X, const RowSource<T>& dY,
                                 const MatrixView<T>& dX, const ShouldStop& should_stop) const {
  const Impl& net = *impl_;
  detail::check_features("input_gradients", X.rows(), X.cols(), net.layers.front());
  check_gradient("input_gradients", dY, X.rows(), net.classes());
  detail::check_out("input_gradients", "dX", dX, X.rows(), X.cols());
  if (X.rows() == 0) return;
  const detail::ReadLock reading(net.users, detail::kTraining);
  sweep_all(net, X, should_stop, [&](auto& sweeps) {
    sweeps.for_each_block(false, [&](std::ptrdiff_t first, const InputRows<T>& rows) {
      const MatrixView<const T> dZ = sweeps.begin(rows.rows, dY, first);
      sweeps.inputs(sweeps.first_delta(dZ), dX.row_block(first, rows.rows));
    });
  });
}

template <class T>
void Network<T>::jacobian(const RowSource<T>& X, const MatrixView<T>& out,
                          const ShouldStop& should_stop) const {
  const Impl& net = *impl_;
  const std::ptrdiff_t n_in = net.layers.front(), n_out = net.classes();
  detail::check_features("jacobian", X.rows(), X.cols(), n_in);
  detail::check_out("jacobian", "out", out, X.rows(), n_out * n_in);
  if (X.rows() == 0) return;
  const detail::ReadLock reading(net.users, detail::kTraining);
  sweep_all(net, X, should_stop, [&](auto& sweeps) {
    sweeps.for_each_block(false, [&](std::ptrdiff_t first, const InputRows<T>& rows) {
      for (std::ptrdiff_t k = 0; k < n_out; ++k) {
        const MatrixView<const T> dZ = sweeps.begin(
            rows.rows, [&](std::ptrdiff_t, std::ptrdiff_t j) { return static_cast<T>(j == k); });
        sweeps.inputs(sweeps.first_delta(dZ),
                      {&out(first, k * n_in), rows.rows, n_in, out.row_stride, out.col_stride});
      }
    });
  });
}

template <class T>
LossSum Network<T>::train_epoch(const RowSource<T>& X, const BatchLoss<T>& loss,
                                const std::int64_t* order, std::ptrdiff_t count,
                                std::ptrdiff_t batch_size, Optimizer& optimizer,
                                const ShouldStop& should_stop, const EpochOptions& options) {
  const detail::DefaultFloatMode mode;
  detail::check_at_least_one("train_epoch", "batch_size", batch_size);
  detail::check_learning_rate<T>("train_epoch", optimizer.learning_rate());
  detail::check_dropout("train_epoch", options.dropout, impl_->hidden.size());
  detail::check_features("train_epoch", X.rows(), X.cols(), impl_->layers.front());
  detail::check_order("train_epoch", order, count, X.rows());
  if (!loss) detail::refuse("train_epoch: loss is an empty function");
  Impl& net = *impl_;
  const detail::WriteLock alone(net.users, detail::kInUse, detail::kPatience, should_stop);
  const Optimizer::Impl::Updating updating(optimizer.impl(), should_stop);
  const detail::Call<T> call;
  const std::ptrdiff_t rows = std::min(batch_size, count), n_out = net.classes();
  const std::ptrdiff_t block = net.block_rows(X, rows, GradientUse::kUpdate);
  net.scratch.prepare(net.layers, net.hidden, block, true, net.copies(X, order), call.kernels());
  optimizer.impl().template bind<T>("train_epoch", net.id, net.n_parameters);
  net.scratch.dropout.begin_epoch(net.layers, block, options.dropout, options.dropout_seed,
                                  static_cast<std::uint64_t>(net.epochs_trained));
  const typename detail::Dropout<T>::End end{net.scratch.dropout};  // also if a step throws
  detail::AlignedBuffer<T> outputs(static_cast<std::size_t>(2 * rows * n_out));
  double* batch_loss = options.batch_losses;
  detail::Poller poller(should_stop);
  LossSum epoch;
  detail::with_team(net.team(count, GradientUse::kUpdate, batch_size), [&] {
    for (std::ptrdiff_t first = 0; first < count; first += batch_size) {
      const std::ptrdiff_t n = std::min(batch_size, count - first);
      net.scratch.dropout.begin_step(static_cast<std::uint64_t>(first / batch_size));
      Sweeps<T, Impl> sweeps(net, call.kernels(), net.scratch, poller, X, order + first, n);
      const MatrixView<T> Y(outputs.data(), n, n_out), dY(outputs.data() + n * n_out, n, n_out);
      InputRows<T> last{};
      sweeps.for_each_block(true, [&](std::ptrdiff_t at, const InputRows<T>& X_block) {
        sweeps.outputs(Y.row_block(at, X_block.rows));
        last = X_block;
      });
      const double value = loss(order + first, Y, dY);
      const detail::DefaultFloatMode again;  // the loss may have changed it
      const auto back = [&](std::ptrdiff_t at, const InputRows<T>& X_block) {
        sweeps.begin(X_block.rows, dY, at);
        sweeps.parameters(at, X_block);
      };
      // The loss may depend on all rows of the batch, so the forward pass of every block comes
      // before the call of the loss. Then only the last block is still in scratch memory: if there
      // are several, each is computed again.
      sweeps.has_one_block() ? back(0, last) : sweeps.for_each_block(true, back);
      const Goal goal{GradientUse::kUpdate, {}, &optimizer.impl()};
      net.update(call.kernels(), goal, 1);
      net.scratch.finite.forget();
      if (batch_loss != nullptr) *batch_loss++ = value;
      epoch.loss += value * static_cast<double>(n);
      epoch.weight += static_cast<double>(n);
    }
  });
  ++net.epochs_trained;
  return epoch;
}

template void Network<float>::backward(const RowSource<float>&, const RowSource<float>&,
                                       const MatrixView<float>*, const ShouldStop&);
template void Network<float>::input_gradients(const RowSource<float>&, const RowSource<float>&,
                                              const MatrixView<float>&, const ShouldStop&) const;
template LossSum Network<float>::train_epoch(const RowSource<float>&, const BatchLoss<float>&,
                                             const std::int64_t*, std::ptrdiff_t, std::ptrdiff_t,
                                             Optimizer&, const ShouldStop&, const EpochOptions&);
template void Network<float>::jacobian(const RowSource<float>&, const MatrixView<float>&,
                                       const ShouldStop&) const;
template void Network<double>::backward(const RowSource<double>&, const RowSource<double>&,
                                        const MatrixView<double>*, const ShouldStop&);
template void Network<double>::input_gradients(const RowSource<double>&, const RowSource<double>&,
                                               const MatrixView<double>&, const ShouldStop&) const;
template LossSum Network<double>::train_epoch(const RowSource<double>&, const BatchLoss<double>&,
                                              const std::int64_t*, std::ptrdiff_t, std::ptrdiff_t,
                                              Optimizer&, const ShouldStop&, const EpochOptions&);
template void Network<double>::jacobian(const RowSource<double>&, const MatrixView<double>&,
                                        const ShouldStop&) const;

}  // namespace fastmlp
