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

void validate(const SgdOptions& options) {
  detail::check_learning_rate<double>("SGD", options.learning_rate);
}

}  // namespace fastmlp
