// TabularClassifier and TabularRegressor: models that fastmlp.tabular trained in Python, which
// predict from rows of numbers, texts, booleans and missing values. tabular.hpp reads them from
// files. Their arithmetic is compiled into the library, because the options of a program could
// change its bits.
#pragma once

#include <fastmlp/matrix_view.hpp>
#include <fastmlp/network.hpp>
#include <fastmlp/visibility.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace fastmlp {

/// A value in a table: a number, a boolean, a text in UTF-8, or missing.
///
/// NaN, an empty text and a text of spaces count as missing too. A date is a text in ISO 8601, such
/// as `2017-01-31T06:00:42`, or the seconds since 1970.
class Value {
 public:
  using Held = std::variant<std::monostate, double, bool, std::string>;

  Value() = default;  ///< missing
  Value(std::nullopt_t) {}
  template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
  Value(T value) {
    if constexpr (std::is_same_v<T, bool>) {
      held_ = value;
    } else {
      held_ = static_cast<double>(value);
    }
  }
  Value(char) = delete;  // it could mean a number or a text
  Value(std::string text) : held_(std::move(text)) {}
  Value(std::string_view text) : held_(std::string(text)) {}
  Value(const char* text) : held_(std::string(text)) {}
  template <class T>
  Value(const std::optional<T>& value) {
    if (value) *this = Value(*value);
  }

  const Held& held() const { return held_; }

 private:
  Held held_;
};

/// The values of a row, in the order of the columns of the training table.
using Row = std::vector<Value>;
/// The values of a row by the names of their columns.
using NamedRow = std::map<std::string, Value>;

/// How a number becomes inputs: its scaled value, its place between the edges, and whether it is
/// missing. docs/file_format.md, "Tabular models", explains the names.
struct NumberEncoding {
  enum class Scaling { kNone, kRobust, kQuantile };
  Scaling scaling = Scaling::kNone;
  double center = 0;
  std::vector<double> edges, means, robust, quantiles, shares;
  bool has_missing = false;
};

struct BooleanEncoding {};

/// How a text becomes inputs: one for each level. `places` has the number of each level's input.
struct CategoryEncoding {
  std::unordered_map<std::string, std::size_t> places;
  std::vector<double> shares;
  bool has_rare = false, has_missing = false;
};

struct DateEncoding {
  std::optional<NumberEncoding> day;
  std::optional<CategoryEncoding> month, weekday, hour;
};

/// What a model has learned of a column; std::monostate if it does not use the column.
struct ColumnEncoding {
  std::string name;
  std::variant<std::monostate, NumberEncoding, BooleanEncoding, CategoryEncoding, DateEncoding>
      kind;
};

/// The number of inputs that a column becomes.
FASTMLP_EXPORT std::size_t width_of(const ColumnEncoding& column);

/// What TabularClassifier and TabularRegressor have in common.
///
/// All calls are const, and many threads may call them at once. A call whose arguments do not fit
/// throws std::invalid_argument and changes nothing; the message names the column and the row.
class FASTMLP_EXPORT TabularModel {
 public:
  /// The names of the columns of the training table, without the target. A row has a value for
  /// each, also for those that the model does not use.
  const std::vector<std::string>& columns() const { return names_; }

  /// Puts the values of a row into the order of columns(). Other names are ignored, and those of
  /// columns that the model does not use may be absent.
  ///
  /// ```cpp
  /// model.predict(model.row({{"age", 31}, {"sex", "male"}, {"embarked", std::nullopt}}));
  /// ```
  Row row(const NamedRow& values) const;

  std::ptrdiff_t n_inputs() const;
  std::ptrdiff_t n_outputs() const;

  /// The trained networks; they take encoded rows.
  const std::vector<Network<float>>& networks() const { return networks_; }

  /// Writes the inputs of the networks to `out` (m, n_inputs()).
  void encode(const std::vector<Row>& rows, MatrixView<float> out) const;

 protected:
  TabularModel(std::vector<ColumnEncoding> columns, std::vector<Network<float>> networks);
  /// The mean outputs of the networks, row by row.
  std::vector<double> outputs(const char* function, const Row* rows, std::ptrdiff_t count) const;

 private:
  std::vector<ColumnEncoding> columns_;
  std::vector<std::string> names_;
  std::vector<Network<float>> networks_;
};

/// A model that gives each row a class. The probabilities have the bits of Python's
/// `TabularClassifier.predict_proba`.
///
/// ```cpp
/// const auto model = fastmlp::load_tabular<fastmlp::TabularClassifier>("model.safetensors");
/// const std::string label = model.predict({31, "male", true, std::nullopt});
/// ```
class FASTMLP_EXPORT TabularClassifier : public TabularModel {
 public:
  /// \pre the parts fit each other, as load_tabular() checks
  TabularClassifier(std::vector<ColumnEncoding> columns, std::vector<Network<float>> networks,
                    std::vector<std::string> classes);

  /// The labels, in the order of the probabilities. Whole numbers are written with digits, booleans
  /// as True and False.
  const std::vector<std::string>& classes() const { return classes_; }

  /// The label of the most probable class; the first of them if several are equally probable.
  const std::string& predict(const Row& row) const;
  /// Writes the place of that label in classes() to `out` (m, 1).
  void predict(const std::vector<Row>& rows, MatrixView<std::int64_t> out) const;

  /// The probability of each class.
  std::vector<double> predict_proba(const Row& row) const;
  /// Writes the probabilities to `out` (m, n_outputs()).
  void predict_proba(const std::vector<Row>& rows, MatrixView<double> out) const;

 private:
  std::vector<double> probabilities(const char* function, const Row* rows,
                                    std::ptrdiff_t count) const;

  std::vector<std::string> classes_;
};

/// The scale of the targets of a regression: amount = center + scale . output, within [least,
/// largest] if `clip` is true.
struct Amounts {
  double center = 0, scale = 1, least = 0, largest = 0;
  bool clip = false;
};

/// A model that predicts a number for each row, or several quantiles of it in rising order. The
/// results have the bits of Python's `TabularRegressor.predict`.
///
/// ```cpp
/// const auto model = fastmlp::load_tabular<fastmlp::TabularRegressor>("model.safetensors");
/// const double amount = model.predict({2.5, "harbour", "2024-05-01"})[0];
/// ```
class FASTMLP_EXPORT TabularRegressor : public TabularModel {
 public:
  /// \pre the parts fit each other, as load_tabular() checks
  TabularRegressor(std::vector<ColumnEncoding> columns, std::vector<Network<float>> networks,
                   const Amounts& amounts);

  /// The predicted number, or n_outputs() quantiles of it.
  std::vector<double> predict(const Row& row) const;
  /// Writes them to `out` (m, n_outputs()).
  void predict(const std::vector<Row>& rows, MatrixView<double> out) const;

 private:
  std::vector<double> amounts(const Row* rows, std::ptrdiff_t count) const;

  Amounts amounts_;
};

}  // namespace fastmlp
