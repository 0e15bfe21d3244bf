// What no kernel can beat on the machine it runs on; benchmarks compare with it.
#pragma once

#include <fastmlp/export.hpp>

#include <cstddef>

namespace fastmlp {

/// Does about `flops` floating-point operations as fused multiply-adds in registers (two each), in
/// T and the instruction set in use, shared by all threads: the time of it is the least that a
/// product of so many flops can take. A negative or NaN number does nothing.
///
/// \return how many operations it was: whole rounds of some hundred
template <class T>
FASTMLP_EXPORT double do_flops(double flops);

/// Reads data[0 ... n) once, shared by all threads: the time of it is the least that a call which
/// needs so much memory can take.
///
/// \return a sum of the elements, in no defined order
template <class T>
FASTMLP_EXPORT T read_once(const T* data, std::ptrdiff_t n);

extern template double do_flops<float>(double);
extern template double do_flops<double>(double);
extern template float read_once(const float*, std::ptrdiff_t);
extern template double read_once(const double*, std::ptrdiff_t);

}  // namespace fastmlp
