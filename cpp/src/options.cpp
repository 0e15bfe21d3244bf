// The names of activations, outputs and losses, taken from the kernels' structs, and the checks of
// hyper-parameters, made by check.hpp.
#include <fastmlp/options.hpp>

#include "check.hpp"
#include "dispatch.hpp"

#include <type_traits>

namespace fastmlp {
namespace {

template <class Kernels>
std::vector<std::string_view> names(const Kernels* parts, std::size_t n) {
  std::vector<std::string_view> all;
  all.reserve(n);
  for (std::size_t i = 0; i < n; ++i) all.emplace_back(parts[i].name);
  return all;
}

template <class Enum>
Enum parse(const char* what, const std::vector<std::string_view>& all, std::string_view name) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i] == name) return static_cast<Enum>(i);
  }
  detail::refuse_name("Network", what, name, all);
}

}  // namespace

std::string_view name_of(Activation activation) { return detail::about(activation).name; }
std::string_view name_of(Output output) { return detail::about(output).name; }
std::string_view name_of(Loss loss) { return detail::about(loss).name; }

Labels labels_of(Output output) {
  switch (detail::about(output).targets) {
    case detail::Targets::kUnitInterval:
      return Labels::kThreshold;
    case detail::Targets::kClasses:
      return Labels::kLargest;
    case detail::Targets::kReal:
    case detail::Targets::kNotNegative:
      break;
  }
  return Labels::kNone;
}

std::vector<std::string_view> activation_names() {
  const auto& parts = detail::scalar_kernels();
  return names(parts.activations, parts.n_activations);
}
std::vector<std::string_view> output_names() {
  const auto& parts = detail::scalar_kernels();
  return names(parts.outputs, parts.n_outputs);
}
std::vector<std::string_view> loss_names() {
  const auto& parts = detail::scalar_kernels();
  return names(parts.losses, parts.n_losses);
}

Activation parse_activation(std::string_view name) {
  return parse<Activation>("activation", activation_names(), name);
}
Output parse_output(std::string_view name) { return parse<Output>("output", output_names(), name); }
Loss parse_loss(std::string_view name) { return parse<Loss>("loss", loss_names(), name); }

void validate(const Objective& objective) {
  const detail::DefaultFloatMode mode;
  detail::check_not_negative("Objective", "alpha", objective.alpha);
  detail::check_positive("Objective", "loss_scale", objective.loss_scale);
  detail::check_positive("Objective", "gradient_scale", objective.gradient_scale);
  detail::check_between("Objective", "clip", objective.clip, 0, 0.5, false);
}

void validate(const OptimizerOptions& options) {
  const detail::DefaultFloatMode mode;
  std::visit(
      [](const auto& chosen) {
        chosen.visit(chosen, detail::HyperParameterCheck{detail::name_of_optimizer(chosen)});
      },
      options);
}

std::vector<std::pair<std::string_view, double>> hyper_parameters(const OptimizerOptions& options) {
  std::vector<std::pair<std::string_view, double>> all;
  std::visit(
      [&](const auto& chosen) {
        chosen.visit(chosen, [&](const char* name, auto value, auto...) {
          all.emplace_back(name, static_cast<double>(value));
        });
        // For some optimizers this is a constant, which visit() does not show.
        if (all.back().first != "decoupled") all.emplace_back("decoupled", chosen.decoupled);
      },
      options);
  return all;
}

}  // namespace fastmlp
