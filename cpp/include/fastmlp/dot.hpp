// dot: a scalar product whose order of summation is fixed, for methods that work on all parameters.
#pragma once

#include <fastmlp/export.hpp>

#include <cstddef>

namespace fastmlp {

/// The sum of a[k] b[k], k < n, in double for T = float and double: term k goes to lane k mod 16,
/// and a fixed tree adds the lanes (docs/mathematics.md, "Order of summation"), so that the bits
/// depend on nothing but the numbers. 0 for n = 0.
///
/// ```cpp
/// const double squared_norm = fastmlp::dot(net.gradients(), net.gradients(), net.n_parameters());
/// ```
template <class T>
FASTMLP_EXPORT double dot(const T* a, const T* b, std::ptrdiff_t n);

}  // namespace fastmlp
