// DefaultFloatMode: round to nearest, denormals kept, for as long as it lives. Some libraries make
// their threads flush denormals to zero; results must not depend on who started a thread.
#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace fastmlp::detail {
namespace {

// The register that says how to round; kDefaultMode is its usual value. The bits that only record
// what has happened are left out.
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
constexpr unsigned kDefaultMode = 0;  // not known: left alone
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
