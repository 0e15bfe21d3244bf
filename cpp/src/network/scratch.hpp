// Scratch<T>: the memory that a pass over one block of rows writes, allocated before the pass. A
// network keeps one for training steps. ScratchPool<T> lends them to predictions and evaluations,
// of which many may run at once.
#pragma once

#include "aligned_buffer.hpp"
#include "gemm/gemm.hpp"
#include "network/dropout.hpp"
#include "network/sparse_rows.hpp"
#include "threads/parallel.hpp"

#include <fastmlp/options.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace fastmlp::detail {

template <class T>
class Scratch {
 public:
  AlignedBuffer<T> x;  // (rows, n_0), spaced<T>(n_0) apart: rows of X that are not used in place
  SparseRows<T> sparse_x;  // or, if X is sparse, its rows
  FiniteChunks finite;     // where W_1 is finite, for a sparse X
  T* y = nullptr;          // (rows, n_L), spaced likewise, or class indices (rows,)
  T* scale = nullptr;      // (rows,): dZ_L = scale * (Yhat - Y)
  std::vector<T*> a;       // a[l] for 0 < l < L: A_l (rows, n_l), spaced<T>(n_l) apart;
                           // a[L] (rows, n_L): Z_L, then dZ_L
  T* delta[2] = {};        // dZ_l (rows, n_l) for 0 < l < L, spaced<T>(n_l) apart: in delta[l % 2]
  std::vector<T*> z;       // z[l]: Z_l, laid out as a[l], if training needs it; else null
  double* row_losses = nullptr;  // (rows,)
  Dropout<T> dropout;            // the masks of a training epoch
  AlignedBuffer<T> workspace;    // for the products, with a team of at most
  int max_team = 1;              // so many threads

  /// Allocates room for blocks of `rows` rows, for the gradient if `training`, and for rows of X if
  /// `copies_x`. The network has `layers` and the activations `hidden`. Allocates nothing if there
  /// is enough room already, and never gives up room, so that calls of several kinds can take turns
  /// with one Scratch.
  void prepare(const std::vector<std::ptrdiff_t>& layers, const std::vector<Activation>& hidden,
               std::ptrdiff_t rows, bool training, bool copies_x, const KernelTable<T>& kernels) {
    finite.forget();
    reserve_workspace(layers, rows, training, kernels);
    if (copies_x) x.reserve(static_cast<std::size_t>(rows * spaced<T>(layers.front())));
    if (rows <= rows_ && (training_ || !training)) return;
    allocate(layers, hidden, std::max(rows, rows_), training || training_, kernels);
  }

  /// The memory it holds, without the masks of dropout, which only training has.
  std::size_t bytes() const {
    return (memory_.size() + x.size() + workspace.size()) * sizeof(T) + sparse_x.bytes() +
           losses_.size() * sizeof(double);
  }

 private:
  [[gnu::noinline]] void allocate(const std::vector<std::ptrdiff_t>& layers,
                                  const std::vector<Activation>& hidden, std::ptrdiff_t rows,
                                  bool training, const KernelTable<T>& kernels) {
    const std::ptrdiff_t widest =
        layers.size() > 2 ? *std::max_element(layers.begin() + 1, layers.end() - 1) : 0;
    std::vector<std::pair<T**, std::ptrdiff_t>> parts;  // each pointer with its columns
    parts.reserve(2 * layers.size() + 5);
    a.resize(layers.size());
    z.resize(layers.size());
    parts.emplace_back(&y, spaced<T>(layers.back()));
    parts.emplace_back(&scale, 1);
    for (std::size_t l = 1; l + 1 < layers.size(); ++l) {
      parts.emplace_back(&a[l], spaced<T>(layers[l]));
    }
    parts.emplace_back(&a.back(), layers.back());
    if (training) {
      for (std::size_t l = 1; l + 1 < layers.size(); ++l) {
        const auto g = static_cast<std::size_t>(hidden[l - 1]);
        if (kernels.activations[g].needs_z) parts.emplace_back(&z[l], spaced<T>(layers[l]));
      }
      // Room for the widest layer, and for a narrower one whose rows are spaced further apart.
      constexpr std::ptrdiff_t kLine = 64 / sizeof(T);
      parts.emplace_back(&delta[0], spaced<T>(widest) + kLine);
      parts.emplace_back(&delta[1], spaced<T>(widest) + kLine);
    }
    std::size_t total = 0;
    const auto size = [rows](std::ptrdiff_t cols) {
      return static_cast<std::size_t>(round_up(rows * cols, 16));  // whole 64-byte lines
    };
    for (const auto& part : parts) total += size(part.second);
    AlignedBuffer<T> memory(total);
    AlignedBuffer<double> losses(static_cast<std::size_t>(rows));
    T* next = memory.data();
    for (const auto& part : parts) {
      *part.first = next;
      next += size(part.second);
    }
    row_losses = losses.data();
    memory_ = std::move(memory);
    losses_ = std::move(losses);
    rows_ = rows;
    training_ = training;
  }

  void reserve_workspace(const std::vector<std::ptrdiff_t>& layers, std::ptrdiff_t rows,
                         bool training, const KernelTable<T>& kernels) {
    std::size_t most = 0;
    max_team = detail::max_team();
    const auto need = [&](std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k) {
      most = std::max(most, gemm_workspace(kernels, m, n, k, max_team));
    };
    for (std::size_t l = 1; l < layers.size(); ++l) {
      const std::ptrdiff_t in = layers[l - 1], out = layers[l];
      need(rows, out, in);  // A_l = A_{l-1} . W_l
      if (!training) continue;
      need(rows, in, out);  // dA = dZ . W^T
      need(in, out, rows);  // dW = A^T . dZ
    }
    workspace.reserve(most);
  }

  AlignedBuffer<T> memory_;
  AlignedBuffer<double> losses_;
  std::ptrdiff_t rows_ = 0;
  bool training_ = false;
};

/// Idle Scratches of one network. It keeps at most kMostBytes of memory; a Scratch that would
/// exceed this is freed after its call.
template <class T>
class ScratchPool {
 public:
  /// A Scratch for one call, from the pool or new. It goes back to the pool when the call ends.
  class Lease {
   public:
    explicit Lease(ScratchPool& pool) : pool_(pool), scratch_(pool.take()) {}
    ~Lease() { pool_.give(std::move(scratch_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Scratch<T>& operator*() const { return *scratch_; }
    Scratch<T>* operator->() const { return scratch_.get(); }

   private:
    ScratchPool& pool_;
    std::unique_ptr<Scratch<T>> scratch_;
  };

 private:
  // So many threads can predict at once and find a Scratch in the pool.
  static constexpr std::size_t kMost = 16;
  // 16 Scratches of a network with layers of 512 units. A prediction that has to allocate more than
  // this multiplies for so long that new memory takes a few percent of its time.
  static constexpr std::size_t kMostBytes = 64 << 20;

  // The mutex is only tried. If fork() happens while another thread holds it, it stays locked in
  // the child for ever.
  std::unique_ptr<Scratch<T>> take() {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || idle_.empty()) return std::make_unique<Scratch<T>>();
    std::unique_ptr<Scratch<T>> scratch = std::move(idle_.back());
    idle_.pop_back();
    idle_bytes_ -= scratch->bytes();
    return scratch;
  }
  void give(std::unique_ptr<Scratch<T>> scratch) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || idle_.size() == kMost || idle_bytes_ + scratch->bytes() > kMostBytes) return;
    idle_bytes_ += scratch->bytes();
    idle_.push_back(std::move(scratch));
  }

  std::mutex mutex_;
  std::size_t idle_bytes_ = 0;
  std::vector<std::unique_ptr<Scratch<T>>> idle_ = [] {
    std::vector<std::unique_ptr<Scratch<T>>> v;
    v.reserve(kMost);  // so that give() cannot throw
    return v;
  }();
};

}  // namespace fastmlp::detail
