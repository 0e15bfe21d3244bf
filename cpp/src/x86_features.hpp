// What an x86-64 processor can run, from CPUID and XGETBV (Intel's Software Developer's Manual,
// volume 1, chapters 14 and 15). Not from __builtin_cpu_supports, because Zig's is always false.
#pragma once

#include <cpuid.h>

namespace fastmlp::detail {

/// Whether the processor has all of these features and the operating system saves the registers.
/// @param ebx  bits of EBX of CPUID's leaf 7, which lists AVX2 and the parts of AVX-512
/// @param xcr0  bits of the register XCR0, one for each kind of register
inline bool has_fma_and(unsigned ebx, unsigned xcr0) {
  constexpr unsigned kFmaAndXgetbv = 1U << 12 | 1U << 27;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kFmaAndXgetbv) != kFmaAndXgetbv) return false;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (b & ebx) != ebx) return false;
  asm("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
  return (a & xcr0) == xcr0;
}

inline bool has_avx2() { return has_fma_and(1U << 5, 0x06); }

/// The parts F, DQ, BW and VL.
inline bool has_avx512() { return has_fma_and(1U << 16 | 1U << 17 | 1U << 30 | 1U << 31, 0xe6); }

}  // namespace fastmlp::detail
