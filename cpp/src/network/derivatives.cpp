// Derivatives of the outputs: with respect to X, and to the parameters. The equations are those of
// backpropagation (docs/mathematics.md), from a gradient of the caller instead of a loss. Start at
// Network::backward.
#include "check.hpp"
#include "network/impl.hpp"
#include "threads/parallel.hpp"

#include <algorithm>

namespace fastmlp {
namespace {

template <class T>
void check_gradient(const char* function, const RowSource<T>& dY, std::ptrdiff_t rows,
                    std::ptrdiff_t cols) {
  if (dY.rows() == rows && dY.cols() == cols) return;
  detail::refuse(function, ": dY has shape ", detail::shape(dY.rows(), dY.cols()),
                 "; it must be that of the outputs, ", detail::shape(rows, cols));
}

/// One pass over the rows of X, which finds derivatives block by block.
template <class T, class Impl>
class Derivatives {
 public:
  Derivatives(const Impl& net, const RowSource<T>& X, const ShouldStop& should_stop)
      : net_(net), X_(X), scratch_(net.pool), s_(*scratch_), poller_(should_stop) {
    s_.prepare(net.layers, net.hidden, net.block_rows(X, X.rows(), GradientUse::kStore), true,
               net.copies(X, nullptr), call_.kernels());
  }

  /// Calls use(first, X) for each block, whose Yhat are known then: rows first and so on.
  template <class Use>
  void for_each_block(bool of_parameters, const Use& use) {
    const std::ptrdiff_t step = net_.block_rows(X_, X_.rows(), GradientUse::kStore);
    detail::with_team(net_.team(X_.rows(), GradientUse::kStore), [&] {
      for (std::ptrdiff_t first = 0; first < X_.rows(); first += step) {
        const std::ptrdiff_t count = std::min(step, X_.rows() - first);
        const InputRows<T> X =
            net_.input(call_.kernels(), s_, X_, nullptr, first, count, of_parameters, poller_);
        net_.forward(call_.kernels(), s_, X, 0, s_.a.back(), poller_);
        output().forward(s_.a.back(), s_.y, count, net_.classes());
        use(first, X);
      }
    });
  }

  /// Begins a sweep back through the layers: dZ_L from dY(i, j) = dy(i, j).
  template <class Gradient>
  MatrixView<const T> begin(std::ptrdiff_t rows, const Gradient& dy) {
    T* const dZ = s_.a.back();
    const bool scaled = net_.unfolded && !net_.known_scaling().output_scale.empty();
    for (std::ptrdiff_t i = 0; i < rows; ++i) {
      for (std::ptrdiff_t j = 0; j < net_.classes(); ++j) {
        const T d = dy(i, j);
        dZ[i * net_.classes() + j] =
            scaled ? static_cast<T>(d * net_.known_scaling().output_scale[at(j)]) : d;
      }
    }
    output().backward(s_.y, dZ, dZ, rows, net_.classes());
    return {dZ, rows, net_.classes()};
  }

  /// The same from rows first and so on of dY.
  MatrixView<const T> begin(std::ptrdiff_t rows, const RowSource<T>& dY, std::ptrdiff_t first) {
    if (!dY.in_place()) rows_.reserve(static_cast<std::size_t>(rows * dY.cols()));
    const MatrixView<const T> block = dY.block(first, rows, rows_.data());
    return begin(rows, [&](std::ptrdiff_t i, std::ptrdiff_t j) { return block(i, j); });
  }

  /// The gradient of the parameters from a begun sweep; returns dZ_1.
  MatrixView<const T> parameters(std::ptrdiff_t first, const InputRows<T>& X) {
    const auto& kernels = call_.kernels();
    return net_.backward(kernels, s_, X, first == 0 ? kernels.store : kernels.add,
                         net_.gradients.data(), 0, &poller_);
  }

  /// The same without the gradient of the parameters.
  MatrixView<const T> first_delta(MatrixView<const T> dZ) {
    const detail::GemmContext<T> context{call_.kernels(), s_.workspace, s_.max_team, &poller_};
    for (std::ptrdiff_t l = net_.depth() - 1; l > 0; --l) {
      dZ = net_.delta_below(context, s_, dZ, l);
    }
    return dZ;
  }

  /// dX = dZ_1 . W_1^T, to rows of `out`.
  void inputs(const MatrixView<const T>& dZ, const MatrixView<T>& out) {
    const detail::GemmContext<T> context{call_.kernels(), s_.workspace, s_.max_team, &poller_};
    detail::Epilogue<T> to;
    to.c = out.data;
    to.ldc = out.row_stride;
    const bool direct = out.col_stride == 1;
    if (!direct) {
      rows_.reserve(static_cast<std::size_t>(out.rows * out.cols));
      to.c = rows_.data();
      to.ldc = out.cols;
    }
    const MatrixView<const T> W = net_.weights(net_.parameters.data(), 0);
    detail::gemm<T>(context, dZ, W.transposed(), call_.kernels().store, to);
    if (direct && !net_.unfolded) return;
    for (std::ptrdiff_t i = 0; i < out.rows; ++i) {
      for (std::ptrdiff_t j = 0; j < out.cols; ++j) {
        const T d = to.c[i * to.ldc + j];
        out(i, j) = net_.unfolded ? static_cast<T>(d / net_.known_scaling().input_scale[at(j)]) : d;
      }
    }
  }

 private:
  static std::size_t at(std::ptrdiff_t j) { return static_cast<std::size_t>(j); }
  const detail::OutputKernels<T>& output() const {
    return call_.kernels().outputs[static_cast<std::size_t>(net_.output)];
  }

  const Impl& net_;
  const RowSource<T>& X_;
  const detail::Call<T> call_;
  const typename detail::ScratchPool<T>::Lease scratch_;
  detail::Scratch<T>& s_;
  detail::Poller poller_;
  detail::AlignedBuffer<T> rows_;
};

}  // namespace

template <class T>
void Network<T>::backward(const RowSource<T>& X, const RowSource<T>& dY, const MatrixView<T>* dX,
                          const ShouldStop& should_stop) {
  Impl& net = *impl_;
  detail::check_features("backward", X.rows(), X.cols(), net.layers.front());
  check_gradient("backward", dY, X.rows(), net.classes());
  if (dX != nullptr) detail::check_out("backward", "dX", *dX, X.rows(), X.cols());
  const detail::WriteLock alone(net.users, detail::kInUse, detail::kPatience, should_stop);
  if (X.rows() == 0) std::fill_n(net.gradients.data(), net.n_parameters, T(0));
  if (X.rows() == 0) return;
  Derivatives<T, Impl> pass(net, X, should_stop);
  pass.for_each_block(true, [&](std::ptrdiff_t first, const InputRows<T>& rows) {
    pass.begin(rows.rows, dY, first);
    const MatrixView<const T> dZ = pass.parameters(first, rows);
    if (dX != nullptr) pass.inputs(dZ, dX->row_block(first, rows.rows));
  });
}

template <class T>
void Network<T>::input_gradients(const RowSource<T>& X, const RowSource<T>& dY,
                                 const MatrixView<T>& dX, const ShouldStop& should_stop) const {
  const Impl& net = *impl_;
  detail::check_features("input_gradients", X.rows(), X.cols(), net.layers.front());
  check_gradient("input_gradients", dY, X.rows(), net.classes());
  detail::check_out("input_gradients", "dX", dX, X.rows(), X.cols());
  if (X.rows() == 0) return;
  const detail::ReadLock reading(net.users, detail::kTraining);
  Derivatives<T, Impl> pass(net, X, should_stop);
  pass.for_each_block(false, [&](std::ptrdiff_t first, const InputRows<T>& rows) {
    const MatrixView<const T> dZ = pass.begin(rows.rows, dY, first);
    pass.inputs(pass.first_delta(dZ), dX.row_block(first, rows.rows));
  });
}

template <class T>
void Network<T>::jacobian(const RowSource<T>& X, const MatrixView<T>& out,
                          const ShouldStop& should_stop) const {
  const Impl& net = *impl_;
  const std::ptrdiff_t n_in = net.layers.front(), n_out = net.classes();
  detail::check_features("jacobian", X.rows(), X.cols(), n_in);
  detail::check_out("jacobian", "out", out, X.rows(), n_out * n_in);
  if (X.rows() == 0) return;
  const detail::ReadLock reading(net.users, detail::kTraining);
  Derivatives<T, Impl> pass(net, X, should_stop);
  pass.for_each_block(false, [&](std::ptrdiff_t first, const InputRows<T>& rows) {
    for (std::ptrdiff_t k = 0; k < n_out; ++k) {
      const MatrixView<const T> dZ = pass.begin(
          rows.rows, [&](std::ptrdiff_t, std::ptrdiff_t j) { return static_cast<T>(j == k); });
      pass.inputs(pass.first_delta(dZ),
                  {&out(first, k * n_in), rows.rows, n_in, out.row_stride, out.col_stride});
    }
  });
}

template void Network<float>::backward(const RowSource<float>&, const RowSource<float>&,
                                       const MatrixView<float>*, const ShouldStop&);
template void Network<float>::input_gradients(const RowSource<float>&, const RowSource<float>&,
                                              const MatrixView<float>&, const ShouldStop&) const;
template void Network<float>::jacobian(const RowSource<float>&, const MatrixView<float>&,
                                       const ShouldStop&) const;
template void Network<double>::backward(const RowSource<double>&, const RowSource<double>&,
                                        const MatrixView<double>*, const ShouldStop&);
template void Network<double>::input_gradients(const RowSource<double>&, const RowSource<double>&,
                                               const MatrixView<double>&, const ShouldStop&) const;
template void Network<double>::jacobian(const RowSource<double>&, const MatrixView<double>&,
                                        const ShouldStop&) const;

}  // namespace fastmlp
