// The scalar product in double.
#include <fastmlp/dot.hpp>

#include "dispatch.hpp"
#include "kernels/lanes.hpp"

#include <algorithm>

namespace fastmlp {

template <class T>
double dot(const T* a, const T* b, std::ptrdiff_t n) {
  const detail::DefaultFloatMode mode;
  constexpr std::ptrdiff_t kPiece = 256;  // a multiple of the lanes
  double products[kPiece];
  detail::LaneSum<double> sum;
  for (std::ptrdiff_t first = 0; first < n; first += kPiece) {
    const std::ptrdiff_t count = std::min(kPiece, n - first);
    for (std::ptrdiff_t k = 0; k < count; ++k) {
      products[k] = static_cast<double>(a[first + k]) * static_cast<double>(b[first + k]);
    }
    sum.add(products, count);
  }
  return sum.total();
}

template double dot(const float*, const float*, std::ptrdiff_t);
template double dot(const double*, const double*, std::ptrdiff_t);

}  // namespace fastmlp
