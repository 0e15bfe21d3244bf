// The matrix product: who packs and multiplies what; the sums are kernels/gemm_kernel.hpp's.
// From the inside out: packing, one task, one block of rows, gemm(). Read it from below.
#include "gemm/gemm.hpp"

#include "gemm/plan.hpp"
#include "threads/parallel.hpp"

#include <algorithm>
#include <atomic>

namespace fastmlp::detail {
namespace {

/// One product, as its tasks see it.
template <class T>
class Product {
 public:
  Product(const GemmContext<T>& context, const MatrixView<const T>& A, const MatrixView<const T>& B,
          const EpilogueKernels<T>& epilogue, const Epilogue<T>& to)
      : context_(context), kernels_(context.kernels), A_(A), B_(B), epilogue_(epilogue), to_(to) {}

  void multiply() {
    const int team = team_size();
    const Plan<T> plan(kernels_, A_, B_, team);
    const bool one_chunk = A_.cols <= kChunk;
    if (one_chunk && team == 1 && plan.read_a == ReadA::kInPlace &&
        !plan.pack_b) {  // nothing to prepare
      epilogue_.block({A_.rows, B_.cols, A_.cols, A_.data, false, A_.row_stride, A_.col_stride,
                       B_.data, false, B_.row_stride, nullptr, to_});
      return worked(0, product_flops(A_.rows, B_.cols, A_.cols));
    }
    reserve();
    std::ptrdiff_t p = 0;
    do {  // once also where there is nothing to sum
      // The sums of several chunks are added in C; the epilogue follows on the totals.
      const EpilogueKernels<T>& finish = one_chunk ? epilogue_
                                         : p == 0  ? kernels_.store
                                                   : kernels_.add;
      const std::ptrdiff_t kc = std::min(kChunk, A_.cols - p);
      for (std::ptrdiff_t i = 0; i < A_.rows && !stopped(); i += plan.block_rows) {
        const std::ptrdiff_t rows = std::min(plan.block_rows, A_.rows - i);
        block_of_rows(plan, A_.row_block(i, rows).col_block(p, kc), B_.row_block(p, kc), finish,
                      at(to_, i, 0));
      }
      p += kc;
    } while (p < A_.cols);
    if (one_chunk || &epilogue_ == &kernels_.store) return;
    parallel_for(A_.rows, 1, product_flops(A_.rows, B_.cols, 1),
                 [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
                   for (std::ptrdiff_t i = begin; i < end; ++i) {
                     const Epilogue<T> row = at(to_, i, 0);
                     epilogue_.row(row.c, B_.cols, row);
                   }
                 });
  }

  /// A product with one row: B is read once, side by side by all threads.
  void multiply_row() const {
    const std::ptrdiff_t n = B_.cols;
    parallel_for(n, kRowGrain, product_flops(1, n, A_.cols),
                 [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
                   for (std::ptrdiff_t j = begin; j < end && !stopped(); j += kRowCols) {
                     row_part(j, std::min(kRowCols, end - j));
                   }
                 });
  }

  /// A product with one column: each element in 16 lanes.
  void multiply_column() {
    const std::ptrdiff_t k = A_.cols;
    reserve();
    T* column = context_.workspace.data();
    const T* x = B_.data;
    if (B_.row_stride != 1) {
      for (std::ptrdiff_t p = 0; p < k; ++p) column[p] = B_(p, 0);
      x = column;
    }
    const std::ptrdiff_t tasks = (A_.rows + kColumnRows - 1) / kColumnRows;
    const auto run = [&](std::ptrdiff_t task, int slot) noexcept {
      if (stopped()) return;
      const std::ptrdiff_t first = task * kColumnRows;
      column_part(x, first, std::min(kColumnRows, A_.rows - first), own(slot));
    };
    parallel_tasks(tasks, context_.max_team, run);
  }

 private:
  static constexpr std::ptrdiff_t kRowGrain = 512;    // columns: so long a run memory reads well
  static constexpr std::ptrdiff_t kRowCols = 2048;    // sums at a time, on the stack,
  static constexpr std::ptrdiff_t kColumnRows = 256;  // of one row or one column

  void reserve() {
    need_ = Workspace<T>(kernels_, A_.rows, B_.cols, A_.cols);
    context_.workspace.reserve(need_.size(context_.max_team));
  }
  T* own(int slot) const { return context_.workspace.data() + need_.common + slot * need_.share; }

  bool stopped() const { return stop_.load(std::memory_order_relaxed); }

  /// After work of so many flops. The calling thread, whose slot is 0, asks; all see the answer.
  void worked(int slot, double flops) const {
    if (slot == 0 && context_.poller != nullptr && context_.poller->stop_after(flops)) {
      stop_.store(true, std::memory_order_relaxed);
    }
  }

  /// One chunk of the rows of a block, task by task.
  void block_of_rows(const Plan<T>& plan, const MatrixView<const T>& A,
                     const MatrixView<const T>& B, const EpilogueKernels<T>& finish,
                     const Epilogue<T>& to) const {
    const bool copy_first = plan.read_a != ReadA::kInPlace && !plan.tasks_copy;
    if (copy_first) {
      parallel_for(A.rows, kernels_.mr, kCopyFlops * static_cast<double>(A.rows * A.cols),
                   [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
                     copy_a(plan, A, begin, end - begin);
                   });
    }
    const MatrixView<const T> operand = copy_first ? copy_of(plan, A) : A;
    const std::ptrdiff_t row_tasks = (A.rows + plan.task_rows - 1) / plan.task_rows;
    const std::ptrdiff_t col_tasks =
        plan.tasks_copy ? 1 : (B.cols + plan.task_cols - 1) / plan.task_cols;
    parallel_tasks(
        row_tasks * col_tasks, context_.max_team, [&](std::ptrdiff_t task, int slot) noexcept {
          const std::ptrdiff_t i = task % row_tasks * plan.task_rows;
          const std::ptrdiff_t rows = std::min(plan.task_rows, A.rows - i);
          if (plan.tasks_copy) {
            rows_and_copies(plan, A, i, rows, B, finish, to, slot);
          } else {
            const std::ptrdiff_t j = task / row_tasks * plan.task_cols;
            columns(plan, operand.row_block(i, rows), B, j, false, finish, at(to, i, 0), slot);
          }
        });
  }

  /// `rows` rows from i, copied first, with all columns.
  void rows_and_copies(const Plan<T>& plan, const MatrixView<const T>& A, std::ptrdiff_t i,
                       std::ptrdiff_t rows, const MatrixView<const T>& B,
                       const EpilogueKernels<T>& finish, const Epilogue<T>& to, int slot) const {
    const MatrixView<const T> copy = copy_of(plan, A);
    const std::ptrdiff_t end = i + rows;
    for (std::ptrdiff_t s = i; s < end && !stopped(); s += plan.strip_rows) {
      const std::ptrdiff_t strip = std::min(plan.strip_rows, end - s);
      copy_a(plan, A, s, strip);
      const MatrixView<const T> strip_of_a = copy.row_block(s, strip);
      for (std::ptrdiff_t j = 0; j < B.cols; j += plan.task_cols) {
        columns(plan, strip_of_a, B, j, s > i, finish, at(to, s, 0), slot);
      }
    }
  }

  /// plan.task_cols columns from j of A . B; `b_is_there` where this slot's copy is of them
  /// already.
  void columns(const Plan<T>& plan, const MatrixView<const T>& A, const MatrixView<const T>& B,
               std::ptrdiff_t j, bool b_is_there, const EpilogueKernels<T>& finish,
               const Epilogue<T>& to, int slot) const {
    if (stopped()) return;
    const std::ptrdiff_t cols = std::min(plan.task_cols, B.cols - j);
    const T* b = B.data + j * B.col_stride;
    T* const copy = plan.pack_b ? own(slot) : nullptr;
    const bool packed = plan.pack_b && (b_is_there || B.col_stride != 1);
    if (packed) {
      if (!b_is_there) pack_b(B.col_block(j, cols), copy);
      b = copy;
    }
    finish.block({A.rows, cols, A.cols, A.data, plan.read_a == ReadA::kAsPanels, A.row_stride,
                  A.col_stride, b, packed, B.row_stride, packed ? nullptr : copy, at(to, 0, j)});
    worked(slot, product_flops(A.rows, cols, A.cols));
  }

  /// Where the copy of a block of A is.
  MatrixView<const T> copy_of(const Plan<T>& plan, const MatrixView<const T>& A) const {
    const bool panels = plan.read_a == ReadA::kAsPanels;
    return {context_.workspace.data(), A.rows, A.cols, panels ? A.cols : spaced<T>(A.cols), 1};
  }
  /// Copies rows of A to where the copy of A has them. `first` is a multiple of mr.
  void copy_a(const Plan<T>& plan, const MatrixView<const T>& A, std::ptrdiff_t first,
              std::ptrdiff_t rows) const {
    const MatrixView<const T> copy = copy_of(plan, A);
    T* const out = context_.workspace.data() + first * copy.row_stride;
    if (plan.read_a == ReadA::kAsPanels) {
      pack_a(A.row_block(first, rows), out);
    } else {
      copy_rows(A.row_block(first, rows), {out, rows, A.cols, copy.row_stride, 1});
    }
  }

  static void copy_rows(MatrixView<const T> A, MatrixView<T> out) {
    for (std::ptrdiff_t i = 0; i < A.rows; ++i) std::copy_n(&A(i, 0), A.cols, &out(i, 0));
  }
  void pack_a(MatrixView<const T> A, T* out) const {
    kernels_.pack({A.data, A.row_stride, A.col_stride, A.rows, A.cols, kernels_.mr, out});
  }
  void pack_b(MatrixView<const T> B, T* out) const {
    kernels_.pack({B.data, B.col_stride, B.row_stride, B.cols, B.rows, kernels_.nr, out});
  }

  /// `cols` columns of a product with one row.
  void row_part(std::ptrdiff_t j, std::ptrdiff_t cols) const {
    T total[kRowCols], sums[kRowCols];
    std::ptrdiff_t p = 0;
    do {
      const std::ptrdiff_t kc = std::min(kChunk, A_.cols - p);
      kernels_.row_product(A_.data + p * A_.col_stride, A_.col_stride,
                           B_.data + p * B_.row_stride + j, B_.row_stride, kc, cols,
                           p == 0 ? total : sums);
      if (p > 0) {
        for (std::ptrdiff_t c = 0; c < cols; ++c) total[c] += sums[c];
      }
      p += kc;
    } while (p < A_.cols);
    epilogue_.row(total, cols, at(to_, 0, j));
  }

  /// `n` rows of a product with the column x, which is contiguous; `scratch` has room for a chunk.
  void column_part(const T* x, std::ptrdiff_t first, std::ptrdiff_t n, T* scratch) const {
    T total[kColumnRows], sums[kColumnRows], bias[kColumnRows];
    std::ptrdiff_t p = 0;
    do {
      const std::ptrdiff_t kc = std::min(kChunk, A_.cols - p);
      const MatrixView<const T> block = A_.row_block(first, n).col_block(p, kc);
      T* sum = p == 0 ? total : sums;
      if (block.row_stride == 1 && block.col_stride != 1) {
        kernels_.column_dots(block.data, block.col_stride, x + p, kc, n, sum);
      } else if (block.col_stride == 1) {
        kernels_.row_dots(block.data, block.row_stride, x + p, kc, n, sum);
      } else {
        for (std::ptrdiff_t i = 0; i < n; ++i) {
          for (std::ptrdiff_t q = 0; q < kc; ++q) scratch[q] = block(i, q);
          kernels_.row_dots(scratch, kc, x + p, kc, 1, sum + i);
        }
      }
      if (p > 0) {
        for (std::ptrdiff_t i = 0; i < n; ++i) total[i] += sums[i];
      }
      p += kc;
    } while (p < A_.cols);
    // The column seen as one row of C, all of it with the one bias.
    Epilogue<T> row = at(to_, 0, first);
    if (to_.bias != nullptr) {
      std::fill(bias, bias + n, to_.bias[0]);
      row.bias = bias;
    }
    epilogue_.row(total, n, row);
  }

  const GemmContext<T>& context_;
  const KernelTable<T>& kernels_;
  const MatrixView<const T>&A_, &B_;
  const EpilogueKernels<T>& epilogue_;
  const Epilogue<T>& to_;
  Workspace<T> need_;
  mutable std::atomic<bool> stop_{false};
};

}  // namespace

template <class T>
std::size_t gemm_workspace(const KernelTable<T>& kernels, std::ptrdiff_t m, std::ptrdiff_t n,
                           std::ptrdiff_t k, int max_team) {
  return Workspace<T>(kernels, m, n, k).size(max_team);
}

template <class T>
void gemm(const GemmContext<T>& context, const MatrixView<const T>& A, const MatrixView<const T>& B,
          const EpilogueKernels<T>& epilogue, const Epilogue<T>& to) {
  if (A.rows == 0 || B.cols == 0) return;
  Product<T> product(context, A, B, epilogue, to);
  if (B.cols == 1) {
    product.multiply_column();
  } else if (A.rows == 1 && B.col_stride == 1) {
    product.multiply_row();
  } else {
    product.multiply();
  }
  // Counted again as a whole: the other threads may have been quicker, and have left the caller no
  // task after which it could have asked.
  if (context.poller != nullptr) context.poller->worked(product_flops(A.rows, B.cols, A.cols));
}

// Sums over the rows of a matrix, in 16 lanes each.
template <class T>
void sum_rows(const GemmContext<T>& context, MatrixView<const T> A,
              const EpilogueKernels<T>& epilogue, const Epilogue<T>& to) {
  constexpr std::ptrdiff_t kCols = 256;  // sums at a time, on the stack
  const KernelTable<T>& kernels = context.kernels;
  parallel_for(A.cols, kLanes, product_flops(A.rows, A.cols, 1),
               [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
                 T sums[kCols];
                 for (std::ptrdiff_t j = begin; j < end; j += kCols) {
                   const std::ptrdiff_t n = std::min(kCols, end - j);
                   kernels.column_dots(A.data + j, A.row_stride, nullptr, A.rows, n, sums);
                   epilogue.row(sums, n, at(to, 0, j));
                 }
               });
}

template std::size_t gemm_workspace(const KernelTable<float>&, std::ptrdiff_t, std::ptrdiff_t,
                                    std::ptrdiff_t, int);
template std::size_t gemm_workspace(const KernelTable<double>&, std::ptrdiff_t, std::ptrdiff_t,
                                    std::ptrdiff_t, int);
template void gemm(const GemmContext<float>&, const MatrixView<const float>&,
                   const MatrixView<const float>&, const EpilogueKernels<float>&,
                   const Epilogue<float>&);
template void gemm(const GemmContext<double>&, const MatrixView<const double>&,
                   const MatrixView<const double>&, const EpilogueKernels<double>&,
                   const Epilogue<double>&);

template void sum_rows(const GemmContext<float>&, MatrixView<const float>,
                       const EpilogueKernels<float>&, const Epilogue<float>&);
template void sum_rows(const GemmContext<double>&, MatrixView<const double>,
                       const EpilogueKernels<double>&, const Epilogue<double>&);

}  // namespace fastmlp::detail
