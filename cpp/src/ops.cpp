// The public operations: check, then one kernel by whole rows.
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

/// A workspace for a product of so many flops. The one of the last large product is kept for the
/// next: its pages, were they new, would cost a fiftieth of the time.
template <class T>
class LentWorkspace {
 public:
  explicit LentWorkspace(double flops) : large_(flops > kLarge) {
    if (const Owner before{large_ ? kept().exchange(nullptr) : nullptr})
      std::swap(buffer_, *before);
  }
  ~LentWorkspace() {
    if (!large_ || buffer_.size() > kMostKept) return;
    // Where another thread has kept its own meanwhile, that one is freed.
    Owner(kept().exchange(new (std::nothrow) AlignedBuffer<T>(std::move(buffer_))));
  }
  LentWorkspace(const LentWorkspace&) = delete;
  LentWorkspace& operator=(const LentWorkspace&) = delete;

  AlignedBuffer<T>& get() { return buffer_; }

 private:
  using Owner = std::unique_ptr<AlignedBuffer<T>>;
  static constexpr double kLarge = 1e6;  // the others need little memory, or none
  static constexpr std::size_t kMostKept = (64 << 20) / sizeof(T);
  static std::atomic<AlignedBuffer<T>*>& kept() {
    static std::atomic<AlignedBuffer<T>*> buffer{nullptr};
    return buffer;
  }

  AlignedBuffer<T> buffer_;
  const bool large_;
};

constexpr double kElementwiseFlops = 16;  // about what an exp costs; for the choice of threads

/// parallel_for, with a team if the work is worth one; once for all bodies, which come as
/// std::cref.
void alone_or_in_team(std::ptrdiff_t n, std::ptrdiff_t grain, double flops,
                      const std::function<void(std::ptrdiff_t, std::ptrdiff_t)>& body) {
  with_team(team_for(flops, flops), [&] {
    parallel_for(n, grain, flops,
                 [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept { body(begin, end); });
  });
}

/// Runs body(n, inputs, output) on contiguous pieces of matrices of one shape, whatever their
/// strides. The output may be the same view as an input.
template <class T, std::size_t kInputs, class Body>
void elementwise(const std::array<MatrixView<const T>, kInputs>& inputs, MatrixView<T> output,
                 const Body& body) {
  const auto contiguous = [](const auto& m) { return m.is_contiguous(); };
  const std::ptrdiff_t size = output.rows * output.cols;
  const double flops = kElementwiseFlops * static_cast<double>(size);
  if (contiguous(output) && std::all_of(inputs.begin(), inputs.end(), contiguous)) {
    const auto part = [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
      std::array<const T*, kInputs> in;
      for (std::size_t i = 0; i < kInputs; ++i) in[i] = inputs[i].data + begin;
      body(end - begin, in, output.data + begin);
    };
    return alone_or_in_team(size, 64, flops, std::cref(part));
  }
  constexpr std::ptrdiff_t kPiece = 256;
  const auto rows = [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
    T buffer[kInputs + 1][kPiece];
    for (std::ptrdiff_t r = begin; r < end; ++r) {
      for (std::ptrdiff_t c = 0; c < output.cols; c += kPiece) {
        const std::ptrdiff_t n = std::min(kPiece, output.cols - c);
        std::array<const T*, kInputs> in;
        for (std::size_t i = 0; i < kInputs; ++i) {
          for (std::ptrdiff_t j = 0; j < n; ++j) buffer[i][j] = inputs[i](r, c + j);
          in[i] = buffer[i];
        }
        body(n, in, buffer[kInputs]);
        for (std::ptrdiff_t j = 0; j < n; ++j) output(r, c + j) = buffer[kInputs][j];
      }
    }
  };
  alone_or_in_team(output.rows, 1, flops, std::cref(rows));
}

template <class T>
void activation_forward(const char* function, Activation g, MatrixView<const T> Z,
                        MatrixView<T> A) {
  check_same_shape(function, "Z", Z, "A", A);
  const Call<T> call;
  const auto& kernels = call.kernels().activations[static_cast<std::size_t>(g)];
  elementwise<T, 1>({Z}, A, [&](std::ptrdiff_t n, const auto& in, T* out) noexcept {
    kernels.forward(in[0], out, n);
  });
}

template <class T>
void activation_backward(const char* function, Activation g, MatrixView<const T> dA,
                         const char* a_name, MatrixView<const T> A, MatrixView<T> dZ) {
  check_same_shape(function, "dA", dA, a_name, A);
  check_same_shape(function, "dA", dA, "dZ", dZ);
  const Call<T> call;
  const auto& kernels = call.kernels().activations[static_cast<std::size_t>(g)];
  elementwise<T, 2>({dA, A}, dZ, [&](std::ptrdiff_t n, const auto& in, T* out) noexcept {
    Epilogue<T> to;
    to.c = out;
    to.activated = in[1];
    kernels.derivative.row(in[0], n, to);
  });
}

}  // namespace
}  // namespace detail

template <class T>
void matmul(MatrixView<const T> A, MatrixView<const T> B, MatrixView<T> C) {
  detail::check_matmul(A, B, C);
  const detail::Call<T> call;
  const double flops = detail::product_flops(A.rows, B.cols, A.cols);
  detail::LentWorkspace<T> workspace(flops);
  const detail::GemmContext<T> context{call.kernels(), workspace.get(), detail::max_team()};
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
void relu(MatrixView<const T> Z, MatrixView<T> A) {
  detail::activation_forward("relu", Activation::kRelu, Z, A);
}

template <class T>
void relu_backward(MatrixView<const T> dA, MatrixView<const T> Z, MatrixView<T> dZ) {
  // relu(Z) > 0 exactly where Z > 0
  detail::activation_backward("relu_backward", Activation::kRelu, dA, "Z", Z, dZ);
}

template <class T>
void sigmoid(MatrixView<const T> Z, MatrixView<T> A) {
  detail::activation_forward("sigmoid", Activation::kSigmoid, Z, A);
}

template <class T>
void sigmoid_backward(MatrixView<const T> dA, MatrixView<const T> A, MatrixView<T> dZ) {
  detail::activation_backward("sigmoid_backward", Activation::kSigmoid, dA, "A", A, dZ);
}

template <class T>
double binary_cross_entropy(MatrixView<const T> Z, MatrixView<const T> Y) {
  detail::check_same_shape("binary_cross_entropy", "Z", Z, "y", Y);
  detail::check_target_values("binary_cross_entropy", Y, 0, Y.cols, Output::kSigmoid);
  if (Z.rows == 0 || Z.cols == 0) return 0;
  const detail::Call<T> call;
  const auto& kernels = call.kernels().outputs[static_cast<std::size_t>(Output::kSigmoid)];
  constexpr std::ptrdiff_t kRows = 256;  // a multiple of the lanes
  std::vector<T> z(static_cast<std::size_t>(kRows * Z.cols)), y(z.size());
  std::array<double, kRows> losses;
  detail::LaneSum<double> sum;
  for (std::ptrdiff_t first = 0; first < Z.rows; first += kRows) {
    const std::ptrdiff_t rows = std::min(kRows, Z.rows - first);
    for (std::ptrdiff_t i = 0; i < rows; ++i) {
      for (std::ptrdiff_t j = 0; j < Z.cols; ++j) {
        z[static_cast<std::size_t>(i * Z.cols + j)] = Z(first + i, j);
        y[static_cast<std::size_t>(i * Z.cols + j)] = Y(first + i, j);
      }
    }
    detail::alone_or_in_team(
        rows, detail::kLanes, detail::kElementwiseFlops * 2 * static_cast<double>(rows * Z.cols),
        [&](std::ptrdiff_t begin, std::ptrdiff_t end) noexcept {
          kernels.loss({z.data() + begin * Z.cols, end - begin, Z.cols, y.data() + begin * Z.cols,
                        nullptr, nullptr, losses.data() + begin});
        });
    sum.add(losses.data(), rows);
  }
  return sum.total() / static_cast<double>(Z.rows);
}

template <class T>
void sgd_update(MatrixView<T> parameter, MatrixView<const T> gradient, double learning_rate) {
  detail::check_same_shape("sgd_update", "parameter", parameter, "gradient", gradient);
  detail::check_learning_rate<T>("sgd_update", learning_rate);
  const detail::Call<T> call;
  detail::elementwise<T, 2>({parameter, gradient}, parameter,
                            [&](std::ptrdiff_t n, const auto& in, T* out) noexcept {
                              if (out != in[0]) std::copy(in[0], in[0] + n, out);
                              detail::Epilogue<T> to;
                              to.c = out;
                              to.alpha = static_cast<T>(learning_rate);
                              call.kernels().update.row(in[1], n, to);
                            });
}

template <class T>
double dot(const T* a, const T* b, std::ptrdiff_t n) {
  const detail::DefaultFloatMode mode;
  constexpr std::ptrdiff_t kPiece = 256;  // a multiple of the lanes
  double products[kPiece];
  detail::LaneSum<double> sum;
  for (std::ptrdiff_t first = 0; first < n; first += kPiece) {
    const std::ptrdiff_t count = std::min(kPiece, n - first);
    for (std::ptrdiff_t k = 0; k < count; ++k) {
      products[k] = static_cast<double>(a[first + k]) * static_cast<double>(b[first + k]);
    }
    sum.add(products, count);
  }
  return sum.total();
}

template void matmul(MatrixView<const float>, MatrixView<const float>, MatrixView<float>);
template void relu(MatrixView<const float>, MatrixView<float>);
template void relu_backward(MatrixView<const float>, MatrixView<const float>, MatrixView<float>);
template void sigmoid(MatrixView<const float>, MatrixView<float>);
template void sigmoid_backward(MatrixView<const float>, MatrixView<const float>, MatrixView<float>);
template double binary_cross_entropy(MatrixView<const float>, MatrixView<const float>);
template void sgd_update(MatrixView<float>, MatrixView<const float>, double);
template void matmul(MatrixView<const double>, MatrixView<const double>, MatrixView<double>);
template void relu(MatrixView<const double>, MatrixView<double>);
template void relu_backward(MatrixView<const double>, MatrixView<const double>, MatrixView<double>);
template void sigmoid(MatrixView<const double>, MatrixView<double>);
template void sigmoid_backward(MatrixView<const double>, MatrixView<const double>,
                               MatrixView<double>);
template double binary_cross_entropy(MatrixView<const double>, MatrixView<const double>);
template void sgd_update(MatrixView<double>, MatrixView<const double>, double);
template double dot(const float*, const float*, std::ptrdiff_t);
template double dot(const double*, const double*, std::ptrdiff_t);

}  // namespace fastmlp
