// What Network<T>::fit() is asked for, and what it says of how it went.
#pragma once

#include <fastmlp/visibility.hpp>
#include <fastmlp/row_source.hpp>
#include <fastmlp/should_stop.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <vector>

namespace fastmlp {

/// Ends fit() when the validation loss has not improved for some epochs; at the end the network is
/// as it was after the epoch of the lowest one, epochs_trained() included.
struct EarlyStopping {
  std::int64_t patience = 1;  ///< epochs without improvement, at least 1
  double min_delta = 0;       ///< what counts as one: lower by more than this; finite, at least 0
};

/// One epoch of fit().
struct EpochLog {
  std::int64_t epoch = 0;  ///< from 0 in this fit()
  double loss = 0;         ///< the mean loss, every row's at the time its batch was seen
  std::optional<double> val_loss;
  double learning_rate = 0;
};

/// Rows whose loss is taken after each epoch.
template <class T>
struct ValidationData {
  RowSource<T> X;  ///< (m, n_0)
  RowSource<T> y;  ///< as for Network::loss()
  const T* sample_weight = nullptr;
};

/// How fit() goes about it. What is named is as in Python's `fit`.
template <class T>
struct FitOptions {
  std::int64_t epochs = 1;           ///< passes over the rows, at least 1
  std::ptrdiff_t batch_size = 32;    ///< rows per step, at least 1; the last one may have fewer
  bool shuffle = true;               ///< rows in the order of permutation(), drawn anew each epoch
  const T* sample_weight = nullptr;  ///< null or m finite weights, none negative
  std::optional<ValidationData<T>> validation;
  std::optional<EarlyStopping> early_stopping;  ///< needs `validation`
  std::vector<double> dropout;                  ///< as EpochOptions::dropout
  std::optional<std::uint64_t> seed;  ///< of shuffling and dropout, in place of Network::seed()
  /// The learning rate of the epoch to come, from its number (epochs_trained()), the optimizer's
  /// own rate as fit() found it, and the epoch before, null at the beginning. Positive and finite.
  /// Asked at the beginning and after every epoch, the last one included, so that one with a memory
  /// misses none: for `epochs` epochs it is asked once more than that.
  std::function<double(std::int64_t epoch, double learning_rate, const EpochLog* last)> schedule;
  /// Called after each epoch; true ends the training.
  std::function<bool(const EpochLog&)> on_epoch;
  ShouldStop should_stop;
};

/// What ended fit().
enum class StoppedBy { kEpochs, kEarlyStopping, kCallback };

/// What fit() did: one entry for each epoch (of `val_loss` none without validation).
struct History {
  std::vector<double> loss, val_loss, learning_rate;
  StoppedBy stopped_by = StoppedBy::kEpochs;
};

/// Thrown by fit() where the loss or a parameter is no longer finite. The network is then as after
/// the last finite epoch.
class FASTMLP_EXPORT Diverged : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace fastmlp
