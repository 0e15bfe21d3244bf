// The choices a network is made of, and their names. The names are the same in C++, in Python and
// in files.
#pragma once

#include <fastmlp/visibility.hpp>

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

namespace fastmlp {

/// The activation of a hidden layer; the equations are in docs/mathematics.md, "Activations".
enum class Activation {
  kRelu,
  kSigmoid,
  kTanh,
  kIdentity,
  kLeakyRelu,
  kElu,
  kSoftplus,
  kGelu,
  kSilu
};

/// The activation of the last layer, which fixes the loss: sigmoid with binary cross-entropy,
/// softmax with categorical cross-entropy, identity with half the squared error, exp with half the
/// Poisson deviance.
enum class Output { kSigmoid, kSoftmax, kIdentity, kExp };

/// The name of an activation or of an output, such as "relu".
/// \pre it is one of the enum's
FASTMLP_EXPORT std::string_view name_of(Activation activation);
FASTMLP_EXPORT std::string_view name_of(Output output);

/// All names, in the order of the enums.
FASTMLP_EXPORT std::vector<std::string_view> activation_names();
FASTMLP_EXPORT std::vector<std::string_view> output_names();

/// The activation called `name`.
/// \throws std::invalid_argument for an unknown name; the message lists those there are.
FASTMLP_EXPORT Activation parse_activation(std::string_view name);

/// The output called `name`.
/// \throws std::invalid_argument for an unknown name; the message lists those there are.
FASTMLP_EXPORT Output parse_output(std::string_view name);

/// The values that a hyper-parameter may have: finite and above 0, finite and at least 0,
/// in [0, 1), or in [0, 1].
enum class Interval { kPositive, kNotNegative, kBelowOne, kUpToOne };

// The optimizers' hyper-parameters. Each struct names them once, in visit(options, see), which
// calls see(name, value, interval) for a number and see(name, flag) for a bool; what is checked and
// what Python sees follow from that. All of them have a learning_rate, a weight_decay of weights
// (not of biases), and `decoupled`: whether a step multiplies the weights by 1 - learning_rate *
// weight_decay (Loshchilov and Hutter, 2019, arXiv:1711.05101). Otherwise weight_decay theta is
// added to the gradient.

/// Gradient descent, with a velocity if momentum is not 0 (Sutskever et al., 2013):
/// g = dtheta + weight_decay theta,  v = momentum v - learning_rate g,
/// theta = theta + v, or with Nesterov's look ahead theta + momentum v - learning_rate g.
struct SgdOptions {
  static constexpr std::string_view kName = "SGD";
  double learning_rate = 0.01;  ///< positive and finite
  double momentum = 0.0;        ///< in [0, 1]
  bool nesterov = false;        ///< without effect if momentum is 0
  double weight_decay = 0.0;    ///< finite, at least 0
  bool decoupled = false;       ///< true: SGDW

  template <class Options, class See>
  static void visit(Options& o, const See& see) {
    see("learning_rate", o.learning_rate, Interval::kPositive);
    see("momentum", o.momentum, Interval::kUpToOne);
    see("nesterov", o.nesterov);
    see("weight_decay", o.weight_decay, Interval::kNotNegative);
    see("decoupled", o.decoupled);
  }
};

/// Adam (Kingma and Ba, 2015, arXiv:1412.6980), t counting the updates from 1:
/// g = dtheta + weight_decay theta,  m = beta_1 m + (1 - beta_1) g,
/// v = beta_2 v + (1 - beta_2) g^2,  m' = m / (1 - beta_1^t),  v' = v / (1 - beta_2^t),
/// theta = theta - learning_rate m' / (sqrt(v') + epsilon).
struct AdamOptions {
  static constexpr std::string_view kName = "Adam";
  double learning_rate = 0.001;  ///< positive and finite
  double beta_1 = 0.9;           ///< in [0, 1)
  double beta_2 = 0.999;         ///< in [0, 1)
  double epsilon = 1e-8;         ///< positive and finite
  /// Adds epsilon to sqrt(v) in place of sqrt(v'): the "epsilon hat" of the paper's section 2,
  /// which scikit-learn and TensorFlow use.
  bool epsilon_hat = false;
  double weight_decay = 0.0;  ///< finite, at least 0
  bool decoupled = false;     ///< true: AdamW

  template <class Options, class See>
  static void visit(Options& o, const See& see) {
    see("learning_rate", o.learning_rate, Interval::kPositive);
    see("beta_1", o.beta_1, Interval::kBelowOne);
    see("beta_2", o.beta_2, Interval::kBelowOne);
    see("epsilon", o.epsilon, Interval::kPositive);
    see("epsilon_hat", o.epsilon_hat);
    see("weight_decay", o.weight_decay, Interval::kNotNegative);
    see("decoupled", o.decoupled);
  }
};

/// Every optimizer of the library.
using OptimizerOptions = std::variant<SgdOptions, AdamOptions>;

/// What is minimised beside the plain mean loss, and how it is reported.
struct Objective {
  /// Adds alpha / (2 S) times the sum of all squared weights (not biases) to the mean loss of a
  /// batch of weight S, and alpha / S W to its gradient: scikit-learn's `alpha`. Finite, at least
  /// 0.
  double alpha = 0;
  /// The loss, and the gradient, are multiplied by these; where they differ, the gradient is not
  /// that of the loss. Positive and finite.
  double loss_scale = 1, gradient_scale = 1;
  /// Where it is positive, a sigmoid's or softmax's loss is reported as of probabilities in
  /// [clip, 1 - clip] for targets of 0 and 1; the gradient is as it is. In [0, 0.5).
  double clip = 0;
};

/// How train_epoch() goes about an epoch.
struct EpochOptions {
  Objective objective;
  /// For each hidden layer the share of its units that a step leaves out, in [0, 1); empty: none.
  /// Srivastava et al., 2014, with the units that stay times 1 / (1 - share).
  std::vector<double> dropout;
  /// Which ones: drawn from this, epochs_trained() and the step within the epoch.
  std::uint64_t dropout_seed = 0;
  /// Where it is not null: the mean loss of each batch before its step, penalty included.
  double* batch_losses = nullptr;
};

/// \throws std::invalid_argument unless the values are what their comments say.
FASTMLP_EXPORT void validate(const Objective& objective);
FASTMLP_EXPORT void validate(const OptimizerOptions& options);

}  // namespace fastmlp
