// The predictions of tabular models: rows are encoded block by block, and the outputs of the
// networks are averaged.
#include "check.hpp"
#include "tabular/encoding.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace fastmlp {
namespace {

constexpr std::ptrdiff_t kBlock = 512;  // rows that are encoded at once

void encode_row(const char* function, const std::vector<ColumnEncoding>& columns, const Row& row,
                std::ptrdiff_t number, float* out) {
  if (row.size() != columns.size()) {
    detail::refuse_row(function, row.size(), number, columns.size());
  }
  for (std::size_t j = 0; j < columns.size(); ++j) {
    detail::encode_value(columns[j], row[j], {function, columns[j].name, number}, out);
    out += width_of(columns[j]);
  }
}

/// The first of the largest numbers, or the first NaN, as NumPy's argmax.
std::size_t place_of_largest(const double* values, std::size_t count) {
  std::size_t best = 0;
  for (std::size_t k = 1; k < count && !std::isnan(values[best]); ++k) {
    if (values[k] > values[best] || std::isnan(values[k])) best = k;
  }
  return best;
}

void copy_rows(const std::vector<double>& values, MatrixView<double> out) {
  std::size_t next = 0;
  for (std::ptrdiff_t i = 0; i < out.rows; ++i) {
    for (std::ptrdiff_t j = 0; j < out.cols; ++j) out(i, j) = values[next++];
  }
}

std::ptrdiff_t size(const std::vector<Row>& rows) {
  return static_cast<std::ptrdiff_t>(rows.size());
}

}  // namespace

TabularModel::TabularModel(std::vector<ColumnEncoding> columns,
                           std::vector<Network<float>> networks)
    : columns_(std::move(columns)), networks_(std::move(networks)) {
  for (const ColumnEncoding& column : columns_) names_.push_back(column.name);
}

Row TabularModel::row(const NamedRow& values) const {
  Row found;
  found.reserve(columns_.size());
  for (const ColumnEncoding& column : columns_) {
    const auto value = values.find(column.name);
    if (value != values.end()) {
      found.push_back(value->second);
    } else if (std::holds_alternative<std::monostate>(column.kind)) {
      found.emplace_back();  // it is not used
    } else {
      std::vector<std::string> unknown;
      for (const auto& [name, given] : values) {
        if (std::find(names_.begin(), names_.end(), name) == names_.end()) {
          unknown.push_back("'" + name + "'");
        }
      }
      detail::refuse_missing_column(column.name, unknown);
    }
  }
  return found;
}

std::ptrdiff_t TabularModel::n_inputs() const { return networks_[0].layers().front(); }
std::ptrdiff_t TabularModel::n_outputs() const { return networks_[0].layers().back(); }

void TabularModel::encode(const std::vector<Row>& rows, MatrixView<float> out) const {
  const detail::DefaultFloatMode mode;
  detail::check_out("encode", out, size(rows), n_inputs());
  std::vector<float> inputs(rows.size() * static_cast<std::size_t>(n_inputs()));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    encode_row("encode", columns_, rows[i], static_cast<std::ptrdiff_t>(i),
               &inputs[i * static_cast<std::size_t>(n_inputs())]);
  }
  std::size_t next = 0;
  for (std::ptrdiff_t i = 0; i < out.rows; ++i) {
    for (std::ptrdiff_t j = 0; j < out.cols; ++j) out(i, j) = inputs[next++];
  }
}

std::vector<double> TabularModel::outputs(const char* function, const Row* rows,
                                          std::ptrdiff_t count) const {
  const detail::DefaultFloatMode mode;
  const std::ptrdiff_t block = std::min(count, kBlock);
  const std::ptrdiff_t n_in = n_inputs(), n_out = n_outputs();
  std::vector<float> inputs(static_cast<std::size_t>(block * n_in));
  std::vector<float> found(static_cast<std::size_t>(block * n_out));
  std::vector<double> sums(static_cast<std::size_t>(count * n_out));
  for (std::ptrdiff_t first = 0; first < count; first += block) {
    const std::ptrdiff_t n = std::min(block, count - first);
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      encode_row(function, columns_, rows[first + i], count == 1 ? detail::kOnlyRow : first + i,
                 &inputs[static_cast<std::size_t>(i * n_in)]);
    }
    double* const sum = &sums[static_cast<std::size_t>(first * n_out)];
    for (const Network<float>& network : networks_) {
      network.forward(MatrixView<const float>(inputs.data(), n, n_in), {found.data(), n, n_out});
      for (std::ptrdiff_t k = 0; k < n * n_out; ++k) {
        sum[k] += static_cast<double>(found[static_cast<std::size_t>(k)]);
      }
    }
    for (std::ptrdiff_t k = 0; k < n * n_out; ++k) sum[k] /= static_cast<double>(networks_.size());
  }
  return sums;
}

TabularClassifier::TabularClassifier(std::vector<ColumnEncoding> columns,
                                     std::vector<Network<float>> networks,
                                     std::vector<std::string> classes)
    : TabularModel(std::move(columns), std::move(networks)), classes_(std::move(classes)) {}

std::vector<double> TabularClassifier::probabilities(const char* function, const Row* rows,
                                                     std::ptrdiff_t count) const {
  std::vector<double> found = outputs(function, rows, count);
  const detail::DefaultFloatMode mode;
  // Of float32 outputs the sum is 1 only up to their rounding.
  for (auto row = found.begin(); row != found.end(); row += n_outputs()) {
    const double total = std::accumulate(row, row + n_outputs(), 0.0);
    std::for_each(row, row + n_outputs(), [total](double& p) { p /= total; });
  }
  return found;
}

const std::string& TabularClassifier::predict(const Row& row) const {
  const std::vector<double> found = probabilities("predict", &row, 1);
  return classes_[place_of_largest(found.data(), found.size())];
}

void TabularClassifier::predict(const std::vector<Row>& rows, MatrixView<std::int64_t> out) const {
  detail::check_out("predict", out, size(rows), 1);
  const std::vector<double> found = probabilities("predict", rows.data(), size(rows));
  for (std::ptrdiff_t i = 0; i < out.rows; ++i) {
    const std::size_t first = static_cast<std::size_t>(i) * classes_.size();
    out(i, 0) = static_cast<std::int64_t>(place_of_largest(&found[first], classes_.size()));
  }
}

std::vector<double> TabularClassifier::predict_proba(const Row& row) const {
  return probabilities("predict_proba", &row, 1);
}

void TabularClassifier::predict_proba(const std::vector<Row>& rows, MatrixView<double> out) const {
  detail::check_out("predict_proba", out, size(rows), n_outputs());
  copy_rows(probabilities("predict_proba", rows.data(), size(rows)), out);
}

TabularRegressor::TabularRegressor(std::vector<ColumnEncoding> columns,
                                   std::vector<Network<float>> networks, const Amounts& amounts)
    : TabularModel(std::move(columns), std::move(networks)), amounts_(amounts) {}

std::vector<double> TabularRegressor::amounts(const Row* rows, std::ptrdiff_t count) const {
  std::vector<double> found = outputs("predict", rows, count);
  const detail::DefaultFloatMode mode;
  for (double& y : found) {
    y = amounts_.center + amounts_.scale * y;
    if (!amounts_.clip) continue;
    y = y < amounts_.least ? amounts_.least : y > amounts_.largest ? amounts_.largest : y;
  }
  const std::ptrdiff_t n = n_outputs();
  const auto rises = [](double a, double b) { return a < b || (std::isnan(b) && !std::isnan(a)); };
  for (auto row = found.begin(); row != found.end(); row += n) std::sort(row, row + n, rises);
  return found;
}

std::vector<double> TabularRegressor::predict(const Row& row) const { return amounts(&row, 1); }

void TabularRegressor::predict(const std::vector<Row>& rows, MatrixView<double> out) const {
  detail::check_out("predict", out, size(rows), n_outputs());
  copy_rows(amounts(rows.data(), size(rows)), out);
}

}  // namespace fastmlp
