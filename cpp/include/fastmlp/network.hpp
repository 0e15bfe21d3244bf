// Network<T>: a fully connected network, with its forward pass, its loss and its training. The
// options of a network are in options.hpp, those of fit() in fit.hpp.
#pragma once

#include <fastmlp/fit.hpp>
#include <fastmlp/matrix_view.hpp>
#include <fastmlp/optimizer.hpp>
#include <fastmlp/options.hpp>
#include <fastmlp/row_source.hpp>
#include <fastmlp/scaling.hpp>
#include <fastmlp/should_stop.hpp>
#include <fastmlp/visibility.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fastmlp {

/// The sum of the rows' losses, each times the weight of its row, and the sum of these weights. The
/// loss includes the penalty of an Objective: alpha / 2 times the sum of all squared weights of the
/// network.
struct FASTMLP_EXPORT LossSum {
  double loss = 0;
  double weight = 0;
  /// The mean loss, or 0 if the sum of the weights is 0.
  double mean() const;
};

/// A loss of your own: returns the loss of the rows `rows[0 ... m)` of X, for example their mean,
/// and writes its gradient with respect to their outputs Y (m, n_L) to dY (m, n_L). It runs on the
/// thread that called the library, and may throw.
template <class T>
using BatchLoss =
    std::function<double(const std::int64_t* rows, MatrixView<const T> Y, MatrixView<T> dY)>;

/// A fully connected network for T = float or double (docs/mathematics.md):
/// `A_l = g_l(A_{l-1} . W_l + b_l)`, l = 1 ... L.
///
/// Shapes: X is (m, n_0). For a sigmoid, identity or exp output, y is (m, n_L). For a softmax
/// output, y has class indices (m, 1) or one-hot rows (m, n_L). With the loss pinball, y is (m, 1).
/// `sample_weight` is null or has m finite weights, none negative, with a finite sum. Only their
/// ratios count. fit() and loss() refuse a sum below the smallest normal double; elsewhere, rows
/// without weight give no loss, a zero gradient and no step.
///
/// Every call checks its arguments. If they do not fit, it throws std::invalid_argument and changes
/// nothing.
///
/// Many threads may call forward() and loss() at once. While one call trains the network, any other
/// call that would read or write parameters throws std::runtime_error. A call that trains waits
/// until all calls that read have returned; after 10 s, or 1 s if it takes no ShouldStop, it throws
/// std::runtime_error. fit() owns the network from its beginning to its end: callbacks on its
/// thread may use the network as they like, and calls of other threads throw.
///
/// ```cpp
/// fastmlp::Network<float> net({30, 64, 32, 1});  // ReLU, ReLU, sigmoid
/// net.initialize(/*seed=*/0);
/// fastmlp::FitOptions<float> options;
/// options.epochs = 100;
/// net.fit(X, y, fastmlp::SgdOptions{0.1}, options);  // MatrixView<const float>; y is (m, 1)
/// net.forward(X, out);                               // MatrixView<float>, (m, 1)
/// ```
template <class T>
class FASTMLP_EXPORT Network {
 public:
  /// A network with all parameters zero. `layers` is n_0 ... n_L. `hidden` has one activation for
  /// each of the L - 1 hidden layers; if it is empty, all of them are ReLU. Only an identity output
  /// takes a `loss`.
  explicit Network(std::vector<std::ptrdiff_t> layers, std::vector<Activation> hidden = {},
                   Output output = Output::kSigmoid, LossOptions loss = {});
  ~Network();
  Network(Network&&) noexcept;
  Network& operator=(Network&&) noexcept;

  /// Draws the weights W from U(-r, r) and sets the biases b to 0. r is sqrt(6 / n_{l-1}) by He
  /// (2015), sqrt(6 / (n_{l-1} + n_l)) by Glorot (2010) or sqrt(3 / n_{l-1}) by LeCun (1998).
  /// docs/mathematics.md, "Activations", says which one each activation takes; the output layer
  /// takes Glorot's. The same seed gives the same bits as in Python.
  /// \throws Stopped if should_stop() returned true; the parameters are then unspecified
  void initialize(std::uint64_t seed, const ShouldStop& should_stop = {});

  /// The seed that initialize() was given, or 0 before that. fit() shuffles by it.
  std::uint64_t seed() const;
  void set_seed(std::uint64_t seed);

  /// An independent network with the same parameters, seed(), epochs_trained(), scaling() and
  /// metadata().
  Network copy() const;

  const std::vector<std::ptrdiff_t>& layers() const;
  const std::vector<Activation>& hidden() const;
  Output output() const;
  const LossOptions& loss_options() const;

  /// The number of weight matrices, L.
  std::ptrdiff_t depth() const;
  std::ptrdiff_t n_parameters() const;

  /// Views of W_{l+1} (n_l, n_{l+1}) and b_{l+1} (1, n_{l+1}) for l = 0 ... L - 1. They share the
  /// memory of parameters().
  MatrixView<T> weights(std::ptrdiff_t l);
  MatrixView<T> biases(std::ptrdiff_t l);
  MatrixView<const T> weights(std::ptrdiff_t l) const;
  MatrixView<const T> biases(std::ptrdiff_t l) const;

  /// All parameters, `W_1 b_1 W_2 b_2 ...`, each matrix row by row, and the gradients in the same
  /// order. Both are 64-byte aligned. The gradients are unspecified after step() and train_epoch().
  T* parameters();
  T* gradients();
  const T* parameters() const;
  const T* gradients() const;

  /// The number of epochs that train_epoch() has completed. fit() shuffles each epoch by it.
  std::int64_t epochs_trained() const;
  void set_epochs_trained(std::int64_t epochs);

  /// Copies the parameters to `out`, which has room for n_parameters() elements, and returns
  /// epochs_trained(). While it copies, no other call can write parameters.
  std::int64_t snapshot(T* out) const;

  /// Sets the parameters and epochs_trained() to those of a snapshot().
  void restore(const T* parameters, std::int64_t epochs_trained);

  /// Texts of the user, which save() stores with the network. The texts `feature_names` and
  /// `classes` are JSON lists: the names of the inputs, and the labels of the outputs.
  std::map<std::string, std::string>& metadata();
  const std::map<std::string, std::string>& metadata() const;

  /// Rewrites the first and the last layer of a network that takes scaled rows and gives scaled
  /// outputs, so that it takes raw rows and gives raw outputs (docs/mathematics.md, "Scaling").
  /// Remembers the scaling; folding again combines both. fit() with FitOptions::standardize
  /// measures a scaling and folds it.
  /// \throws std::invalid_argument if a vector does not fit the network, or if T is float and
  /// |mean| / scale of a column is above 2^16
  void fold_scaling(const Scaling& scaling);

  /// The scaling that is folded into the parameters, if any.
  std::optional<Scaling> scaling() const;
  /// Sets what scaling() returns and leaves the parameters as they are.
  void set_scaling(std::optional<Scaling> scaling);

  /// Takes the scaling out of the parameters until refold_scaling(). Until then every call scales
  /// the rows that it reads and gives the same results as before, up to rounding, but training
  /// changes the parameters for scaled rows. Losses are those of raw targets, gradients those of
  /// scaled ones. fit() does this in every epoch. Without a scaling, both calls do nothing.
  void unfold_scaling();
  void refold_scaling();

  /// Makes the calling thread the owner of the network, as in fit(), until the result is destroyed.
  /// For a loop of train_epoch() of your own. The network must live longer than the result.
  /// \throws std::runtime_error if another thread is the owner, or a call trains the network
  [[nodiscard]] std::shared_ptr<void> own();

  /// Throws the exception that loss() would throw for these arguments, with `function` as the name
  /// in its message. Computes nothing.
  void validate(const char* function, const RowSource<T>& X, const RowSource<T>& y,
                const double* sample_weight = nullptr, const ShouldStop& should_stop = {}) const;

  /// The same for X alone.
  void validate(const char* function, const RowSource<T>& X) const;

  /// Writes the outputs Yhat (m, n_L) for X (m, n_0) to `out`. Needs memory for at most 512 rows at
  /// a time.
  void forward(const RowSource<T>& X, MatrixView<T> out, const ShouldStop& should_stop = {}) const;

  /// Writes the outputs of every layer for X (m, n_0): those of layer l + 1, (m, n_(l+1)), to
  /// `out[l]`. The last are those of forward().
  void activations(const RowSource<T>& X, const std::vector<MatrixView<T>>& out,
                   const ShouldStop& should_stop = {}) const;

  /// Writes the labels of X (m, n_0) to `labels`. With one sigmoid output they are (m, 1): 1 if the
  /// probability is at least `threshold`, else 0. With several sigmoid outputs they are (m, n_L),
  /// by the same rule. With softmax they are (m, 1): the most probable class, or the first of them
  /// if several are equally probable. Needs memory for the outputs of all rows.
  /// \throws std::invalid_argument if a probability is NaN, or if the output is identity or exp,
  /// which have no labels
  void predict(const RowSource<T>& X, MatrixView<std::int64_t> labels, double threshold = 0.5,
               const ShouldStop& should_stop = {}) const;

  /// The loss over all rows; `.mean()` is the mean loss. Needs as much memory as forward().
  LossSum loss(const RowSource<T>& X, const RowSource<T>& y, const double* sample_weight = nullptr,
               const ShouldStop& should_stop = {}) const;

  /// Returns the loss, and writes the gradient of the mean loss to gradients(). Needs memory for at
  /// most 4096 rows at a time. As after forward() and loss(), the network keeps at most 64 MiB of
  /// it for the next call.
  LossSum loss_and_gradients(const RowSource<T>& X, const RowSource<T>& y,
                             const double* sample_weight = nullptr,
                             const ShouldStop& should_stop = {}, const Objective& objective = {});

  /// Returns the loss, and adds the gradient of the *sum* of the losses to gradients(). A weight
  /// must be 0 or a normal number of T. Needs as much memory as loss_and_gradients().
  LossSum accumulate_gradients(const RowSource<T>& X, const RowSource<T>& y,
                               const double* sample_weight = nullptr,
                               const ShouldStop& should_stop = {});

  /// Backpropagates a gradient of your own, for a loss that the library does not have. `dY` (m,
  /// n_L) is the gradient of your loss with respect to the outputs Yhat of X; divide it by m
  /// yourself if the loss is a mean. Writes the gradient of the parameters to gradients() and,
  /// unless `dX` is null, that of X to `*dX` (m, n_0). If dY is the gradient of the network's own
  /// loss, gradients() has the values of loss_and_gradients(). Needs as much memory as
  /// loss_and_gradients().
  ///
  /// ```cpp
  /// net.forward(X, Y);
  /// my_loss(Y, dY);
  /// net.backward(X, dY);
  /// net.apply_gradients(optimizer);
  /// ```
  void backward(const RowSource<T>& X, const RowSource<T>& dY, const MatrixView<T>* dX = nullptr,
                const ShouldStop& should_stop = {});

  /// Writes dX of backward() and leaves gradients() as they are: row i is the sum over j of dY(i,
  /// j) times the gradient of output j with respect to row i of X.
  void input_gradients(const RowSource<T>& X, const RowSource<T>& dY, const MatrixView<T>& dX,
                       const ShouldStop& should_stop = {}) const;

  /// Writes the Jacobian of each row to a row of `out` (m, n_L . n_0): dYhat_j / dx_k is element
  /// j n_0 + k. Takes one sweep back through the layers for each output.
  void jacobian(const RowSource<T>& X, const MatrixView<T>& out,
                const ShouldStop& should_stop = {}) const;

  /// Updates the parameters once, by gradients() times `scale`.
  void apply_gradients(Optimizer& optimizer, double scale = 1.0);
  void apply_gradients(const SgdOptions& optimizer, double scale = 1.0) {
    Optimizer sgd(optimizer);
    apply_gradients(sgd, scale);
  }

  /// Sets gradients() to zero.
  void zero_gradients();

  /// Takes one SGD step on one batch, and returns the mean loss before it. Gives the same bits as
  /// loss_and_gradients() and apply_gradients(). step() and train_epoch() need memory for at most
  /// 4096 rows of a batch; the network keeps it.
  double step(const RowSource<T>& X, const RowSource<T>& y, double learning_rate,
              const ShouldStop& should_stop = {});

  /// Trains on the rows `order[0 ... count)` of X and y, in batches of `batch_size` rows; the last
  /// batch may be shorter. The optimizer takes one step for each batch. Returns the sum of the
  /// losses, each computed before the step of its batch.
  LossSum train_epoch(const RowSource<T>& X, const RowSource<T>& y, const std::int64_t* order,
                      std::ptrdiff_t count, std::ptrdiff_t batch_size, Optimizer& optimizer,
                      const double* sample_weight = nullptr, const ShouldStop& should_stop = {},
                      const EpochOptions& options = {});
  LossSum train_epoch(const RowSource<T>& X, const RowSource<T>& y, const std::int64_t* order,
                      std::ptrdiff_t count, std::ptrdiff_t batch_size, const SgdOptions& optimizer,
                      const double* sample_weight = nullptr, const ShouldStop& should_stop = {},
                      const EpochOptions& options = {}) {
    Optimizer sgd(optimizer);
    return train_epoch(X, y, order, count, batch_size, sgd, sample_weight, should_stop, options);
  }

  /// The same with a loss of your own, which is called for each batch. `options.objective` is not
  /// used. The result is the sum over the batches of the loss times the number of rows.
  ///
  /// ```cpp
  /// const fastmlp::BatchLoss<float> squared = [&](const std::int64_t* rows, auto Y, auto dY) {
  ///   double sum = 0;
  ///   for (std::ptrdiff_t i = 0; i < Y.rows; ++i) {
  ///     const float error = Y(i, 0) - y[rows[i]];
  ///     sum += error * error / Y.rows;
  ///     dY(i, 0) = 2 * error / Y.rows;
  ///   }
  ///   return sum;
  /// };
  /// net.train_epoch(X, squared, order.data(), m, 32, optimizer);
  /// ```
  LossSum train_epoch(const RowSource<T>& X, const BatchLoss<T>& loss, const std::int64_t* order,
                      std::ptrdiff_t count, std::ptrdiff_t batch_size, Optimizer& optimizer,
                      const ShouldStop& should_stop = {}, const EpochOptions& options = {});
  LossSum train_epoch(const RowSource<T>& X, const BatchLoss<T>& loss, const std::int64_t* order,
                      std::ptrdiff_t count, std::ptrdiff_t batch_size, const SgdOptions& optimizer,
                      const ShouldStop& should_stop = {}, const EpochOptions& options = {}) {
    Optimizer sgd(optimizer);
    return train_epoch(X, loss, order, count, batch_size, sgd, should_stop, options);
  }

  /// Trains for some epochs, with the same bits as Python's `fit`. Each epoch takes the rows in the
  /// order of permutation(m, seed, epochs_trained()), so two calls of 5 epochs equal one of 10. X
  /// and y must be finite and have at least one row.
  /// \throws Diverged if the loss or a parameter is no longer finite
  /// \throws std::invalid_argument if an argument does not fit; nothing is changed then. Also if a
  /// schedule returns a learning rate that is not positive and finite
  /// \throws Stopped if should_stop() returned true
  /// \throws std::runtime_error if another thread is in fit() or trains the network
  ///
  /// After Stopped, after an exception of a callback and after a wrong learning rate of a schedule,
  /// the parameters stay as trained so far.
  History fit(const RowSource<T>& X, const RowSource<T>& y, Optimizer& optimizer,
              const FitOptions<T>& options = {});
  History fit(const RowSource<T>& X, const RowSource<T>& y, Optimizer&& optimizer,
              const FitOptions<T>& options = {}) {
    return fit(X, y, optimizer, options);
  }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

extern template class Network<float>;
extern template class Network<double>;

}  // namespace fastmlp
