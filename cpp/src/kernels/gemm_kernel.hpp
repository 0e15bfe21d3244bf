// The micro-kernel of the matrix product, written once over Vec.
// What is packed, blocks and threads are gemm.cpp's. Each element of a tile is one chain of fma in
// the order of k from zero; the complete sum then goes through one epilogue, in a register where
// that is cheap. Start at gemm_block.
#pragma once

#include "epilogues.hpp"
#include "lanes.hpp"
#include "pack.hpp"
#include "repeat.hpp"

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

/// One tile: A by any strides, B with contiguous columns, cols <= NV vectors of them. Its numbers
/// are written one by one and read one by one: copied as a whole, which a compiler does by vectors,
/// they would have to reach the cache first, and a small tile takes no longer than that.
template <class T>
struct GemmTile {
  std::ptrdiff_t k;
  const T* a;
  std::ptrdiff_t a_row_stride, a_col_stride;
  const T* b;
  std::ptrdiff_t b_row_stride, cols;
  T* b_copy;              // of a copying tile: where B goes, row after row
  const Epilogue<T>* to;  // of the whole block, whose rows from i and columns from j are this
  std::ptrdiff_t i, j;    // tile's
};

// So many terms ahead, a tile asks memory for A, which the processor alone does not fetch in time
// where it is one stream from beyond the caches, and a copying tile for the rows of B, which lie
// too far apart for it to see. Into the second level of cache, as below.
constexpr std::ptrdiff_t kTermsAhead = 32;

/// The sums of one tile of MR rows and NV vectors, the last of them partial where kTail.
template <class V, int MR, int NV, bool kTail, bool kCopies>
struct TileSums {
  using T = typename V::Scalar;
  using Register = decltype(V::value);  // V itself would be set to zero in a loop, see repeat.hpp
  static constexpr int kWidth = static_cast<int>(V::kWidth);
  // A pointer for every third row: rows in between are one and two strides away, which an x86
  // address can hold, so that twelve rows take few registers.
  static constexpr int kGroups = (MR + 2) / 3;

  Register sums[MR * NV];

  [[gnu::always_inline]] explicit TileSums(const GemmTile<T>& tile) {
    const First tail{tile.cols - (NV - 1) * kWidth};
    const std::ptrdiff_t k = tile.k, b_row = tile.b_row_stride;
    const std::ptrdiff_t a_row = tile.a_row_stride, a_col = tile.a_col_stride;
    const T* b = tile.b;
    const T* a[kGroups];
    repeat<kGroups>(
        [&](auto g) __attribute__((always_inline)) { a[g.value] = tile.a + 3 * g.value * a_row; });
    repeat<MR * NV>([&](auto s) __attribute__((always_inline)) { sums[s.value] = V().value; });
    for (std::ptrdiff_t p = 0; p < k; ++p, b += b_row) {
      const T* const ahead_a = a[0] + kTermsAhead * a_col;
      __builtin_prefetch(ahead_a, 0, 2);
      // In a panel, whose rows lie side by side, a term may be longer than a line.
      if constexpr (MR * sizeof(T) > kLineBytes) __builtin_prefetch(ahead_a + MR - 1, 0, 2);
      Register bs[NV];
      repeat<NV>([&](auto v) __attribute__((always_inline)) {
        const T* from = b + v.value * kWidth;
        constexpr bool kPartial = kTail && v.value == NV - 1;
        bs[v.value] = (kPartial ? tail.load<V>(from) : V::load(from)).value;
        if constexpr (kCopies) {
          const T* const ahead = from + kTermsAhead * b_row;
          __builtin_prefetch(ahead, 0, 2);
          if constexpr (v.value == NV - 1) __builtin_prefetch(ahead + kWidth - 1, 0, 2);
          V(bs[v.value]).store(tile.b_copy + (p * NV + v.value) * kWidth);
        }
      });
      repeat<MR>([&](auto i) __attribute__((always_inline)) {
        const V ai(a[i.value / 3][i.value % 3 * a_row]);
        repeat<NV>([&](auto v) __attribute__((always_inline)) {
          constexpr int s = i.value * NV + v.value;
          sums[s] = fma(ai, V(bs[v.value]), V(sums[s])).value;
        });
      });
      repeat<kGroups>([&](auto g) __attribute__((always_inline)) { a[g.value] += a_col; });
    }
  }
};

/// One tile, and the epilogue E on its sums. A tile that copies B while it multiplies costs nothing
/// more: loads and stores have time to spare.
template <class V, int MR, int NV, bool kTail, class E, bool kCopies = false>
void gemm_tile(const GemmTile<typename V::Scalar>& tile) {
  using Sums = TileSums<V, MR, NV, kTail, kCopies>;
  const Sums tile_sums(tile);
  const First tail{tile.cols - (NV - 1) * Sums::kWidth};
  // A copy, which stays in registers: no store through it can change it.
  const Epilogue<typename V::Scalar> to = at(*tile.to, tile.i, tile.j);
  repeat<MR * NV>([&](auto s) __attribute__((always_inline)) {
    constexpr int i = s.value / NV, v = s.value % NV;
    const V sum(tile_sums.sums[s.value]);
    auto* c = to.c + i * to.ldc + v * Sums::kWidth;
    if constexpr (kTail && v == NV - 1) {
      tail.store(c, E::finish(sum, to, i, v * Sums::kWidth, tail));
    } else {
      E::finish(sum, to, i, v * Sums::kWidth, Whole{}).store(c);
    }
  });
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
    // One kernel for both where a mask costs little and the tile does little.
    constexpr bool kMasked = V::kMasksAreCheap && R < 8 && R != 4;
    kernels[R - 1][N - 1][0] = gemm_tile<V, R, N, kMasked, E>;
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

// What a tile's epilogue reads or writes is fetched while its sums are formed, if there are so many
// terms: the processor can wait for far more stores than loads, but not for those of a whole tile.
// It goes into the second level of cache, because rows a power of two apart would push each other
// out of the first.
constexpr std::ptrdiff_t kPrefetchTermsToRead = 48, kPrefetchTermsToWrite = 32;

template <class T>
void prefetch_rows(const T* first, std::ptrdiff_t stride, std::ptrdiff_t rows,
                   std::ptrdiff_t cols) {
  constexpr std::ptrdiff_t kLine = kLineBytes / sizeof(T);
  for (std::ptrdiff_t i = 0; i < rows; ++i, first += stride) {
    for (std::ptrdiff_t j = 0; j < cols; j += kLine) __builtin_prefetch(first + j, 0, 2);
    __builtin_prefetch(first + cols - 1, 0, 2);  // a row may begin in the middle of a line
  }
}

/// How many rows a tile may have. Of rows of C that share a set of the first level
/// of cache, those that find no way in it are written twice; with few terms that is much
/// of the work. Panels are as they are.
template <class T>
std::ptrdiff_t most_rows(std::ptrdiff_t mr, const GemmBlock<T>& block) {
  constexpr std::ptrdiff_t kWays = 8, kFewTerms = 128;
  const bool share = block.to.ldc * static_cast<std::ptrdiff_t>(sizeof(T)) % kCacheSetBytes == 0;
  return share && !block.a_packed && block.k <= kFewTerms && mr > kWays ? kWays : mr;
}

/// How many rows the next tile takes where `left` are left: all it can, but where A does not lie in
/// panels no tile of one or two rows after a full one (two chains of fma cannot hide its latency).
constexpr std::ptrdiff_t tile_rows(std::ptrdiff_t left, std::ptrdiff_t mr, bool in_panels) {
  if (left <= mr) return left;
  return in_panels || left >= 2 * mr ? mr : (left + 1) / 2;
}

/// The tiles of `rows` rows of A, over all columns; the first such also leave B at b_copy.
template <class V, int MR, int NV, class E>
void gemm_rows(const GemmBlock<typename V::Scalar>& block, std::ptrdiff_t i, std::ptrdiff_t rows) {
  using T = typename V::Scalar;
  constexpr std::ptrdiff_t kWidth = V::kWidth, kCols = NV * kWidth;
  const Epilogue<T>& to = block.to;
  const bool copies = i == 0 && block.b_copy != nullptr;
  const bool packed = block.b_packed || (i > 0 && block.b_copy != nullptr);
  const T* const b = packed && !block.b_packed ? block.b_copy : block.b;
  GemmTile<T> tile;
  tile.k = block.k;
  tile.a = block.a + i * (block.a_packed ? block.k : block.a_row_stride);
  tile.a_row_stride = block.a_packed ? 1 : block.a_row_stride;
  tile.a_col_stride = block.a_packed ? rows : block.a_col_stride;
  tile.to = &block.to;
  tile.i = i;
  for (std::ptrdiff_t j = 0; j < block.n; j += kCols) {
    tile.cols = block.n - j < kCols ? block.n - j : kCols;
    tile.b = b + j * (packed ? block.k : 1);
    tile.b_row_stride = packed ? tile.cols : block.b_row_stride;
    tile.j = j;
    if (block.k >= (E::kReadsC ? kPrefetchTermsToRead : kPrefetchTermsToWrite)) {
      prefetch_rows(to.c + i * to.ldc + j, to.ldc, rows, tile.cols);
    }
    if (to.activated != nullptr && block.k >= kPrefetchTermsToRead) {
      prefetch_rows(to.activated + i * to.ld_activated + j, to.ld_activated, rows, tile.cols);
    }
    if (copies) {
      tile.b_copy = block.b_copy + j * block.k;
      if (rows == MR && tile.cols == kCols) {
        gemm_tile<V, MR, NV, false, E, true>(tile);
        continue;
      }
      copy_rows<V>(tile.b, tile.b_row_stride, tile.cols, block.k, tile.b_copy);
    }
    const std::ptrdiff_t vectors = (tile.cols + kWidth - 1) / kWidth;
    kTiles<V, MR, NV, E>.kernels[rows - 1][vectors - 1][tile.cols % kWidth != 0](tile);
  }
}

template <class V, int MR, int NV, class E>
void gemm_block(const GemmBlock<typename V::Scalar>& block) {
  using T = typename V::Scalar;
  using InTile = typename Choose<E::kInTile, E, Store>::Type;
  const std::ptrdiff_t most = most_rows<T>(MR, block);
  std::ptrdiff_t rows = 0;
  for (std::ptrdiff_t i = 0; i < block.m; i += rows) {
    rows = tile_rows(block.m - i, most, block.a_packed);
    gemm_rows<V, MR, NV, InTile>(block, i, rows);
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
