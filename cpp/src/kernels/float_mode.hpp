// DefaultFloatMode: while one exists, its thread rounds to nearest and keeps denormals. Some
// libraries make their threads flush denormals to zero, but results must not depend on who started
// a thread.
#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace fastmlp::detail {
namespace {

// Reads and writes the register that controls rounding and denormals; kDefaultMode is its usual
// value. float_mode() leaves out the bits that only record exceptions.
#if defined(__x86_64__)
constexpr unsigned kDefaultMode = 0x1F80;  // MXCSR: all exceptions masked
inline unsigned float_mode() { return _mm_getcsr() & ~0x3Fu; }
inline void set_float_mode(unsigned mode) { _mm_setcsr(mode); }
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
