// Optimizer: its state, the network that the state belongs to, and the numbers of a step. The rules
// themselves are in kernels/optimizers.hpp.
#include "network/optimizer_impl.hpp"

#include "check.hpp"
#include "kernels/vec_scalar.hpp"

#include "kernels/optimizers.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

namespace fastmlp {
namespace detail {
namespace {

template <class... R>
constexpr std::size_t place_of_plain_rule(List<R...>) {
  std::size_t place = 0, found = sizeof...(R);
  ((found = R::kIsGradientDescent ? place : found, ++place), ...);
  return found;
}
static_assert(place_of_plain_rule(Rules{}) == kPlainRule);

template <class R, class Options>
constexpr bool belongs_to = std::string_view(R::kOptimizer) == Options::kName;

/// Calls use(rule, place) with the rule that fits an optimizer's hyper-parameters and its place in
/// the list.
template <class Options, class Use, class... R>
void with_rule(const Options& options, List<R...>, const Use& use) {
  static_assert((belongs_to<R, Options> || ...), "an optimizer without a rule in Rules");
  std::size_t place = 0;
  const auto try_one = [&](auto rule) {
    if constexpr (belongs_to<decltype(rule), Options>) {
      if (rule.fits(options)) use(rule, place);
    }
    ++place;
  };
  (try_one(R{}), ...);
}

}  // namespace

std::uint64_t next_network_id() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

}  // namespace detail

Optimizer::Impl::Impl(const OptimizerOptions& given)
    : options(given),
      learning_rate(std::visit([](const auto& o) { return o.learning_rate; }, given)) {
  validate(options);
  std::visit(
      [&](const auto& o) {
        detail::with_rule(o, detail::Rules{}, [&](auto chosen, std::size_t place) {
          rule = place;
          states = chosen.kStates;
          is_gradient_descent = chosen.kIsGradientDescent;
        });
      },
      options);
}

OptimizerOptions Optimizer::Impl::options_now() const {
  OptimizerOptions now = options;
  std::visit([&](auto& o) { o.learning_rate = learning_rate; }, now);
  return now;
}

bool Optimizer::Impl::is_plain() const {
  return is_gradient_descent &&
         std::visit([](const auto& o) { return !(o.weight_decay > 0); }, options);
}

double Optimizer::Impl::decay() const {
  return std::visit([](const auto& o) { return o.decoupled ? 0.0 : o.weight_decay; }, options);
}

void Optimizer::Impl::allocate(std::ptrdiff_t n, std::ptrdiff_t element_bytes,
                               const void* const* vectors) {
  const std::ptrdiff_t stride = detail::round_up(n * element_bytes, 64), used = n * element_bytes;
  // A new buffer, because `vectors` may lie in the old one.
  detail::AlignedBuffer<std::byte> fresh(static_cast<std::size_t>(stride * states));
  std::fill_n(fresh.data(), stride * states, std::byte{0});
  for (int i = 0; vectors != nullptr && i < states; ++i) {
    std::memcpy(fresh.data() + i * stride, vectors[i], static_cast<std::size_t>(used));
  }
  memory = std::move(fresh);
  size = n;
  bytes = element_bytes;
}

template <class T>
void Optimizer::Impl::bind(const char* function, std::uint64_t id, std::ptrdiff_t n) {
  if (states == 0) return;
  std::uint64_t expected = 0;
  if (owner.compare_exchange_strong(expected, id)) {
    if (size == 0) {
      try {
        allocate(n, sizeof(T), nullptr);
      } catch (...) {
        owner = 0;
        throw;
      }
    } else if (size != n || bytes != static_cast<std::ptrdiff_t>(sizeof(T))) {
      owner = 0;
      detail::refuse(function, ": the optimizer's state is of ", size, " parameters of ", bytes,
                     " bytes; this network has ", n, " of ", sizeof(T));
    }
  } else if (expected != id) {
    detail::refuse(function,
                   ": the optimizer's state belongs to another network; make one for each network");
  }
}

template <class T>
detail::OptimizerStep<T> Optimizer::Impl::begin_step() {
  // Without a state it may serve several networks at once, so nothing is written.
  if (states > 0) ++steps;
  detail::OptimizerStep<T> step;
  for (int i = 0; i < states; ++i) step.state[i] = vector<T>(i);
  step.decay = static_cast<T>(decay());
  std::visit(
      [&](const auto& o) {
        step.shrink = static_cast<T>(o.decoupled ? 1 - o.learning_rate * o.weight_decay : 1.0);
        detail::with_rule(o, detail::Rules{}, [&](auto chosen, std::size_t) {
          const detail::StepNumbers<double> n = chosen.numbers(o, powers);
          step.numbers = {static_cast<T>(n.rate),   static_cast<T>(n.keep_1),
                          static_cast<T>(n.take_1), static_cast<T>(n.keep_2),
                          static_cast<T>(n.take_2), static_cast<T>(n.epsilon)};
        });
      },
      options_now());
  return step;
}

Optimizer::Impl::Updating::Updating(const Impl& optimizer, const ShouldStop& should_stop) {
  if (optimizer.states > 0) {
    const auto patience = should_stop ? detail::kPatience : detail::kShortPatience;
    alone_.emplace(optimizer.users, detail::kOptimizerInUse, patience, should_stop);
  } else {
    reading_.emplace(optimizer.users, detail::kOptimizerInUse);
  }
}

Optimizer::Optimizer(const OptimizerOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Optimizer::~Optimizer() = default;
Optimizer::Optimizer(Optimizer&&) noexcept = default;
Optimizer& Optimizer::operator=(Optimizer&&) noexcept = default;

OptimizerOptions Optimizer::options() const { return impl_->options_now(); }

double Optimizer::learning_rate() const { return impl_->learning_rate; }

void Optimizer::set_learning_rate(double learning_rate) {
  const detail::DefaultFloatMode mode;
  detail::check_positive("set_learning_rate", "learning_rate", learning_rate);
  impl_->learning_rate = learning_rate;
}

int Optimizer::state_count() const { return impl_->states; }

std::int64_t Optimizer::steps() const { return impl_->steps; }

std::shared_ptr<void> Optimizer::keep_state() const {
  return std::make_shared<detail::ReadLock>(impl_->users, detail::kOptimizerInUse);
}

Optimizer::State Optimizer::state() {
  State s;
  s.steps = impl_->steps;
  s.beta_1_power = impl_->powers.beta_1;
  s.beta_2_power = impl_->powers.beta_2;
  if (impl_->size == 0) return s;
  s.count = state_count();
  s.size = impl_->size;
  s.bytes = impl_->bytes;
  for (int i = 0; i < s.count; ++i) {
    s.vectors[i] = s.bytes == sizeof(float) ? static_cast<void*>(impl_->vector<float>(i))
                                            : impl_->vector<double>(i);
  }
  return s;
}

void Optimizer::set_state(const State& state) {
  const bool empty = state.size == 0;
  if (!empty && (state.count != state_count() || state.size < 0 ||
                 (state.bytes != sizeof(float) && state.bytes != sizeof(double)))) {
    detail::refuse("set_state: ", state.count, " vectors of ", state.size, " elements of ",
                   state.bytes, " bytes given; it must be ", state_count(),
                   " vectors of floats or doubles");
  }
  detail::check_steps(state.steps, state.beta_1_power, state.beta_2_power);
  const detail::WriteLock alone(impl_->users, detail::kOptimizerInUse, detail::kShortPatience);
  if (empty) {
    impl_->size = 0;
  } else {
    impl_->allocate(state.size, state.bytes, state.vectors);
  }
  impl_->steps = state.steps;
  impl_->powers = {state.beta_1_power, state.beta_2_power};
  impl_->owner = 0;
}

template void Optimizer::Impl::bind<float>(const char*, std::uint64_t, std::ptrdiff_t);
template void Optimizer::Impl::bind<double>(const char*, std::uint64_t, std::ptrdiff_t);
template detail::OptimizerStep<float> Optimizer::Impl::begin_step<float>();
template detail::OptimizerStep<double> Optimizer::Impl::begin_step<double>();

}  // namespace fastmlp
