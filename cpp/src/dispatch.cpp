// The list of instruction sets, how each is detected, and which one is in use.
#include "dispatch.hpp"

#include "check.hpp"
#if defined(FASTMLP_HAS_AVX2) || defined(FASTMLP_HAS_AVX512)
#include "x86_features.hpp"
#endif

#include <fastmlp/options.hpp>
#include <fastmlp/runtime.hpp>

#include <cstdlib>

namespace fastmlp {
namespace detail {

extern const KernelTable<float> kScalarFloat;
extern const KernelTable<double> kScalarDouble;
#ifdef FASTMLP_HAS_AVX512
extern const KernelTable<float> kAvx512Float;
extern const KernelTable<double> kAvx512Double;
#endif
#ifdef FASTMLP_HAS_AVX2
extern const KernelTable<float> kAvx2Float;
extern const KernelTable<double> kAvx2Double;
#endif
#ifdef FASTMLP_HAS_NEON
extern const KernelTable<float> kNeonFloat;
extern const KernelTable<double> kNeonDouble;
#endif

namespace {

const Isa kIsas[] = {
#ifdef FASTMLP_HAS_AVX512
    {"avx512", has_avx512, &kAvx512Float, &kAvx512Double},
#endif
#ifdef FASTMLP_HAS_AVX2
    {"avx2", has_avx2, &kAvx2Float, &kAvx2Double},
#endif
#ifdef FASTMLP_HAS_NEON
    {"neon", [] { return true; }, &kNeonFloat, &kNeonDouble},  // part of AArch64's baseline
#endif
    {"scalar", [] { return true; }, &kScalarFloat, &kScalarDouble},
};

const Isa& find_isa(const char* function, std::string_view name) {
  for (const Isa& isa : kIsas) {
    if (name == isa.name && isa.available()) return isa;
  }
  refuse_name(function, "or unavailable instruction set", name, available_isas());
}

const Isa* initial_isa() {
  // Python reads this at import, when nobody changes the environment.
  const char* forced = std::getenv("FASTMLP_ISA");  // NOLINT(concurrency-mt-unsafe)
  if (forced != nullptr && *forced != '\0') return &find_isa("FASTMLP_ISA", forced);
  for (const Isa& isa : kIsas) {
    if (isa.available()) return &isa;
  }
  return &kIsas[std::size(kIsas) - 1];
}

std::atomic<const Isa*>& current() {
  static std::atomic<const Isa*> isa{initial_isa()};
  return isa;
}

}  // namespace

const KernelTable<float>& scalar_kernels() { return kScalarFloat; }

const Isa& current_isa() { return *current().load(std::memory_order_relaxed); }

}  // namespace detail

std::string isa() { return detail::current_isa().name; }

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const detail::Isa& isa : detail::kIsas) {
    if (isa.available()) names.emplace_back(isa.name);
  }
  return names;
}

void set_isa(std::string_view name) {
  const detail::Isa& isa = detail::find_isa("set_isa", name);
  const detail::WriteLock alone(detail::running_calls,
                                {"set_isa: a call is running; the instruction set can be changed "
                                 "only between calls"});
  detail::current().store(&isa, std::memory_order_relaxed);
}

}  // namespace fastmlp
