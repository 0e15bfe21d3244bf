// Network<T>::fit(): the loop over epochs, the same as in python/fastmlp/_training_loop.py. An
// epoch itself is train_epoch() in network.cpp. Start at Network<T>::fit, at the end.
#include "check.hpp"
#include "network/impl.hpp"

#include <fastmlp/fit.hpp>
#include <fastmlp/random.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <type_traits>

namespace fastmlp {
namespace {

/// The network, and an optimizer if one is given, as they were at the last save(). The memory is
/// allocated once.
template <class T>
class Checkpoint {
 public:
  explicit Checkpoint(Network<T>& net, Optimizer* optimizer = nullptr)
      : net_(net), optimizer_(optimizer) {}

  void save() {
    parameters_.resize(static_cast<std::size_t>(net_.n_parameters()));
    epochs_trained_ = net_.snapshot(parameters_.data());
    if (optimizer_ == nullptr) return;
    state_ = optimizer_->state();
    const auto bytes = static_cast<std::size_t>(state_.size * state_.bytes);
    for (int i = 0; i < state_.count; ++i) {
      vectors_[i].resize(bytes);
      std::memcpy(vectors_[i].data(), state_.vectors[i], bytes);
    }
  }
  /// Goes back to the last save(); does nothing if there was none.
  void restore() {
    if (parameters_.empty()) return;
    net_.restore(parameters_.data(), epochs_trained_);
    if (optimizer_ == nullptr) return;
    for (int i = 0; i < state_.count; ++i) state_.vectors[i] = vectors_[i].data();
    optimizer_->set_state(state_);
  }

 private:
  Network<T>& net_;
  Optimizer* optimizer_;
  std::vector<T> parameters_;
  std::int64_t epochs_trained_ = 0;
  Optimizer::State state_;
  std::vector<unsigned char> vectors_[2];  // what the pointers of state_ pointed at
};

/// The epoch of the lowest validation loss, and the number of epochs without improvement.
template <class T>
class BestEpoch {
 public:
  BestEpoch(Network<T>& net, const std::optional<EarlyStopping>& rule)
      : rule_(rule), checkpoint_(net) {}

  /// Records an epoch; returns whether patience has run out. NaN is never an improvement.
  bool update(const std::optional<double>& val_loss) {
    if (!rule_ || !val_loss) return false;
    const EarlyStopping& rule = *rule_;
    if (*val_loss < lowest_) {
      lowest_ = *val_loss;
      checkpoint_.save();
    }
    const bool improved = *val_loss < reference_ - rule.min_delta;
    if (improved) reference_ = *val_loss;
    waited_ = improved ? 0 : waited_ + 1;
    return waited_ >= rule.patience;
  }
  void restore() { checkpoint_.restore(); }

 private:
  std::optional<EarlyStopping> rule_;
  Checkpoint<T> checkpoint_;  // the optimizer is left as it is after the last epoch
  double lowest_ = std::numeric_limits<double>::infinity();
  double reference_ = lowest_;  // the loss that the next one must beat by min_delta
  std::int64_t waited_ = 0;
};

/// Sets the optimizer's learning rate by the schedule; the destructor sets the old one again.
template <class T>
class Rates {
 public:
  Rates(Optimizer& optimizer, const FitOptions<T>& options)
      : optimizer_(optimizer), schedule_(options.schedule), base_(optimizer.learning_rate()) {}
  ~Rates() {
    if (schedule_) optimizer_.set_learning_rate(base_);
  }
  Rates(const Rates&) = delete;
  Rates& operator=(const Rates&) = delete;

  /// Asks the schedule for the rate of the next epoch.
  void ask(std::int64_t epoch, const EpochLog* last) {
    if (schedule_) next_ = schedule_(epoch, base_, last);
  }
  /// Checks that rate and sets it. ask() does not check it, because it is also called after the
  /// last epoch.
  void use() {
    if (!schedule_) return;
    detail::check_positive("fit", "the learning rate that schedule gave", next_);
    optimizer_.set_learning_rate(next_);
  }

 private:
  Optimizer& optimizer_;
  const std::function<double(std::int64_t, double, const EpochLog*)>& schedule_;
  const double base_;
  double next_ = 0;
};

template <class T>
bool all_finite(const T* x, std::ptrdiff_t n) {
  return std::all_of(x, x + n, [](T value) { return std::isfinite(value); });
}

template <class T>
void check_finite(const std::string& what, const RowSource<T>& rows, detail::Poller& poller) {
  constexpr std::ptrdiff_t kElements = 1 << 20;  // of a copy
  const std::ptrdiff_t step =
      std::clamp<std::ptrdiff_t>(kElements / std::max<std::ptrdiff_t>(rows.cols(), 1), 1, 256);
  std::vector<T> scratch(rows.in_place() ? 0 : static_cast<std::size_t>(step * rows.cols()));
  for (std::ptrdiff_t first = 0; first < rows.rows(); first += step) {
    const MatrixView<const T> block =
        rows.block(first, std::min(step, rows.rows() - first), scratch.data());
    for (std::ptrdiff_t i = 0; i < block.rows; ++i) {
      for (std::ptrdiff_t j = 0; j < block.cols; ++j) {
        if (std::isfinite(block(i, j))) continue;
        detail::refuse(what, " has ", block(i, j), " at row ", first + i, ", column ", j,
                       "; every value must be finite");
      }
    }
    poller.worked(static_cast<double>(step * rows.cols()));
  }
}

template <class T>
void check_rows(const Network<T>& net, const std::string& function, const RowSource<T>& X,
                const RowSource<T>& y, const double* sample_weight, const ShouldStop& should_stop) {
  detail::check_features(function.c_str(), X.rows(), X.cols(), net.layers().front());
  detail::check_target_shape(function.c_str(), X, y, net.layers().back(), net.output());
  detail::Poller poller(should_stop);
  check_finite(function + ": X", X, poller);
  check_finite(function + ": y", y, poller);
  net.validate(function.c_str(), X, y, sample_weight, should_stop);
  if (X.rows() < 1) detail::refuse(function, ": X has no rows; there must be at least one");
}

template <class T>
void check_options(const FitOptions<T>& options, std::size_t n_hidden) {
  detail::check_at_least_one("fit", "epochs", options.epochs);
  detail::check_at_least_one("fit", "batch_size", options.batch_size);
  detail::check_dropout("fit", options.dropout, n_hidden);
  if (!options.early_stopping) return;
  detail::check_at_least_one("EarlyStopping", "patience", options.early_stopping->patience);
  detail::check_not_negative("EarlyStopping", "min_delta", options.early_stopping->min_delta);
  if (!options.validation) detail::refuse("fit: early_stopping needs validation");
}

/// The largest absolute value, or NaN if there is one.
template <class T>
T largest(const RowSource<T>& rows) {
  std::vector<T> scratch(static_cast<std::size_t>(rows.cols()));
  T found = 0;
  for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) {
    const MatrixView<const T> row = rows.block(i, 1, scratch.data());
    for (std::ptrdiff_t j = 0; j < row.cols; ++j) {
      const T value = std::abs(row(0, j));
      if (!(value <= found)) found = value;
    }
    if (std::isnan(found)) break;
  }
  return found;
}

/// Says what makes the loss before training infinite or NaN; empty if that loss is finite.
template <class T>
std::string too_large(const Network<T>& net, const RowSource<T>& X, const RowSource<T>& y,
                      const FitOptions<T>& options) {
  if (std::isfinite(net.loss(X, y, options.sample_weight, options.should_stop).mean())) return "";
  const std::ptrdiff_t n_out = net.layers().back();
  std::vector<T> outputs(static_cast<std::size_t>(X.rows() * n_out));
  net.forward(X, {outputs.data(), X.rows(), n_out}, options.should_stop);
  const T of_y = largest(y),
          of_outputs = largest<T>(MatrixView<const T>{outputs.data(), X.rows(), n_out});
  const bool is_y = of_outputs <= of_y;  // false if the outputs are NaN
  const std::string values = ", with values of up to " + detail::digits(is_y ? of_y : of_outputs);
  const bool single = std::is_same_v<T, float>;
  return "its loss is not finite even without training: " +
         (is_y ? "y" + values + ", is" : "the outputs" + values + ", are") + " too large for " +
         (single ? "float" : "double") + "; scale " + (is_y ? "y" : "X or the parameters") +
         (single ? ", or use double" : "");
}

/// Trains one epoch and returns its loss; undoes it if the loss or a parameter is not finite. In
/// the first epoch `cause` says what was not finite before training, if anything was.
template <class T, class Epoch, class Cause>
double finite_epoch(Network<T>& net, Checkpoint<T>& before, std::int64_t epoch,
                    double learning_rate, const Epoch& train, const Cause& cause) {
  before.save();
  const double loss = train();
  if (std::isfinite(loss) && all_finite(net.parameters(), net.n_parameters())) return loss;
  before.restore();
  const std::string reason = epoch == 0 && !std::isfinite(loss) ? cause() : "";
  const std::string rate =
      reason.empty() ? " at learning rate " + detail::digits(learning_rate) : "";
  throw Diverged(
      "fit: " +
      (std::isfinite(loss) ? std::string("a parameter is not finite")
                           : "the loss is " + detail::digits(loss)) +
      " in epoch " + std::to_string(epoch) + rate + "; the network is as before that epoch, and " +
      (reason.empty() ? "a lower learning rate or smaller values in X and y may help" : reason));
}

}  // namespace

template <class T>
History Network<T>::fit(const RowSource<T>& X, const RowSource<T>& y, Optimizer& optimizer,
                        const FitOptions<T>& options) {
  const detail::DefaultFloatMode default_mode;
  const detail::Ownership owned(impl_->users, detail::kInUse);
  check_options(options, hidden().size());
  check_rows(*this, "fit", X, y, options.sample_weight, options.should_stop);
  const auto& validation = options.validation;
  if (validation) {
    check_rows(*this, "fit: validation", validation->X, validation->y, validation->sample_weight,
               options.should_stop);
  }
  const std::ptrdiff_t rows = X.rows();
  std::vector<std::int64_t> order(static_cast<std::size_t>(rows));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  EpochOptions how;
  how.dropout = options.dropout;
  how.dropout_seed = options.seed.value_or(seed());

  History history;
  Checkpoint<T> before(*this, &optimizer);
  BestEpoch<T> best(*this, options.early_stopping);
  Rates<T> rates(optimizer, options);
  detail::Poller between_epochs(options.should_stop);  // one epoch may be too short to ask in
  rates.ask(epochs_trained(), nullptr);
  for (std::int64_t epoch = 0; epoch < options.epochs; ++epoch) {
    const detail::DefaultFloatMode mode;  // again, because a callback may have changed it
    rates.use();
    EpochLog log;
    log.epoch = epoch;
    log.learning_rate = optimizer.learning_rate();
    const auto train = [&] {
      if (options.shuffle) {
        permutation(order.data(), rows, how.dropout_seed,
                    static_cast<std::uint64_t>(epochs_trained()), options.should_stop);
      }
      return train_epoch(X, y, order.data(), rows, std::min(options.batch_size, rows), optimizer,
                         options.sample_weight, options.should_stop, how)
          .mean();
    };
    log.loss = finite_epoch(*this, before, epoch, log.learning_rate, train,
                            [&] { return too_large(*this, X, y, options); });
    history.loss.push_back(log.loss);
    history.learning_rate.push_back(log.learning_rate);
    if (validation) {
      log.val_loss =
          loss(validation->X, validation->y, validation->sample_weight, options.should_stop).mean();
      history.val_loss.push_back(*log.val_loss);
    }
    const bool out_of_patience = best.update(log.val_loss);
    rates.ask(epochs_trained(), &log);
    const bool asked_to_stop = options.on_epoch && options.on_epoch(log);
    if (out_of_patience || asked_to_stop) {
      history.stopped_by = out_of_patience ? StoppedBy::kEarlyStopping : StoppedBy::kCallback;
      break;
    }
    between_epochs.worked(detail::Poller::kFlopsPerLook);
  }
  best.restore();
  return history;
}

template History Network<float>::fit(const RowSource<float>&, const RowSource<float>&, Optimizer&,
                                     const FitOptions<float>&);
template History Network<double>::fit(const RowSource<double>&, const RowSource<double>&,
                                      Optimizer&, const FitOptions<double>&);

}  // namespace fastmlp
