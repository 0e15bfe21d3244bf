// The choices a network is made of, and their names. The names are the same in C++, in Python and
// in files.
#pragma once

#include <fastmlp/visibility.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fastmlp {

/// The activation of a hidden layer; the equations are in docs/mathematics.md.
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

/// Names in the order of the enums.
inline constexpr std::array<std::string_view, 9> kActivationNames = {
    "relu", "sigmoid", "tanh", "identity", "leaky_relu", "elu", "softplus", "gelu", "silu"};
inline constexpr std::array<std::string_view, 4> kOutputNames = {"sigmoid", "softmax", "identity",
                                                                 "exp"};

inline constexpr std::string_view name_of(Activation activation) {
  return kActivationNames[static_cast<std::size_t>(activation)];
}
inline constexpr std::string_view name_of(Output output) {
  return kOutputNames[static_cast<std::size_t>(output)];
}

/// Whether it lets about half of the signal pass: that of z > 0, and little of the rest. The
/// weights before such a layer start larger.
inline constexpr bool is_rectifier(Activation activation) {
  switch (activation) {
    case Activation::kRelu:
    case Activation::kLeakyRelu:
    case Activation::kElu:
    case Activation::kSoftplus:
    case Activation::kGelu:
    case Activation::kSilu:
      return true;
    case Activation::kSigmoid:
    case Activation::kTanh:
    case Activation::kIdentity:
      return false;
  }
  return false;
}

/// The activation called `name`.
/// \throws std::invalid_argument for an unknown name; the message lists those there are.
FASTMLP_EXPORT Activation parse_activation(std::string_view name);

/// The output called `name`.
/// \throws std::invalid_argument for an unknown name; the message lists those there are.
FASTMLP_EXPORT Output parse_output(std::string_view name);

/// Gradient descent, with a velocity where momentum is not 0 (Sutskever et al., 2013):
/// g = dtheta + weight_decay theta,  v = momentum v - learning_rate g,
/// theta = theta + v, or with Nesterov's look ahead theta + momentum v - learning_rate g.
/// Decoupled, the decay is not in g, but theta is first multiplied by 1 - learning_rate *
/// weight_decay (Loshchilov and Hutter, 2019, arXiv:1711.05101).
struct SgdOptions {
  double learning_rate = 0.01;  ///< positive and finite
  double momentum = 0.0;        ///< in [0, 1]
  bool nesterov = false;        ///< without effect where momentum is 0
  double weight_decay = 0.0;    ///< finite, at least 0; of weights, not of biases
  bool decoupled = false;       ///< decay as SGDW does it
};

/// Adam (Kingma and Ba, 2015, arXiv:1412.6980), t counting the updates from 1:
/// g = dtheta + weight_decay theta,  m = beta_1 m + (1 - beta_1) g,
/// v = beta_2 v + (1 - beta_2) g^2,  m' = m / (1 - beta_1^t),  v' = v / (1 - beta_2^t),
/// theta = theta - learning_rate m' / (sqrt(v') + epsilon).
/// Decoupled decay as for SgdOptions: AdamW.
struct AdamOptions {
  double learning_rate = 0.001;  ///< positive and finite
  double beta_1 = 0.9;           ///< in [0, 1)
  double beta_2 = 0.999;         ///< in [0, 1)
  double epsilon = 1e-8;         ///< positive and finite
  /// Adds epsilon to sqrt(v) in place of sqrt(v'): the "epsilon hat" of the paper's section 2,
  /// which scikit-learn and TensorFlow use.
  bool epsilon_hat = false;
  double weight_decay = 0.0;  ///< finite, at least 0; of weights, not of biases
  bool decoupled = false;     ///< decay as AdamW does it
};

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

/// \throws std::invalid_argument unless the hyper-parameters are what their comments say.
FASTMLP_EXPORT void validate(const Objective& objective);
FASTMLP_EXPORT void validate(const SgdOptions& options);
FASTMLP_EXPORT void validate(const AdamOptions& options);

}  // namespace fastmlp
