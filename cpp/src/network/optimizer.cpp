// Optimizers: their state, and what the kernels of optimizers.hpp need to know for one step.
#include "network/optimizer_impl.hpp"

#include "check.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace fastmlp {
namespace {

detail::Rule rule_of(const Optimizer::Options& options) {
  const SgdOptions* sgd = std::get_if<SgdOptions>(&options);
  if (sgd == nullptr) return detail::Rule::kAdam;
  if (!(sgd->momentum > 0)) return detail::Rule::kGradientDescent;
  return sgd->nesterov ? detail::Rule::kNesterov : detail::Rule::kMomentum;
}

}  // namespace

std::uint64_t detail::next_network_id() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

Optimizer::Impl::Impl(const Options& given) : options(given), rule(rule_of(given)) {
  std::visit([](const auto& o) { validate(o); }, options);
}

int Optimizer::Impl::state_count() const {
  switch (rule) {
    case detail::Rule::kGradientDescent:
      return 0;
    case detail::Rule::kMomentum:
    case detail::Rule::kNesterov:
      return 1;
    case detail::Rule::kAdam:
      break;
  }
  return 2;
}

double Optimizer::Impl::learning_rate() const {
  return std::visit([](const auto& o) { return o.learning_rate; }, options);
}

bool Optimizer::Impl::is_plain() const {
  const bool decays = std::visit([](const auto& o) { return o.weight_decay > 0; }, options);
  return rule == detail::Rule::kGradientDescent && !decays;
}

double Optimizer::Impl::decay() const {
  return std::visit([](const auto& o) { return o.decoupled ? 0.0 : o.weight_decay; }, options);
}

void Optimizer::Impl::allocate(std::ptrdiff_t n, std::ptrdiff_t element_bytes) {
  const std::ptrdiff_t vector_bytes = detail::round_up(n * element_bytes, 64);
  memory.reserve(static_cast<std::size_t>(vector_bytes * state_count()));
  std::fill_n(memory.data(), vector_bytes * state_count(), static_cast<unsigned char>(0));
  size = n;
  bytes = element_bytes;
}

template <class T>
void Optimizer::Impl::bind(const char* function, std::uint64_t id, std::ptrdiff_t n) {
  if (state_count() == 0) return;
  std::uint64_t expected = 0;
  if (owner.compare_exchange_strong(expected, id)) {
    if (size == 0) {
      try {
        allocate(n, sizeof(T));
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
  detail::OptimizerStep<T> s;
  for (int i = 0; i < state_count(); ++i) s.state[i] = vector<T>(i);
  s.decay = static_cast<T>(decay());
  s.shrink = std::visit(
      [](const auto& o) {
        return static_cast<T>(o.decoupled ? 1 - o.learning_rate * o.weight_decay : 1.0);
      },
      options);
  if (const SgdOptions* sgd = std::get_if<SgdOptions>(&options)) {
    s.rate = static_cast<T>(sgd->learning_rate);
    s.keep_1 = static_cast<T>(sgd->momentum);
    if (state_count() > 0) ++steps;  // without a state it may serve several networks at once
    return s;
  }
  const AdamOptions& adam = std::get<AdamOptions>(options);
  ++steps;
  beta_1_power *= adam.beta_1;
  beta_2_power *= adam.beta_2;
  // lr m' / (sqrt(v') + epsilon) = lr root / (1 - beta_1^t) m / (sqrt(v) + epsilon root)
  const double root = std::sqrt(1 - beta_2_power);
  s.rate = static_cast<T>(adam.learning_rate * root / (1 - beta_1_power));
  s.epsilon = static_cast<T>(adam.epsilon_hat ? adam.epsilon : adam.epsilon * root);
  s.keep_1 = static_cast<T>(adam.beta_1);
  s.take_1 = static_cast<T>(1 - adam.beta_1);
  s.keep_2 = static_cast<T>(adam.beta_2);
  s.take_2 = static_cast<T>(1 - adam.beta_2);
  return s;
}

Optimizer::Optimizer(const SgdOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Optimizer::Optimizer(const AdamOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Optimizer::~Optimizer() = default;
Optimizer::Optimizer(Optimizer&&) noexcept = default;
Optimizer& Optimizer::operator=(Optimizer&&) noexcept = default;

const Optimizer::Options& Optimizer::options() const { return impl_->options; }

double Optimizer::learning_rate() const { return impl_->learning_rate(); }

void Optimizer::set_learning_rate(double learning_rate) {
  detail::check_learning_rate<double>("set_learning_rate", learning_rate);
  std::visit([&](auto& o) { o.learning_rate = learning_rate; }, impl_->options);
}

int Optimizer::state_count() const { return impl_->state_count(); }

Optimizer::State Optimizer::state() {
  State s;
  s.steps = impl_->steps;
  s.beta_1_power = impl_->beta_1_power;
  s.beta_2_power = impl_->beta_2_power;
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
                   state.bytes, " bytes given; there must be ", state_count(),
                   ", of floats or doubles");
  }
  if (empty) {
    impl_->size = 0;
  } else {
    impl_->allocate(state.size, state.bytes);
    for (int i = 0; i < state.count; ++i) {
      void* to = state.bytes == sizeof(float) ? static_cast<void*>(impl_->vector<float>(i))
                                              : impl_->vector<double>(i);
      std::memcpy(to, state.vectors[i], static_cast<std::size_t>(state.size * state.bytes));
    }
  }
  impl_->steps = state.steps;
  impl_->beta_1_power = state.beta_1_power;
  impl_->beta_2_power = state.beta_2_power;
  impl_->owner = 0;
}

template void Optimizer::Impl::bind<float>(const char*, std::uint64_t, std::ptrdiff_t);
template void Optimizer::Impl::bind<double>(const char*, std::uint64_t, std::ptrdiff_t);
template detail::OptimizerStep<float> Optimizer::Impl::begin_step<float>();
template detail::OptimizerStep<double> Optimizer::Impl::begin_step<double>();

}  // namespace fastmlp
