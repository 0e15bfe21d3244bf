// The matrix product. Start with reference.hpp: this file is a faster equivalent of it, in three
// stages. plan.hpp decides what is packed and how C is cut; Product packs and shares the tasks
// between the threads; each task calls a micro-kernel (kernels/gemm_kernel.hpp, or kernels/gemv.hpp
// if A has one row or B one column). Read on at gemm(), near the end.
#include "gemm/gemm.hpp"

#include "gemm/plan.hpp"
#include "threads/parallel.hpp"

#include <algorithm>
#include <atomic>

namespace fastmlp::detail {
namespace {

/// One call of gemm(): C = epilogue(A . B).
template <class T>
class Product {
 public:
  Product(const GemmContext<T>& context, const MatrixView<const T>& A, const MatrixView<const T>& B,
          const EpilogueKernels<T>& epilogue, const Epilogue<T>& to)
      : context_(context), kernels_(context.kernels), A_(A), B_(B), epilogue_(epilogue), to_(to) {}

  void gemm() {
    const int team = team_size();
    const Plan<T> plan(kernels_, A_, B_, team);
    const bool one_chunk = A_.cols <= kChunk;
    if (one_chunk && team == 1 && plan.packs_nothing()) return gemm_in_place();
    reserve();
    std::ptrdiff_t k = 0;
    do {  // k = 0 has one chunk too, an empty one: the epilogue then gets zeros
      const std::ptrdiff_t kc = std::min(kChunk, A_.cols - k);
      // The sums of several chunks are added up in C; then the epilogue runs on the totals.
      const EpilogueKernels<T>& finish = one_chunk ? epilogue_
                                         : k == 0  ? kernels_.store
                                                   : kernels_.add;
      for (std::ptrdiff_t i = 0; i < A_.rows && !stopped(); i += plan.block_rows) {
        const std::ptrdiff_t rows = std::min(plan.block_rows, A_.rows - i);
        multiply_block(plan, {A_.row_block(i, rows).col_block(k, kc), B_.row_block(k, kc), finish,
                              at(to_, i, 0)});
      }
      k += kc;
    } while (k < A_.cols);
    if (!one_chunk && &epilogue_ != &kernels_.store) finish_totals();
  }

  /// The gemv for A with one row. Each thread has some columns of B, which are read once.
  void gemv_row() const {
    const std::ptrdiff_t n = B_.cols;
    parallel_for(n, kRowGrain, product_flops(1, n, A_.cols),
                 [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
                   for (std::ptrdiff_t j = begin; j < end && !stopped(); j += kRowCols) {
                     row_part(j, std::min(kRowCols, end - j));
                   }
                 });
  }

  /// The gemv for B with one column: each element of C is a sum in 16 lanes.
  void gemv_column() {
    const std::ptrdiff_t k = A_.cols;
    reserve();
    const T* x = B_.data;
    if (B_.row_stride != 1) {
      T* const copy = context_.workspace.data();
      for (std::ptrdiff_t p = 0; p < k; ++p) copy[p] = B_(p, 0);
      x = copy;
    }
    const std::ptrdiff_t tasks = (A_.rows + kColumnRows - 1) / kColumnRows;
    parallel_tasks(tasks, context_.max_team, [&](std::ptrdiff_t task, int slot) noexcept {
      if (stopped()) return;
      const std::ptrdiff_t first = task * kColumnRows;
      column_part(x, first, std::min(kColumnRows, A_.rows - first), own(slot));
    });
  }

 private:
  /// One chunk of one block of rows, for all columns. Its tasks share it.
  struct Block {
    MatrixView<const T> A, B;  // (block_rows, kc) and (kc, n)
    const EpilogueKernels<T>& finish;
    Epilogue<T> to;
  };

  // The least number of columns of a thread in a product with one row. The processor reads runs of
  // 2 KiB well, but does not treat runs of 1 KiB that are pages apart as a stream.
  static constexpr std::ptrdiff_t kRowGrain = 512;
  // The number of sums that a gemv keeps on the stack at a time.
  static constexpr std::ptrdiff_t kRowCols = 2048, kColumnRows = 256;

  void reserve() {
    workspace_ = Workspace<T>(kernels_, A_.rows, B_.cols, A_.cols);
    context_.workspace.reserve(workspace_.size(context_.max_team));
  }
  /// The part of the workspace that belongs to the thread with this slot.
  T* own(int slot) const {
    return context_.workspace.data() + workspace_.common + slot * workspace_.share;
  }

  bool stopped() const { return stop_.load(std::memory_order_relaxed); }

  /// Reports finished work of `flops` flops. Only the calling thread, whose slot is 0, asks the
  /// poller; the others see the answer in stopped().
  void worked(int slot, double flops) const {
    if (slot == 0 && context_.poller != nullptr && context_.poller->stop_after(flops)) {
      stop_.store(true, std::memory_order_relaxed);
    }
  }

  /// The whole product by one call of the micro-kernel: the short way for small networks.
  void gemm_in_place() const {
    epilogue_.block({A_.rows,
                     B_.cols,
                     A_.cols,
                     {A_.data, A_.row_stride, A_.col_stride, Packing::kInPlace},
                     {B_.data, B_.row_stride, B_.col_stride, Packing::kInPlace},
                     nullptr,
                     &to_});
    worked(0, product_flops(A_.rows, B_.cols, A_.cols));
  }

  /// Cuts a block into tasks and shares them between the threads.
  void multiply_block(const Plan<T>& plan, const Block& block) const {
    const std::ptrdiff_t m = block.A.rows, n = block.B.cols;
    if (plan.a == Packing::kAhead && !plan.tasks_pack_a) pack_a_together(plan, block.A);
    const std::ptrdiff_t cols = plan.tasks_pack_a ? n : plan.task_cols;
    const std::ptrdiff_t row_tasks = (m + plan.task_rows - 1) / plan.task_rows;
    const std::ptrdiff_t col_tasks = (n + cols - 1) / cols;
    parallel_tasks(row_tasks * col_tasks, context_.max_team,
                   [&](std::ptrdiff_t task, int slot) noexcept {
                     const std::ptrdiff_t i = task % row_tasks * plan.task_rows;
                     const std::ptrdiff_t j = task / row_tasks * cols;
                     const std::ptrdiff_t end_i = std::min(i + plan.task_rows, m);
                     const std::ptrdiff_t end_j = std::min(j + cols, n);
                     run_task(plan, block, {i, end_i}, {j, end_j}, slot);
                   });
  }

  /// One task: these rows and columns of C. If it packs its rows of A itself, it does that strip by
  /// strip; otherwise they are one strip.
  void run_task(const Plan<T>& plan, const Block& block, Range rows, Range cols, int slot) const {
    GemmBlock<T> call;  // what the micro-kernel gets; never copied, see GemmTile
    call.k = block.A.cols;
    call.b_panels = own(slot);
    for (std::ptrdiff_t i = rows.begin; i < rows.end && !stopped(); i += plan.strip_rows) {
      call.m = std::min(plan.strip_rows, rows.end - i);
      if (plan.tasks_pack_a) pack_a(plan, block.A, i, call.m);
      call.a = read_a(plan, block.A, i);
      for (std::ptrdiff_t j = cols.begin; j < cols.end && !stopped(); j += plan.task_cols) {
        call.n = std::min(plan.task_cols, cols.end - j);
        if (i == rows.begin) call.b = prepare_b(plan, block.B.col_block(j, call.n), slot);
        const Epilogue<T> to = at(block.to, i, j);
        call.to = &to;
        block.finish.block(call);
        worked(slot, product_flops(call.m, call.n, call.k));
      }
      // If another strip follows, task_cols covers all columns (see Plan). That strip reads the
      // same columns of B, which the kernel has packed by now.
      if (call.b.packing == Packing::kByKernel) call.b = {own(slot), 0, 0, Packing::kAhead};
    }
  }

  /// The epilogue on the totals of several chunks, which stand in C.
  void finish_totals() const {
    parallel_for(A_.rows, 1, product_flops(A_.rows, B_.cols, 1),
                 [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
                   for (std::ptrdiff_t i = begin; i < end; ++i) {
                     const Epilogue<T> row = at(to_, i, 0);
                     epilogue_.row(row.c, B_.cols, row);
                   }
                 });
  }

  /// A from row i on, as the micro-kernel reads it. If A is in panels, i is the first row of one.
  Operand<T> read_a(const Plan<T>& plan, const MatrixView<const T>& A, std::ptrdiff_t i) const {
    if (plan.a == Packing::kInPlace) {
      return {A.data + i * A.row_stride, A.row_stride, A.col_stride, Packing::kInPlace};
    }
    const T* const packed = packed_row(plan, A, i);
    if (plan.a_in_panels) return {packed, 0, 0, Packing::kAhead};
    return {packed, spaced<T>(A.cols), 1, Packing::kInPlace};
  }
  /// The address of row i of the packed A: the start of a panel, or of a spaced row.
  T* packed_row(const Plan<T>& plan, const MatrixView<const T>& A, std::ptrdiff_t i) const {
    return context_.workspace.data() + i * (plan.a_in_panels ? A.cols : spaced<T>(A.cols));
  }

  /// Packs `rows` rows of A from i, which is a multiple of mr.
  void pack_a(const Plan<T>& plan, const MatrixView<const T>& A, std::ptrdiff_t i,
              std::ptrdiff_t rows) const {
    const MatrixView<const T> from = A.row_block(i, rows);
    T* const to = packed_row(plan, A, i);
    if (plan.a_in_panels) {
      kernels_.pack({from.data, A.row_stride, A.col_stride, rows, A.cols, kernels_.mr, to});
    } else {
      for (std::ptrdiff_t r = 0; r < rows; ++r) {
        std::copy_n(&from(r, 0), A.cols, to + r * spaced<T>(A.cols));
      }
    }
  }
  void pack_a_together(const Plan<T>& plan, const MatrixView<const T>& A) const {
    parallel_for(A.rows, kernels_.mr, kCopyFlops * static_cast<double>(A.rows * A.cols),
                 [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
                   pack_a(plan, A, begin, end - begin);
                 });
  }

  /// These columns of B as the micro-kernel reads them; packs them if the plan says kAhead.
  Operand<T> prepare_b(const Plan<T>& plan, const MatrixView<const T>& B, int slot) const {
    if (plan.b != Packing::kAhead) return {B.data, B.row_stride, B.col_stride, plan.b};
    T* const to = own(slot);
    kernels_.pack({B.data, B.col_stride, B.row_stride, B.cols, B.rows, kernels_.nr, to});
    return {to, 0, 0, Packing::kAhead};
  }

  /// `cols` columns from j of a product with one row.
  void row_part(std::ptrdiff_t j, std::ptrdiff_t cols) const {
    T total[kRowCols], sums[kRowCols];
    std::ptrdiff_t k = 0;
    do {
      const std::ptrdiff_t kc = std::min(kChunk, A_.cols - k);
      kernels_.row_product(A_.data + k * A_.col_stride, A_.col_stride,
                           B_.data + k * B_.row_stride + j, B_.row_stride, kc, cols,
                           k == 0 ? total : sums);
      if (k > 0) {
        for (std::ptrdiff_t c = 0; c < cols; ++c) total[c] += sums[c];
      }
      k += kc;
    } while (k < A_.cols);
    epilogue_.row(total, cols, at(to_, 0, j));
  }

  /// `rows` rows from `first` of a product with the contiguous column x. `scratch` has room for a
  /// chunk.
  void column_part(const T* x, std::ptrdiff_t first, std::ptrdiff_t rows, T* scratch) const {
    T total[kColumnRows], sums[kColumnRows], bias[kColumnRows];
    std::ptrdiff_t k = 0;
    do {
      const std::ptrdiff_t kc = std::min(kChunk, A_.cols - k);
      column_chunk(A_.row_block(first, rows).col_block(k, kc), x + k, scratch,
                   k == 0 ? total : sums);
      if (k > 0) {
        for (std::ptrdiff_t i = 0; i < rows; ++i) total[i] += sums[i];
      }
      k += kc;
    } while (k < A_.cols);
    // The epilogue takes a row. C is contiguous, so these rows of the column are passed as one row,
    // in which every element has the same bias.
    Epilogue<T> row = at(to_, 0, first);
    if (to_.bias != nullptr) {
      std::fill(bias, bias + rows, to_.bias[0]);
      row.bias = bias;
    }
    epilogue_.row(total, rows, row);
  }

  /// out = A . x for one chunk of A, by the kernel for A's strides.
  void column_chunk(const MatrixView<const T>& A, const T* x, T* scratch, T* out) const {
    if (A.row_stride == 1 && A.col_stride != 1) {
      kernels_.column_dots(A.data, A.col_stride, x, A.cols, A.rows, out);
    } else if (A.col_stride == 1) {
      kernels_.row_dots(A.data, A.row_stride, x, A.cols, A.rows, out);
    } else {
      for (std::ptrdiff_t i = 0; i < A.rows; ++i) {
        for (std::ptrdiff_t p = 0; p < A.cols; ++p) scratch[p] = A(i, p);
        kernels_.row_dots(scratch, A.cols, x, A.cols, 1, out + i);
      }
    }
  }

  const GemmContext<T>& context_;
  const KernelTable<T>& kernels_;
  const MatrixView<const T>&A_, &B_;
  const EpilogueKernels<T>& epilogue_;
  const Epilogue<T>& to_;
  Workspace<T> workspace_;
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
    product.gemv_column();
  } else if (A.rows == 1 && B.col_stride == 1) {
    product.gemv_row();
  } else {
    product.gemm();
  }
  // The poller counts the whole product once more: if the other threads took all the tasks, this
  // thread has not asked it yet.
  if (context.poller != nullptr) context.poller->worked(product_flops(A.rows, B.cols, A.cols));
}

// Each column is a sum in 16 lanes.
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
