// See sparse.hpp. Start at SparseProduct::sums.
#include "gemm/sparse.hpp"

#include "threads/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

namespace fastmlp::detail {
namespace {

// Reading a row of B from memory takes longer than its fma. This many times their flops decide on
// the number of threads.
constexpr double kFarFlops = 4;

/// A reference to a function of [begin, end). Thanks to it run_parts is compiled once.
class Part {
 public:
  template <class Body>
  Part(const Body& body)
      : body_(&body), call_([](const void* f, std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
          (*static_cast<const Body*>(f))(begin, end);
        }) {}
  void operator()(std::ptrdiff_t begin, std::ptrdiff_t end) const noexcept {
    call_(body_, begin, end);
  }

 private:
  const void* body_;
  void (*call_)(const void*, std::ptrdiff_t, std::ptrdiff_t) noexcept;
};

/// Runs `part` over parts of [0, n) on at most `team` threads. Asks the poller, if there is one,
/// between them.
void run_parts(std::ptrdiff_t n, double flops, int team, Poller* poller, const Part& part) {
  constexpr double kMost = 64;  // so that the poller is asked often
  flops *= kFarFlops;
  const auto parts = std::clamp<std::ptrdiff_t>(
      static_cast<std::ptrdiff_t>(std::min(pieces_for(flops), kMost)), 1, n);
  std::atomic<bool> stop{false};
  parallel_tasks(parts, team, [&](std::ptrdiff_t task, int slot) noexcept {
    if (stop.load(std::memory_order_relaxed)) return;
    const Range range = part_of(n, 1, task, parts);
    part(range.begin, range.end);
    if (slot == 0 && poller != nullptr && poller->stop_after(flops / static_cast<double>(parts))) {
      stop.store(true, std::memory_order_relaxed);
    }
  });
  if (poller != nullptr) poller->worked(flops);
}

/// Whether a matrix with contiguous rows is finite.
template <class T>
bool all_finite(const KernelTable<T>& kernels, const MatrixView<const T>& B) {
  if (B.is_contiguous()) return kernels.all_finite(B.data, B.rows * B.cols);
  for (std::ptrdiff_t p = 0; p < B.rows; ++p) {
    if (!kernels.all_finite(&B(p, 0), B.cols)) return false;
  }
  return true;
}

/// One product with a sparse A. `finite` says which chunks of the rows of B are finite; null: all.
template <class T>
class SparseProduct {
 public:
  SparseProduct(const GemmContext<T>& context, const SparseView<T>& A, const MatrixView<const T>& B,
                const unsigned char* finite)
      : context_(context), A_(A), B_(B), finite_(finite) {}

  /// Row i of C.
  void row(std::ptrdiff_t i, const EpilogueKernels<T>& epilogue, const Epilogue<T>& to) const {
    T out[kCols];
    for (std::ptrdiff_t j = 0; j < B_.cols; j += kCols) {
      const std::ptrdiff_t n = std::min(kCols, B_.cols - j);
      sums(A_.entries + A_.starts[i], A_.entries + A_.starts[i + 1], j, n, out);
      epilogue.row(out, n, at(to, i, j));
    }
  }

  double flops() const {
    return finite_ == nullptr ? product_flops(A_.stored(), B_.cols, 1)
                              : product_flops(A_.rows, B_.cols, A_.cols);
  }

 private:
  // The number of columns of C that a thread computes at a time, on the stack.
  static constexpr std::ptrdiff_t kCols = 1024;

  /// The row with these entries, times columns [j, j + n) of B.
  void sums(const SparseEntry<T>* begin, const SparseEntry<T>* end, std::ptrdiff_t j,
            std::ptrdiff_t n, T* out) const {
    if (B_.cols > 1 && finite_ == nullptr &&
        !context_.kernels.sparse_row(begin, end - begin, B_.data + j, B_.row_stride, n, out)) {
      return;  // no chunk's sum is -0, so the total is not either, and empty chunks do not count
    }
    sums_by_chunk(begin, end, j, n, out);
  }

  /// The same, chunk by chunk. Chunks that need their zeros get them.
  [[gnu::noinline]] void sums_by_chunk(const SparseEntry<T>* entry, const SparseEntry<T>* end,
                                       std::ptrdiff_t j, std::ptrdiff_t n, T* out) const {
    T chunk_sums[kCols];
    for (std::ptrdiff_t k = 0; k < A_.cols; k += kChunk) {
      const std::ptrdiff_t kc = std::min(kChunk, A_.cols - k);
      const SparseEntry<T>* const first = entry;
      while (entry < end && entry->at < k + kc) ++entry;
      T* const to = k == 0 ? out : chunk_sums;
      const bool finite = finite_ == nullptr || finite_[k / kChunk] != 0;
      if (!finite || !chunk_without_zeros(first, entry, j, n, to)) {
        chunk_with_zeros(first, entry, k, kc, j, n, to);
      }
      if (k > 0) {
        for (std::ptrdiff_t c = 0; c < n; ++c) out[c] += chunk_sums[c];
      }
    }
  }

  /// Returns false if the zeros may matter because of a -0.
  bool chunk_without_zeros(const SparseEntry<T>* begin, const SparseEntry<T>* end, std::ptrdiff_t j,
                           std::ptrdiff_t n, T* out) const {
    if (begin == end) {
      std::fill_n(out, n, T(0));
      return true;
    }
    if (B_.cols == 1) {
      out[0] = context_.kernels.sparse_dot(begin, end - begin, B_.data);
      return out[0] != 0 || !std::signbit(out[0]);
    }
    return !context_.kernels.sparse_row(begin, end - begin, B_.data + j, B_.row_stride, n, out);
  }

  [[gnu::noinline]] void chunk_with_zeros(const SparseEntry<T>* begin, const SparseEntry<T>* end,
                                          std::ptrdiff_t k, std::ptrdiff_t kc, std::ptrdiff_t j,
                                          std::ptrdiff_t n, T* out) const {
    T dense[kChunk];
    std::fill_n(dense, kc, T(0));
    for (; begin < end; ++begin) dense[begin->at - k] = begin->value;
    const T* const b = B_.data + k * B_.row_stride + j;
    if (B_.cols == 1) {
      context_.kernels.row_dots(dense, kc, b, kc, 1, out);
    } else {
      context_.kernels.row_product(dense, 1, b, B_.row_stride, kc, n, out);
    }
  }

  const GemmContext<T>& context_;
  const SparseView<T>& A_;
  const MatrixView<const T>& B_;
  const unsigned char* const finite_;
};

/// The epilogue on sums of +0, for the elements [first, end) of a C without gaps.
template <class T>
void write_zeros(const EpilogueKernels<T>& epilogue, const Epilogue<T>& to, std::ptrdiff_t first,
                 std::ptrdiff_t end) {
  constexpr std::ptrdiff_t kZeros = 1024;
  const T zeros[kZeros] = {};
  for (; first < end; first += kZeros) {
    epilogue.row(zeros, std::min(kZeros, end - first), at(to, 0, first));
  }
}

}  // namespace

template <class T>
void FiniteChunks::look(const KernelTable<T>& kernels, const MatrixView<const T>& B) {
  const std::ptrdiff_t chunks = (B.rows + kChunk - 1) / kChunk;
  chunks_.resize(static_cast<std::size_t>(chunks));
  run_parts(chunks, product_flops(B.rows, B.cols, 1), max_team(), nullptr,
            [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
              for (std::ptrdiff_t c = begin; c < end; ++c) {
                const std::ptrdiff_t k = c * kChunk;
                chunks_[static_cast<std::size_t>(c)] =
                    all_finite(kernels, B.row_block(k, std::min(kChunk, B.rows - k)));
              }
            });
  all_ = std::find(chunks_.begin(), chunks_.end(), 0) == chunks_.end();
  known_ = true;
}

template <class T>
bool finite_where_written(const KernelTable<T>& kernels, const SparseView<T>& A,
                          const MatrixView<const T>& B) {
  std::atomic<bool> finite{true};
  run_parts(A.rows, product_flops(A.stored(), B.cols, 1), max_team(), nullptr,
            [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
              for (std::ptrdiff_t i = begin; i < end; ++i) {
                if (A.starts[i] < A.starts[i + 1] && !kernels.all_finite(&B(i, 0), B.cols)) {
                  finite.store(false, std::memory_order_relaxed);
                }
              }
            });
  return finite.load(std::memory_order_relaxed);
}

template <class T>
void sparse_gemm(const GemmContext<T>& context, const SparseView<T>& A,
                 const MatrixView<const T>& B, const unsigned char* finite,
                 const EpilogueKernels<T>& epilogue, const Epilogue<T>& to) {
  if (A.rows == 0) return;
  const SparseProduct<T> product(context, A, B, finite);
  run_parts(A.rows, product.flops(), context.max_team, context.poller,
            [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
              for (std::ptrdiff_t i = begin; i < end; ++i) product.row(i, epilogue, to);
            });
}

template <class T>
void mostly_empty_gemm(const GemmContext<T>& context, const SparseView<T>& A,
                       const MatrixView<const T>& B, const EpilogueKernels<T>& epilogue,
                       const Epilogue<T>& to) {
  const bool finite = all_finite(context.kernels, B);
  const unsigned char not_finite = 0;
  const SparseProduct<T> product(context, A, B, finite ? nullptr : &not_finite);
  // The sum of an empty row is +0 if B is finite, and fma(-alpha, +0, c) is c.
  const bool updates = &epilogue == &context.kernels.update;
  const double flops = product.flops() + (updates ? 0.0 : product_flops(A.rows, B.cols, 1));
  run_parts(A.rows, flops, context.max_team, context.poller,
            [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
              for (std::ptrdiff_t i = begin; i < end; ++i) {
                const std::ptrdiff_t empty_from = i;
                while (finite && i < end && A.starts[i] == A.starts[i + 1]) ++i;
                if (!updates) write_zeros(epilogue, to, empty_from * B.cols, i * B.cols);
                if (i < end) product.row(i, epilogue, to);
              }
            });
}

template void FiniteChunks::look(const KernelTable<float>&, const MatrixView<const float>&);
template void FiniteChunks::look(const KernelTable<double>&, const MatrixView<const double>&);
template bool finite_where_written(const KernelTable<float>&, const SparseView<float>&,
                                   const MatrixView<const float>&);
template bool finite_where_written(const KernelTable<double>&, const SparseView<double>&,
                                   const MatrixView<const double>&);
template void sparse_gemm(const GemmContext<float>&, const SparseView<float>&,
                          const MatrixView<const float>&, const unsigned char*,
                          const EpilogueKernels<float>&, const Epilogue<float>&);
template void sparse_gemm(const GemmContext<double>&, const SparseView<double>&,
                          const MatrixView<const double>&, const unsigned char*,
                          const EpilogueKernels<double>&, const Epilogue<double>&);
template void mostly_empty_gemm(const GemmContext<float>&, const SparseView<float>&,
                                const MatrixView<const float>&, const EpilogueKernels<float>&,
                                const Epilogue<float>&);
template void mostly_empty_gemm(const GemmContext<double>&, const SparseView<double>&,
                                const MatrixView<const double>&, const EpilogueKernels<double>&,
                                const Epilogue<double>&);

}  // namespace fastmlp::detail
