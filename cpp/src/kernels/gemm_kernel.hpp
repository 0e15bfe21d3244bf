// The micro-kernel of the matrix product, and its epilogues, written once over Vec.
// What is packed, blocks and threads are gemm.cpp's. Each element of a tile is one chain of fma in
// the order of k from zero; the complete sum then goes through one epilogue, in a register where
// that is cheap. Start at gemm_block.
#pragma once

#include "activations.hpp"
#include "lanes.hpp"

namespace fastmlp::detail {
namespace {

template <bool kFirst, class A, class B>
struct Choose {
  using Type = A;
};
template <class A, class B>
struct Choose<false, A, B> {
  using Type = B;
};

// Epilogues. kInTile: few instructions, done in registers; the others follow on rows of stored sums.

struct Store {  // C = s
  static constexpr bool kInTile = true;
  template <class V, class T, class Access>
  static V finish(V s, const Epilogue<T>&, std::ptrdiff_t, std::ptrdiff_t, Access) {
    return s;
  }
};

struct Add {  // C = C + s
  static constexpr bool kInTile = true;
  template <class V, class T, class Access>
  static V finish(V s, const Epilogue<T>& to, std::ptrdiff_t i, std::ptrdiff_t j, Access access) {
    return access.template load<V>(to.c + i * to.ldc + j) + s;
  }
};

struct Update {  // C = fma(-alpha, s, C)
  static constexpr bool kInTile = true;
  template <class V, class T, class Access>
  static V finish(V s, const Epilogue<T>& to, std::ptrdiff_t i, std::ptrdiff_t j, Access access) {
    return fma(V(-to.alpha), s, access.template load<V>(to.c + i * to.ldc + j));
  }
};

template <class G>
struct Activate {  // C = g(s + bias)
  static constexpr bool kInTile = G::kCheap;
  template <class V, class T, class Access>
  static V finish(V s, const Epilogue<T>& to, std::ptrdiff_t, std::ptrdiff_t j, Access access) {
    return G::forward(s + access.template load<V>(to.bias + j));
  }
};

template <class G>
struct Derivative {  // C = s * g'
  // A G with kNeedsZ also needs a place for Z in Epilogue, and the network's scratch to keep it.
  static_assert(!G::kNeedsZ);
  static constexpr bool kInTile = G::kCheap;
  template <class V, class T, class Access>
  static V finish(V s, const Epilogue<T>& to, std::ptrdiff_t i, std::ptrdiff_t j, Access access) {
    return G::backward(s, V(), access.template load<V>(to.activated + i * to.ld_activated + j));
  }
};

/// One tile: A by any strides, B with contiguous columns, cols <= NV vectors of them.
template <class T>
struct GemmTile {
  std::ptrdiff_t k;
  const T* a;
  std::ptrdiff_t a_row_stride, a_col_stride;
  const T* b;
  std::ptrdiff_t b_row_stride, cols;
  Epilogue<T> to;
};

/// The sums of one tile of MR rows and NV vectors, the last of them partial where kTail, and the
/// epilogue E.
template <class V, int MR, int NV, bool kTail, class E>
void gemm_tile(const GemmTile<typename V::Scalar>& tile) {
  using T = typename V::Scalar;
  constexpr std::ptrdiff_t kWidth = V::kWidth;
  const First tail{tile.cols - (NV - 1) * kWidth};
  const Epilogue<T>& to = tile.to;
  V acc[MR][NV];
  // A pointer for every third row: rows in between are one and two strides away, which an x86
  // address can hold, so that twelve rows take few registers.
  constexpr int kGroups = (MR + 2) / 3;
  const std::ptrdiff_t row = tile.a_row_stride;
  const T* a[kGroups];
  for (int g = 0; g < kGroups; ++g) a[g] = tile.a + 3 * g * row;
  const T* b = tile.b;
  for (std::ptrdiff_t p = 0; p < tile.k; ++p, b += tile.b_row_stride) {
    V bv[NV];
    for (int v = 0; v < NV; ++v) {
      bv[v] = kTail && v == NV - 1 ? tail.load<V>(b + v * kWidth) : V::load(b + v * kWidth);
    }
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const V ai(a[i / 3][i % 3 * row]);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) acc[i][v] = fma(ai, bv[v], acc[i][v]);
    }
    for (int g = 0; g < kGroups; ++g) a[g] += tile.a_col_stride;
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      const std::ptrdiff_t j = v * kWidth;
      T* c = to.c + i * to.ldc + j;
      if (kTail && v == NV - 1) {
        tail.store(c, E::finish(acc[i][v], to, i, j, tail));
      } else {
        E::finish(acc[i][v], to, i, j, Whole{}).store(c);
      }
    }
  }
}

template <class T>
using TileKernel = void (*)(const GemmTile<T>&);

/// kernels[r - 1][v - 1][t] takes r rows and v vectors, the last of them partial where t is 1.
template <class V, int MR, int NV, class E>
struct TileKernels {
  TileKernel<typename V::Scalar> kernels[MR][NV][2];

  constexpr TileKernels() : kernels() { fill<MR, NV>(); }

 private:
  template <int R, int N>
  constexpr void fill() {
    // One kernel for both where a mask costs nothing, or is never needed.
    kernels[R - 1][N - 1][0] = gemm_tile<V, R, N, V::kMasksAreFree, E>;
    kernels[R - 1][N - 1][1] = gemm_tile<V, R, N, V::kWidth != 1, E>;
    if constexpr (N > 1) {
      fill<R, N - 1>();
    } else if constexpr (R > 1) {
      fill<R - 1, NV>();
    }
  }
};

template <class V, int MR, int NV, class E>
constexpr TileKernels<V, MR, NV, E> kTiles{};

/// The epilogue alone, on the n complete sums s of row 0.
template <class V, class E>
void epilogue_row(const typename V::Scalar* s, std::ptrdiff_t n,
                  const Epilogue<typename V::Scalar>& to) {
  for_each_vec<V>(n, [&](std::ptrdiff_t j, auto access) {
    access.store(to.c + j, E::finish(access.template load<V>(s + j), to, 0, j, access));
  });
}

// From so many terms on a tile's C is fetched while its sums are formed; below, that costs more
// than waiting.
constexpr std::ptrdiff_t kPrefetchTerms = 48;

template <class T>
void prefetch_rows(const T* first, std::ptrdiff_t stride, std::ptrdiff_t rows,
                   std::ptrdiff_t cols) {
  for (std::ptrdiff_t i = 0; i < rows; ++i, first += stride) {
    __builtin_prefetch(first);
    __builtin_prefetch(first + cols - 1);  // a tile is at most two lines wide
  }
}

/// How many rows the next tile takes where `left` are left: all it can, but where A does not lie in
/// panels no tile of one or two rows after a full one (two chains of fma cannot hide its latency).
constexpr std::ptrdiff_t tile_rows(std::ptrdiff_t left, std::ptrdiff_t mr, bool in_panels) {
  if (left <= mr) return left;
  return in_panels || left >= 2 * mr ? mr : (left + 1) / 2;
}

template <class V, int MR, int NV, class E>
void gemm_block(const GemmBlock<typename V::Scalar>& block) {
  using T = typename V::Scalar;
  using InTile = typename Choose<E::kInTile, E, Store>::Type;
  constexpr std::ptrdiff_t kWidth = V::kWidth, kCols = NV * kWidth;
  std::ptrdiff_t rows = 0;
  for (std::ptrdiff_t i = 0; i < block.m; i += rows) {
    rows = tile_rows(block.m - i, MR, block.a_packed);
    const T* a = block.a + i * (block.a_packed ? block.k : block.a_row_stride);
    for (std::ptrdiff_t j = 0; j < block.n; j += kCols) {
      const std::ptrdiff_t cols = block.n - j < kCols ? block.n - j : kCols;
      const std::ptrdiff_t vectors = (cols + kWidth - 1) / kWidth;
      const Epilogue<T> to = at(block.to, i, j);
      if (block.k >= kPrefetchTerms) {
        prefetch_rows(to.c, to.ldc, rows, cols);
        if (to.activated != nullptr) prefetch_rows(to.activated, to.ld_activated, rows, cols);
      }
      kTiles<V, MR, NV, InTile>.kernels[rows - 1][vectors - 1][cols % kWidth != 0](
          {block.k, a, block.a_packed ? 1 : block.a_row_stride,
           block.a_packed ? rows : block.a_col_stride, block.b + j * (block.b_packed ? block.k : 1),
           block.b_packed ? kCols : block.b_row_stride, cols, to});
    }
    if constexpr (!E::kInTile) {
      for (std::ptrdiff_t r = i; r < i + rows; ++r) {
        const Epilogue<T> to = at(block.to, r, 0);
        epilogue_row<V, E>(to.c, block.n, to);
      }
    }
  }
}

template <class V, int MR, int NV, class E>
constexpr EpilogueKernels<typename V::Scalar> epilogue_kernels() {
  return {gemm_block<V, MR, NV, E>, epilogue_row<V, E>};
}

}  // namespace
}  // namespace fastmlp::detail
