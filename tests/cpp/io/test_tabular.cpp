// fastmlp/tabular.hpp: what Python predicts, rows that are refused, and damaged files.
#include "files.hpp"
#include "support.hpp"
#include "tabular/value.hpp"

#include <fastmlp/io.hpp>
#include <fastmlp/tabular.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <vector>

using namespace fastmlp;
using namespace fastmlp::testing;
namespace fs = std::filesystem;

namespace {

using Json = nlohmann::json;

fs::path file_of(const std::string& name) {
  return fs::path(FASTMLP_TEST_DATA) / ("tabular_" + name + ".safetensors");
}

Value value_of(const Json& json) {
  if (json.is_null()) return {};
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number()) return json.get<double>();
  return json.get<std::string>();
}

Row row_of(const Json& json) {
  Row row;
  for (const Json& value : json) row.push_back(value_of(value));
  return row;
}

std::vector<double> numbers_of(const TabularClassifier& model, const Row& row) {
  return model.predict_proba(row);
}
std::vector<double> numbers_of(const TabularRegressor& model, const Row& row) {
  return model.predict(row);
}
void write_numbers(const TabularClassifier& model, const std::vector<Row>& rows,
                   MatrixView<double> out) {
  model.predict_proba(rows, out);
}
void write_numbers(const TabularRegressor& model, const std::vector<Row>& rows,
                   MatrixView<double> out) {
  model.predict(rows, out);
}

/// Compares with tabular.json: each row alone, and all rows at once.
template <class Model>
void check_corpus(const std::string& name) {
  const auto model = load_tabular<Model>(file_of(name));
  const auto cases = Json::parse(read(fs::path(FASTMLP_TEST_DATA) / "tabular.json"))[name];
  std::vector<Row> rows;
  std::vector<double> all;
  int refused = 0;
  for (const Json& one : cases) {
    const std::string text = one.dump();
    CAPTURE(text);
    const Row row = row_of(one[0]);
    if (one[1].is_null()) {
      CHECK_THROWS_AS(numbers_of(model, row), std::invalid_argument);
      ++refused;
      continue;
    }
    std::vector<double> expected;
    for (const Json& number : one[1]) {
      expected.push_back(std::strtod(number.get<std::string>().c_str(), nullptr));
    }
    CHECK(same_bits(numbers_of(model, row), expected));
    rows.push_back(row);
    all.insert(all.end(), expected.begin(), expected.end());
  }
  CHECK(refused > 30);
  // All rows at once, several times over so that they are more than a block.
  std::vector<Row> many;
  std::vector<double> expected;
  while (many.size() < 1200) {
    many.insert(many.end(), rows.begin(), rows.end());
    expected.insert(expected.end(), all.begin(), all.end());
  }
  std::vector<double> found(expected.size());
  const auto m = static_cast<std::ptrdiff_t>(many.size());
  write_numbers(model, many, {found.data(), m, model.n_outputs()});
  CHECK(same_bits(found, expected));
}

TabularClassifier classifier() { return load_tabular<TabularClassifier>(file_of("classifier")); }

Row good_row() { return {50, "1.5", 1.5, "red", "left", true, "2020-02-29T06:00", std::nullopt}; }

template <class F>
std::string message_of(const F& f) {
  try {
    f();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace

TEST_CASE("a tabular model predicts what it predicts in Python, bit for bit") {
  under_all_settings([](const std::string&, int threads) {
    if (threads % 2 == 0) return;
    check_corpus<TabularClassifier>("classifier");
    check_corpus<TabularRegressor>("regressor");
  });
}

TEST_CASE("a classifier gives labels as texts") {
  const auto model = classifier();
  CHECK(model.classes() == std::vector<std::string>{"-1", "0", "1"});
  CHECK(model.columns().size() == 8);
  CHECK(model.columns()[7] == "same");
  CHECK(model.networks().size() == 2);
  std::vector<Row> rows(3, good_row());
  rows[1][0] = 1;
  std::vector<std::int64_t> places(3);
  model.predict(rows, {places.data(), 3, 1});
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::vector<double> p = model.predict_proba(rows[i]);
    const auto best = std::max_element(p.begin(), p.end()) - p.begin();
    CHECK(places[i] == best);
    CHECK(model.predict(rows[i]) == model.classes()[static_cast<std::size_t>(best)]);
  }
  model.predict(std::vector<Row>(), {places.data(), 0, 1});
  model.predict_proba(std::vector<Row>(), {nullptr, 0, 3});
}

TEST_CASE("the networks take the encoded rows") {
  const auto model = load_tabular<TabularRegressor>(file_of("regressor"));
  const std::vector<Row> rows{good_row(), good_row()};
  std::vector<float> inputs(static_cast<std::size_t>(2 * model.n_inputs())), out(6);
  model.encode(rows, {inputs.data(), 2, model.n_inputs()});
  std::vector<double> sums(6);
  for (const auto& network : model.networks()) {
    network.forward(MatrixView<const float>(inputs.data(), 2, model.n_inputs()),
                    {out.data(), 2, 3});
    for (std::size_t k = 0; k < 6; ++k) sums[k] += static_cast<double>(out[k]);
  }
  const std::vector<double> found = model.predict(rows[0]);
  CHECK(found[0] < found[1]);
  CHECK(found[1] < found[2]);
  CHECK(sums[0] == sums[3]);
}

TEST_CASE("values are made of what a program has") {
  const auto model = classifier();
  const std::vector<double> expected = model.predict_proba(good_row());
  const std::string red = "red";
  const std::string_view left = "left";
  const Row row{50.0F,
                std::string("1.5"),
                1.5L,
                red,
                left,
                std::optional<bool>(true),
                "2020-02-29 06:00:00Z",
                std::optional<int>()};
  CHECK(same_bits(model.predict_proba(row), expected));
  Row missing = good_row();
  for (const Value& value : {Value(), Value(std::nullopt), Value(""), Value(" \t"),
                             Value(std::numeric_limits<double>::quiet_NaN())}) {
    missing[3] = value;
    CHECK(same_bits(model.predict_proba(missing), [&] {
      Row other = good_row();
      other[3] = {};
      return model.predict_proba(other);
    }()));
  }
  static_assert(!std::is_constructible_v<Value, char>);
  static_assert(!std::is_constructible_v<Value, const int*>);
}

TEST_CASE("a row by names may have any order, and names that the model does not know") {
  const auto model = classifier();
  NamedRow named{{"day", "2020-02-29T06:00"},
                 {"side", "left"},
                 {"good", true},
                 {"color", "red"},
                 {"code", 1.5},
                 {"weight", "1.5"},
                 {"size", 50},
                 {"other", "x"}};
  CHECK(same_bits(model.predict_proba(model.row(named)), model.predict_proba(good_row())));
  named.erase("color");
  CHECK(message_of([&] { model.row(named); }) ==
        "row: the row has no column 'color', which the model was fitted on; give std::nullopt if "
        "its value is missing; the model has no column 'other'");
  named.erase("other");
  CHECK(message_of([&] { model.row(named); }) ==
        "row: the row has no column 'color', which the model was fitted on; give std::nullopt if "
        "its value is missing");
  named["colour"] = "red";
  named["a"] = 1;
  CHECK(message_of([&] { model.row(named); }).find("no column 'a', 'colour'") != std::string::npos);
}

TEST_CASE("a value that does not fit is refused by its column and row") {
  const auto model = classifier();
  std::vector<Row> rows(3, good_row());
  std::vector<double> out(9, -1.0);
  const auto refused = [&](std::size_t column, const Value& value) {
    rows[2] = good_row();
    rows[2][column] = value;
    return message_of([&] { model.predict_proba(rows, {out.data(), 3, 3}); });
  };
  CHECK(refused(0, "x") == "predict_proba: column 'size' has 'x' at row 2; it must hold a number");
  CHECK(refused(0, std::numeric_limits<double>::infinity()) ==
        "predict_proba: column 'size' has inf at row 2; it must hold a number that is finite and "
        "within 1e100, or NaN, which counts as missing");
  CHECK(refused(5, 2) ==
        "predict_proba: column 'good' has 2 at row 2; it must hold true or false, or 1 or 0");
  CHECK(refused(6, "2021-02-29").find("it must hold a date such as 2017-01-31") !=
        std::string::npos);
  CHECK(refused(6, 1e19).find("seconds since 1970 within 1e18") != std::string::npos);
  std::vector<Row> many(1200, good_row());
  many[1100][0] = "x";  // in a later block
  std::vector<std::int64_t> places(1200);
  CHECK(message_of([&] { model.predict(many, {places.data(), 1200, 1}); }) ==
        "predict: column 'size' has 'x' at row 1100; it must hold a number");
  CHECK(message_of([&] { model.predict({1, 2}); }) ==
        "predict: the row has 2 values; the model has 8 columns");
  rows[2].pop_back();
  CHECK(message_of([&] { model.predict_proba(rows, {out.data(), 3, 3}); }) ==
        "predict_proba: row 2 has 7 values; the model has 8 columns");
  rows[2] = good_row();
  CHECK(message_of([&] { model.predict_proba(rows, {out.data(), 3, 2}); }) ==
        "predict_proba: out is (3, 2); it must be (3, 3)");
  CHECK(out == std::vector<double>(9, -1.0));
}

TEST_CASE("a number as a text is what Python writes") {
  CHECK(detail::text_of(1e15) == "1000000000000000");
  CHECK(detail::text_of(0x1p53) == "9007199254740992.0");
  CHECK(detail::text_of(1e16) == "1e+16");
  CHECK(detail::text_of(1e-5) == "1e-05");
  CHECK(detail::text_of(-0.0001) == "-0.0001");
}

TEST_CASE("a time zone has two digits for the hours") {
  const std::string column = "day";
  const detail::Place place{"predict", column, 0};
  CHECK(detail::seconds_of("1970-01-01T00:01+02:00", place) == 60);
  CHECK_THROWS_AS(detail::seconds_of("1970-01-01T00:01+2:00", place), std::invalid_argument);
}

TEST_CASE("many threads predict from one model") {
  const auto model = classifier();
  const std::vector<double> expected = model.predict_proba(good_row());
  std::vector<int> right(4);
  std::vector<std::thread> threads;
  threads.reserve(right.size());
  for (int& count : right) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) count += same_bits(model.predict_proba(good_row()), expected);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == std::vector<int>(4, 50));
}

// Files

namespace {

/// A file in parts, to change.
struct Parts {
  Json header, settings;
  std::string tensors;

  explicit Parts(const std::string& bytes) {
    std::uint64_t n = 0;
    std::memcpy(&n, bytes.data(), sizeof n);
    header = Json::parse(bytes.substr(sizeof n, static_cast<std::size_t>(n)));
    settings = Json::parse(header["__metadata__"]["fastmlp_tabular"].get<std::string>());
    tensors = bytes.substr(sizeof n + static_cast<std::size_t>(n));
  }
  std::string bytes() const {
    Json changed = header;
    changed["__metadata__"]["fastmlp_tabular"] = settings.dump();
    const std::string text = changed.dump();
    const std::uint64_t n = text.size();
    std::string all(sizeof n, '\0');
    std::memcpy(all.data(), &n, sizeof n);
    return all + text + tensors;
  }
  /// The place of a number of a tensor in `tensors`.
  double* number(const std::string& name, std::size_t at) {
    const auto begin = header[name]["data_offsets"][0].get<std::size_t>();
    return reinterpret_cast<double*>(&tensors[begin]) + at;
  }
};

template <class Model>
std::string load_message(const std::string& bytes) {
  const Folder folder;
  write(folder / "model", bytes);
  return message_of([&] { load_tabular<Model>(folder / "model"); });
}

}  // namespace

TEST_CASE("amounts stay in the range of the training targets if the recipe clips") {
  const Folder folder;
  Parts parts(read(file_of("regressor")));
  const auto amounts = [&](bool clip) {
    parts.settings["recipe"]["clip"] = clip;
    write(folder / "model", parts.bytes());
    return load_tabular<TabularRegressor>(folder / "model").predict(good_row());
  };
  const std::vector<double> free = amounts(false);
  const double least = (free[0] + free[1]) / 2, largest = (free[1] + free[2]) / 2;
  *parts.number("target", 2) = least;
  *parts.number("target", 3) = largest;
  CHECK(amounts(false) == free);
  CHECK(amounts(true) == std::vector<double>{least, free[1], largest});
}

TEST_CASE("among equal probabilities the first label is the prediction") {
  const Folder folder;
  Parts parts(read(file_of("classifier")));
  for (const auto& [name, entry] : parts.header.items()) {
    if (name.rfind("networks.", 0) != 0) continue;
    const auto begin = entry["data_offsets"][0].get<std::size_t>();
    const auto size = entry["data_offsets"][1].get<std::size_t>() - begin;
    parts.tensors.replace(begin, size, size, '\0');
  }
  write(folder / "model", parts.bytes());
  const auto model = load_tabular<TabularClassifier>(folder / "model");
  const std::vector<double> p = model.predict_proba(good_row());
  CHECK(p[0] == p[1]);
  CHECK(p[1] == p[2]);
  CHECK(model.predict(good_row()) == "-1");
}

TEST_CASE("a file of another kind names its reader") {
  const Folder folder;
  const std::string regressor = read(file_of("regressor"));
  CHECK(load_message<TabularClassifier>(regressor).find(
            "it holds a TabularRegressor, not a TabularClassifier") != std::string::npos);
  Network<float> net({2, 1});
  save(net, folder / "net");
  CHECK(load_message<TabularClassifier>(read(folder / "net"))
            .find("it holds a network, which load() of fastmlp/io.hpp reads") != std::string::npos);
  CHECK(message_of([] {
          load<float>(file_of("classifier"));
        }).find("read it with load_tabular() of fastmlp/tabular.hpp") != std::string::npos);
  CHECK_THROWS_AS(load_tabular<TabularRegressor>(folder / "none"), FileError);
}

TEST_CASE("a tabular file that is too short or too long is refused") {
  const std::string bytes = read(file_of("classifier"));
  for (std::size_t size = 0; size < bytes.size(); size += 61) {
    CHECK(load_message<TabularClassifier>(bytes.substr(0, size)).find("is damaged or not") !=
          std::string::npos);
  }
  CHECK(load_message<TabularClassifier>(bytes + '\0').find("by its metadata they must have") !=
        std::string::npos);
}

TEST_CASE("a setting of a tabular model that cannot be is refused") {
  const Parts good(read(file_of("classifier")));
  const auto refused = [&](const std::function<void(Parts&)>& change, const std::string& rule) {
    Parts parts = good;
    change(parts);
    const std::string message = load_message<TabularClassifier>(parts.bytes());
    CAPTURE(message);
    CAPTURE(rule);
    CHECK(message.find(rule) != std::string::npos);
  };
  const auto set = [&](const char* place, const Json& value, const std::string& rule) {
    refused([&](Parts& p) { p.settings[Json::json_pointer(place)] = value; }, rule);
  };
  CHECK(load_message<TabularClassifier>(good.bytes()) == "nothing was thrown");
  set("/format", 2, "format is 2");
  set("/more", 1, "has a key that format 1 does not have");
  set("/named", 1, "named is 1; it must be true or false");
  set("/seed", "x", "seed is");
  set("/target", 1, "target is 1");
  set("/recipe", Json::object(), "recipe has no 'clip'");
  set("/members", Json::array(), "a member for each");
  set("/labels/values", {"1", "0", "-1"}, "two or more different labels, sorted");
  set("/labels/values", {"0", "1"}, "do not fit the labels");
  set("/labels/values/0", "-1.0", "no integer of 64 bits");
  set("/labels/type", "date", "type is 'date'");
  set("/networks/0/layers/0", 3, "its tensors have");
  set("/networks/0/layers/0", std::uint64_t{1} << 62, "too large for any file");
  set("/networks/0/dtype", "float64", "its dtype is 'float64'");
  set("/networks/0/hidden/0", "glue", "unknown activation 'glue'");
  set("/columns/1/name", "size", "two columns have the same name");
  set("/columns/0/kind", "odd", "column 'size': kind is 'odd'");
  set("/columns/0/settings/scaling", "none", "column 'size': it has a tensor that is not known");
  set("/columns/0/settings/scaling", "quantile", "column 'size': it has no tensor quantiles");
  set("/columns/0/settings/has_missing", false, "the networks do not fit the columns");
  set("/columns/0/tensors/edges", std::uint64_t{1} << 60, "the length of a tensor is");
  set("/columns/0/tensors/more", 1, "the file has");
  refused(
      [](Parts& p) {
        Json& levels = p.settings["columns"][3]["settings"]["levels"];
        levels[1] = levels[0];
      },
      "column 'color': a level stands twice");
  set("/columns/3/settings/has_rare", false, "column 'color': there must be a share for each");
  set("/columns/6/settings/parts", Json::object(), "column 'day': parts must be an object");
  set("/columns/6/settings/parts/year", Json::object(), "column 'day'");
  set("/columns/7", {{"name", "same"}}, "a column has no 'kind'");
  refused([](Parts& p) { p.settings.erase("columns"); }, "has no 'columns'");
  refused([](Parts& p) { *p.number("columns.0.center", 0) = HUGE_VAL; },
          "column 'size': center has a value that is not finite");
  refused([](Parts& p) { *p.number("columns.0.robust", 1) = 0; },
          "column 'size': robust must be a center and a factor");
  refused([](Parts& p) { *p.number("columns.0.edges", 1) = 1e9; },
          "column 'size': edges must rise");
  Parts amounts(read(file_of("regressor")));
  *amounts.number("target", 1) = 0;
  CHECK(load_message<TabularRegressor>(amounts.bytes()).find("scale of the target must be") !=
        std::string::npos);
}

TEST_CASE(
    "a tabular file with any one bit changed is refused or loaded, and nothing else happens") {
  const std::string bytes = read(file_of("classifier"));
  std::uint64_t n = 0;
  std::memcpy(&n, bytes.data(), sizeof n);
  int loaded = 0, refused = 0;
  for (std::size_t at = 0; at < 8 + static_cast<std::size_t>(n); at += 5) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 1 << at % 8);
    const std::string message = load_message<TabularClassifier>(changed);
    const bool is_loaded = message == "nothing was thrown";
    loaded += is_loaded;
    refused += !is_loaded;
    if (!is_loaded) CHECK(message.find("load_tabular: ") == 0);
  }
  CHECK(loaded > 0);  // with another seed, for example
  CHECK(refused > loaded);
}
