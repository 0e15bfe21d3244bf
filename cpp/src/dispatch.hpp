// Which kernels run: one row per instruction set, best first; the choice between them.
// Each row's kernels are compiled with that ISA's flags, so kernels/*.cpp define no function with
// external linkage or weak symbol: the linker would keep one copy of a shared inline function,
// perhaps the one for a CPU we are not on.
#pragma once

#include "kernels/float_mode.hpp"
#include "kernels/kernel_table.hpp"
#include "threads/use_count.hpp"

#include <fastmlp/options.hpp>

#include <atomic>
#include <cstddef>

namespace fastmlp::detail {

struct Isa {
  const char* name;
  bool (*available)();
  const KernelTable<float>* float_kernels;
  const KernelTable<double>* double_kernels;
};

/// The portable kernels, which every build has. What a part says of itself (its name, what it
/// needs) is the same in every table, and is read from this one.
const KernelTable<float>& scalar_kernels();

inline const ActivationKernels<float>& about(Activation activation) {
  return scalar_kernels().activations[static_cast<std::size_t>(activation)];
}
inline const OutputKernels<float>& about(Output output) {
  return scalar_kernels().outputs[static_cast<std::size_t>(output)];
}

/// Whether outputs with such targets are probabilities: they have labels.
constexpr bool are_probabilities(Targets targets) {
  return targets == Targets::kUnitInterval || targets == Targets::kClasses;
}

/// The row in use. \throws std::invalid_argument where FASTMLP_ISA names one that there is not.
const Isa& current_isa();

/// Counts the running calls, so that set_isa can be refused while there are any.
UseCount& running_calls();

/// One call of the library: its kernels stay the same until it ends, and so does the way in which
/// the calling thread rounds.
template <class T>
class Call {
 public:
  Call() : sharing_(running_calls(), "the instruction set is being changed") {
    const Isa& isa = current_isa();
    if constexpr (sizeof(T) == sizeof(float)) {
      kernels_ = isa.float_kernels;
    } else {
      kernels_ = isa.double_kernels;
    }
  }
  const KernelTable<T>& kernels() const { return *kernels_; }

 private:
  Sharing sharing_;
  DefaultFloatMode mode_;
  const KernelTable<T>* kernels_;
};

}  // namespace fastmlp::detail
