// The contract between the drivers and the kernels: KernelTable<T>, filled once per ISA and type.
// Plain structs of numbers and function pointers; kernels check nothing. The drivers are gemm.cpp,
// ops.cpp and network.cpp; the kernels are gemm_kernel.hpp, activations.hpp, losses.hpp and so on.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__FAST_MATH__)
#error "fastmlp: fast math would break the order of summation, and so the promise on bits"
#endif

namespace fastmlp::detail {

// Part of the promise on bits (docs/mathematics.md, "Order of summation"): sums are cut into chunks
// of kChunk terms. A chunk that is not one chain has kLanes chains; term k goes to lane k mod
// kLanes.
constexpr std::ptrdiff_t kChunk = 4096;
constexpr std::ptrdiff_t kLanes = 16;

/// Rows that begin a multiple of so many bytes apart use the same set of the first-level cache, so
/// that they push each other out of it.
constexpr std::ptrdiff_t kCacheSetBytes = 4096;

/// What an epilogue does with each complete sum s of a product, and the matrices it reads and
/// writes. Each epilogue in epilogues.hpp uses some of the fields.
template <class T>
struct Epilogue {
  T* c = nullptr;  // (rows, cols), contiguous rows
  std::ptrdiff_t ldc = 0;
  const T* bias = nullptr;       // (cols,): C = g(s + bias)
  const T* activated = nullptr;  // (rows, cols), A = g(Z): C = s * g'
  std::ptrdiff_t ld_activated = 0;
  T* z = nullptr;  // (rows, cols), Z = s + bias: g writes it, g' reads it; null if nobody needs Z
  std::ptrdiff_t ld_z = 0;
  T alpha = 0;  // C = fma(-alpha, s, C)
};

namespace {  // at() is code, so every file needs its own copy (dispatch.hpp says why)

/// The epilogue for the part of C whose first element is (i, j).
template <class T>
Epilogue<T> at(const Epilogue<T>& to, std::ptrdiff_t i, std::ptrdiff_t j) {
  Epilogue<T> part = to;
  part.c += i * to.ldc + j;
  if (to.bias != nullptr) part.bias += j;
  if (to.activated != nullptr) part.activated += i * to.ld_activated + j;
  if (to.z != nullptr) part.z += i * to.ld_z + j;
  return part;
}

}  // namespace

/// Whether an operand of a product is packed, and who packs it. plan.hpp says which one is chosen
/// when.
enum class Packing {
  kInPlace,   // nobody: the kernel reads the operand by its strides
  kAhead,     // the driver, before it calls the kernel
  kByKernel,  // the kernel (B only): it reads B in place for its first rows of A, stores the panels
              // on the way, and reads those for the other rows
};

/// An operand as the micro-kernel reads it. Element (i, j) is data[i * row_stride + j *
/// col_stride]; if the packing is kAhead, `data` has the panels instead, and the strides mean
/// nothing.
///
/// A packed A is panel after panel of mr rows; the last panel has the rows that are left. A panel
/// of r rows has k columns of r elements, and the one that begins with row i begins at data[i * k]:
///
///     A (5, k), mr = 2:   a00 a10 a01 a11 ... | a20 a30 a21 a31 ... | a40 a41 ...
///
/// A packed B is its transpose packed in the same way: panel after panel of nr columns.
template <class T>
struct Operand {
  const T* data;
  std::ptrdiff_t row_stride, col_stride;
  Packing packing;
};

/// C (m, n) = epilogue(A (m, k) . B (k, n)) on one thread, tile by tile; k <= kChunk.
template <class T>
struct GemmBlock {
  std::ptrdiff_t m, n, k;
  Operand<T> a, b;        // b has contiguous rows or is packed
  T* b_panels;            // kByKernel: where the kernel puts the panels; room for whole ones
  const Epilogue<T>* to;  // not a copy, which would cost time: see GemmTile
};

/// What `pack` does: `count` rows of k elements become panel after panel of `width` rows, as drawn
/// at Operand. Element (i, p) is source[i * i_stride + p * p_stride]. To pack B, i counts its
/// columns. The panel that begins with row i goes to out[i * k]; `out` has room for whole panels,
/// also for the last one.
template <class T>
struct PackedRows {
  const T* source;
  std::ptrdiff_t i_stride, p_stride, count, k, width;
  T* out;
};

/// What `gather` does: row i of `out` becomes row indices[i] of the source. Element (r, j) of the
/// source is source[r * row_stride + j * col_stride]; the rows of `out` are `out_stride` apart.
template <class T>
struct GatheredRows {
  const T* source;
  std::ptrdiff_t row_stride, col_stride;
  const std::int64_t* indices;
  std::ptrdiff_t rows, cols;
  T* out;
  std::ptrdiff_t out_stride;
};

/// One stored element of a sparse row.
template <class T>
struct SparseEntry {
  std::ptrdiff_t at;  // its column
  T value;
};

/// The kernels that end in one epilogue: `block` multiplies, then applies it; `row` applies it to n
/// complete sums s, which belong to row 0 of `to`.
template <class T>
struct EpilogueKernels {
  void (*block)(const GemmBlock<T>&);
  void (*row)(const T* s, std::ptrdiff_t n, const Epilogue<T>& to);
};

// [export: begin]

/// How far from 0 the weights before a layer start: uniform in (-r, r), with r = sqrt(6 / (n_in +
/// n_out)) by Glorot, sqrt(6 / n_in) by He, sqrt(3 / n_in) by LeCun.
enum class Initialization { kGlorot, kHe, kLeCun };

// [export: end]

/// One activation, made from its struct in activations.hpp.
template <class T>
struct ActivationKernels {
  const char* name;
  Initialization initialization;  // of the weights before it
  bool needs_z;                   // g' reads Z, so a pass with a gradient gives `activate` a place
  void (*forward)(const T* z, T* a, std::ptrdiff_t n);
  EpilogueKernels<T> activate;    // C = g(s + bias)
  EpilogueKernels<T> derivative;  // C = s * g'(activated), or s * g'(z)
};

/// The loss of `rows` rows. Z and dZ are (rows, cols) and contiguous; dZ may be Z.
template <class T>
struct LossBlock {
  const T* z;
  std::ptrdiff_t rows, cols;
  const T* y;          // (rows, cols); (rows, 1) for quantiles, and for the classes of softmax
  const T* scale;      // (rows,): dZ = scale * dloss/dZ; not read if dz is null
  T* dz;               // null: computes only the loss
  double* row_losses;  // (rows,)
  // Each loss is limited to [low, high]: that of a unit, or, for softmax, that of a row.
  T low = -static_cast<T>(__builtin_inf()), high = static_cast<T>(__builtin_inf());
  // Both are (cols,) or null. Softmax reads neither.
  const T* parameters = nullptr;  // see LossParameter
  const T* factors = nullptr;     // multiply the losses of each output, but not their gradient
};

// [export: begin]

/// The targets y of an output: numbers in [0, 1], one class for each row, any finite numbers, or
/// finite numbers that are not negative. With the first two the output is a probability: it has
/// labels, and its loss can be clipped.
enum class Targets { kUnitInterval, kClasses, kReal, kNotNegative };

// [export: end]

/// What LossBlock::parameters has for each output: nothing, delta of the options, or a quantile.
/// With quantiles, each row has one target, which is compared with every output.
enum class LossParameter { kNone, kDelta, kQuantile };

/// A loss that an identity output can have instead of its own, made from its struct in losses.hpp.
template <class T>
struct LossKernels {
  const char* name;
  LossParameter parameter;
  int power;  // as in OutputKernels
  void (*loss)(const LossBlock<T>&);
};

/// One output with its loss, made from its struct in losses.hpp.
template <class T>
struct OutputKernels {
  const char* name;
  Targets targets;
  int power;  // kPower of its struct, which says how its loss depends on the scale of y
  void (*forward)(const T* z, T* out, std::ptrdiff_t rows, std::ptrdiff_t cols);
  /// dZ, from Yhat and a gradient with respect to Yhat; dz may be dy.
  void (*backward)(const T* yhat, const T* dy, T* dz, std::ptrdiff_t rows, std::ptrdiff_t cols);
  void (*loss)(const LossBlock<T>&);
};

/// The numbers of one step of a rule (optimizers.hpp). A rule has at most two running means; the
/// mean m of x becomes keep m + take x. From |g| = least_g on, take_2 g^2 is a normal number.
template <class T>
struct StepNumbers {
  T rate = 0, keep_1 = 0, take_1 = 0, keep_2 = 0, take_2 = 0, epsilon = 0, least_g = 0;
};

/// One update of n parameters theta by their gradients. The rule gets shrink * theta instead of
/// theta, and g = scale * gradient + decay * theta. If decay is not 0 or shrink not 1, a theta that
/// is nearly 0 becomes 0 first.
template <class T>
struct OptimizerStep {
  T* parameters = nullptr;
  const T* gradients = nullptr;
  T* state[2] = {};
  std::ptrdiff_t n = 0;
  T scale = 1, decay = 0, shrink = 1;
  StepNumbers<T> numbers;
};

template <class T>
struct KernelTable {
  // A tile of C is at most (mr, nr). A thread packs at most b_block_bytes of B at a time.
  std::ptrdiff_t mr, nr, b_block_bytes;

  EpilogueKernels<T> store;   // C = s
  EpilogueKernels<T> add;     // C = C + s
  EpilogueKernels<T> update;  // C = fma(-alpha, s, C)
  // In the order of the lists Activations, Outputs, Losses and Rules.
  const ActivationKernels<T>* activations;
  std::size_t n_activations;
  const OutputKernels<T>* outputs;
  std::size_t n_outputs;
  const LossKernels<T>* losses;
  std::size_t n_losses;
  void (*const* rules)(const OptimizerStep<T>&);

  void (*pack)(const PackedRows<T>&);
  void (*gather)(const GatheredRows<T>&);
  /// out[j] = sum over p of x[p * x_stride] b(p, j), over one chunk (k <= kChunk). Serves a product
  /// with one row.
  void (*row_product)(const T* x, std::ptrdiff_t x_stride, const T* b, std::ptrdiff_t ldb,
                      std::ptrdiff_t k, std::ptrdiff_t n, T* out);
  /// out[i] = row i of A times x, over one chunk (k <= kChunk), in 16 lanes. A has `rows` rows,
  /// each contiguous.
  void (*row_dots)(const T* a, std::ptrdiff_t lda, const T* x, std::ptrdiff_t k,
                   std::ptrdiff_t rows, T* out);
  /// out = transposed(A) . x over one chunk; each element is summed in 16 lanes over the rows. A is
  /// (rows, cols) with contiguous rows. If x is null, it stands for ones: the sum of the rows.
  void (*column_dots)(const T* a, std::ptrdiff_t lda, const T* x, std::ptrdiff_t rows,
                      std::ptrdiff_t cols, T* out);
  /// out = a sparse row times B (any number of rows, n), from its `count` entries, which are in the
  /// order of their columns. Returns whether the sum of a chunk is -0.
  bool (*sparse_row)(const SparseEntry<T>* entries, std::ptrdiff_t count, const T* b,
                     std::ptrdiff_t ldb, std::ptrdiff_t n, T* out);
  /// A sparse row times x, in 16 lanes, from its entries in one chunk.
  T (*sparse_dot)(const SparseEntry<T>* entries, std::ptrdiff_t count, const T* x);
  bool (*all_finite)(const T* x, std::ptrdiff_t n);
};

}  // namespace fastmlp::detail
