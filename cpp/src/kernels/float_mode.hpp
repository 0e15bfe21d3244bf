// DefaultFloatMode: while one exists, its thread rounds to nearest and keeps denormals. Some
// libraries make their threads flush denormals to zero, but results must not depend on who started
// a thread. A public call makes one before it computes anything: the compiler knows nothing of the
// mode, and would use again what was computed before.
#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace fastmlp::detail {
namespace {

// Reads and writes the register that controls rounding and denormals; kDefaultMode is its usual
// value. float_mode() leaves out the bits that only record exceptions.
#if defined(__x86_64__)
// MXCSR, and above it the two bits by which the x87 unit rounds, which converts long doubles.
constexpr unsigned kDefaultMode = 0x1F80;  // all exceptions masked
constexpr unsigned kX87Rounding = 0x0C00, kX87Shift = 16;
inline unsigned short x87_control() {
  unsigned short control;
  __asm__ volatile("fnstcw %0" : "=m"(control));
  return control;
}
inline unsigned float_mode() {
  return (_mm_getcsr() & ~0x3Fu) | (x87_control() & kX87Rounding) << kX87Shift;
}
inline void set_float_mode(unsigned mode) {
  _mm_setcsr(mode & 0xFFFF);
  const auto control = static_cast<unsigned short>((x87_control() & ~kX87Rounding) |
                                                   (mode >> kX87Shift & kX87Rounding));
  __asm__ volatile("fldcw %0" : : "m"(control));
}
#elif defined(__aarch64__)
constexpr unsigned long kDefaultMode = 0;  // FPCR
inline unsigned long float_mode() {
  unsigned long mode;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
}
inline void set_float_mode(unsigned long mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
constexpr unsigned kDefaultMode = 0;  // an unknown CPU: nothing is changed
inline unsigned float_mode() { return 0; }
inline void set_float_mode(unsigned) {}
#endif

class DefaultFloatMode {
 public:
  DefaultFloatMode() {
    if (saved_ != kDefaultMode) set_float_mode(kDefaultMode);  // reading is cheap, writing is not
  }
  ~DefaultFloatMode() {
    if (saved_ != kDefaultMode) set_float_mode(saved_);
  }
  DefaultFloatMode(const DefaultFloatMode&) = delete;
  DefaultFloatMode& operator=(const DefaultFloatMode&) = delete;

 private:
  decltype(float_mode()) saved_ = float_mode();
};

}  // namespace
}  // namespace fastmlp::detail
