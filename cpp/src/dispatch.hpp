// Which kernels run: one row for each instruction set (ISA), best first, and the choice between
// them. The kernels of a row are compiled with the flags of its ISA. kernels/*.cpp must therefore
// define no weak symbol: if two files defined the same inline function, the linker would keep one
// copy, perhaps the one with instructions that this CPU lacks.
#pragma once

#include "kernels/float_mode.hpp"
#include "kernels/kernel_table.hpp"
#include "threads/readers_writer_lock.hpp"

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
inline const LossKernels<float>& about(Loss loss) {
  return scalar_kernels().losses[static_cast<std::size_t>(loss)];
}

/// How the loss depends on the scale of y: see kPower in kernels/losses.hpp.
inline int power_of(Output output, const LossOptions& loss) {
  return loss.kind ? about(*loss.kind).power : about(output).power;
}

/// The row in use.
/// \throws std::invalid_argument if FASTMLP_ISA names an unknown or unavailable ISA
const Isa& current_isa();

/// Every call of the library is a reader; set_isa, as the writer, is refused while there are any.
inline ReadersWriterLock running_calls;

constexpr Refusal kIsaChanges{"the instruction set is being changed"};

/// One call of the library. Until it ends, its kernels stay the same and the calling thread rounds
/// to nearest and keeps denormals.
template <class T>
class Call {
 public:
  Call() : reading_(running_calls, kIsaChanges) {
    const Isa& isa = current_isa();
    if constexpr (sizeof(T) == sizeof(float)) {
      kernels_ = isa.float_kernels;
    } else {
      kernels_ = isa.double_kernels;
    }
  }
  const KernelTable<T>& kernels() const { return *kernels_; }

 private:
  ReadLock reading_;
  DefaultFloatMode mode_;
  const KernelTable<T>* kernels_;
};

}  // namespace fastmlp::detail
