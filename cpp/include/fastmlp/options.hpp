// The choices a network is made of, and their names. The names are the same in C++, in Python and
// in files.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

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
Activation parse_activation(std::string_view name);

/// The output called `name`.
/// \throws std::invalid_argument for an unknown name; the message lists those there are.
Output parse_output(std::string_view name);

/// Gradient descent: theta = theta - learning_rate * dtheta.
struct SgdOptions {
  double learning_rate = 0.01;  ///< positive and finite
};

/// \throws std::invalid_argument unless the hyper-parameters are what their comments say.
void validate(const SgdOptions& options);

}  // namespace fastmlp
