// The choices a network is made of, and their names. The names are the same in C++, in Python and
// in files.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace fastmlp {

/// The activation of a hidden layer; the equations are in docs/mathematics.md.
enum class Activation { kRelu, kSigmoid, kTanh, kIdentity };

/// The activation of the last layer, which fixes the loss: sigmoid with binary cross-entropy,
/// softmax with categorical cross-entropy, identity with half the squared error.
enum class Output { kSigmoid, kSoftmax, kIdentity };

/// Names in the order of the enums.
inline constexpr std::array<std::string_view, 4> kActivationNames = {"relu", "sigmoid", "tanh",
                                                                     "identity"};
inline constexpr std::array<std::string_view, 3> kOutputNames = {"sigmoid", "softmax", "identity"};

inline constexpr std::string_view name_of(Activation activation) {
  return kActivationNames[static_cast<std::size_t>(activation)];
}
inline constexpr std::string_view name_of(Output output) {
  return kOutputNames[static_cast<std::size_t>(output)];
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
