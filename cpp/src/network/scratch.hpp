// Scratch<T>: everything a pass over one block of rows writes, sized once; and a small pool of
// them, so that many threads can predict at once.
#pragma once

#include "aligned_buffer.hpp"
#include "gemm/gemm.hpp"
#include "network/dropout.hpp"
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
  T* x = nullptr;      // (rows, n_0): rows that are not used in place, spaced<T>(n_0) apart
  T* y = nullptr;      // (rows, n_L), spaced likewise, or class indices (rows,)
  T* scale = nullptr;  // (rows,): dZ_L = scale * (Yhat - Y)
  std::vector<T*> a;   // a[L] (rows, n_L): Z_L, then dZ_L; for 0 < l < L a[l] is A_l,
  T* delta[2] = {};    // and these are dZ_l, in turn, each (rows, n_l) with spaced<T>(n_l) a row
  std::vector<T*> z;   // z[l] beside a[l]: Z_l where training needs it, else null
  double* row_losses = nullptr;  // (rows,)
  Dropout<T> dropout;            // of a training epoch
  AlignedBuffer<T> workspace;    // of the products,
  int max_team = 1;              // on teams of at most so many threads

  /// `hidden` has the activations of a network that is to be trained; predictions need none.
  explicit Scratch(std::vector<Activation> hidden = {}) : hidden_(std::move(hidden)) {}

  /// Room for blocks of `rows` rows through `layers`, and for training where that is asked for.
  void prepare(const std::vector<std::ptrdiff_t>& layers, std::ptrdiff_t rows, bool training,
               const KernelTable<T>& kernels) {
    reserve_workspace(layers, rows, training, kernels);
    if (rows <= rows_ && (training_ || !training)) return;
    const std::ptrdiff_t hidden =
        layers.size() > 2 ? *std::max_element(layers.begin() + 1, layers.end() - 1) : 0;
    std::vector<std::pair<T**, std::ptrdiff_t>> parts;  // each pointer with its columns
    parts.reserve(2 * layers.size() + 5);
    a.resize(layers.size());
    z.resize(layers.size());
    parts.emplace_back(&x, spaced<T>(layers.front()));
    parts.emplace_back(&y, spaced<T>(layers.back()));
    parts.emplace_back(&scale, 1);
    for (std::size_t l = 1; l + 1 < layers.size(); ++l) {
      parts.emplace_back(&a[l], spaced<T>(layers[l]));
    }
    parts.emplace_back(&a.back(), layers.back());
    if (training) {
      for (std::size_t l = 1; l + 1 < layers.size(); ++l) {
        const auto g = static_cast<std::size_t>(hidden_[l - 1]);
        if (kernels.activations[g].needs_z) parts.emplace_back(&z[l], spaced<T>(layers[l]));
      }
      // Room for the widest, and for any narrower one that is spaced.
      constexpr std::ptrdiff_t kLine = 64 / sizeof(T);
      parts.emplace_back(&delta[0], spaced<T>(hidden) + kLine);
      parts.emplace_back(&delta[1], spaced<T>(hidden) + kLine);
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

 private:
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

  std::vector<Activation> hidden_;
  AlignedBuffer<T> memory_;
  AlignedBuffer<double> losses_;
  std::ptrdiff_t rows_ = 0;
  bool training_ = false;
};

template <class T>
class ScratchPool {
 public:
  /// One Scratch, given back to the pool when the lease ends.
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
  static constexpr std::size_t kMost = 16;  // idle ones kept; a machine's worth of threads

  // The lock is only tried: waiting would hang a child made by fork() while another thread held it.
  std::unique_ptr<Scratch<T>> take() {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || idle_.empty()) return std::make_unique<Scratch<T>>();
    std::unique_ptr<Scratch<T>> scratch = std::move(idle_.back());
    idle_.pop_back();
    return scratch;
  }
  void give(std::unique_ptr<Scratch<T>> scratch) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (lock && idle_.size() < kMost) idle_.push_back(std::move(scratch));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<Scratch<T>>> idle_ = [] {
    std::vector<std::unique_ptr<Scratch<T>>> v;
    v.reserve(kMost);  // so that give() cannot throw
    return v;
  }();
};

}  // namespace fastmlp::detail
