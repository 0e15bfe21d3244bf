// The epilogues of a product: what is done with each complete sum s. To add one, write a struct
// here and give it an entry in KernelTable and in table.hpp. kInTile: the epilogue is short and
// runs on a tile's sums in registers; without it the sums are stored, and it runs on rows of them.
// kReadsC: it reads C as well as writing it. finish(s, to, i, j, access) returns the new elements
// of C for a vector of sums, the first of which belongs to row i and column j of `to`.
#pragma once

#include "activations.hpp"

namespace fastmlp::detail {
namespace {

struct Store {  // C = s
  static constexpr bool kInTile = true;
  static constexpr bool kReadsC = false;
  template <class V, class T, class Access>
  static V finish(V s, const Epilogue<T>&, std::ptrdiff_t, std::ptrdiff_t, Access) {
    return s;
  }
};

struct Add {  // C = C + s
  static constexpr bool kInTile = true;
  static constexpr bool kReadsC = true;
  template <class V, class T, class Access>
  static V finish(V s, const Epilogue<T>& to, std::ptrdiff_t i, std::ptrdiff_t j, Access access) {
    return access.template load<V>(to.c + i * to.ldc + j) + s;
  }
};

struct Update {  // C = fma(-alpha, s, C)
  static constexpr bool kInTile = true;
  static constexpr bool kReadsC = true;
  template <class V, class T, class Access>
  static V finish(V s, const Epilogue<T>& to, std::ptrdiff_t i, std::ptrdiff_t j, Access access) {
    return fma(V(-to.alpha), s, access.template load<V>(to.c + i * to.ldc + j));
  }
};

template <class G>
struct Activate {  // Z = s + bias, stored if g' needs it and `to` has a place for it;  C = g(Z)
  static constexpr bool kInTile = G::kCheap;
  static constexpr bool kReadsC = false;
  template <class V, class T, class Access>
  static V finish(V s, const Epilogue<T>& to, std::ptrdiff_t i, std::ptrdiff_t j, Access access) {
    const V z = s + access.template load<V>(to.bias + j);
    if constexpr (G::kNeedsZ) {
      if (to.z != nullptr) access.store(to.z + i * to.ld_z + j, z);
    }
    return G::forward(z);
  }
};

template <class G>
struct Derivative {  // C = s * g'
  static constexpr bool kInTile = G::kCheap;
  static constexpr bool kReadsC = false;
  template <class V, class T, class Access>
  static V finish(V s, const Epilogue<T>& to, std::ptrdiff_t i, std::ptrdiff_t j, Access access) {
    V z;
    if constexpr (G::kNeedsZ) z = access.template load<V>(to.z + i * to.ld_z + j);
    return G::backward(s, z, access.template load<V>(to.activated + i * to.ld_activated + j));
  }
};

template <class G>
struct DerivativeOf {
  using Type = Derivative<G>;
};
template <>
struct DerivativeOf<Identity> {  // g' = 1, so Store does the same and no kernels are added
  using Type = Store;
};

}  // namespace
}  // namespace fastmlp::detail
