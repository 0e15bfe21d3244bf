// The micro-kernel of the matrix product, and its epilogues, written once over Vec.
// Packing, blocking and threads are gemm.cpp's. Each element of a tile is one chain of fma in the
// order of k from zero; the complete sum then goes through one epilogue while in a register.
#pragma once

#include "activations.hpp"
#include "lanes.hpp"

namespace fastmlp::detail {
namespace {

struct Store {  // C = s
  template <class V, class T, class Access>
  static V finish(V s, const Epilogue<T>&, std::ptrdiff_t, std::ptrdiff_t, Access) {
    return s;
  }
};

struct Add {  // C = C + s
  template <class V, class T, class Access>
  static V finish(V s, const Epilogue<T>& to, std::ptrdiff_t i, std::ptrdiff_t j, Access access) {
    return access.template load<V>(to.c + i * to.ldc + j) + s;
  }
};

struct Update {  // C = fma(-alpha, s, C)
  template <class V, class T, class Access>
  static V finish(V s, const Epilogue<T>& to, std::ptrdiff_t i, std::ptrdiff_t j, Access access) {
    return fma(V(-to.alpha), s, access.template load<V>(to.c + i * to.ldc + j));
  }
};

template <class G>
struct Activate {  // C = g(s + bias)
  template <class V, class T, class Access>
  static V finish(V s, const Epilogue<T>& to, std::ptrdiff_t, std::ptrdiff_t j, Access access) {
    return G::forward(s + access.template load<V>(to.bias + j));
  }
};

template <class G>
struct Derivative {  // C = s * g'
  // A G with kNeedsZ also needs a place for Z in Epilogue, and the network's scratch to keep it.
  static_assert(!G::kNeedsZ);
  template <class V, class T, class Access>
  static V finish(V s, const Epilogue<T>& to, std::ptrdiff_t i, std::ptrdiff_t j, Access access) {
    return G::backward(s, V(), access.template load<V>(to.activated + i * to.ld_activated + j));
  }
};

/// The sums of one tile of MR rows and NV vectors, then the epilogue E on its valid part.
template <class V, int MR, int NV, class E>
void gemm_tile(const GemmTile<typename V::Scalar>& tile) {
  using T = typename V::Scalar;
  constexpr std::ptrdiff_t kWidth = V::kWidth;
  V acc[MR][NV];
  const T* a = tile.a;
  const T* b = tile.b;
  for (std::ptrdiff_t p = 0; p < tile.k; ++p, a += MR, b += NV * kWidth) {
    V bv[NV];
    for (int v = 0; v < NV; ++v) bv[v] = V::load(b + v * kWidth);
    for (int i = 0; i < MR; ++i) {
      const V ai(a[i]);
      for (int v = 0; v < NV; ++v) acc[i][v] = fma(ai, bv[v], acc[i][v]);
    }
  }
  const Epilogue<T>& to = tile.to;
  // The bounds are constants and the test is inside, so that the loops unroll and acc stays in
  // registers.
  for (int i = 0; i < MR; ++i) {
    if (i >= tile.rows) continue;
    for (int v = 0; v < NV; ++v) {
      const std::ptrdiff_t j = v * kWidth;
      T* c = to.c + i * to.ldc + j;
      if (j + kWidth <= tile.cols) {
        E::finish(acc[i][v], to, i, j, Whole{}).store(c);
      } else if (j < tile.cols) {
        const First first{tile.cols - j};
        first.store(c, E::finish(acc[i][v], to, i, j, first));
      }
    }
  }
}

/// The epilogue alone, on the n complete sums s of row 0.
template <class V, class E>
void epilogue_row(const typename V::Scalar* s, std::ptrdiff_t n,
                  const Epilogue<typename V::Scalar>& to) {
  for_each_vec<V>(n, [&](std::ptrdiff_t j, auto access) {
    access.store(to.c + j, E::finish(access.template load<V>(s + j), to, 0, j, access));
  });
}

template <class V, int MR, int NV, class E>
constexpr EpilogueKernels<typename V::Scalar> epilogue_kernels() {
  return {gemm_tile<V, MR, NV, E>, epilogue_row<V, E>};
}

}  // namespace
}  // namespace fastmlp::detail
