// Network<T>: a fully connected network, its forward pass, its loss and its training.
#pragma once

#include <fastmlp/fit.hpp>
#include <fastmlp/matrix_view.hpp>
#include <fastmlp/optimizer.hpp>
#include <fastmlp/options.hpp>
#include <fastmlp/row_source.hpp>
#include <fastmlp/should_stop.hpp>
#include <fastmlp/visibility.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace fastmlp {

/// A sum of row losses, each times its row's weight, and the sum of those weights; an Objective's
/// penalty is in the first, alpha / 2 times the sum of all squared weights.
struct LossSum {
  double loss = 0;
  double weight = 0;
  /// The mean loss; 0 where there is no weight.
  double mean() const { return weight > 0 ? loss / weight : 0; }
};

/// The network of docs/mathematics.md for T = float or double:
/// `A_l = g_l(A_{l-1} . W_l + b_l)`, l = 1 ... L.
///
/// Shapes: X (m, n_0); y (m, n_L) for a sigmoid, identity or exp output; for softmax class indices
/// (m, 1) or one-hot rows (m, n_L). `sample_weight` is null or m non-negative finite weights.
/// Every call checks its arguments, and throws std::invalid_argument with nothing changed where
/// they do not fit. forward() and loss() may run on many threads at once. A call that would read or
/// write parameters while another one trains throws std::runtime_error; one that would train while
/// others read waits for them, and throws after 10 s.
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
  /// A network with all parameters zero. `layers` is n_0 ... n_L; `hidden` has one activation for
  /// each of the L - 1 hidden layers, or none at all, which stands for ReLU.
  explicit Network(std::vector<std::ptrdiff_t> layers, std::vector<Activation> hidden = {},
                   Output output = Output::kSigmoid);
  ~Network();
  Network(Network&&) noexcept;
  Network& operator=(Network&&) noexcept;

  /// W ~ U(-r, r), b = 0: He's r = sqrt(6 / n_{l-1}) before ReLU (2015), Glorot's
  /// r = sqrt(6 / (n_{l-1} + n_l)) otherwise (2010). The same bits as in Python for the same seed.
  void initialize(std::uint64_t seed);

  /// The seed of initialize(), 0 before it: what fit() shuffles by.
  std::uint64_t seed() const;
  void set_seed(std::uint64_t seed);

  /// A network of its own with the same parameters, seed() and epochs_trained().
  Network copy() const;

  const std::vector<std::ptrdiff_t>& layers() const;
  const std::vector<Activation>& hidden() const;
  Output output() const;

  /// The number of weight matrices, L.
  std::ptrdiff_t depth() const;
  std::ptrdiff_t n_parameters() const;

  /// W_{l+1} (n_l, n_{l+1}) and b_{l+1} (1, n_{l+1}) for l = 0 ... L - 1, in place.
  MatrixView<T> weights(std::ptrdiff_t l);
  MatrixView<T> biases(std::ptrdiff_t l);
  MatrixView<const T> weights(std::ptrdiff_t l) const;
  MatrixView<const T> biases(std::ptrdiff_t l) const;

  /// All parameters, `W_1 b_1 W_2 b_2 ...`, 64-byte aligned, each matrix row by row; and the
  /// gradients in the same order. step() and train_epoch() leave the gradients unspecified.
  T* parameters();
  T* gradients();
  const T* parameters() const;
  const T* gradients() const;

  /// How many epochs train_epoch() has completed; fit() counts its shuffles by it.
  std::int64_t epochs_trained() const;
  void set_epochs_trained(std::int64_t epochs);

  /// Copies the parameters to `out` (n_parameters()) as they are between two calls that write them;
  /// returns epochs_trained().
  std::int64_t snapshot(T* out) const;

  /// Sets the parameters and epochs_trained() to what snapshot() gave.
  void restore(const T* parameters, std::int64_t epochs_trained);

  /// Throws what loss() would throw for these arguments, naming `function`; computes nothing.
  void validate(const char* function, const RowSource<T>& X, const RowSource<T>& y,
                const T* sample_weight = nullptr, const ShouldStop& should_stop = {}) const;

  /// out = Yhat (m, n_L) for X (m, n_0). Memory for at most 512 rows at a time.
  void forward(const RowSource<T>& X, MatrixView<T> out, const ShouldStop& should_stop = {}) const;

  /// The labels of X (m, n_0): (m, 1) for one sigmoid output, 1 where the probability is at least
  /// `threshold`; (m, n_L) for several; (m, 1) for softmax, the first of the most probable classes.
  /// Memory for the outputs of all rows.
  /// \throws std::invalid_argument where a probability is NaN, and for an identity or exp output,
  /// which has no labels
  void predict(const RowSource<T>& X, MatrixView<std::int64_t> labels, double threshold = 0.5,
               const ShouldStop& should_stop = {}) const;

  /// The loss over all rows; `.mean()` is the mean loss. Memory as in forward().
  LossSum loss(const RowSource<T>& X, const RowSource<T>& y, const T* sample_weight = nullptr,
               const ShouldStop& should_stop = {}) const;

  /// The loss, and in gradients() the gradient of the mean loss. Memory for at most 4096 rows at a
  /// time. As in forward() and loss(), the network keeps at most 64 MiB of it for the next call.
  LossSum loss_and_gradients(const RowSource<T>& X, const RowSource<T>& y,
                             const T* sample_weight = nullptr, const ShouldStop& should_stop = {},
                             const Objective& objective = {});

  /// The loss; adds the gradient of the *sum* of the losses to gradients(). Memory as in
  /// loss_and_gradients().
  LossSum accumulate_gradients(const RowSource<T>& X, const RowSource<T>& y,
                               const T* sample_weight = nullptr,
                               const ShouldStop& should_stop = {});

  /// One update from gradients() * scale.
  void apply_gradients(Optimizer& optimizer, double scale = 1.0);
  void apply_gradients(const SgdOptions& optimizer, double scale = 1.0) {
    Optimizer sgd(optimizer);
    apply_gradients(sgd, scale);
  }

  /// Sets gradients() to zero.
  void zero_gradients();

  /// One SGD step on one batch; the mean loss before it. The same bits as loss_and_gradients() and
  /// apply_gradients(). step() and train_epoch() need memory for at most 4096 rows of a batch,
  /// which the network keeps.
  double step(const RowSource<T>& X, const RowSource<T>& y, double learning_rate,
              const ShouldStop& should_stop = {});

  /// One pass over the rows `order[0 ... count)` of X and y in batches of `batch_size` (the last
  /// may be shorter), a step of the optimizer on each; the losses are those before each batch's
  /// step.
  LossSum train_epoch(const RowSource<T>& X, const RowSource<T>& y, const std::int64_t* order,
                      std::ptrdiff_t count, std::ptrdiff_t batch_size, Optimizer& optimizer,
                      const T* sample_weight = nullptr, const ShouldStop& should_stop = {},
                      const EpochOptions& options = {});
  LossSum train_epoch(const RowSource<T>& X, const RowSource<T>& y, const std::int64_t* order,
                      std::ptrdiff_t count, std::ptrdiff_t batch_size, const SgdOptions& optimizer,
                      const T* sample_weight = nullptr, const ShouldStop& should_stop = {},
                      const EpochOptions& options = {}) {
    Optimizer sgd(optimizer);
    return train_epoch(X, y, order, count, batch_size, sgd, sample_weight, should_stop, options);
  }

  /// Trains for some epochs, as Python's `fit` with the same bits: each takes the rows in the order
  /// of permutation(m, seed, epochs_trained()), so that two calls of 5 epochs equal one of 10. The
  /// data must be finite and have at least one row.
  /// \throws Diverged where the loss or a parameter stops being finite; std::invalid_argument with
  /// nothing changed; Stopped, what a callback throws, and std::invalid_argument for a learning
  /// rate of a schedule that is none, with the parameters as they are then
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
