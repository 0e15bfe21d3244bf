// The contract between the drivers and the kernels: KernelTable<T>, filled once per ISA and type.
// Plain structs of numbers and function pointers; kernels check nothing. The drivers are gemm.cpp,
// ops.cpp and network.cpp; the kernels are gemm_kernel.hpp, activations.hpp, losses.hpp.
#pragma once

#include <cstddef>

#if defined(__FAST_MATH__)
#error "fastmlp: fast math would break the order of summation, and so the promise on bits"
#endif

namespace fastmlp::detail {

// The lists in activations.hpp and losses.hpp have these lengths and the order of the enums in
// options.hpp; table.hpp and dispatch.cpp assert both.
constexpr std::size_t kActivationCount = 4;
constexpr std::size_t kOutputCount = 3;

// Part of the promise on bits (docs/mathematics.md, "Order of summation"): sums are cut into chunks
// of kChunk terms; where a chunk is not one chain, term k goes to lane k mod kLanes.
constexpr std::ptrdiff_t kChunk = 4096;
constexpr std::ptrdiff_t kLanes = 16;

/// Where the complete sums s of a product go, and what they meet on the way.
template <class T>
struct Epilogue {
  T* c = nullptr;  // (rows, cols), contiguous columns
  std::ptrdiff_t ldc = 0;
  const T* bias = nullptr;       // (cols,): C = g(s + bias)
  const T* activated = nullptr;  // (rows, cols): C = s * g'(activated)
  std::ptrdiff_t ld_activated = 0;
  T alpha = 0;  // C = fma(-alpha, s, C)
};

/// One tile of a product, at most (mr, nr): A as k columns of mr, B as k rows of nr, zero padded.
template <class T>
struct GemmTile {
  std::ptrdiff_t k;
  const T* a;
  const T* b;
  std::ptrdiff_t rows, cols;
  Epilogue<T> to;
};

/// One epilogue, at the end of a tile's chain of fma, or alone on a row of n sums.
template <class T>
struct EpilogueKernels {
  void (*tile)(const GemmTile<T>&);
  void (*row)(const T* s, std::ptrdiff_t n, const Epilogue<T>& to);
};

template <class T>
struct ActivationKernels {
  void (*forward)(const T* z, T* a, std::ptrdiff_t n);
  EpilogueKernels<T> activate;    // C = g(s + bias)
  EpilogueKernels<T> derivative;  // C = s * g'(activated)
};

/// The loss of `rows` rows. Z and dZ are (rows, cols) and contiguous; dZ may be Z.
template <class T>
struct LossBlock {
  const T* z;
  std::ptrdiff_t rows, cols;
  const T* y;          // (rows, cols), or class indices (rows, 1) for softmax
  const T* scale;      // (rows,): dZ = scale * (Yhat - Y); not read where dz is null
  T* dz;               // null: the loss only
  double* row_losses;  // (rows,)
};

template <class T>
struct OutputKernels {
  void (*forward)(const T* z, T* out, std::ptrdiff_t rows, std::ptrdiff_t cols);
  void (*loss)(const LossBlock<T>&);
};

template <class T>
struct KernelTable {
  // Blocks: a tile of C is (mr, nr); a packed block of A or B is at most so many bytes.
  std::ptrdiff_t mr, nr, a_block_bytes, b_block_bytes;

  EpilogueKernels<T> store;   // C = s
  EpilogueKernels<T> add;     // C = C + s
  EpilogueKernels<T> update;  // C = fma(-alpha, s, C)
  ActivationKernels<T> activations[kActivationCount];
  OutputKernels<T> outputs[kOutputCount];

  /// One chunk (n <= kChunk) of a . x in 16 lanes.
  T (*dot)(const T* a, const T* x, std::ptrdiff_t n);
  /// One chunk of transposed(A) . x for A (rows, cols) with contiguous columns, each element in 16
  /// lanes over the rows; x null stands for ones (the sum of the rows).
  void (*column_dots)(const T* a, std::ptrdiff_t lda, const T* x, std::ptrdiff_t rows,
                      std::ptrdiff_t cols, T* out);
};

}  // namespace fastmlp::detail
