// Dropout<T>: the random masks that leave units of the hidden layers out of a training step. Every
// draw has its own counter, so that neither threads nor blocks of rows can change a mask.
#pragma once

#include "aligned_buffer.hpp"
#include "threads/parallel.hpp"

#include <fastmlp/matrix_view.hpp>
#include <fastmlp/random.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fastmlp::detail {

template <class T>
class Dropout {
 public:
  /// Begins an epoch and allocates room for blocks of `rows` rows. No rates, or a rate of 0 for
  /// every hidden layer, switch dropout off.
  void begin_epoch(const std::vector<std::ptrdiff_t>& layers, std::ptrdiff_t rows,
                   const std::vector<double>& rates, std::uint64_t seed, std::uint64_t epoch) {
    layers_.assign(rates.size(), Layer());
    seed_ = seed;
    epoch_ = epoch;
    std::size_t total = 0;
    for (std::size_t l = 0; l < rates.size(); ++l) {
      if (!(rates[l] > 0)) continue;
      layers_[l].threshold = static_cast<std::uint32_t>(rates[l] * 4294967296.0);
      layers_[l].factor = static_cast<T>(1 / (1 - rates[l]));
      layers_[l].cols = layers[l + 1];
      total += 2 * size_of(rows, layers[l + 1]);
    }
    memory_.reserve(total);
    T* next = memory_.data();
    for (Layer& layer : layers_) {
      if (layer.cols == 0) continue;
      layer.mask = next;
      layer.kept = next + size_of(rows, layer.cols);
      next += 2 * size_of(rows, layer.cols);
    }
  }
  void end_epoch() { layers_.clear(); }
  struct End {
    ~End() { dropout.end_epoch(); }
    Dropout& dropout;
  };

  /// Begins a step; `step` counts the steps of the epoch.
  void begin_step(std::uint64_t step) { step_ = step; }

  /// Whether layer l, 0 < l < L, has dropout.
  bool drops(std::ptrdiff_t l) const {
    return l > 0 && static_cast<std::size_t>(l) <= layers_.size() && layer(l).cols > 0;
  }

  /// A_l times its mask: 0 for the units that are left out, 1 / (1 - rate) for the others. The
  /// block begins with row `first` of the batch.
  MatrixView<const T> keep(std::ptrdiff_t l, MatrixView<const T> A, std::ptrdiff_t first) const {
    const Layer& to = layer(l);
    parallel_for(A.rows, 1, kFlops * static_cast<double>(A.rows * A.cols),
                 [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
                   for (std::ptrdiff_t i = begin; i < end; ++i) {
                     T* mask = to.mask + i * to.cols;
                     fill(l, first + i, mask);
                     T* kept = to.kept + i * to.cols;
                     const T* a = A.data + i * A.row_stride;
                     for (std::ptrdiff_t j = 0; j < to.cols; ++j) kept[j] = a[j] * mask[j];
                   }
                 });
    return kept(l, A.rows);
  }
  MatrixView<const T> kept(std::ptrdiff_t l, std::ptrdiff_t rows) const {
    return {layer(l).kept, rows, layer(l).cols};
  }

  /// dZ_l, which was computed without dropout, times the mask of layer l.
  void restrict(std::ptrdiff_t l, MatrixView<T> dZ) const {
    const Layer& from = layer(l);
    parallel_for(dZ.rows, 1, static_cast<double>(dZ.rows * dZ.cols),
                 [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
                   for (std::ptrdiff_t i = begin; i < end; ++i) {
                     const T* mask = from.mask + i * from.cols;
                     T* dz = dZ.data + i * dZ.row_stride;
                     for (std::ptrdiff_t j = 0; j < from.cols; ++j) dz[j] *= mask[j];
                   }
                 });
  }

 private:
  static constexpr double kFlops = 16;         // about what a draw and a product cost
  static constexpr std::ptrdiff_t kDraws = 8;  // of 32 bits, from the four words of a Philox block

  struct Layer {
    std::uint32_t threshold = 0;
    T factor = 0;
    std::ptrdiff_t cols = 0;  // 0 if the layer has no dropout
    T* mask = nullptr;        // (rows, cols): 0, or the factor
    T* kept = nullptr;        // (rows, cols)
  };

  static std::size_t size_of(std::ptrdiff_t rows, std::ptrdiff_t cols) {
    return static_cast<std::size_t>(round_up(rows * cols, 16));
  }
  const Layer& layer(std::ptrdiff_t l) const { return layers_[static_cast<std::size_t>(l) - 1]; }

  /// The mask of one row of the batch. Unit j stays if draw j is at least rate * 2^32. Each word of
  /// the generator gives two draws, its lower half first; every row begins with a new block.
  void fill(std::ptrdiff_t l, std::ptrdiff_t row, T* mask) const {
    const Layer& to = layer(l);
    const auto blocks = static_cast<std::uint64_t>((to.cols + kDraws - 1) / kDraws);
    const auto purpose =
        static_cast<std::uint64_t>(Stream::kDropout) + (static_cast<std::uint64_t>(l) << 8);
    Philox random(seed_, {static_cast<std::uint64_t>(row) * blocks, step_, epoch_, purpose});
    for (std::ptrdiff_t j = 0; j < to.cols; j += 2) {
      const std::uint64_t word = random.next();
      mask[j] = static_cast<std::uint32_t>(word) < to.threshold ? T(0) : to.factor;
      if (j + 1 < to.cols) mask[j + 1] = (word >> 32) < to.threshold ? T(0) : to.factor;
    }
  }

  std::vector<Layer> layers_;  // layers_[l - 1] belongs to A_l
  AlignedBuffer<T> memory_;
  std::uint64_t seed_ = 0, epoch_ = 0, step_ = 0;
};

}  // namespace fastmlp::detail
