// The options of a network and of its training: activations, outputs and optimizers. Their names
// are the same in C++, in Python and in files.
#pragma once

#include <fastmlp/visibility.hpp>

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
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
  kSilu,
  kMish,
  kSelu,
  kHardSigmoid
};

/// The activation of the last layer. Each has its own loss: sigmoid has binary cross-entropy,
/// softmax has categorical cross-entropy, identity has half the squared error, and exp has half the
/// Poisson deviance.
enum class Output { kSigmoid, kSoftmax, kIdentity, kExp };

/// The losses that an identity output can have instead of its own; the equations are in
/// docs/mathematics.md, "Outputs and losses".
enum class Loss { kHuber, kAbsoluteError, kPinball };

/// The loss of a network. Only an identity output takes another loss than its own.
///
/// ```cpp
/// fastmlp::LossOptions huber{fastmlp::Loss::kHuber, /*delta=*/0.5};
/// fastmlp::LossOptions pinball{fastmlp::Loss::kPinball, 1, {0.05, 0.5, 0.95}};
/// ```
struct LossOptions {
  std::optional<Loss> kind;  ///< empty: the output's own loss
  /// For kHuber: the error at which the loss turns from a parabola into a line. Positive and finite
  /// in the type of the network; 1 with any other loss.
  double delta = 1;
  /// For kPinball, empty with any other loss: the quantile that each output estimates, increasing,
  /// above 0 and below 1. A row has one target, y (m, 1), which is compared with every output.
  std::vector<double> quantiles = {};
};

/// The name of an activation, of an output or of a loss, such as "relu".
/// \pre the argument is an enumerator
FASTMLP_EXPORT std::string_view name_of(Activation activation);
FASTMLP_EXPORT std::string_view name_of(Output output);
FASTMLP_EXPORT std::string_view name_of(Loss loss);

/// How predict() makes labels of an output: it compares each unit with a threshold, it takes the
/// largest unit of a row, or there are no labels.
enum class Labels { kNone, kThreshold, kLargest };
FASTMLP_EXPORT Labels labels_of(Output output);

/// All names, in the order of the enums.
FASTMLP_EXPORT std::vector<std::string_view> activation_names();
FASTMLP_EXPORT std::vector<std::string_view> output_names();
FASTMLP_EXPORT std::vector<std::string_view> loss_names();

/// The activation called `name`.
/// \throws std::invalid_argument for an unknown name; the message lists the known names
FASTMLP_EXPORT Activation parse_activation(std::string_view name);

/// The output called `name`.
/// \throws std::invalid_argument for an unknown name; the message lists the known names
FASTMLP_EXPORT Output parse_output(std::string_view name);

/// The loss called `name`.
/// \throws std::invalid_argument for an unknown name; the message lists the known names
FASTMLP_EXPORT Loss parse_loss(std::string_view name);

/// The interval of a hyper-parameter: above 0 and finite (kPositive), at least 0 and finite
/// (kNotNegative), [0, 1) (kBelowOne) or [0, 1] (kUpToOne).
enum class Interval { kPositive, kNotNegative, kBelowOne, kUpToOne };

// The hyper-parameters of the optimizers. Each struct names them once, in visit(options, see),
// which calls see(name, value, interval) for a number and see(name, flag) for a bool. The checks
// and the Python classes follow from these calls. Every struct has a learning_rate, a weight_decay
// of weights (not of biases) and the flag `decoupled`. If it is true, a step multiplies the weights
// by 1 - learning_rate * weight_decay (Loshchilov and Hutter, 2019, arXiv:1711.05101). Otherwise a
// step adds weight_decay theta to the gradient.

/// Gradient descent, with a velocity if momentum is not 0 (Sutskever et al., 2013):
/// g = dtheta + weight_decay theta,  v = momentum v - learning_rate g,
/// theta = theta + v, or, with nesterov, theta = theta + momentum v - learning_rate g.
struct SgdOptions {
  static constexpr std::string_view kName = "SGD";
  double learning_rate = 0.01;  ///< positive and finite
  double momentum = 0.0;        ///< in [0, 1]
  bool nesterov = false;        ///< has no effect if momentum is 0
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

/// Adam (Kingma and Ba, 2015, arXiv:1412.6980). t is the number of the update, from 1:
/// g = dtheta + weight_decay theta,  m = beta_1 m + (1 - beta_1) g,
/// v = beta_2 v + (1 - beta_2) g^2,  m' = m / (1 - beta_1^t),  v' = v / (1 - beta_2^t),
/// theta = theta - learning_rate m' / (sqrt(v') + epsilon).
struct AdamOptions {
  static constexpr std::string_view kName = "Adam";
  double learning_rate = 0.001;  ///< positive and finite
  double beta_1 = 0.9;           ///< in [0, 1)
  double beta_2 = 0.999;         ///< in [0, 1)
  double epsilon = 1e-8;         ///< positive and finite
  /// If true, epsilon is added to sqrt(v) instead of sqrt(v'). This is the "epsilon hat" of the
  /// paper's section 2, which scikit-learn and TensorFlow use.
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

/// RMSprop (Hinton, 2012), in PyTorch's form: g = dtheta + weight_decay theta,
/// v = alpha v + (1 - alpha) g^2,  theta = theta - learning_rate g / (sqrt(v) + epsilon).
struct RmspropOptions {
  static constexpr std::string_view kName = "RMSprop";
  double learning_rate = 0.01;  ///< positive and finite
  double alpha = 0.99;          ///< in [0, 1)
  double epsilon = 1e-8;        ///< positive and finite
  double weight_decay = 0.0;    ///< finite, at least 0
  static constexpr bool decoupled = false;

  template <class Options, class See>
  static void visit(Options& o, const See& see) {
    see("learning_rate", o.learning_rate, Interval::kPositive);
    see("alpha", o.alpha, Interval::kBelowOne);
    see("epsilon", o.epsilon, Interval::kPositive);
    see("weight_decay", o.weight_decay, Interval::kNotNegative);
  }
};

/// Lion (Chen et al., 2023, arXiv:2302.06675):
/// theta = theta - learning_rate sign(beta_1 m + (1 - beta_1) dtheta), then
/// m = beta_2 m + (1 - beta_2) dtheta. The decay is decoupled.
struct LionOptions {
  static constexpr std::string_view kName = "Lion";
  double learning_rate = 1e-4;  ///< positive and finite
  double beta_1 = 0.9;          ///< in [0, 1)
  double beta_2 = 0.99;         ///< in [0, 1)
  double weight_decay = 0.0;    ///< finite, at least 0
  static constexpr bool decoupled = true;

  template <class Options, class See>
  static void visit(Options& o, const See& see) {
    see("learning_rate", o.learning_rate, Interval::kPositive);
    see("beta_1", o.beta_1, Interval::kBelowOne);
    see("beta_2", o.beta_2, Interval::kBelowOne);
    see("weight_decay", o.weight_decay, Interval::kNotNegative);
  }
};

/// Every optimizer of the library.
using OptimizerOptions = std::variant<SgdOptions, AdamOptions, RmspropOptions, LionOptions>;

/// The hyper-parameters of an optimizer with their names, in the order of visit(), then
/// `decoupled`. A flag is 0 or 1.
FASTMLP_EXPORT std::vector<std::pair<std::string_view, double>> hyper_parameters(
    const OptimizerOptions& options);

/// The penalty that training adds to the mean loss, and how the loss is reported.
struct Objective {
  /// Adds alpha / (2 S) times the sum of all squared weights (not biases) to the mean loss of a
  /// batch, and alpha / S W to its gradient. S is the sum of the batch's sample weights. This is
  /// scikit-learn's `alpha`. Finite, at least 0.
  double alpha = 0;
  /// The loss and the gradient are multiplied by these; the penalty is not. If the two differ, the
  /// gradient is not that of the reported loss. Positive and finite.
  double loss_scale = 1, gradient_scale = 1;
  /// If positive, the loss of a sigmoid or softmax output is reported as if its probabilities were
  /// limited to [clip, 1 - clip], for targets of 0 and 1. The gradient does not change. The clip is
  /// in [0, 0.5).
  double clip = 0;
};

/// The options of train_epoch().
struct EpochOptions {
  Objective objective;
  /// The share of units that a step leaves out, in [0, 1), for each hidden layer; empty for no
  /// dropout. As by Srivastava et al., 2014, but the units that stay are multiplied by 1 / (1 -
  /// share) in training, so that predictions need no factor.
  std::vector<double> dropout;
  /// Decides, with epochs_trained() and the number of the step within the epoch, which units are
  /// left out.
  std::uint64_t dropout_seed = 0;
  /// If not null, receives the mean loss of each batch before its step, penalty included.
  double* batch_losses = nullptr;
};

/// \throws std::invalid_argument if a value is outside the interval that its comment gives
FASTMLP_EXPORT void validate(const Objective& objective);
FASTMLP_EXPORT void validate(const OptimizerOptions& options);

}  // namespace fastmlp
