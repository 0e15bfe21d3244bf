// All checks of shapes, values and hyper-parameters. A message names the function, the value given
// and the rule. Every check throws std::invalid_argument.
#pragma once

#include "dispatch.hpp"

#include <fastmlp/matrix_view.hpp>
#include <fastmlp/options.hpp>
#include <fastmlp/row_source.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <locale>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace fastmlp::detail {

// Parts of messages

/// A stream that writes and reads numbers as C++ does, whatever the locale of the program: a German
/// one would write 1.234,5 for 1234.5.
class Text : public std::stringstream {
 public:
  Text() { imbue(std::locale::classic()); }
};

/// A number with the fewest digits that read back as the same number.
template <class T>
std::string digits(T value) {
  if (value != value) return "nan";  // some standard libraries would write "-nan" too
  std::string text;
  for (int precision : {6, 9, 12, 15, 17}) {
    Text stream;
    stream.precision(precision);
    stream << value;
    text = stream.str();
    double back = 0;
    if (stream >> back && static_cast<T>(back) == value) break;
  }
  return text;
}

template <class Part>
decltype(auto) shown(const Part& part) {
  if constexpr (std::is_floating_point_v<Part>) {
    return digits(part);
  } else {
    return part;
  }
}

template <class Names>
std::string join(const Names& names) {
  std::string all;
  for (const auto& name : names) all.append(all.empty() ? "" : ", ").append(name);
  return all;
}

inline std::string shape(std::ptrdiff_t rows, std::ptrdiff_t cols) {
  return "(" + std::to_string(rows) + ", " + std::to_string(cols) + ")";
}
template <class T>
constexpr const char* type_name() {
  return sizeof(T) == sizeof(float) ? "float32" : "float64";
}

template <class T>
std::string shape(const MatrixView<T>& m) {
  return shape(m.rows, m.cols);
}

// Checks

template <class... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
  Text message;
  (message << ... << shown(parts));
  throw std::invalid_argument(message.str());
}

/// Refuses a name that is not one of `allowed`.
template <class Names>
[[noreturn]] void refuse_name(const char* function, const char* what, std::string_view name,
                              const Names& allowed) {
  refuse(function, ": unknown ", what, " '", name, "'; allowed: ", join(allowed));
}

template <class T>
void check_matmul(MatrixView<const T> A, MatrixView<const T> B, MatrixView<T> C) {
  if (A.cols != B.rows) {
    refuse("matmul: A is ", shape(A), " and B is ", shape(B), "; A's columns must equal B's rows");
  }
  if (C.rows != A.rows || C.cols != B.cols) {
    refuse("matmul: C is ", shape(C), "; for A ", shape(A), " and B ", shape(B), " it must be ",
           shape(A.rows, B.cols));
  }
}

template <class A, class B>
void check_same_shape(const char* function, const char* a_name, const A& a, const char* b_name,
                      const B& b) {
  if (a.rows != b.rows || a.cols != b.cols) {
    refuse(function, ": ", a_name, " is ", shape(a), " and ", b_name, " is ", shape(b),
           "; they must have the same shape");
  }
}

/// Checks the learning rate after its conversion to T, in which it is used.
template <class T>
void check_learning_rate(const char* function, double learning_rate) {
  const T used = static_cast<T>(learning_rate);
  if (!(used > 0 && std::isfinite(used))) {
    refuse(function, ": learning_rate is ", learning_rate, "; in ", type_name<T>(),
           " it must be positive and finite");
  }
}

inline void check_between(const char* function, const char* name, double value, double low,
                          double high, bool closed) {
  if (!(value >= low && (value < high || (closed && value == high)))) {
    refuse(function, ": ", name, " is ", value, "; it must be in [", low, ", ", high,
           closed ? "]" : ")");
  }
}

inline void check_positive(const char* function, const char* name, double value) {
  if (!(value > 0 && std::isfinite(value))) {
    refuse(function, ": ", name, " is ", value, "; it must be positive and finite");
  }
}

inline void check_not_negative(const char* function, const char* name, double value) {
  if (!(value >= 0 && std::isfinite(value))) {
    refuse(function, ": ", name, " is ", value, "; it must be finite and at least 0");
  }
}

template <class T>
void check_scale(const char* function, double scale) {
  if (!std::isfinite(static_cast<T>(scale))) {
    refuse(function, ": scale is ", scale, "; in ", type_name<T>(), " it must be finite");
  }
}

/// The number of flops in the environment variable FASTMLP_MIN_WORK.
inline double check_min_work(const char* text) {
  Text stream;
  stream << text;
  double value = -1;
  if (!(stream >> value && stream.peek() == Text::traits_type::eof() && value >= 0)) {
    refuse("FASTMLP_MIN_WORK: '", text, "' given; it must be a number of flops, at least 0");
  }
  return value;
}

inline void check_layer_index(const char* function, std::ptrdiff_t l, std::ptrdiff_t depth) {
  if (l < 0 || l >= depth) {
    refuse(function, ": layer ", l, " given; this network has layers 0 to ", depth - 1);
  }
}

/// The name of an optimizer in messages: that of its Python class.
template <class Options>
constexpr const char* name_of_optimizer(const Options& options) {
  return Options::kName == "Adam" && options.decoupled ? "AdamW" : Options::kName.data();
}

/// Checks each hyper-parameter that the optimizer's visit() names.
struct HyperParameterCheck {
  const char* optimizer;

  void operator()(const char*, bool) const {}  // both values are valid
  void operator()(const char* name, double value, Interval interval) const {
    switch (interval) {
      case Interval::kPositive:
        return check_positive(optimizer, name, value);
      case Interval::kNotNegative:
        return check_not_negative(optimizer, name, value);
      case Interval::kBelowOne:
        return check_between(optimizer, name, value, 0, 1, false);
      case Interval::kUpToOne:
        return check_between(optimizer, name, value, 0, 1, true);
    }
  }
};

template <class Enum>
void check_enum(const char* what, Enum value, std::size_t count) {
  if (static_cast<std::size_t>(value) >= count) {
    refuse("Network: ", what, " number ", static_cast<int>(value), " given; it must be from 0 to ",
           count - 1);
  }
}

inline void check_steps(std::int64_t steps, double beta_1_power, double beta_2_power) {
  constexpr std::int64_t kMost = std::int64_t{1} << 62;  // so many more steps fit in 64 bits
  if (steps < 0 || steps > kMost) {
    refuse("set_state: steps is ", steps, "; it must be at least 0 and at most ", kMost);
  }
  check_between("set_state", "beta_1^steps", beta_1_power, 0, 1, true);
  check_between("set_state", "beta_2^steps", beta_2_power, 0, 1, true);
}

inline void check_epochs_trained(std::int64_t epochs) {
  constexpr std::int64_t kMost = std::int64_t{1} << 62;  // so many more epochs fit in 64 bits
  if (epochs < 0 || epochs > kMost) {
    refuse("epochs_trained: ", epochs, " given; it must be at least 0 and at most ", kMost);
  }
}

inline void check_dropout(const char* function, const std::vector<double>& rates,
                          std::size_t n_hidden) {
  if (!rates.empty() && rates.size() != n_hidden) {
    refuse(function, ": dropout has ", rates.size(), " rates; there must be one for each of the ",
           n_hidden, " hidden layers, or none");
  }
  for (const double rate : rates) check_between(function, "dropout", rate, 0, 1, false);
}

inline void check_at_least_one(const char* function, const char* name, std::int64_t value) {
  if (value < 1) refuse(function, ": ", name, " is ", value, "; it must be at least 1");
}

inline void check_num_threads(int n) {
  constexpr int kMost = 1024;  // a larger number is a slip, and its threads would fill the memory
  if (n < 1 || n > kMost) {
    refuse("set_num_threads: n is ", n, "; it must be at least 1 and at most ", kMost);
  }
}

/// Checks the sizes of the layers. Returns the number of parameters.
inline std::ptrdiff_t check_layers(const std::vector<std::ptrdiff_t>& layers, std::size_t n_hidden,
                                   Output output) {
  if (layers.size() < 2) {
    refuse("Network: layers has ", layers.size(),
           " entries; it must have at least two, the numbers of inputs and of outputs");
  }
  // Leaves room for the size in bytes of all parameters, their gradients and an optimizer's state.
  constexpr std::ptrdiff_t kMost = std::numeric_limits<std::ptrdiff_t>::max() / 64;
  std::ptrdiff_t parameters = 0;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    if (layers[l] < 1) {
      refuse("Network: layers[", l, "] is ", layers[l], "; every layer needs at least one unit");
    }
    if (layers[l] >= kMost) {
      refuse("Network: layers[", l, "] is ", layers[l], "; the parameters would not fit in memory");
    }
    if (l == 0) continue;
    if (layers[l] > (kMost - parameters) / (layers[l - 1] + 1)) {
      refuse("Network: layers[", l, "] is ", layers[l], "; the parameters would not fit in memory");
    }
    parameters += layers[l] * (layers[l - 1] + 1);
  }
  if (n_hidden != layers.size() - 2) {
    refuse("Network: hidden has ", n_hidden, " activations; there must be one for each of the ",
           layers.size() - 2, " hidden layers");
  }
  if (about(output).targets == Targets::kClasses && layers.back() < 2) {
    refuse("Network: a ", name_of(output), " output of ", layers.back(),
           " unit; it needs at least 2, one for each class");
  }
  return parameters;
}

/// Checks the loss of a network whose output has n_out units. Returns LossBlock::parameters.
template <class T>
std::vector<T> check_loss(const LossOptions& loss, Output output, std::ptrdiff_t n_out) {
  if (loss.kind) check_enum("loss", *loss.kind, scalar_kernels().n_losses);
  const std::string_view name = loss.kind ? name_of(*loss.kind) : "the output's own";
  const LossParameter parameter = loss.kind ? about(*loss.kind).parameter : LossParameter::kNone;
  if (loss.kind && about(output).targets != Targets::kReal) {
    refuse("Network: loss is ", name, " and output is ", name_of(output),
           "; only an identity output takes a loss: give that output, or no loss");
  }
  if (parameter != LossParameter::kDelta && loss.delta != 1) {
    refuse("Network: delta is ", loss.delta, " and loss is ", name, "; only huber takes a delta");
  }
  if (parameter != LossParameter::kQuantile && !loss.quantiles.empty()) {
    refuse("Network: quantiles are given and loss is ", name, "; only pinball takes them");
  }
  if (parameter == LossParameter::kDelta) {
    const T delta = static_cast<T>(loss.delta);
    if (!(delta > 0 && std::isfinite(delta))) {
      refuse("Network: delta is ", loss.delta, "; in ", type_name<T>(),
             " it must be positive and finite");
    }
    return std::vector<T>(static_cast<std::size_t>(n_out), delta);
  }
  if (parameter != LossParameter::kQuantile) return {};
  if (static_cast<std::ptrdiff_t>(loss.quantiles.size()) != n_out) {
    refuse("Network: quantiles has ", loss.quantiles.size(), " entries and the network ", n_out,
           n_out == 1 ? " output" : " outputs",
           "; the loss pinball needs a quantile for each output");
  }
  std::vector<T> quantiles;
  for (std::size_t j = 0; j < loss.quantiles.size(); ++j) {
    const T tau = static_cast<T>(loss.quantiles[j]);
    if (!(tau > 0 && tau < 1)) {
      refuse("Network: quantiles[", j, "] is ", loss.quantiles[j], "; in ", type_name<T>(),
             " it must be above 0 and below 1");
    }
    if (j > 0 && !(tau > quantiles.back())) {
      refuse("Network: quantiles[", j, "] is ", loss.quantiles[j], ", after ",
             loss.quantiles[j - 1], "; in ", type_name<T>(), " quantiles must increase");
    }
    quantiles.push_back(tau);
  }
  return quantiles;
}

/// Whether a row has one target, which is compared with every output.
inline bool has_one_target(const LossOptions& loss) {
  return loss.kind && about(*loss.kind).parameter == LossParameter::kQuantile;
}

inline void check_features(const char* function, std::ptrdiff_t rows, std::ptrdiff_t cols,
                           std::ptrdiff_t features) {
  if (rows < 0) refuse(function, ": X has ", rows, " rows; the number cannot be negative");
  if (cols != features) {
    refuse(function, ": X has shape ", shape(rows, cols), "; this network takes ", features,
           " features");
  }
}

template <class T>
void check_out(const char* function, const char* name, const MatrixView<T>& out,
               std::ptrdiff_t rows, std::ptrdiff_t cols) {
  if (out.rows != rows || out.cols != cols) {
    refuse(function, ": ", name, " has shape ", shape(out), "; it must be ", shape(rows, cols));
  }
}

inline void check_has_labels(Output output) {
  if (labels_of(output) == Labels::kNone) {
    refuse("predict: the output is ", name_of(output), ", which has no labels; use forward");
  }
}

template <class T>
void check_target_shape(const char* function, const RowSource<T>& X, const RowSource<T>& y,
                        std::ptrdiff_t outputs, Output output, const LossOptions& loss) {
  if (X.rows() != y.rows()) {
    refuse(function, ": X has ", X.rows(), " rows and y has ", y.rows(),
           "; they must have the same number of rows");
  }
  if (has_one_target(loss)) {
    if (y.cols() == 1) return;
    refuse(function, ": y has shape ", shape(y.rows(), y.cols()), "; with the loss ",
           name_of(*loss.kind),  // NOLINT(bugprone-unchecked-optional-access): it has one target
           " it must be ", shape(y.rows(), 1),
           ": one target for each row, which is compared with every output");
  }
  const bool classes = about(output).targets == Targets::kClasses;
  if (!(classes && y.cols() == 1) && y.cols() != outputs) {
    // Callers may have given one column as a vector, so no message calls it (rows, 1).
    const std::string wanted =
        outputs == 1 ? "one value for each row" : "the shape " + shape(y.rows(), outputs);
    refuse(function, ": y has ", y.cols() == 1 ? "one value" : std::to_string(y.cols()) + " values",
           " for each row; for X ", shape(X.rows(), X.cols()), " it must have ", wanted,
           classes ? ", one-hot, or one class index for each row" : "");
  }
}

/// The entries of row i of a CSR matrix with `stored` entries: indptr[i] and indptr[i + 1].
inline std::pair<std::ptrdiff_t, std::ptrdiff_t> check_csr_row(const IndexView& indptr,
                                                               std::ptrdiff_t stored,
                                                               std::ptrdiff_t i) {
  const std::int64_t begin = indptr[i], end = indptr[i + 1];
  if (begin < 0 || begin > end || end > stored) {
    refuse("X is a CSR matrix whose row ", i, " has the entries ", begin, " to ", end,
           "; indptr must rise from 0 to the number of stored elements, ", stored);
  }
  return {static_cast<std::ptrdiff_t>(begin), static_cast<std::ptrdiff_t>(end)};
}

/// A column index that was found in row i of a CSR matrix.
inline std::ptrdiff_t check_csr_column(std::int64_t column, std::ptrdiff_t cols, std::ptrdiff_t i) {
  if (column < 0 || column >= cols) {
    refuse("X is a CSR matrix whose row ", i, " has the column index ", column,
           "; it must be from 0 to ", cols - 1);
  }
  return static_cast<std::ptrdiff_t>(column);
}

/// The class in row i of softmax targets: the index there, or the column of the 1 in a one-hot row.
/// Messages call it `row`, its number in the caller's data.
template <class T>
std::ptrdiff_t check_class(const char* function, MatrixView<const T> y, std::ptrdiff_t i,
                           std::ptrdiff_t row, std::ptrdiff_t classes) {
  if (y.cols == 1) {
    const T value = y(i, 0);
    if (!(value >= 0 && value < static_cast<T>(classes)) || value != std::floor(value)) {
      refuse(function, ": y[", row, "] is ", value, "; a class index must be an integer from 0 to ",
             classes - 1);
    }
    return static_cast<std::ptrdiff_t>(value);
  }
  std::ptrdiff_t found = -1;
  for (std::ptrdiff_t j = 0; j < y.cols; ++j) {
    const T value = y(i, j);
    if (value == T(0)) continue;
    if (value != T(1) || found >= 0) {
      refuse(function, ": y[", row, ", ", j, "] is ", value,
             "; a one-hot row must have a single 1 and zeros");
    }
    found = j;
  }
  if (found < 0) refuse(function, ": y[", row, "] is all 0; a one-hot row must have a single 1");
  return found;
}

/// Checks the values of y. `first` is the number of y's first row in the caller's data. Here and in
/// check_order, a fast loop finds out whether all values are right. Only if one is wrong does a
/// slow loop search for it.
template <class T>
void check_target_values(const char* function, MatrixView<const T> y, std::ptrdiff_t first,
                         std::ptrdiff_t outputs, Output output) {
  const Targets targets = about(output).targets;
  if (targets == Targets::kReal) return;
  const bool counts = targets == Targets::kNotNegative;
  const T most = counts ? std::numeric_limits<T>::max() : T(1);
  if (targets != Targets::kClasses && y.is_contiguous()) {
    bool outside = false;
    for (std::ptrdiff_t k = 0; k < y.rows * y.cols; ++k) {
      outside |= (y.data[k] < T(0)) | (y.data[k] > most);
    }
    if (!outside) return;
  }
  for (std::ptrdiff_t i = 0; i < y.rows; ++i) {
    if (targets == Targets::kClasses) {
      check_class(function, y, i, first + i, outputs);
      continue;
    }
    for (std::ptrdiff_t j = 0; j < y.cols; ++j) {
      const T value = y(i, j);
      // These comparisons let a NaN pass; it shows in the loss.
      if (value < T(0) || value > most) {
        const std::string_view name = name_of(output);
        const bool vowel = std::string_view("aeiou").find(name[0]) != std::string_view::npos;
        const std::string at = y.cols == 1 ? "" : ", " + std::to_string(j);
        refuse(function, ": y[", first + i, at, "] is ", value, "; with ", vowel ? "an " : "a ",
               name, " output y must be ", counts ? "finite and not negative" : "in [0, 1]");
      }
    }
  }
}

inline void check_sample_weight(const char* function, const double* weight, std::ptrdiff_t rows) {
  double sum = 0;
  for (std::ptrdiff_t i = 0; weight != nullptr && i < rows; ++i) {
    if (!(weight[i] >= 0 && std::isfinite(weight[i]))) {
      refuse(function, ": sample_weight[", i, "] is ", weight[i],
             "; weights must be finite and not negative");
    }
    sum += weight[i];
  }
  if (!std::isfinite(sum)) {
    refuse(function, ": sample_weight has an infinite sum; divide the weights by the largest one");
  }
}

/// For a mean over a whole data set. A single batch may have no weight.
inline void check_weight_sum(const char* function, const double* weight, std::ptrdiff_t rows) {
  constexpr double kLeast = std::numeric_limits<double>::min();
  if (weight == nullptr || rows == 0) return;
  const double sum = std::accumulate(weight, weight + rows, 0.0);
  if (sum < kLeast) {
    refuse(function, ": sample_weight has the sum ", sum, "; it must be at least ", kLeast,
           ", because the loss is divided by it");
  }
}

/// For weights that multiply gradients of T without being divided by their sum.
template <class T>
void check_summed_weight(const char* function, const double* weight, std::ptrdiff_t rows) {
  using Limits = std::numeric_limits<T>;
  for (std::ptrdiff_t i = 0; weight != nullptr && i < rows; ++i) {
    if (weight[i] != 0 && !(weight[i] >= Limits::min() && weight[i] <= Limits::max())) {
      refuse(function, ": sample_weight[", i, "] is ", weight[i], "; in ", type_name<T>(),
             " a weight must be 0 or from ", Limits::min(), " to ", Limits::max(),
             "; multiply all weights by the same number");
    }
  }
}

inline void check_order(const char* function, const std::int64_t* order, std::ptrdiff_t count,
                        std::ptrdiff_t rows) {
  if (count < 0) refuse(function, ": order has ", count, " entries; the number cannot be negative");
  // The sign bit of index | (last - index) is set if the index is negative or too large.
  std::uint64_t signs = 0;
  const std::uint64_t last = static_cast<std::uint64_t>(rows) - 1;
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    const auto index = static_cast<std::uint64_t>(order[i]);
    signs |= index | (last - index);
  }
  if (signs >> 63 == 0) return;
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    if (order[i] < 0 || order[i] >= rows) {
      refuse(function, ": order[", i, "] is ", order[i], "; X has rows 0 to ", rows - 1);
    }
  }
}

// Values in tables

/// Where a value stands, for messages. A single row has no number.
struct Place {
  const char* function;
  const std::string& column;
  std::ptrdiff_t row;
};
constexpr std::ptrdiff_t kOnlyRow = -1;

/// Refuses a value of a table. `shown` is the value as text.
[[noreturn]] inline void refuse_value(const Place& place, const std::string& shown,
                                      const char* rule) {
  const std::string row = place.row == kOnlyRow ? "" : " at row " + std::to_string(place.row);
  refuse(place.function, ": column '", place.column, "' has ", shown, row, "; it must hold ", rule);
}

[[noreturn]] inline void refuse_row(const char* function, std::size_t size, std::ptrdiff_t row,
                                    std::size_t wanted) {
  const std::string which = row == kOnlyRow ? "the row" : "row " + std::to_string(row);
  refuse(function, ": ", which, " has ", size, " values; the model has ", wanted, " columns");
}

/// `unknown` are the names of the row that the model does not have.
template <class Names>
[[noreturn]] void refuse_missing_column(const std::string& column, const Names& unknown) {
  refuse("row: the row has no column '", column,
         "', which the model was fitted on; give std::nullopt if its value is missing",
         unknown.empty() ? "" : "; the model has no column " + join(unknown));
}

template <class T>
void check_out(const char* function, const MatrixView<T>& out, std::ptrdiff_t rows,
               std::ptrdiff_t cols) {
  if (out.rows != rows || out.cols != cols) {
    refuse(function, ": out is ", shape(out), "; it must be ", shape(rows, cols));
  }
}

}  // namespace fastmlp::detail
