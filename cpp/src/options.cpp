// Names and hyper-parameters; the checks are check.hpp's.
#include <fastmlp/options.hpp>

#include "check.hpp"

namespace fastmlp {
namespace {

template <class Enum, class Names>
Enum parse(const char* what, const Names& names, std::string_view name) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
  }
  detail::refuse_name("Network", what, name, names);
}

}  // namespace

Activation parse_activation(std::string_view name) {
  return parse<Activation>("activation", kActivationNames, name);
}

Output parse_output(std::string_view name) { return parse<Output>("output", kOutputNames, name); }

void validate(const Objective& objective) {
  detail::check_not_negative("Objective", "alpha", objective.alpha);
  detail::check_positive("Objective", "loss_scale", objective.loss_scale);
  detail::check_positive("Objective", "gradient_scale", objective.gradient_scale);
  detail::check_between("Objective", "clip", objective.clip, 0, 0.5, false);
}

void validate(const SgdOptions& options) {
  detail::check_learning_rate<double>("SGD", options.learning_rate);
  detail::check_between("SGD", "momentum", options.momentum, 0, 1, true);
  detail::check_not_negative("SGD", "weight_decay", options.weight_decay);
}

void validate(const AdamOptions& options) {
  const char* function = options.decoupled ? "AdamW" : "Adam";
  detail::check_learning_rate<double>(function, options.learning_rate);
  detail::check_between(function, "beta_1", options.beta_1, 0, 1, false);
  detail::check_between(function, "beta_2", options.beta_2, 0, 1, false);
  detail::check_positive(function, "epsilon", options.epsilon);
  detail::check_not_negative(function, "weight_decay", options.weight_decay);
}

}  // namespace fastmlp
