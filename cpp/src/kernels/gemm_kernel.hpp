// The micro-kernel of the matrix product, written once over Vec. gemm.cpp decides what is packed,
// cuts the product into blocks and shares them between threads; gemm_block multiplies one block.
// Each element of C is one chain of fma from zero in the order of k. The epilogue then takes the
// complete sum: in a register if it is cheap, from C otherwise. Start at gemm_block, at the end.
#pragma once

#include "epilogues.hpp"
#include "lanes.hpp"
#include "pack.hpp"
#include "repeat.hpp"

namespace fastmlp::detail {
namespace {

/// One tile of C: at most MR rows, and cols <= NV vectors of columns. A is read by any strides, B
/// has contiguous rows.
///
/// A GemmTile is filled field by field and passed by reference, and so is a GemmBlock. Do not copy
/// one: the compiler would copy several fields by one vector load, which has to wait until the
/// separate stores of those fields have reached the cache. That wait is 20 to 30 cycles, as long as
/// a small tile takes.
template <class T>
struct GemmTile {
  std::ptrdiff_t k;
  const T* a;
  std::ptrdiff_t a_row_stride, a_col_stride;
  const T* b;
  std::ptrdiff_t b_row_stride, cols;
  T* b_panel;             // a tile that packs B stores the panel here
  const Epilogue<T>* to;  // the epilogue of the whole block
  std::ptrdiff_t i, j;    // the tile's first row and column in that block
};

// A tile prefetches A so many terms ahead: from beyond the caches a packed panel is one stream, and
// the processor alone does not run far enough ahead of it. A tile that packs B prefetches B's rows
// too, which are too far apart for the processor to see a stream. Measured: 32 terms are better
// than 16 and 48. All prefetches are into the second level of cache (the last argument, 2), because
// rows a power of two apart would push each other out of the first.
constexpr std::ptrdiff_t kTermsAhead = 32;

/// The sums of one tile of MR rows and NV vectors. kTail: the last vector is partial. kPacksB: the
/// tile stores the rows of B that it reads as a panel.
template <class V, int MR, int NV, bool kTail, bool kPacksB>
struct TileSums {
  using T = typename V::Scalar;
  using Register = decltype(V::value);  // an array of V would be zeroed in a loop: see repeat.hpp
  static constexpr int kWidth = static_cast<int>(V::kWidth);
  // One pointer serves three rows: an x86 address can add one stride or two strides to a pointer,
  // so twelve rows need four pointers only.
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
      // In a panel, a term is MR numbers side by side, which may be more than one line.
      if constexpr (MR * sizeof(T) > kLineBytes) __builtin_prefetch(ahead_a + MR - 1, 0, 2);
      Register bs[NV];
      repeat<NV>([&](auto v) __attribute__((always_inline)) {
        const T* from = b + v.value * kWidth;
        constexpr bool kPartial = kTail && v.value == NV - 1;
        bs[v.value] = (kPartial ? tail.load<V>(from) : V::load(from)).value;
        if constexpr (kPacksB) {
          const T* const ahead = from + kTermsAhead * b_row;
          __builtin_prefetch(ahead, 0, 2);
          if constexpr (v.value == NV - 1) __builtin_prefetch(ahead + kWidth - 1, 0, 2);
          V(bs[v.value]).store(tile.b_panel + (p * NV + v.value) * kWidth);
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

/// One tile, and the epilogue E on its sums. A tile that packs B takes no longer than another: the
/// two stores of a term are hidden behind its fma.
template <class V, int MR, int NV, bool kTail, class E, bool kPacksB = false>
void gemm_tile(const GemmTile<typename V::Scalar>& tile) {
  using Sums = TileSums<V, MR, NV, kTail, kPacksB>;
  const Sums tile_sums(tile);
  const First tail{tile.cols - (NV - 1) * Sums::kWidth};
  // A copy of the epilogue: the stores to C cannot change it, so it stays in registers.
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

/// kernels[r - 1][v - 1][t] takes r rows and v vectors; the last vector is partial if t is 1.
template <class V, int MR, int NV, class E>
struct TileKernels {
  TileKernel<typename V::Scalar> kernels[MR][NV][2];

  constexpr TileKernels() : kernels() { fill<MR, NV>(); }

 private:
  template <int R, int N>
  constexpr void fill() {
    // If masks are cheap, small tiles use the masked kernel for whole vectors too, which saves the
    // code of another kernel.
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

/// The epilogue alone, on n complete sums s of row 0.
template <class V, class E>
void epilogue_row(const typename V::Scalar* s, std::ptrdiff_t n,
                  const Epilogue<typename V::Scalar>& to) {
  for_each_vec<V>(n, [&](std::ptrdiff_t j, auto access) {
    access.store(to.c + j, E::finish(access.template load<V>(s + j), to, 0, j, access));
  });
}

// Before a tile forms its sums it prefetches what its epilogue will read and write, if the sums
// have at least so many terms. Without a prefetch all stores of a tile would wait for memory at
// once, and the processor cannot hold so many. With fewer terms a prefetch costs more than it
// brings.
constexpr std::ptrdiff_t kPrefetchTermsToRead = 48, kPrefetchTermsToWrite = 32;

template <class T>
void prefetch_rows(const T* first, std::ptrdiff_t stride, std::ptrdiff_t rows,
                   std::ptrdiff_t cols) {
  constexpr std::ptrdiff_t kLine = kLineBytes / sizeof(T);
  for (std::ptrdiff_t i = 0; i < rows; ++i, first += stride) {
    for (std::ptrdiff_t j = 0; j < cols; j += kLine) __builtin_prefetch(first + j, 0, 2);
    __builtin_prefetch(first + cols - 1, 0, 2);  // a row that begins inside a line has one more
  }
}

/// The most rows that a tile of this block may have. If the rows of C share a set of the
/// first-level cache, a tile has no more of them than the set has ways: the others would be pushed
/// out half written, and be written twice. Measured with mr = 12: it is faster up to 128 terms
/// (2048 x 2048 x 32: 0.68 of the peak becomes 0.76), and from 256 terms on it costs as much as it
/// brings. Panels of A have mr rows, so they cannot be cut.
template <class T>
std::ptrdiff_t most_rows(std::ptrdiff_t mr, const GemmBlock<T>& block) {
  constexpr std::ptrdiff_t kWays = 8, kFewTerms = 128;
  const bool share = block.to->ldc * static_cast<std::ptrdiff_t>(sizeof(T)) % kCacheSetBytes == 0;
  const bool in_panels = block.a.packing == Packing::kAhead;
  return share && !in_panels && block.k <= kFewTerms && mr > kWays ? kWays : mr;
}

/// The number of rows of the next tile, if `left` rows are left: mr, except that the last two tiles
/// share their rows evenly. A last tile of one or two rows would be slow, because so few chains of
/// fma cannot hide the latency of one. Panels of A have mr rows, so they cannot be shared.
constexpr std::ptrdiff_t tile_rows(std::ptrdiff_t left, std::ptrdiff_t mr, bool in_panels) {
  if (left <= mr) return left;
  return in_panels || left >= 2 * mr ? mr : (left + 1) / 2;
}

/// The tiles of `rows` rows of A from row i, over all columns. If the kernel packs B, the tiles of
/// the first rows do it.
template <class V, int MR, int NV, class E>
void gemm_rows(const GemmBlock<typename V::Scalar>& block, std::ptrdiff_t i, std::ptrdiff_t rows) {
  using T = typename V::Scalar;
  constexpr std::ptrdiff_t kWidth = V::kWidth, kCols = NV * kWidth;
  const Operand<T>&a = block.a, &b = block.b;
  const Epilogue<T>& to = *block.to;
  const bool a_panels = a.packing == Packing::kAhead;
  const bool packs_b = b.packing == Packing::kByKernel && i == 0;
  const bool reads_own_panels = b.packing == Packing::kByKernel && i > 0;
  const bool b_panels = b.packing == Packing::kAhead || reads_own_panels;
  const T* const b_data = reads_own_panels ? block.b_panels : b.data;
  GemmTile<T> tile;
  tile.k = block.k;
  tile.a = a.data + i * (a_panels ? block.k : a.row_stride);
  tile.a_row_stride = a_panels ? 1 : a.row_stride;
  tile.a_col_stride = a_panels ? rows : a.col_stride;
  tile.to = block.to;
  tile.i = i;
  for (std::ptrdiff_t j = 0; j < block.n; j += kCols) {
    tile.cols = block.n - j < kCols ? block.n - j : kCols;
    tile.b = b_data + j * (b_panels ? block.k : 1);
    tile.b_row_stride = b_panels ? tile.cols : b.row_stride;
    tile.j = j;
    if (block.k >= (E::kReadsC ? kPrefetchTermsToRead : kPrefetchTermsToWrite)) {
      prefetch_rows(to.c + i * to.ldc + j, to.ldc, rows, tile.cols);
    }
    if (to.activated != nullptr && block.k >= kPrefetchTermsToRead) {
      prefetch_rows(to.activated + i * to.ld_activated + j, to.ld_activated, rows, tile.cols);
    }
    if (packs_b) {
      tile.b_panel = block.b_panels + j * block.k;
      if (rows == MR && tile.cols == kCols) {
        gemm_tile<V, MR, NV, false, E, true>(tile);
        continue;
      }
      copy_rows<V>(tile.b, tile.b_row_stride, tile.cols, block.k, tile.b_panel);
    }
    const std::ptrdiff_t vectors = (tile.cols + kWidth - 1) / kWidth;
    kTiles<V, MR, NV, E>.kernels[rows - 1][vectors - 1][tile.cols % kWidth != 0](tile);
  }
}

/// One block: the tiles of mr rows of A at a time. An epilogue that is too long for a tile's
/// registers runs on those rows of C right after, while they are in the cache.
template <class V, int MR, int NV, class E>
void gemm_block(const GemmBlock<typename V::Scalar>& block) {
  using T = typename V::Scalar;
  const std::ptrdiff_t most = most_rows<T>(MR, block);
  const bool in_panels = block.a.packing == Packing::kAhead;
  std::ptrdiff_t rows = 0;
  for (std::ptrdiff_t i = 0; i < block.m; i += rows) {
    rows = tile_rows(block.m - i, most, in_panels);
    if constexpr (E::kInTile) {
      gemm_rows<V, MR, NV, E>(block, i, rows);
    } else {
      gemm_rows<V, MR, NV, Store>(block, i, rows);
      for (std::ptrdiff_t r = i; r < i + rows; ++r) {
        const Epilogue<T> to = at(*block.to, r, 0);
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
