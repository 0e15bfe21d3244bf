// load_tabular(): the models that fastmlp.tabular saved in Python. Like io.hpp, it needs
// nlohmann-json and exceptions; link the target fastmlp::io. tabular_model.hpp has the models,
// docs/file_format.md the format. Start at the end.
#pragma once

#include <fastmlp/io_detail.hpp>
#include <fastmlp/tabular_model.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <istream>
#include <locale>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace fastmlp {
namespace io_detail {

using Arrays = std::map<std::string, std::vector<double>>;  // of a column, by name

inline void require(bool condition, const char* rule) {
  if (!condition) refuse(rule);
}

/// Refuses an object that does not have exactly these keys.
inline void check_keys(const Json& json, const char* what,
                       std::initializer_list<const char*> keys) {
  if (!json.is_object()) refuse(what, " is not an object");
  for (const char* key : keys) member(json, key, what);
  if (json.size() != keys.size()) {
    refuse(what, " has a key that format ", kFormat, " does not have");
  }
}

inline bool truth(const Json& value, const char* name) {
  if (!value.is_boolean()) {
    refuse(name, " is ", value.dump().substr(0, 80), "; it must be true or false");
  }
  return value.get<bool>();
}

inline std::vector<std::string> texts(const Json& value, const char* name) {
  std::vector<std::string> found;
  for (const Json& one : list(value, name)) found.push_back(text(one, name));
  return found;
}

template <class T>
bool rises(const std::vector<T>& values) {
  return std::adjacent_find(values.begin(), values.end(), std::greater_equal<T>()) == values.end();
}

// Columns

/// Takes an array out of `arrays`; refuses one with a number that is not finite.
inline std::vector<double> array_in(Arrays& arrays, const char* name) {
  const auto found = arrays.find(name);
  if (found == arrays.end()) refuse("it has no tensor ", name);
  std::vector<double> values = std::move(found->second);
  arrays.erase(found);
  for (const double value : values) {
    if (!std::isfinite(value)) refuse(name, " has a value that is not finite");
  }
  return values;
}

inline NumberEncoding number_in(const Json& settings, Arrays& arrays) {
  check_keys(settings, "settings", {"has_missing", "parsed", "scaling"});
  truth(settings["parsed"], "parsed");
  NumberEncoding n;
  n.has_missing = truth(settings["has_missing"], "has_missing");
  const std::vector<double> center = array_in(arrays, "center");
  require(center.size() == 1, "center must be one number");
  n.center = center[0];
  const std::string& scaling = text(settings["scaling"], "scaling");
  if (scaling == "robust") {
    n.scaling = NumberEncoding::Scaling::kRobust;
    n.robust = array_in(arrays, "robust");
    require(n.robust.size() == 2 && n.robust[1] > 0, "robust must be a center and a factor");
  } else if (scaling == "quantile") {
    n.scaling = NumberEncoding::Scaling::kQuantile;
    n.quantiles = array_in(arrays, "quantiles");
    n.shares = array_in(arrays, "shares");
    require(n.quantiles.size() > 1 && rises(n.quantiles), "quantiles must rise");
    require(n.shares.size() == n.quantiles.size(), "there must be a share for each quantile");
  } else if (scaling != "none") {
    refuse("scaling is '", scaling.substr(0, 80), "', which is not known");
  }
  if (arrays.count("edges") > 0) n.edges = array_in(arrays, "edges");
  if (arrays.count("means") > 0) n.means = array_in(arrays, "means");
  require(rises(n.edges), "edges must rise");
  require(n.means.size() == std::max<std::size_t>(n.edges.size(), 1) - 1,
          "there must be a mean between two edges");
  return n;
}

inline CategoryEncoding category_in(const Json& settings, Arrays& arrays) {
  check_keys(settings, "settings", {"cut", "has_missing", "has_rare", "levels"});
  integer(settings["cut"], "cut", 0, kMostSeed);
  CategoryEncoding c;
  c.has_rare = truth(settings["has_rare"], "has_rare");
  c.has_missing = truth(settings["has_missing"], "has_missing");
  c.shares = array_in(arrays, "shares");
  for (std::string& level : texts(settings["levels"], "levels")) {
    const std::size_t place = c.places.size();
    require(c.places.emplace(std::move(level), place).second, "a level stands twice");
  }
  require(c.shares.size() == c.places.size() + static_cast<std::size_t>(c.has_rare) +
                                 static_cast<std::size_t>(c.has_missing),
          "there must be a share for each input");
  return c;
}

inline DateEncoding date_in(const Json& settings, Arrays& arrays) {
  check_keys(settings, "settings", {"parsed", "parts"});
  truth(settings["parsed"], "parsed");
  const Json& parts = settings["parts"];
  require(parts.is_object() && !parts.empty(), "parts must be an object that is not empty");
  DateEncoding d;
  const auto of_part = [&](const char* name) {
    Arrays own;
    const std::string prefix = std::string(name) + ".";
    for (auto found = arrays.lower_bound(prefix);
         found != arrays.end() && found->first.compare(0, prefix.size(), prefix) == 0;) {
      own.emplace(found->first.substr(prefix.size()), std::move(found->second));
      found = arrays.erase(found);
    }
    return own;
  };
  for (const auto& [name, part] : parts.items()) {
    Arrays own = of_part(name.c_str());
    if (name == "day") {
      d.day = number_in(part, own);
    } else if (name == "month") {
      d.month = category_in(part, own);
    } else if (name == "weekday") {
      d.weekday = category_in(part, own);
    } else if (name == "hour") {
      d.hour = category_in(part, own);
    } else {
      refuse("a date has no part '", name.substr(0, 80), "'");
    }
    require(own.empty(), "a part has a tensor that is not known");
  }
  return d;
}

/// A column whose arrays have been read. `json` is its entry in the metadata.
inline ColumnEncoding column_in(const Json& json, Arrays arrays) {
  ColumnEncoding column{json["name"].get<std::string>(), {}};
  if (json.find("left_out") != json.end()) return column;
  try {
    const std::string& kind = text(json["kind"], "kind");
    const Json& settings = json["settings"];
    if (kind == "number") {
      column.kind = number_in(settings, arrays);
    } else if (kind == "boolean") {
      check_keys(settings, "settings", {});
      column.kind = BooleanEncoding{};
    } else if (kind == "category") {
      column.kind = category_in(settings, arrays);
    } else if (kind == "date") {
      column.kind = date_in(settings, arrays);
    } else {
      refuse("kind is '", kind.substr(0, 80), "', which is not known");
    }
    require(arrays.empty(), "it has a tensor that is not known");
  } catch (const FileError& error) {
    refuse("column '", column.name.substr(0, 80), "': ", error.what());
  }
  return column;
}

inline void check_columns(const Json& columns) {
  std::set<std::string> names;
  for (const Json& one : list(columns, "columns")) {
    const bool is_left_out = one.is_object() && one.find("left_out") != one.end();
    if (is_left_out) {
      check_keys(one, "a column", {"left_out", "name"});
      text(one["left_out"], "left_out");
    } else {
      check_keys(one, "a column", {"kind", "name", "settings", "tensors"});
      require(one["tensors"].is_object(), "tensors is not an object");
    }
    require(names.insert(text(one["name"], "name")).second, "two columns have the same name");
  }
}

// Labels

inline std::vector<std::string> labels_in(const Json& labels) {
  check_keys(labels, "labels", {"type", "values"});
  const std::string& type = text(labels["type"], "type");
  std::vector<std::string> classes = texts(labels["values"], "labels");
  bool is_sorted = classes.size() > 1;
  if (type == "text") {
    is_sorted = is_sorted && rises(classes);
  } else if (type == "boolean") {
    is_sorted = classes == std::vector<std::string>{"False", "True"};
  } else if (type == "integer") {
    std::vector<std::int64_t> numbers;
    for (const std::string& digits : classes) {
      std::istringstream stream(digits.substr(0, 20));
      stream.imbue(std::locale::classic());
      std::int64_t number = 0;
      stream >> number;
      require(std::to_string(number) == digits, "a label is no integer of 64 bits");
      numbers.push_back(number);
    }
    is_sorted = is_sorted && rises(numbers);
  } else {
    refuse("type is '", type.substr(0, 80), "'; it must be text, integer or boolean");
  }
  require(is_sorted, "labels must be two or more different labels, sorted");
  return classes;
}

// Models

/// The metadata of a tabular model as JSON. Checks all of it that does not describe a column, a
/// network or labels; `model` is the name that it must have.
inline Json tabular_settings(const Json& metadata, const std::string& model) {
  constexpr const char* kWhat = "the metadata 'fastmlp_tabular'";
  const auto found = metadata.find(kTabularKey);
  if (found == metadata.end()) {
    if (metadata.find("fastmlp") != metadata.end()) {
      refuse("it holds a network, which load() of fastmlp/io.hpp reads");
    }
    refuse("the metadata has no key '", kTabularKey, "'");
  }
  // A level adds a value: at least '"a", ', which are 5 bytes.
  Json json = parse(text(*found, kWhat), kWhat, 8, 4);
  integer(member(json, "format", kWhat), "format", kFormat, kFormat);
  check_keys(json, kWhat,
             {"arguments", "columns", "format", "labels", "members", "model", "named", "networks",
              "recipe", "seed", "target"});
  const std::string& name = text(json["model"], "model");
  if (name != model) refuse("it holds a ", name.substr(0, 80), ", not a ", model);
  require(json["arguments"].is_object() && json["recipe"].is_object(),
          "arguments and recipe must be objects");
  truth(member(json["recipe"], "clip", "recipe"), "clip");
  truth(json["named"], "named");
  integer(json["seed"], "seed", 0, kMostSeed);
  if (!json["target"].is_null()) text(json["target"], "target");
  check_columns(json["columns"]);
  for (const Json& one : list(json["members"], "members")) {
    check_keys(one, "a member", {"best_epoch", "epochs"});
    for (const Json& number : one) integer(number, "an epoch", 0, kMost);
  }
  const std::size_t n_networks = list(json["networks"], "networks").size();
  require(n_networks > 0 && json["members"].size() == n_networks,
          "there must be a network, and a member for each");
  return json;
}

/// The tensors that the file must hold, by name: those of all columns and networks, the history
/// and, for a regression, the target.
inline Tensors tensors_of(const Json& columns, const std::vector<Settings>& networks,
                          bool has_amounts) {
  Tensors tensors;
  tensors["history"] = doubles(3 * networks.size());
  if (has_amounts) tensors["target"] = doubles(4);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].find("tensors") == columns[i].end()) continue;
    for (const auto& [key, length] : columns[i]["tensors"].items()) {
      tensors["columns." + std::to_string(i) + "." + key] = doubles(length.get<std::uint64_t>());
    }
  }
  for (std::size_t i = 0; i < networks.size(); ++i) {
    tensors.merge(
        tensors_of<float>(networks[i], std::nullopt, "networks." + std::to_string(i) + "."));
  }
  return tensors;
}

/// Throws unless `count`, the number of tensors, and `size`, their bytes, are those that the
/// metadata need. Nothing has been allocated for them yet. A `size` of kUnknown is not checked.
inline void check_size(const Json& columns, const std::vector<Settings>& networks, bool has_amounts,
                       std::uint64_t count, std::uint64_t size) {
  std::uint64_t needed = 1 + static_cast<std::uint64_t>(has_amounts), bytes = 0;
  const auto add = [&](std::uint64_t more) {
    if (more > kMost - bytes) refuse("its tensors are too large for any file");
    bytes += more;
  };
  add((3 * networks.size() + (has_amounts ? 4 : 0)) * sizeof(double));
  for (const Json& one : columns) {
    if (one.find("tensors") == one.end()) continue;
    needed += one["tensors"].size();
    for (const Json& length : one["tensors"]) {
      add(integer(length, "the length of a tensor", 1, kMost / sizeof(double)) * sizeof(double));
    }
  }
  for (const Settings& network : networks) {
    needed += count_of_tensors(network);
    add(bytes_of(network, std::nullopt, sizeof(float)));
  }
  if (count != needed) refuse("the file has ", count, " tensors; its model has ", needed);
  if (size != kUnknown && size != bytes) {
    refuse("its tensors have ", size, " bytes; by its metadata they must have ", bytes);
  }
}

/// Refuses networks that do not fit the columns or each other.
inline void check_networks(const std::vector<ColumnEncoding>& columns,
                           const std::vector<Settings>& networks) {
  std::size_t width = 0;
  for (const ColumnEncoding& column : columns) width += width_of(column);
  require(width > 0, "no column is used");
  for (const Settings& network : networks) {
    require(static_cast<std::size_t>(network.layers.front()) == width &&
                network.layers.back() == networks[0].layers.back(),
            "the networks do not fit the columns");
  }
}

/// Reads a TabularClassifier or a TabularRegressor.
template <class Model>
Model read_tabular(std::istream& file, std::uint64_t size) {
  constexpr bool kHasAmounts = std::is_same_v<Model, TabularRegressor>;
  static_assert(kHasAmounts || std::is_same_v<Model, TabularClassifier>);
  const Json header = read_header(file, size);
  const Json json =
      tabular_settings(metadata_of(header), kHasAmounts ? "TabularRegressor" : "TabularClassifier");
  std::vector<Settings> settings;
  for (const Json& one : json["networks"]) {
    settings.push_back(settings_in(one, "a network"));
    check_dtype<float>(settings.back());
  }
  std::vector<std::string> classes;
  if constexpr (!kHasAmounts) {
    classes = labels_in(json["labels"]);
    require(settings[0].layers.back() == static_cast<std::ptrdiff_t>(classes.size()),
            "the networks do not fit the labels");
  }
  check_size(json["columns"], settings, kHasAmounts, header.size() - 1, size);

  Tensors tensors = tensors_of(json["columns"], settings, kHasAmounts);
  std::vector<Arrays> arrays(json["columns"].size());
  std::vector<NetworkReader<float>> readers;
  readers.reserve(settings.size());
  double target[4] = {};
  read_tensors(file, size, header, tensors, [&] {
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      const Json& column = json["columns"][i];
      if (column.find("tensors") == column.end()) continue;
      for (const auto& [key, length] : column["tensors"].items()) {
        std::vector<double>& values = arrays[i][key];
        values.resize(length.template get<std::size_t>());
        tensors.at("columns." + std::to_string(i) + "." + key).data = values.data();
      }
    }
    for (std::size_t i = 0; i < settings.size(); ++i) {
      readers.emplace_back(settings[i], tensors, "networks." + std::to_string(i) + ".");
    }
    if (kHasAmounts) tensors.at("target").data = target;
  });

  std::vector<ColumnEncoding> columns;
  columns.reserve(arrays.size());
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    columns.push_back(column_in(json["columns"][i], std::move(arrays[i])));
  }
  check_networks(columns, settings);
  std::vector<Network<float>> networks;
  networks.reserve(readers.size());
  for (NetworkReader<float>& reader : readers) networks.push_back(reader.finish());
  if constexpr (kHasAmounts) {
    const Amounts amounts{target[0], target[1], target[2], target[3],
                          json["recipe"]["clip"].get<bool>()};
    for (const double value : target) require(std::isfinite(value), "target must be finite");
    require(amounts.scale > 0, "the scale of the target must be positive");
    return Model(std::move(columns), std::move(networks), amounts);
  } else {
    return Model(std::move(columns), std::move(networks), std::move(classes));
  }
}

}  // namespace io_detail

/// Reads a model that `TabularClassifier.save` or `TabularRegressor.save` wrote in Python.
///
/// ```cpp
/// const auto model = fastmlp::load_tabular<fastmlp::TabularClassifier>("model.safetensors");
/// const auto row = model.row({{"age", 31}, {"sex", "male"}, {"fare", std::nullopt}});
/// std::puts(model.predict(row).c_str());
/// ```
/// A pipe is read to its end.
///
/// \throws FileError if the file does not exist, is damaged or holds something else
template <class Model>
Model load_tabular(const std::filesystem::path& path) {
  std::optional<Model> model;
  io_detail::read_from("load_tabular", path, "a tabular model of this type",
                       [&](std::istream& file, std::uint64_t size) {
                         model = io_detail::read_tabular<Model>(file, size);
                       });
  return std::move(*model);  // NOLINT(bugprone-unchecked-optional-access): read, or thrown
}

}  // namespace fastmlp
