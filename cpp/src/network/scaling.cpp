#include "network/scaling.hpp"

#include "check.hpp"
#include "threads/poller.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <string>
#include <type_traits>

namespace fastmlp {
namespace detail {
namespace {

// A float32 has 24 bits. Up to this quotient of mean and scale, at least 8 of them are left for the
// differences between the rows.
constexpr double kMostQuotient = 65536;

std::vector<double> checked_part(const char* function, const char* name, std::vector<double> part,
                                 std::ptrdiff_t size, double neutral, bool is_scale) {
  if (part.empty()) part.assign(static_cast<std::size_t>(size), neutral);
  if (static_cast<std::ptrdiff_t>(part.size()) != size) {
    refuse(function, ": ", name, " has ", part.size(), " entries; it must have ", size);
  }
  for (std::size_t j = 0; j < part.size(); ++j) {
    if (std::isfinite(part[j]) && (!is_scale || part[j] > 0)) continue;
    refuse(function, ": ", name, " has ", part[j], " for column ", j, "; it must be ",
           is_scale ? "positive and finite" : "finite");
  }
  return part;
}

bool is_constant(const std::vector<double>& part) {
  return std::all_of(part.begin(), part.end(), [&](double x) { return x == part[0]; });
}

template <class T>
void check_quotients(const char* function, const char* what, const std::vector<double>& mean,
                     const std::vector<double>& scale) {
  if (!std::is_same_v<T, float>) return;
  for (std::size_t j = 0; j < mean.size(); ++j) {
    if (std::abs(mean[j]) / scale[j] <= kMostQuotient) continue;
    refuse(function, ": ", what, " ", j, " has mean ", mean[j], " and scale ", scale[j],
           "; |mean| / scale must be at most 65536, because float32 cannot tell its values apart. "
           "Subtract a constant from it, or use double");
  }
}

}  // namespace

template <class T>
Scaling checked_scaling(const char* function, const Scaling& scaling, std::ptrdiff_t n_in,
                        std::ptrdiff_t n_out, Output output, const LossOptions& loss) {
  if (output != Output::kIdentity &&
      !(scaling.output_mean.empty() && scaling.output_scale.empty())) {
    refuse(function,
           ": output_mean and output_scale are for the output identity; this network has ",
           name_of(output), "; leave them out");
  }
  Scaling s;
  s.input_mean = checked_part(function, "input_mean", scaling.input_mean, n_in, 0, false);
  s.input_scale = checked_part(function, "input_scale", scaling.input_scale, n_in, 1, true);
  check_quotients<T>(function, "column", s.input_mean, s.input_scale);
  if (output != Output::kIdentity) return s;
  s.output_mean = checked_part(function, "output_mean", scaling.output_mean, n_out, 0, false);
  s.output_scale = checked_part(function, "output_scale", scaling.output_scale, n_out, 1, true);
  check_quotients<T>(function, "output", s.output_mean, s.output_scale);
  if (has_one_target(loss) && !(is_constant(s.output_mean) && is_constant(s.output_scale))) {
    refuse(function, ": output_mean and output_scale differ between the outputs; with the loss ",
           name_of(*loss.kind),  // NOLINT(bugprone-unchecked-optional-access): it has one target
           " all outputs have the same target, so give each the same numbers");
  }
  return s;
}

Scaling composed(const Scaling& inner, const Scaling& outer) {
  Scaling s = outer;
  // (x - m) / s with x = (raw - outer mean) / outer scale
  for (std::size_t j = 0; j < s.input_mean.size(); ++j) {
    s.input_mean[j] += inner.input_mean[j] * outer.input_scale[j];
    s.input_scale[j] *= inner.input_scale[j];
  }
  for (std::size_t j = 0; j < s.output_mean.size(); ++j) {
    s.output_mean[j] += inner.output_mean[j] * outer.output_scale[j];
    s.output_scale[j] *= inner.output_scale[j];
  }
  return s;
}

namespace {

/// sum over i of mean_i W_ij, for each unit j
template <class T>
std::vector<double> shifts(const std::vector<double>& mean, const MatrixView<T>& W) {
  std::vector<double> sum(static_cast<std::size_t>(W.cols), 0.0);
  for (std::ptrdiff_t i = 0; i < W.rows; ++i) {
    const double m = mean[static_cast<std::size_t>(i)];
    if (m == 0) continue;
    for (std::ptrdiff_t j = 0; j < W.cols; ++j) {
      sum[static_cast<std::size_t>(j)] += m * static_cast<double>(W(i, j));
    }
  }
  return sum;
}

/// W(i, j) = change(W(i, j), i, j)
template <class T, class Change>
void change_all(const MatrixView<T>& W, const Change& change) {
  for (std::ptrdiff_t i = 0; i < W.rows; ++i) {
    for (std::ptrdiff_t j = 0; j < W.cols; ++j) {
      W(i, j) = static_cast<T>(change(static_cast<double>(W(i, j)), static_cast<std::size_t>(i),
                                      static_cast<std::size_t>(j)));
    }
  }
}

}  // namespace

template <class T>
void fold(const Scaling& s, const EndLayers<T>& layers) {
  change_all(layers.W_1,
             [&](double w, std::size_t i, std::size_t) { return w / s.input_scale[i]; });
  const std::vector<double> shift = shifts(s.input_mean, layers.W_1);
  change_all(layers.b_1, [&](double b, std::size_t, std::size_t j) { return b - shift[j]; });
  if (s.output_scale.empty()) return;
  change_all(layers.W_L,
             [&](double w, std::size_t, std::size_t j) { return w * s.output_scale[j]; });
  change_all(layers.b_L, [&](double b, std::size_t, std::size_t j) {
    return b * s.output_scale[j] + s.output_mean[j];
  });
}

template <class T>
void fold_or_refuse(const char* function, const Scaling& s, const EndLayers<T>& layers) {
  const MatrixView<T> parts[] = {layers.W_1, layers.b_1, layers.W_L, layers.b_L};
  const auto all_finite = [&] {
    return std::all_of(std::begin(parts), std::end(parts), [](const MatrixView<T>& part) {
      return std::all_of(part.data, part.data + part.rows * part.cols,
                         [](T x) { return std::isfinite(x); });
    });
  };
  if (!all_finite()) return fold(s, layers);  // nothing can be said of it
  std::vector<T> before;
  for (const MatrixView<T>& part : parts) {
    before.insert(before.end(), part.data, part.data + part.rows * part.cols);
  }
  fold(s, layers);
  if (all_finite()) return;
  const T* next = before.data();
  for (const MatrixView<T>& part : parts) {
    std::copy_n(next, part.rows * part.cols, part.data);
    next += part.rows * part.cols;
  }
  refuse(function, ": with this scaling a weight or a bias is too large for ",
         std::is_same_v<T, float> ? "float32; use float64, or scale the data in another unit"
                                  : "float64; scale the data in another unit");
}

template <class T>
void unfold(const Scaling& s, const EndLayers<T>& layers) {
  if (!s.output_scale.empty()) {
    change_all(layers.W_L,
               [&](double w, std::size_t, std::size_t j) { return w / s.output_scale[j]; });
    change_all(layers.b_L, [&](double b, std::size_t, std::size_t j) {
      return (b - s.output_mean[j]) / s.output_scale[j];
    });
  }
  const std::vector<double> shift = shifts(s.input_mean, layers.W_1);
  change_all(layers.b_1, [&](double b, std::size_t, std::size_t j) { return b + shift[j]; });
  change_all(layers.W_1,
             [&](double w, std::size_t i, std::size_t) { return w * s.input_scale[i]; });
}

template <class T>
void scale_rows(const MatrixView<const T>& rows, const double* mean, const double* scale,
                const MatrixView<T>& out) {
  for (std::ptrdiff_t i = 0; i < rows.rows; ++i) {
    for (std::ptrdiff_t j = 0; j < rows.cols; ++j) {
      out(i, j) = static_cast<T>((static_cast<double>(rows(i, j)) - mean[j]) / scale[j]);
    }
  }
}

template Scaling checked_scaling<float>(const char*, const Scaling&, std::ptrdiff_t, std::ptrdiff_t,
                                        Output, const LossOptions&);
template Scaling checked_scaling<double>(const char*, const Scaling&, std::ptrdiff_t,
                                         std::ptrdiff_t, Output, const LossOptions&);
template void fold(const Scaling&, const EndLayers<float>&);
template void fold(const Scaling&, const EndLayers<double>&);
template void fold_or_refuse(const char*, const Scaling&, const EndLayers<float>&);
template void fold_or_refuse(const char*, const Scaling&, const EndLayers<double>&);
template void unfold(const Scaling&, const EndLayers<float>&);
template void unfold(const Scaling&, const EndLayers<double>&);
template void scale_rows(const MatrixView<const float>&, const double*, const double*,
                         const MatrixView<float>&);
template void scale_rows(const MatrixView<const double>&, const double*, const double*,
                         const MatrixView<double>&);

namespace {

/// Calls see(x, weight, column) for all elements of the rows that have a weight, row by row, and
/// end() after every 1024 rows.
template <class T, class See, class End>
void visit(const RowSource<T>& rows, const double* weight, const ShouldStop& should_stop,
           const See& see, const End& end) {
  constexpr std::ptrdiff_t kRows = 1024, kElements = 1 << 20;
  const std::ptrdiff_t cols = rows.cols();
  const std::ptrdiff_t read = std::clamp<std::ptrdiff_t>(
      kElements / std::max<std::ptrdiff_t>(cols, 1), 1, kRows);  // so that a copy stays small
  std::vector<T> scratch(rows.in_place() ? 0 : static_cast<std::size_t>(read * cols));
  Poller poller(should_stop);
  for (std::ptrdiff_t first = 0; first < rows.rows();) {
    const std::ptrdiff_t next_end = (first / kRows + 1) * kRows;
    const std::ptrdiff_t count = std::min({read, rows.rows() - first, next_end - first});
    const MatrixView<const T> block = rows.block(first, count, scratch.data());
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      const double w = weight != nullptr ? weight[first + i] : 1.0;
      if (!(w > 0)) continue;
      for (std::ptrdiff_t j = 0; j < cols; ++j) {
        see(static_cast<double>(block(i, j)), w, static_cast<std::size_t>(j));
      }
    }
    first += count;
    if (first == next_end || first == rows.rows()) end();
    poller.worked(8.0 * static_cast<double>(count * cols));
  }
}

/// Sums of columns: within 1024 rows in the order of the rows, then these sums in their order.
class ColumnSums {
 public:
  explicit ColumnSums(std::size_t cols) : part_(cols, 0.0), total_(cols, 0.0) {}
  void add(std::size_t j, double x) { part_[j] += x; }
  void end() {
    for (std::size_t j = 0; j < part_.size(); ++j) {
      total_[j] += part_[j];
      part_[j] = 0;
    }
  }
  const std::vector<double>& total() const { return total_; }

 private:
  std::vector<double> part_, total_;
};

}  // namespace
}  // namespace detail

template <class T>
Statistics statistics_of(const RowSource<T>& rows, const double* weight,
                         const ShouldStop& should_stop) {
  const detail::DefaultFloatMode mode;
  const auto cols = static_cast<std::size_t>(rows.cols());
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<double> least(cols, kInfinity), most(cols, -kInfinity);
  detail::ColumnSums sums(cols), weights(1);
  detail::visit(
      rows, weight, should_stop,
      [&](double x, double w, std::size_t j) {
        least[j] = x < least[j] ? x : least[j];
        most[j] = x > most[j] ? x : most[j];
        sums.add(j, w * x);
        if (j == 0) weights.add(0, w);
      },
      [&] {
        sums.end();
        weights.end();
      });
  const double weight_sum = weights.total()[0];
  Statistics s{sums.total(), std::vector<double>(cols)};
  std::vector<double> reach(cols);  // the largest |x - mean|, by which squares are divided
  for (std::size_t j = 0; j < cols; ++j) {
    s.mean[j] = least[j] == most[j] ? least[j] : s.mean[j] / weight_sum;
    reach[j] = std::max(most[j] - s.mean[j], s.mean[j] - least[j]);
  }
  detail::ColumnSums squares(cols);
  detail::visit(
      rows, weight, should_stop,
      [&](double x, double w, std::size_t j) {
        const double d = (x - s.mean[j]) / reach[j];
        squares.add(j, w * (d * d));
      },
      [&] { squares.end(); });
  for (std::size_t j = 0; j < cols; ++j) {
    // By a deviation of 1, a large value would drown the rest in the rounding of b_1.
    s.deviation[j] = least[j] < most[j] ? reach[j] * std::sqrt(squares.total()[j] / weight_sum)
                     : std::abs(s.mean[j]) > detail::kMostQuotient ? std::abs(s.mean[j])
                                                                   : 1.0;
  }
  return s;
}

template Statistics statistics_of(const RowSource<float>&, const double*, const ShouldStop&);
template Statistics statistics_of(const RowSource<double>&, const double*, const ShouldStop&);

}  // namespace fastmlp
