// Network<T>::Impl: the parameters, and one pass over rows (forward, loss, backward), which is
// defined in pass.cpp. The public calls and their checks are in network.cpp. Start at pass().
#pragma once

#include "dispatch.hpp"
#include "network/optimizer_impl.hpp"
#include "network/scaling.hpp"
#include "network/scratch.hpp"
#include "threads/poller.hpp"
#include "threads/readers_writer_lock.hpp"

#include <fastmlp/network.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <map>
#include <optional>
#include <string>

namespace fastmlp {
namespace detail {

constexpr const char* kFitRuns =
    "another thread is in fit with this network; wait for fit to return, or let its callback copy "
    "the network and use the copy";
constexpr Refusal kTraining{"the network is being trained by another call; wait for that to return",
                            kFitRuns};
constexpr Refusal kInUse{
    "the network is in use by another call; wait for that to return before you change the network",
    kFitRuns};

}  // namespace detail

/// What a pass does with the gradient.
enum class GradientUse {
  kNone,    // computes only the loss
  kStore,   // writes the gradient of the mean loss to gradients()
  kAdd,     // adds the gradient of the summed loss to gradients()
  kUpdate,  // updates the parameters by the gradient of the mean loss
};

/// What a pass is to do.
struct Goal {
  GradientUse use = GradientUse::kNone;
  Objective objective{};
  Optimizer::Impl* optimizer = nullptr;  // null: plain gradient descent with learning_rate
  double learning_rate = 0;

  /// Whether an update is only W = W - rate dW, without a state, decay or penalty.
  bool is_plain() const {
    return (optimizer == nullptr || optimizer->is_plain()) && !(objective.alpha > 0);
  }
  double rate() const {
    return optimizer != nullptr ? optimizer->learning_rate.load() : learning_rate;
  }
};

/// `count` rows of a data set: order[first], order[first + 1], ..., or first, first + 1, ... if
/// `order` is null.
template <class T>
struct Rows {
  const RowSource<T>& X;
  const RowSource<T>& y;
  const double* weight;  // a weight for each row of the whole data set, or null
  const std::int64_t* order;
  std::ptrdiff_t first, count;

  std::ptrdiff_t index(std::ptrdiff_t i) const {
    return order != nullptr ? static_cast<std::ptrdiff_t>(order[first + i]) : first + i;
  }
  Rows part(std::ptrdiff_t from, std::ptrdiff_t n) const {
    return {X, y, weight, order, first + from, n};
  }
};

/// The rows of X in one block: dense or sparse.
template <class T>
struct InputRows {
  std::ptrdiff_t rows;
  MatrixView<const T> dense;
  bool is_sparse = false;  // then the rows are in Scratch::sparse_x
};

template <class T>
struct [[gnu::visibility("hidden")]] Network<T>::Impl {
  // A forward pass takes this many rows at a time, so that their activations stay in the L2 cache.
  // If X is not read in place, it takes no more rows than have kForwardBytes in X, but at least 16,
  // the number of lanes in which losses are summed. A pass with a gradient takes kChunk rows: with
  // blocks of another size, the order in which the rows are summed would depend on the size.
  static constexpr std::ptrdiff_t kForwardRows = 512;
  static constexpr std::ptrdiff_t kForwardBytes = 32 << 20;

  std::vector<std::ptrdiff_t> layers;
  std::vector<Activation> hidden;
  Output output;
  LossOptions loss;
  std::vector<T> loss_parameters;  // LossBlock::parameters
  std::ptrdiff_t n_parameters = 0;
  std::vector<std::ptrdiff_t> offsets;  // where W_{l+1} starts; b_{l+1} follows it
  detail::AlignedBuffer<T> parameters, gradients;
  std::atomic<std::int64_t> epochs_trained{0};
  std::atomic<std::uint64_t> seed{0};
  std::map<std::string, std::string> metadata;
  std::optional<Scaling> scaling;  // which is in the parameters, unless `unfolded`
  bool unfolded = false;           // the parameters are for scaled rows, and passes scale the rows
  // While unfolded, the loss of raw targets is this sum over the outputs j of the losses of scaled
  // ones: loss_factor * (loss_factors[j] * loss_j + ...). An empty vector has only ones.
  double loss_factor = 1;
  std::vector<T> loss_factors;
  detail::Scratch<T> scratch;           // for training steps
  mutable detail::ScratchPool<T> pool;  // for predictions and evaluations
  mutable detail::ReadersWriterLock users;
  const std::uint64_t id =
      detail::next_network_id();  // for optimizers, whose state belongs to one network

  std::ptrdiff_t depth() const { return static_cast<std::ptrdiff_t>(offsets.size()); }
  std::ptrdiff_t inputs(std::ptrdiff_t l) const { return layers[static_cast<std::size_t>(l)]; }
  std::ptrdiff_t outputs(std::ptrdiff_t l) const { return layers[static_cast<std::size_t>(l) + 1]; }
  std::ptrdiff_t classes() const { return layers.back(); }

  /// W_{l+1} and b_{l+1} inside `buffer`, which is parameters or gradients.
  MatrixView<T> weights(T* buffer, std::ptrdiff_t l) const {
    return {buffer + offsets[static_cast<std::size_t>(l)], inputs(l), outputs(l)};
  }
  MatrixView<T> biases(T* buffer, std::ptrdiff_t l) const {
    return {buffer + offsets[static_cast<std::size_t>(l)] + inputs(l) * outputs(l), 1, outputs(l)};
  }

  detail::EndLayers<T> end_layers() {
    T* const p = parameters.data();
    return {weights(p, 0), biases(p, 0), weights(p, depth() - 1), biases(p, depth() - 1)};
  }

  /// \pre scaling
  const Scaling& known_scaling() const {
    return *scaling;  // NOLINT(bugprone-unchecked-optional-access): by the precondition
  }

  /// The rows of hidden layer l, 0 < l < depth(), in scratch memory.
  MatrixView<T> hidden_rows(T* memory, std::ptrdiff_t rows, std::ptrdiff_t l) const {
    return {memory, rows, inputs(l), detail::spaced<T>(inputs(l)), 1};
  }

  /// Changes the parameters to those for scaled rows, or back. \pre scaling
  void unfold();
  void refold();

  /// Refuses data that does not fit the network, naming `function`.
  void check_data(const char* function, const RowSource<T>& X, const RowSource<T>& y,
                  const double* sample_weight, const ShouldStop& should_stop) const;

  /// The rows of X of a block; `gradient` says whether backward() follows.
  InputRows<T> input(const detail::KernelTable<T>& kernels, detail::Scratch<T>& s,
                     const RowSource<T>& X, const std::int64_t* order, std::ptrdiff_t first,
                     std::ptrdiff_t count, bool gradient, detail::Poller& poller) const;

  /// Writes Z_L of a block to `z` (rows, n_L) and the activations of the hidden layers to scratch.
  /// `first` is the number of the block's first row in its batch.
  void forward(const detail::KernelTable<T>& kernels, detail::Scratch<T>& s, const InputRows<T>& X,
               std::ptrdiff_t first, T* z, detail::Poller& poller) const;

  /// Writes Yhat of the rows from `first` on to `out`, as many as it has.
  void predict(const detail::KernelTable<T>& kernels, detail::Scratch<T>& s, const RowSource<T>& X,
               std::ptrdiff_t first, MatrixView<T> out, detail::Poller& poller) const;

  /// Returns dZ_l = (dZ_{l+1} . W_{l+1}^T) * g'(A_l) of a block, 0 < l < depth(), after forward().
  MatrixView<const T> delta_below(const detail::GemmContext<T>& context, detail::Scratch<T>& s,
                                  const MatrixView<const T>& dZ, std::ptrdiff_t l) const;

  /// Does with the gradient of each layer of a block, from dZ_L in scratch memory on, what the
  /// epilogue says. Returns dZ_1.
  MatrixView<const T> backward(const detail::KernelTable<T>& kernels, detail::Scratch<T>& s,
                               const InputRows<T>& X, const detail::EpilogueKernels<T>& epilogue,
                               T* target, double alpha, detail::Poller* poller) const;

  /// Computes the loss of some rows and does with the gradient what the goal says. LossSum::weight
  /// is S, the sum of the rows' weights.
  LossSum pass(const detail::KernelTable<T>& kernels, detail::Scratch<T>& s, const Rows<T>& rows,
               const Goal& goal, detail::Poller& poller) const;

  /// Updates the parameters once, from the gradients.
  void apply(const detail::KernelTable<T>& kernels, std::size_t rule,
             const detail::OptimizerStep<T>& step) const;

  /// The same, by an optimizer with the goal's decays.
  void update(const detail::KernelTable<T>& kernels, const Goal& goal, double total_weight) const;

  /// The number of threads for a call over `rows` rows in batches of `batch_size`.
  int team(std::ptrdiff_t rows, GradientUse use,
           std::ptrdiff_t batch_size = std::numeric_limits<std::ptrdiff_t>::max()) const;

  /// Whether a pass over rows of X in this order copies them to Scratch::x.
  bool copies(const RowSource<T>& X, const std::int64_t* order) const {
    return X.in_place() ? order != nullptr || unfolded : !takes_sparse(X);
  }

  /// The most rows that pass() takes at a time out of `rows` rows of X.
  std::ptrdiff_t block_rows(const RowSource<T>& X, std::ptrdiff_t rows, GradientUse use) const {
    if (use != GradientUse::kNone) return std::min(rows, detail::kChunk);
    if (X.in_place()) return std::min(rows, kForwardRows);
    const std::ptrdiff_t fit = kForwardBytes / bytes_of_row(X) / detail::kLanes * detail::kLanes;
    return std::min(rows, std::clamp(fit, detail::kLanes, kForwardRows));
  }

 private:
  /// Whether a pass takes the rows of X as they are stored in CSR form.
  bool takes_sparse(const RowSource<T>& X) const { return !unfolded && detail::stays_sparse(X); }

  /// Sets the parameter of each output j to delta(j), if the loss has one.
  template <class Delta>
  void set_delta(const Delta& delta);

  double squared_weights(const detail::KernelTable<T>& kernels) const;
  void add_decay(double decay) const;

  void output_loss(const detail::KernelTable<T>& kernels, detail::Scratch<T>& s, const T* y,
                   std::ptrdiff_t rows, const Goal& goal) const;
  const T* targets(const detail::KernelTable<T>& kernels, detail::Scratch<T>& s,
                   const Rows<T>& rows, detail::Poller& poller) const;

  /// The bytes of a row of X in memory, on average if X is sparse.
  std::ptrdiff_t bytes_of_row(const RowSource<T>& X) const {
    if (!takes_sparse(X)) return X.cols() * static_cast<std::ptrdiff_t>(sizeof(T));
    const auto entry = static_cast<std::ptrdiff_t>(sizeof(detail::SparseEntry<T>));
    return 1 + X.csr()->stored / std::max<std::ptrdiff_t>(X.rows(), 1) * entry;
  }
};

}  // namespace fastmlp
