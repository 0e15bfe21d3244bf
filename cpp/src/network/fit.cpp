// Network<T>::fit(): the loop over epochs, the same as in python/fastmlp/_training_loop.py. An
// epoch itself is train_epoch() in network.cpp. A resumed run begins with the History of its
// checkpoint, from which the schedule and early stopping are replayed. Start at Network<T>::fit, at
// the end.
#include "check.hpp"
#include "network/impl.hpp"
#include "network/scaling.hpp"
#include "network/training_state.hpp"

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
class Snapshot {
 public:
  explicit Snapshot(Network<T>& net, Optimizer* optimizer = nullptr)
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
    if (epochs_trained_ < 0) return;
    net_.restore(parameters_.data(), epochs_trained_);
    if (optimizer_ == nullptr) return;
    for (int i = 0; i < state_.count; ++i) state_.vectors[i] = vectors_[i].data();
    optimizer_->set_state(state_);
  }

  /// The parameters; zeros before the first save().
  const std::vector<T>& parameters() {
    parameters_.resize(static_cast<std::size_t>(net_.n_parameters()));
    return parameters_;
  }
  /// Makes these the last save().
  void set(const std::vector<T>& parameters, std::int64_t epochs_trained) {
    parameters_ = parameters;
    epochs_trained_ = epochs_trained;
  }

 private:
  Network<T>& net_;
  Optimizer* optimizer_;
  std::vector<T> parameters_;
  std::int64_t epochs_trained_ = -1;  // before the first save
  Optimizer::State state_;
  std::vector<unsigned char> vectors_[2];  // what the pointers of state_ pointed at
};

/// The lowest validation loss, and the number of epochs without improvement.
class Patience {
 public:
  explicit Patience(const std::optional<EarlyStopping>& rule) : rule_(rule) {}

  /// Counts an epoch; returns whether it is the best so far. NaN is never an improvement.
  bool count(const std::optional<double>& val_loss) {
    if (!rule_ || !val_loss) return false;
    const bool is_best = *val_loss < lowest_;
    if (is_best) lowest_ = *val_loss;
    const bool improved = *val_loss < reference_ - rule_->min_delta;
    if (improved) reference_ = *val_loss;
    waited_ = improved ? 0 : waited_ + 1;
    return is_best;
  }
  /// Whether it has run out.
  bool is_over() const { return rule_ && waited_ >= rule_->patience; }

  /// Counts the epochs that a resumed run has behind it. Returns the number of the best one, from
  /// 1; 0 if there is none.
  std::int64_t replay(const std::vector<double>& val_loss) {
    std::int64_t best = 0;
    for (std::size_t epoch = 0; epoch < val_loss.size(); ++epoch) {
      if (rule_ && is_over()) {
        detail::refuse("fit: early_stopping with patience ", rule_->patience, " and min_delta ",
                       rule_->min_delta, " would have ended the training after ", epoch,
                       " epochs; the checkpoint has ", val_loss.size(), "; give more patience");
      }
      if (count(val_loss[epoch])) best = static_cast<std::int64_t>(epoch) + 1;
    }
    return best;
  }

 private:
  std::optional<EarlyStopping> rule_;
  double lowest_ = std::numeric_limits<double>::infinity();
  double reference_ = lowest_;  // the loss that the next one must beat by min_delta
  std::int64_t waited_ = 0;
};

/// Sets the optimizer's learning rate by the schedule; the destructor sets the old one again.
class Rates {
 public:
  using Schedule = std::function<double(std::int64_t, double, const EpochLog*)>;
  Rates(Optimizer& optimizer, const Schedule& schedule)
      : optimizer_(optimizer), schedule_(schedule), base_(optimizer.learning_rate()) {}
  ~Rates() {
    if (schedule_) optimizer_.set_learning_rate(base_);
  }
  Rates(const Rates&) = delete;
  Rates& operator=(const Rates&) = delete;

  /// Asks the schedule for the rate of the next epoch.
  void ask(std::int64_t epoch, const EpochLog* last) {
    if (schedule_) next_ = schedule_(epoch, base_, last);
  }
  /// Asks again for the rates of all past epochs and of the next one. Refuses a schedule that does
  /// not give the rates that the past epochs had.
  void replay(std::int64_t first_epoch, const History& past) {
    if (!schedule_) return;
    ask(first_epoch, nullptr);
    for (std::size_t i = 0; i < past.loss.size(); ++i) {
      EpochLog log;
      log.epoch = static_cast<std::int64_t>(i);
      log.loss = past.loss[i];
      if (!past.val_loss.empty()) log.val_loss = past.val_loss[i];
      log.learning_rate = past.learning_rate[i];
      if (next_ != log.learning_rate) {
        detail::refuse("fit: schedule gave ", next_, " as the learning rate of epoch ",
                       first_epoch + log.epoch, ", for which the checkpoint has ",
                       log.learning_rate, "; go on with the schedule of that training");
      }
      ask(first_epoch + log.epoch + 1, &log);
    }
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
  const Schedule& schedule_;
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
  detail::check_target_shape(function.c_str(), X, y, net.layers().back(), net.output(),
                             net.loss_options());
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
  detail::check_at_least_one("fit", "every", options.every);
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
double finite_epoch(Network<T>& net, Snapshot<T>& before, std::int64_t epoch, double learning_rate,
                    const Epoch& train, const Cause& cause) {
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
      " in epoch " + std::to_string(epoch) + rate + "; the network is as before that epoch: " +
      (reason.empty() ? "a lower learning rate or smaller values in X and y may help" : reason));
}

/// The scaling of these rows for this network, checked.
template <class T>
Scaling measure(const Network<T>& net, const RowSource<T>& X, const RowSource<T>& y,
                const FitOptions<T>& options) {
  Scaling scaling;
  const auto take = [&](const RowSource<T>& rows, std::vector<double>& mean,
                        std::vector<double>& scale) {
    Statistics s = statistics_of(rows, options.sample_weight, options.should_stop);
    mean = std::move(s.mean);
    scale = std::move(s.deviation);
  };
  take(X, scaling.input_mean, scaling.input_scale);
  const bool scales_y = net.output() == Output::kIdentity;
  if (scales_y) take(y, scaling.output_mean, scaling.output_scale);
  if (detail::has_one_target(net.loss_options())) {
    const auto n_out = static_cast<std::size_t>(net.layers().back());
    scaling.output_mean.resize(n_out, scaling.output_mean[0]);
    scaling.output_scale.resize(n_out, scaling.output_scale[0]);
  }
  return detail::checked_scaling<T>("fit", scaling, net.layers().front(), net.layers().back(),
                                    net.output(), net.loss_options());
}

/// While one exists, the network has its parameters for scaled rows.
template <class T>
class Unfolded {
 public:
  explicit Unfolded(Network<T>* net) : net_(net) {
    if (net_ != nullptr) net_->unfold_scaling();
  }
  ~Unfolded() {
    if (net_ != nullptr) net_->refold_scaling();
  }
  Unfolded(const Unfolded&) = delete;
  Unfolded& operator=(const Unfolded&) = delete;

 private:
  Network<T>* net_;
};

/// Returns the state in which the loop over epochs begins. If options.resume is given, the state
/// has its history, and the network and the optimizer get the rest.
template <class T>
TrainingState<T> begin(Network<T>& net, Optimizer& optimizer, const FitOptions<T>& options,
                       std::ptrdiff_t rows, Patience& patience, Snapshot<T>& best, Rates& rates) {
  TrainingState<T> state;
  detail::set_constants(net, optimizer, options, rows, state);
  const TrainingState<T>* const resume = options.resume;
  if (resume != nullptr) {
    detail::check_resume(state, *resume, options.epochs);
    detail::check_vectors(*resume, static_cast<std::size_t>(net.n_parameters()),
                          optimizer.state_count());
    state.first_epoch = resume->first_epoch;
    state.history = resume->history;
    const std::int64_t of_best = patience.replay(state.history.val_loss);
    if (of_best > 0) best.set(resume->best, state.first_epoch + of_best);
    StoppedBy& ending = state.history.stopped_by;
    if (patience.is_over()) {
      ending = StoppedBy::kEarlyStopping;
    } else if (ending == StoppedBy::kEarlyStopping) {
      ending = StoppedBy::kEpochs;  // there is more patience now
    }
  }
  rates.replay(state.first_epoch, state.history);
  if (resume != nullptr) detail::apply(net, optimizer, *resume);
  return state;
}

/// Whether to give the state to on_checkpoint.
bool is_due(const History& history, std::int64_t epochs, std::int64_t every) {
  const auto done = static_cast<std::int64_t>(history.loss.size());
  return history.stopped_by != StoppedBy::kEpochs || done == epochs || done % every == 0;
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
  how.dropout_seed = detail::seed_of(*this, options);

  Patience patience(options.early_stopping);
  Snapshot<T> best(*this);  // the optimizer is left as it is after the last epoch
  Rates rates(optimizer, options.schedule);
  std::optional<Scaling> measured;  // before anything is changed
  if (options.standardize && options.resume == nullptr && !scaling()) {
    measured = measure(*this, X, y, options);
  }
  TrainingState<T> state = begin(*this, optimizer, options, rows, patience, best, rates);
  History& history = state.history;
  Snapshot<T> before(*this, &optimizer);
  detail::Poller between_epochs(options.should_stop);  // one epoch may be too short to ask in
  auto epoch = static_cast<std::int64_t>(history.loss.size());
  for (; history.stopped_by == StoppedBy::kEpochs && epoch < options.epochs; ++epoch) {
    const detail::DefaultFloatMode mode;  // again, because a callback may have changed it
    rates.use();
    EpochLog log;
    log.epoch = epoch;
    log.learning_rate = optimizer.learning_rate();
    const auto train = [&] {
      if (measured) epochs_trained() > 0 ? set_scaling(measured) : fold_scaling(*measured);
      const Unfolded<T> unfolded(options.standardize ? this : nullptr);
      if (options.shuffle) {
        permutation(order.data(), rows, how.dropout_seed,
                    static_cast<std::uint64_t>(epochs_trained()), options.should_stop);
      }
      return train_epoch(X, y, order.data(), rows, std::min(options.batch_size, rows), optimizer,
                         options.sample_weight, options.should_stop, how)
          .mean();
    };
    try {
      log.loss = finite_epoch(*this, before, epoch, log.learning_rate, train,
                              [&] { return too_large(*this, X, y, options); });
    } catch (const Diverged&) {
      if (measured) set_scaling(std::nullopt);
      throw;
    }
    measured.reset();
    history.loss.push_back(log.loss);
    history.learning_rate.push_back(log.learning_rate);
    if (validation) {
      log.val_loss =
          loss(validation->X, validation->y, validation->sample_weight, options.should_stop).mean();
      history.val_loss.push_back(*log.val_loss);
    }
    if (patience.count(log.val_loss)) best.save();
    rates.ask(epochs_trained(), &log);
    if (options.on_epoch && options.on_epoch(log)) history.stopped_by = StoppedBy::kCallback;
    if (patience.is_over()) history.stopped_by = StoppedBy::kEarlyStopping;
    if (options.on_checkpoint && is_due(history, options.epochs, options.every)) {
      detail::capture(*this, optimizer, state);
      if (options.early_stopping) state.best = best.parameters();
      options.on_checkpoint(state);
    }
    between_epochs.worked(detail::Poller::kFlopsPerLook);
  }
  best.restore();
  return std::move(state.history);
}

template History Network<float>::fit(const RowSource<float>&, const RowSource<float>&, Optimizer&,
                                     const FitOptions<float>&);
template History Network<double>::fit(const RowSource<double>&, const RowSource<double>&,
                                      Optimizer&, const FitOptions<double>&);

}  // namespace fastmlp
