// The public operations of ops.hpp. Each checks its arguments and then runs one kernel over pieces
// of the matrices, with threads if the work is worth them. matmul is gemm/gemm.cpp's.
#include <fastmlp/ops.hpp>

#include "check.hpp"
#include "dispatch.hpp"
#include "gemm/gemm.hpp"
#include "kernels/lanes.hpp"
#include "threads/parallel.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace fastmlp {
namespace detail {
namespace {

/// The workspace of one product. That of the last large product is kept for the next one: new pages
/// from the system would take a fiftieth of the product's time.
template <class T>
class LentWorkspace {
 public:
  explicit LentWorkspace(double flops) : large_(flops > kLarge) {
    if (const Owner before{large_ ? kept().exchange(nullptr) : nullptr})
      std::swap(buffer_, *before);
  }
  ~LentWorkspace() {
    if (!large_ || buffer_.size() > kMostKept) return;
    // If another thread has kept its own in the meantime, that one is freed.
    Owner(kept().exchange(new (std::nothrow) AlignedBuffer<T>(std::move(buffer_))));
  }
  LentWorkspace(const LentWorkspace&) = delete;
  LentWorkspace& operator=(const LentWorkspace&) = delete;

  AlignedBuffer<T>& get() { return buffer_; }

 private:
  using Owner = std::unique_ptr<AlignedBuffer<T>>;
  static constexpr double kLarge = 1e6;  // flops; smaller products need little memory, or none
  static constexpr std::size_t kMostKept = (64 << 20) / sizeof(T);
  static std::atomic<AlignedBuffer<T>*>& kept() {
    static std::atomic<AlignedBuffer<T>*> buffer{nullptr};
    return buffer;
  }

  AlignedBuffer<T> buffer_;
  const bool large_;
};

constexpr double kElementwiseFlops = 16;  // about what an exp costs; for the choice of threads

/// Runs body(begin, end) over parts of [0, n) in whole units of `grain`, with a team if the work is
/// worth one. The parts come in slices, one after the other from 0 to n, and the poller is asked
/// between two slices. Takes a std::function, to be compiled once for all bodies; give it a
/// std::cref.
void in_slices(std::ptrdiff_t n, std::ptrdiff_t grain, double flops_each, Poller& poller,
               const std::function<void(std::ptrdiff_t, std::ptrdiff_t)>& body) {
  // A slice takes a few milliseconds with AVX2, and 0.2 s without vectors.
  constexpr double kSliceFlops = 1e8;
  if (n == 0) return;
  const double flops = flops_each * static_cast<double>(n);
  const auto slice = round_up(static_cast<std::ptrdiff_t>(kSliceFlops / flops_each) + 1, grain);
  with_team(team_for(flops, std::min(flops, kSliceFlops)), [&] {
    for (std::ptrdiff_t first = 0; first < n; first += slice) {
      const std::ptrdiff_t count = std::min(slice, n - first);
      const double slice_flops = flops_each * static_cast<double>(count);
      parallel_for(count, grain, slice_flops,
                   [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
                     body(first + begin, first + end);
                   });
      poller.worked(slice_flops);
    }
  });
}

/// Runs body(n, inputs, output) on contiguous pieces of matrices of one shape with any strides, in
/// the order of the rows. The output may be the same view as an input.
template <class T, std::size_t kInputs, class Body>
void elementwise(const std::array<MatrixView<const T>, kInputs>& inputs, MatrixView<T> output,
                 const ShouldStop& should_stop, const Body& body) {
  Poller poller(should_stop);
  const auto contiguous = [](const auto& m) { return m.is_contiguous(); };
  if (contiguous(output) && std::all_of(inputs.begin(), inputs.end(), contiguous)) {
    const auto part = [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
      std::array<const T*, kInputs> in;
      for (std::size_t i = 0; i < kInputs; ++i) in[i] = inputs[i].data + begin;
      body(end - begin, in, output.data + begin);
    };
    return in_slices(output.rows * output.cols, 64, kElementwiseFlops, poller, std::cref(part));
  }
  constexpr std::ptrdiff_t kPiece = 256;  // columns that are copied at a time
  const std::ptrdiff_t in_a_row = (output.cols + kPiece - 1) / kPiece;
  const auto pieces = [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
    T buffer[kInputs + 1][kPiece];
    for (std::ptrdiff_t piece = begin; piece < end; ++piece) {
      const std::ptrdiff_t r = piece / in_a_row, c = piece % in_a_row * kPiece;
      const std::ptrdiff_t n = std::min(kPiece, output.cols - c);
      std::array<const T*, kInputs> in;
      for (std::size_t i = 0; i < kInputs; ++i) {
        for (std::ptrdiff_t j = 0; j < n; ++j) buffer[i][j] = inputs[i](r, c + j);
        in[i] = buffer[i];
      }
      body(n, in, buffer[kInputs]);
      for (std::ptrdiff_t j = 0; j < n; ++j) output(r, c + j) = buffer[kInputs][j];
    }
  };
  const double flops = kElementwiseFlops * static_cast<double>(std::min(kPiece, output.cols));
  in_slices(output.rows * in_a_row, 1, flops, poller, std::cref(pieces));
}

template <class T>
void activation_forward(const char* function, Activation g, MatrixView<const T> Z, MatrixView<T> A,
                        const ShouldStop& should_stop) {
  check_same_shape(function, "Z", Z, "A", A);
  const Call<T> call;
  const auto& kernels = call.kernels().activations[static_cast<std::size_t>(g)];
  elementwise<T, 1>({Z}, A, should_stop, [&](std::ptrdiff_t n, const auto& in, T* out) noexcept {
    kernels.forward(in[0], out, n);
  });
}

template <class T>
void activation_backward(const char* function, Activation g, MatrixView<const T> dA,
                         const char* a_name, MatrixView<const T> A, MatrixView<T> dZ,
                         const ShouldStop& should_stop) {
  check_same_shape(function, "dA", dA, a_name, A);
  check_same_shape(function, "dA", dA, "dZ", dZ);
  const Call<T> call;
  const auto& kernels = call.kernels().activations[static_cast<std::size_t>(g)];
  elementwise<T, 2>({dA, A}, dZ, should_stop,
                    [&](std::ptrdiff_t n, const auto& in, T* out) noexcept {
                      Epilogue<T> to;
                      to.c = out;
                      to.activated = in[1];
                      kernels.derivative.row(in[0], n, to);
                    });
}

/// Refuses targets outside [0, 1].
template <class T>
void check_probabilities(const char* function, MatrixView<const T> Y, Poller& poller) {
  constexpr std::ptrdiff_t kElements = 1 << 16;  // at a time, or one row
  constexpr double kCheckFlops = 16;             // about what reading and comparing a target cost
  const std::ptrdiff_t step =
      std::max<std::ptrdiff_t>(1, kElements / std::max<std::ptrdiff_t>(1, Y.cols));
  for (std::ptrdiff_t first = 0; first < Y.rows; first += step) {
    const MatrixView<const T> block = Y.row_block(first, std::min(step, Y.rows - first));
    check_target_values(function, block, first, Y.cols, Output::kSigmoid);
    poller.worked(kCheckFlops * static_cast<double>(block.rows * block.cols));
  }
}

constexpr std::ptrdiff_t kLossPiece = 512;  // units whose losses are computed at a time
static_assert(kLossPiece % kLanes == 0);

/// Adds the losses of `count` units of row `row`, from column `first` on, to `sum`. Copies the
/// units piece by piece, so that it needs no memory that grows with the matrix.
template <class T>
void add_losses(const OutputKernels<T>& sigmoid, MatrixView<const T> Z, MatrixView<const T> Y,
                std::ptrdiff_t row, std::ptrdiff_t first, std::ptrdiff_t count,
                LaneSum<double>& sum) {
  T z[kLossPiece], y[kLossPiece];
  double losses[kLossPiece];
  for (std::ptrdiff_t done = 0; done < count; done += kLossPiece) {
    const std::ptrdiff_t n = std::min(kLossPiece, count - done);
    for (std::ptrdiff_t j = 0; j < n; ++j) {
      z[j] = Z(row, first + done + j);
      y[j] = Y(row, first + done + j);
    }
    sigmoid.loss({z, n, 1, y, nullptr, nullptr, losses});
    sum.add(losses, n);
  }
}

}  // namespace
}  // namespace detail

template <class T>
void matmul(MatrixView<const T> A, MatrixView<const T> B, MatrixView<T> C,
            const ShouldStop& should_stop) {
  const detail::Call<T> call;
  detail::check_matmul(A, B, C);
  const double flops = detail::product_flops(A.rows, B.cols, A.cols);
  detail::LentWorkspace<T> workspace(flops);
  detail::Poller poller(should_stop);
  const detail::GemmContext<T> context{call.kernels(), workspace.get(), detail::max_team(),
                                       &poller};
  const bool direct = C.cols == 1 ? C.is_contiguous() : C.col_stride == 1;
  detail::AlignedBuffer<T> copy;
  MatrixView<T> target = C;
  if (!direct) {
    copy.reserve(static_cast<std::size_t>(C.rows * C.cols));
    target = {copy.data(), C.rows, C.cols};
  }
  detail::Epilogue<T> to;
  to.c = target.data;
  to.ldc = target.row_stride;
  detail::with_team(detail::team_for(flops, flops),
                    [&] { detail::gemm(context, A, B, call.kernels().store, to); });
  if (direct) return;
  for (std::ptrdiff_t i = 0; i < C.rows; ++i) {
    for (std::ptrdiff_t j = 0; j < C.cols; ++j) C(i, j) = target(i, j);
  }
}

template <class T>
void relu(MatrixView<const T> Z, MatrixView<T> A, const ShouldStop& should_stop) {
  detail::activation_forward("relu", Activation::kRelu, Z, A, should_stop);
}

template <class T>
void relu_backward(MatrixView<const T> dA, MatrixView<const T> Z, MatrixView<T> dZ,
                   const ShouldStop& should_stop) {
  // relu(Z) > 0 exactly where Z > 0
  detail::activation_backward("relu_backward", Activation::kRelu, dA, "Z", Z, dZ, should_stop);
}

template <class T>
void sigmoid(MatrixView<const T> Z, MatrixView<T> A, const ShouldStop& should_stop) {
  detail::activation_forward("sigmoid", Activation::kSigmoid, Z, A, should_stop);
}

template <class T>
void sigmoid_backward(MatrixView<const T> dA, MatrixView<const T> A, MatrixView<T> dZ,
                      const ShouldStop& should_stop) {
  detail::activation_backward("sigmoid_backward", Activation::kSigmoid, dA, "A", A, dZ,
                              should_stop);
}

template <class T>
double binary_cross_entropy(MatrixView<const T> Z, MatrixView<const T> Y,
                            const ShouldStop& should_stop) {
  const detail::Call<T> call;
  detail::check_same_shape("binary_cross_entropy", "Z", Z, "y", Y);
  detail::Poller poller(should_stop);
  detail::check_probabilities("binary_cross_entropy", Y, poller);
  if (Z.rows == 0 || Z.cols == 0) return 0;
  const auto& sigmoid = call.kernels().outputs[static_cast<std::size_t>(Output::kSigmoid)];
  const auto m = static_cast<double>(Z.rows);
  // The sum over one column is that over one row: the same numbers in the same lanes.
  if (Z.cols == 1) {
    Z = Z.transposed();
    Y = Y.transposed();
  }
  // A block has some rows; a row's sum over the columns goes on from slice to slice of the columns,
  // after each of which the poller is asked.
  constexpr std::ptrdiff_t kRows = 1024, kSlice = 1 << 20;  // kSlice elements: 5 ms with AVX2
  std::vector<detail::LaneSum<double>> row_sums;
  std::vector<double> row_losses;
  detail::LaneSum<double> sum;
  for (std::ptrdiff_t first = 0; first < Z.rows; first += kRows) {
    const std::ptrdiff_t rows = std::min(kRows, Z.rows - first);
    const std::ptrdiff_t slice = detail::round_up(kSlice / rows, detail::kLossPiece);
    row_sums.assign(static_cast<std::size_t>(rows), {});
    for (std::ptrdiff_t j = 0; j < Z.cols; j += slice) {
      const std::ptrdiff_t cols = std::min(slice, Z.cols - j);
      const auto part = [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        for (std::ptrdiff_t i = begin; i < end; ++i) {
          detail::add_losses(sigmoid, Z, Y, first + i, j, cols,
                             row_sums[static_cast<std::size_t>(i)]);
        }
      };
      detail::in_slices(rows, 1, 2 * detail::kElementwiseFlops * static_cast<double>(cols), poller,
                        std::cref(part));
    }
    row_losses.clear();
    for (detail::LaneSum<double>& row : row_sums) row_losses.push_back(row.total());
    sum.add(row_losses.data(), rows);
  }
  return sum.total() / m;
}

template <class T>
void sgd_update(MatrixView<T> parameter, MatrixView<const T> gradient, double learning_rate,
                const ShouldStop& should_stop) {
  const detail::Call<T> call;
  detail::check_same_shape("sgd_update", "parameter", parameter, "gradient", gradient);
  detail::check_learning_rate<T>("sgd_update", learning_rate);
  detail::elementwise<T, 2>({parameter, gradient}, parameter, should_stop,
                            [&](std::ptrdiff_t n, const auto& in, T* out) noexcept {
                              if (out != in[0]) std::copy(in[0], in[0] + n, out);
                              detail::Epilogue<T> to;
                              to.c = out;
                              to.alpha = static_cast<T>(learning_rate);
                              call.kernels().update.row(in[1], n, to);
                            });
}

template <class T>
double dot(const T* a, const T* b, std::ptrdiff_t n, const ShouldStop& should_stop) {
  const detail::DefaultFloatMode mode;
  detail::Poller poller(should_stop);
  constexpr std::ptrdiff_t kPiece = 256;  // a multiple of the lanes
  constexpr double kFlops = 4;            // about what a term costs
  double products[kPiece];
  detail::LaneSum<double> sum;
  for (std::ptrdiff_t first = 0; first < n; first += kPiece) {
    const std::ptrdiff_t count = std::min(kPiece, n - first);
    for (std::ptrdiff_t k = 0; k < count; ++k) {
      products[k] = static_cast<double>(a[first + k]) * static_cast<double>(b[first + k]);
    }
    sum.add(products, count);
    poller.worked(kFlops * kPiece);
  }
  return sum.total();
}

template void matmul(MatrixView<const float>, MatrixView<const float>, MatrixView<float>,
                     const ShouldStop&);
template void relu(MatrixView<const float>, MatrixView<float>, const ShouldStop&);
template void relu_backward(MatrixView<const float>, MatrixView<const float>, MatrixView<float>,
                            const ShouldStop&);
template void sigmoid(MatrixView<const float>, MatrixView<float>, const ShouldStop&);
template void sigmoid_backward(MatrixView<const float>, MatrixView<const float>, MatrixView<float>,
                               const ShouldStop&);
template double binary_cross_entropy(MatrixView<const float>, MatrixView<const float>,
                                     const ShouldStop&);
template void sgd_update(MatrixView<float>, MatrixView<const float>, double, const ShouldStop&);
template double dot(const float*, const float*, std::ptrdiff_t, const ShouldStop&);
template void matmul(MatrixView<const double>, MatrixView<const double>, MatrixView<double>,
                     const ShouldStop&);
template void relu(MatrixView<const double>, MatrixView<double>, const ShouldStop&);
template void relu_backward(MatrixView<const double>, MatrixView<const double>, MatrixView<double>,
                            const ShouldStop&);
template void sigmoid(MatrixView<const double>, MatrixView<double>, const ShouldStop&);
template void sigmoid_backward(MatrixView<const double>, MatrixView<const double>,
                               MatrixView<double>, const ShouldStop&);
template double binary_cross_entropy(MatrixView<const double>, MatrixView<const double>,
                                     const ShouldStop&);
template void sgd_update(MatrixView<double>, MatrixView<const double>, double, const ShouldStop&);
template double dot(const double*, const double*, std::ptrdiff_t, const ShouldStop&);

}  // namespace fastmlp
