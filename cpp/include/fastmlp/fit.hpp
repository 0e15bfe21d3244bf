// The arguments of Network<T>::fit() (FitOptions), its result (History) and its state between two
// epochs (TrainingState).
#pragma once

#include <fastmlp/options.hpp>
#include <fastmlp/row_source.hpp>
#include <fastmlp/scaling.hpp>
#include <fastmlp/should_stop.hpp>
#include <fastmlp/visibility.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace fastmlp {

/// Ends fit() if the validation loss has not improved for some epochs. At its end, fit() also puts
/// the network, epochs_trained() included, back to the epoch with the lowest validation loss.
struct EarlyStopping {
  std::int64_t patience = 1;  ///< fit() ends after this many epochs without improvement; at least 1
  double min_delta = 0;       ///< an improvement is lower by more than this; finite, at least 0
};

/// One epoch of fit().
struct EpochLog {
  std::int64_t epoch = 0;  ///< from 0 in this fit()
  double loss = 0;         ///< the mean loss; each row's loss is taken before the step of its batch
  std::optional<double> val_loss;
  double learning_rate = 0;
};

/// Data whose loss fit() computes after each epoch.
template <class T>
struct ValidationData {
  RowSource<T> X;  ///< (m, n_0)
  RowSource<T> y;  ///< as for Network::loss()
  const double* sample_weight = nullptr;
};

/// Why fit() ended.
enum class StoppedBy { kEpochs, kEarlyStopping, kCallback };

/// The result of fit(): one entry for each epoch. Without validation, `val_loss` is empty.
struct History {
  std::vector<double> loss, val_loss, learning_rate;
  StoppedBy stopped_by = StoppedBy::kEpochs;
};

/// What a TrainingState has besides vectors of T.
struct TrainingRecord {
  // The network
  std::vector<std::ptrdiff_t> layers;
  std::vector<Activation> hidden;
  Output output = Output::kSigmoid;
  LossOptions loss;
  std::uint64_t network_seed = 0;
  std::int64_t epochs_trained = 0;
  std::optional<Scaling> scaling;
  std::map<std::string, std::string> metadata;

  // The optimizer
  OptimizerOptions optimizer;  ///< with the learning rate that it had when the run began
  double learning_rate = 0;    ///< of the last epoch
  std::int64_t steps = 0;      ///< this and the next line are from Optimizer::State
  double beta_1_power = 1, beta_2_power = 1;

  // The epochs so far
  std::int64_t first_epoch = 0;  ///< epochs_trained() when the run began
  History history;

  // What must not change when the run resumes
  std::ptrdiff_t rows = 0;
  std::ptrdiff_t batch_size = 0;  ///< at most `rows`
  bool shuffle = false;
  std::uint64_t seed = 0;       ///< of shuffling and dropout; 0 without them
  std::vector<double> dropout;  ///< empty without dropout
  bool sample_weight = false;   ///< the flags say whether the run has this option
  bool schedule = false, validation = false, early_stopping = false, standardize = false;
};

/// The state of a training run after an epoch: all that fit() needs to continue as if it had never
/// stopped. save_checkpoint() stores it in a file.
template <class T>
struct TrainingState : TrainingRecord {
  std::vector<T> parameters;
  std::vector<T> vectors[2];  ///< those of the optimizer's state; the others are empty
  std::vector<T> best;        ///< with early stopping, the best epoch's parameters, or zeros
};

/// The options of fit(). An option with the name of an argument of Python's `fit` means the same.
template <class T>
struct FitOptions {
  std::int64_t epochs = 1;         ///< passes over the rows, at least 1
  std::ptrdiff_t batch_size = 32;  ///< rows per step, at least 1; the last step may have fewer
  bool shuffle = true;             ///< each epoch takes the rows in a new permutation()
  const double* sample_weight = nullptr;  ///< null, or m finite weights, none negative
  /// Trains on scaled rows: each column of X, and of y for the output identity, minus its mean and
  /// divided by its deviation. The scaling is folded into the network after every epoch, so that
  /// the network takes raw rows. A network that has a scaling() keeps it; otherwise it is measured
  /// on X and y, with sample_weight. The weights of a network without trained epochs are taken as
  /// those for scaled rows; a trained network goes on from what it has learned on raw rows.
  bool standardize = false;
  std::optional<ValidationData<T>> validation;
  std::optional<EarlyStopping> early_stopping;  ///< needs `validation`
  std::vector<double> dropout;                  ///< see EpochOptions::dropout
  /// Of shuffling and dropout. The default is the network's or, with `resume`, that of its run.
  std::optional<std::uint64_t> seed;
  /// Returns the learning rate of the next epoch, positive and finite. `epoch` is the number of
  /// that epoch (epochs_trained()), `learning_rate` is the optimizer's own rate when fit() began,
  /// and `last` is the log of the epoch before, null at the beginning. fit() calls the schedule at
  /// the beginning and after every epoch, the last one included: `epochs` + 1 times in all. So a
  /// schedule that keeps a state sees every log.
  std::function<double(std::int64_t epoch, double learning_rate, const EpochLog* last)> schedule;
  /// Called after each epoch. Training ends if it returns true.
  std::function<bool(const EpochLog&)> on_epoch;
  /// Receives the state after every `every` epochs and after the last one, to store it.
  std::function<void(const TrainingState<T>&)> on_checkpoint;
  std::int64_t every = 1;  ///< at least 1
  /// If not null, fit() continues from this state until `epochs` epochs have been run in all. It
  /// copies the state to the network and the optimizer. Give the same data and options; only
  /// epochs, the numbers in early_stopping, every and the callbacks may differ. The schedule is
  /// called again for past epochs; on_epoch is not. A run that had finished all its epochs
  /// continues if epochs is now larger, and one that early stopping ended if patience is. A run
  /// that on_epoch ended does not continue.
  const TrainingState<T>* resume = nullptr;
  ShouldStop should_stop;
};

/// Thrown by fit() if the loss or a parameter is no longer finite. The network is then put back to
/// its state after the last finite epoch.
class FASTMLP_EXPORT Diverged : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace fastmlp
