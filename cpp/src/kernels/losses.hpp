// The outputs with their losses, and the other losses of an identity output (docs/mathematics.md,
// "Outputs and losses"): forward beside backward. All outputs with their own loss have the same
// backward: dZ = scale * (Yhat - Y), computed from the logits Z. cpp/README.md, "Adding", says how
// to add one.
#pragma once

#include "activations.hpp"
#include "lanes.hpp"

namespace fastmlp::detail {
namespace {

// Losses are computed into a buffer on the stack and summed from there, so many at a time. 512
// doubles take 4 KiB: they fit the L1 cache and hide the cost of each start.
constexpr std::ptrdiff_t kPiece = 512;
static_assert(kPiece % kLanes == 0);

// [export: begin]

// kPower: the loss of targets y / s and outputs yhat / s is 1 / s^kPower of the loss of y and yhat;
// 0 if the targets of this output cannot be scaled.

struct SigmoidUnit {
  static constexpr const char* kName = "sigmoid";
  static constexpr Targets kTargets = Targets::kUnitInterval;
  static constexpr int kPower = 0;
  template <class V>
  static V forward(V z) {
    return Sigmoid::forward(z);
  }
  // -y log(yhat) - (1 - y) log(1 - yhat) = max(z, 0) - z y + log(1 + e^-|z|)
  template <class V>
  static V loss(V z, V y) {
    const V positive = select(z < V(0), V(0), z);
    return fma(V(0) - z, y, positive) + log1p(exp(V(0) - abs(z)));
  }
  template <class V>
  static V slope(V yhat) {  // dyhat/dz
    return yhat * (V(1) - yhat);
  }
};

struct IdentityUnit {
  static constexpr const char* kName = "identity";
  static constexpr Targets kTargets = Targets::kReal;
  static constexpr int kPower = 2;
  template <class V>
  static V forward(V z) {
    return z;
  }
  template <class V>
  static V loss(V z, V y) {  // (yhat - y)^2 / 2
    const V error = z - y;
    return V(typename V::Scalar(0.5)) * error * error;
  }
  template <class V>
  static V slope(V /*yhat*/) {
    return V(1);
  }
};

struct ExpUnit {
  static constexpr const char* kName = "exp";
  static constexpr Targets kTargets = Targets::kNotNegative;
  static constexpr int kPower = 0;
  template <class V>
  static V forward(V z) {
    return exp(z);
  }
  // y log(y / yhat) - y + yhat = y (log y - z - 1) + e^z; only e^z if y = 0
  template <class V>
  static V loss(V z, V y) {
    const V yhat = exp(z);
    return select(y == V(0), yhat, fma(y, (log(y) - z) - V(1), yhat));
  }
  template <class V>
  static V slope(V yhat) {
    return yhat;
  }
};

// [export: end]

/// The loss that belongs to an output. All of them have the same slope.
template <class Unit>
struct OwnLoss {
  static constexpr LossParameter kParameter = LossParameter::kNone;
  template <class V>
  static V loss(V z, V y, V /*parameter*/) {
    return Unit::loss(z, y);
  }
  template <class V>
  static V slope(V z, V y, V /*parameter*/) {  // dloss/dz
    return Unit::forward(z) - y;
  }
};

// The losses that an identity output can have instead of its own, with r = yhat - y. kParameter
// says what `parameter` is. A NaN stays NaN.

/// r^2 / 2 if |r| <= delta, else delta (|r| - delta / 2)  (Huber, 1964)
struct Huber {
  static constexpr const char* kName = "huber";
  static constexpr LossParameter kParameter = LossParameter::kDelta;
  static constexpr int kPower = 2;  // if delta becomes delta / s
  template <class V>
  static V loss(V z, V y, V delta) {
    const V half(typename V::Scalar(0.5)), r = z - y, size = abs(r);
    return select(size <= delta, half * r * r, delta * (size - half * delta));
  }
  template <class V>
  static V slope(V z, V y, V delta) {  // r, limited to [-delta, delta]
    const V r = z - y, least = V(0) - delta;
    return select(r < least, least, select(delta < r, delta, r));
  }
};

/// |r|
struct AbsoluteError {
  static constexpr const char* kName = "absolute_error";
  static constexpr LossParameter kParameter = LossParameter::kNone;
  static constexpr int kPower = 1;
  template <class V>
  static V loss(V z, V y, V /*parameter*/) {
    return abs(z - y);
  }
  template <class V>
  static V slope(V z, V y, V /*parameter*/) {  // the sign of r; 0 if r = 0
    const V r = z - y;
    return select(r < V(0), V(-1), select(V(0) < r, V(1), r));
  }
};

/// tau (y - yhat) if y > yhat, else (tau - 1) (y - yhat)  (Koenker and Bassett, 1978)
struct Pinball {
  static constexpr const char* kName = "pinball";
  static constexpr LossParameter kParameter = LossParameter::kQuantile;
  static constexpr int kPower = 1;
  template <class V>
  static V loss(V z, V y, V tau) {
    const V above = y - z;
    return select(above < V(0), tau - V(1), tau) * above;
  }
  template <class V>
  static V slope(V z, V y, V tau) {  // -tau if y > yhat, 1 - tau if y < yhat, 0 if they are equal
    const V above = y - z;
    return select(V(0) < above, V(0) - tau, select(above < V(0), V(1) - tau, above));
  }
};

/// How a vector reads an array with one number for each row or column, if its lanes are rows of
/// one column, the first of them being row `first` ...
template <class V>
struct LanesAreRows {
  using T = typename V::Scalar;
  std::ptrdiff_t first;
  template <class Access>
  V of_rows(const T* x, std::ptrdiff_t u, Access access) const {
    return access.template load<V>(x + first + u);
  }
  template <class Access>
  V of_columns(const T* x, std::ptrdiff_t /*u*/, Access /*access*/) const {
    return V(x[0]);
  }
};

/// ... or if its lanes are columns of one row, the first of them being column `first`.
template <class V>
struct LanesAreColumns {
  using T = typename V::Scalar;
  std::ptrdiff_t row, first;
  template <class Access>
  V of_rows(const T* x, std::ptrdiff_t /*u*/, Access /*access*/) const {
    return V(x[row]);
  }
  template <class Access>
  V of_columns(const T* x, std::ptrdiff_t u, Access access) const {
    return access.template load<V>(x + first + u);
  }
};

/// A loss of units that are independent of each other; a row's loss is the sum over its units.
template <class Loss>
struct SumOfUnits {
  template <class V, class T = typename V::Scalar>
  static void loss(const LossBlock<T>& block) {
    if (block.cols == 1) {
      one_column<V>(block);
    } else {
      for (std::ptrdiff_t i = 0; i < block.rows; ++i) block.row_losses[i] = row<V>(block, i);
    }
  }

 private:
  static constexpr bool kOneTarget = Loss::kParameter == LossParameter::kQuantile;

  /// Writes the losses of n <= kPiece units, from unit `first` on, and their dZ unless that is
  /// null.
  template <class V, class T, class Lanes>
  static void units(const LossBlock<T>& block, std::ptrdiff_t first, std::ptrdiff_t n, T* losses,
                    Lanes lanes) {
    for_each_vec<V>(n, [&](std::ptrdiff_t u, auto access) {
      const V z = access.template load<V>(block.z + first + u);
      const V y = kOneTarget ? lanes.of_rows(block.y, u, access)
                             : access.template load<V>(block.y + first + u);
      V parameter(0);
      if constexpr (Loss::kParameter != LossParameter::kNone) {
        parameter = lanes.of_columns(block.parameters, u, access);
      }
      V loss = clamp(Loss::loss(z, y, parameter), block.low, block.high);
      if (block.factors != nullptr) loss = loss * lanes.of_columns(block.factors, u, access);
      access.store(losses + u, loss);
      if (block.dz != nullptr) {
        const V scale = lanes.of_rows(block.scale, u, access);
        access.store(block.dz + first + u, Loss::slope(z, y, parameter) * scale);
      }
    });
  }

  // There is one unit per row, so the lanes of a vector are rows.
  template <class V, class T>
  static void one_column(const LossBlock<T>& block) {
    T losses[kPiece];
    for (std::ptrdiff_t i = 0; i < block.rows; i += kPiece) {
      const std::ptrdiff_t n = block.rows - i < kPiece ? block.rows - i : kPiece;
      units<V>(block, i, n, losses, LanesAreRows<V>{i});
      for (std::ptrdiff_t u = 0; u < n; ++u) {
        block.row_losses[i + u] = static_cast<double>(losses[u]);
      }
    }
  }

  template <class V, class T>
  static double row(const LossBlock<T>& block, std::ptrdiff_t i) {
    T losses[kPiece];
    LaneSum<double> sum;
    for (std::ptrdiff_t j = 0; j < block.cols; j += kPiece) {
      const std::ptrdiff_t n = block.cols - j < kPiece ? block.cols - j : kPiece;
      units<V>(block, i * block.cols + j, n, losses, LanesAreColumns<V>{i, j});
      sum.add(losses, n);
    }
    return sum.total();
  }
};

/// An output whose units are independent of each other.
template <class Unit>
struct Elementwise : SumOfUnits<OwnLoss<Unit>> {
  static constexpr const char* kName = Unit::kName;
  static constexpr Targets kTargets = Unit::kTargets;
  static constexpr int kPower = Unit::kPower;

  template <class V, class T = typename V::Scalar>
  static void forward(const T* z, T* out, std::ptrdiff_t rows, std::ptrdiff_t cols) {
    for_each_vec<V>(rows * cols, [&](std::ptrdiff_t i, auto access) {
      access.store(out + i, Unit::forward(access.template load<V>(z + i)));
    });
  }

  template <class V, class T = typename V::Scalar>
  static void backward(const T* yhat, const T* dy, T* dz, std::ptrdiff_t rows,
                       std::ptrdiff_t cols) {
    for_each_vec<V>(rows * cols, [&](std::ptrdiff_t i, auto access) {
      const V slope = Unit::slope(access.template load<V>(yhat + i));
      access.store(dz + i, access.template load<V>(dy + i) * slope);
    });
  }
};

/// yhat_j = e^(z_j - max z) / sum with sum = e^(z_1 - max z) + ...;
/// loss = log(sum) - (z_class - max z)
struct Softmax {
  static constexpr const char* kName = "softmax";
  static constexpr Targets kTargets = Targets::kClasses;
  static constexpr int kPower = 0;

  template <class V, class T = typename V::Scalar>
  static void forward(const T* z, T* out, std::ptrdiff_t rows, std::ptrdiff_t cols) {
    for (std::ptrdiff_t i = 0; i < rows; ++i) {
      const T* zi = z + i * cols;
      const T sum = exponentials<V>(zi, largest(zi, cols), out + i * cols, cols);
      divide_scale<V>(out + i * cols, sum, T(1), cols);
    }
  }

  // dz_j = yhat_j (dy_j - (dy_1 yhat_1 + ...))
  template <class V, class T = typename V::Scalar>
  static void backward(const T* yhat, const T* dy, T* dz, std::ptrdiff_t rows,
                       std::ptrdiff_t cols) {
    T piece[kPiece];
    for (std::ptrdiff_t i = 0; i < rows; ++i, yhat += cols, dy += cols, dz += cols) {
      LaneSum<T> sum;
      for (std::ptrdiff_t j = 0; j < cols; j += kPiece) {
        const std::ptrdiff_t n = cols - j < kPiece ? cols - j : kPiece;
        for_each_vec<V>(n, [&](std::ptrdiff_t u, auto access) {
          access.store(piece + u,
                       access.template load<V>(yhat + j + u) * access.template load<V>(dy + j + u));
        });
        sum.add(piece, n);
      }
      const V dot(sum.total());
      for_each_vec<V>(cols, [&](std::ptrdiff_t j, auto access) {
        access.store(dz + j,
                     access.template load<V>(yhat + j) * (access.template load<V>(dy + j) - dot));
      });
    }
  }

  // A row needs one log and one exp. These are computed for many rows at a time; the lanes are
  // rows.
  template <class V, class T = typename V::Scalar>
  static void loss(const LossBlock<T>& block) {
    T shifted[kPiece], sums[kPiece], losses[kPiece], at_wanted[kPiece];
    for (std::ptrdiff_t first = 0; first < block.rows; first += kPiece) {
      const std::ptrdiff_t n = block.rows - first < kPiece ? block.rows - first : kPiece;
      for (std::ptrdiff_t u = 0; u < n; ++u) {
        const std::ptrdiff_t i = first + u;
        const T* z = block.z + i * block.cols;
        T* dz = block.dz != nullptr ? block.dz + i * block.cols : nullptr;
        const T top = largest(z, block.cols);
        shifted[u] = z[wanted(block, i)] - top;  // read before dz is written, which may be z
        sums[u] = exponentials<V>(z, top, dz, block.cols);
        if (dz != nullptr) divide_scale<V>(dz, sums[u], block.scale[i], block.cols);
      }
      for_each_vec<V>(n, [&](std::ptrdiff_t u, auto access) {
        const V z = access.template load<V>(shifted + u), sum = access.template load<V>(sums + u);
        access.store(losses + u, clamp(log(sum) - z, block.low, block.high));
        if (block.dz == nullptr) return;
        const V scale = access.template load<V>(block.scale + first + u);
        access.store(at_wanted + u, (exp(z) / sum - V(1)) * scale);
      });
      for (std::ptrdiff_t u = 0; u < n; ++u) {
        const std::ptrdiff_t i = first + u;
        block.row_losses[i] = static_cast<double>(losses[u]);
        if (block.dz != nullptr) block.dz[i * block.cols + wanted(block, i)] = at_wanted[u];
      }
    }
  }

 private:
  template <class T>
  static std::ptrdiff_t wanted(const LossBlock<T>& block, std::ptrdiff_t i) {
    return static_cast<std::ptrdiff_t>(block.y[i]);
  }

  template <class T>
  static T largest(const T* z, std::ptrdiff_t n) {
    T top = z[0];  // a NaN may get lost here; the exponentials bring it back
    for (std::ptrdiff_t j = 1; j < n; ++j) top = top < z[j] ? z[j] : top;
    return top;
  }

  // Writes e^(z - top) to `out`, unless that is null. Returns their sum.
  template <class V, class T>
  static T exponentials(const T* z, T top, T* out, std::ptrdiff_t n) {
    T piece[kPiece];
    LaneSum<T> sum;
    for (std::ptrdiff_t j = 0; j < n; j += kPiece) {
      const std::ptrdiff_t m = n - j < kPiece ? n - j : kPiece;
      T* e = out != nullptr ? out + j : piece;
      for_each_vec<V>(m, [&](std::ptrdiff_t u, auto access) {
        access.store(e + u, exp(access.template load<V>(z + j + u) - V(top)));
      });
      sum.add(e, m);
    }
    return sum.total();
  }

  // x = x / sum * factor
  template <class V, class T>
  static void divide_scale(T* x, T sum, T factor, std::ptrdiff_t n) {
    for_each_vec<V>(n, [&](std::ptrdiff_t j, auto access) {
      access.store(x + j, access.template load<V>(x + j) / V(sum) * V(factor));
    });
  }
};

// In the order of fastmlp::Output.
using Outputs =
    List<Elementwise<SigmoidUnit>, Softmax, Elementwise<IdentityUnit>, Elementwise<ExpUnit>>;

// In the order of fastmlp::Loss.
using Losses = List<Huber, AbsoluteError, Pinball>;

}  // namespace
}  // namespace fastmlp::detail
