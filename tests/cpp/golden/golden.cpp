// Trains the golden cases and writes their parameters: golden CASES FOLDER. golden.cmake writes the
// file CASES from tests/golden.json. tests/python/helpers/golden.py does the same in Python.
// FASTMLP_ISA and OMP_NUM_THREADS choose the settings; the program prints those that it ran with.
#include "support.hpp"

#include <fastmlp/network.hpp>
#include <fastmlp/optimizer.hpp>
#include <fastmlp/options.hpp>
#include <fastmlp/random.hpp>
#include <fastmlp/runtime.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

using namespace fastmlp;
using namespace fastmlp::testing;

namespace {

struct Case {
  std::vector<std::ptrdiff_t> layers;
  std::vector<Activation> hidden;
  Output output;
  LossOptions loss;
  std::ptrdiff_t rows, batch_size;
  std::uint64_t epochs;
  bool weighted, standardize, own_loss;
  std::string optimizer;
  std::map<std::string, double> arguments;  // of the optimizer
};

struct Recipe {  // what all cases share
  std::uint64_t seed;
  double learning_rate;
};

std::istream& operator>>(std::istream& in, Case& c) {
  std::size_t n_layers = 0;
  if (!(in >> n_layers)) return in;
  std::string name;
  c.layers.resize(n_layers);
  c.hidden.clear();
  for (std::ptrdiff_t& n : c.layers) in >> n;
  for (std::size_t l = 2; l < n_layers; ++l) {
    in >> name;
    c.hidden.push_back(parse_activation(name));
  }
  in >> name >> c.rows >> c.batch_size >> c.epochs >> c.weighted >> c.standardize >> c.own_loss;
  c.output = parse_output(name);
  std::size_t n_quantiles = 0;
  in >> name >> c.loss.delta >> n_quantiles;
  c.loss.kind = name == "none" ? std::optional<Loss>() : parse_loss(name);
  c.loss.quantiles.resize(n_quantiles);
  for (double& quantile : c.loss.quantiles) in >> quantile;
  std::size_t n_arguments = 0;
  in >> c.optimizer >> n_arguments;
  c.arguments.clear();
  for (; n_arguments > 0; --n_arguments) {
    in >> name;
    in >> c.arguments[name];
  }
  return in;
}

/// If the optimizer of a case has these Options, reads them from its arguments and returns true.
template <class Options>
bool take_options(const Case& c, OptimizerOptions& taken) {
  std::map<std::string, double> left = c.arguments;
  Options options;
  if constexpr (std::is_same_v<Options, AdamOptions>) {  // AdamW is Adam with decoupled decay
    options.decoupled = c.optimizer == "AdamW";
    if (const auto hat = left.find("epsilon_hat"); hat != left.end()) {
      options.epsilon = hat->second;
      hat->second = 1;
    }
    if (!options.decoupled && c.optimizer != Options::kName) return false;
  } else if (c.optimizer != Options::kName) {
    return false;
  }
  const auto take = [&](const char* name, auto& option, auto...) {
    if (const auto found = left.find(name); found != left.end()) {
      option = static_cast<std::decay_t<decltype(option)>>(found->second);
      left.erase(found);
    }
  };
  Options::visit(options, take);
  if (!left.empty()) throw std::invalid_argument("golden: " + left.begin()->first);
  taken = options;
  return true;
}

template <class... Options>
OptimizerOptions options_of(const Case& c, const std::variant<Options...>&) {
  OptimizerOptions taken;
  if (!(take_options<Options>(c, taken) || ...)) {
    throw std::invalid_argument("golden: " + c.optimizer);
  }
  return taken;
}

Optimizer optimizer_of(Case c, const Recipe& recipe) {
  c.arguments["learning_rate"] = recipe.learning_rate;
  return options_of(c, OptimizerOptions());
}

/// Whole numbers from -4 to 4, in an order without a short period.
template <class T>
Matrix<T> small_integers(std::ptrdiff_t rows, std::ptrdiff_t cols, std::int64_t salt) {
  Matrix<T> m(rows, cols);
  std::int64_t i = salt;
  for (T& value : m.values) {
    value = static_cast<T>((i * i * 7 + i * 13) % 101 % 9 - 4);
    ++i;
  }
  return m;
}

template <class T>
Matrix<T> targets(const Case& c) {
  if (c.own_loss) {
    Matrix<T> y = small_integers<T>(c.rows, c.layers.back(), 5);
    for (T& value : y.values) value /= 4;
    return y;
  }
  const bool classes = c.output == Output::kSoftmax;
  const bool one = classes || c.loss.kind == Loss::kPinball;
  Matrix<T> y = small_integers<T>(c.rows, one ? 1 : c.layers.back(), 5);
  for (T& value : y.values) {
    const auto from_zero = static_cast<std::ptrdiff_t>(value) + 4;
    if (c.output == Output::kIdentity || c.output == Output::kExp) {
      value = static_cast<T>(from_zero) / 2;
    } else {
      value = static_cast<T>(from_zero % (classes ? c.layers.back() : 2));
    }
  }
  return y;
}

template <class T>
Network<T> train(const Case& c, const Recipe& recipe) {
  Network<T> net(c.layers, c.hidden, c.output, c.loss);
  net.initialize(recipe.seed);
  Matrix<T> X = small_integers<T>(c.rows, c.layers.front(), 0);
  for (T& value : X.values) value /= 4;
  const Matrix<T> y = targets<T>(c);
  Matrix<double> weight = small_integers<double>(c.rows, 1, 11);
  for (double& value : weight.values) value += 4;
  Optimizer optimizer = optimizer_of(c, recipe);
  if (c.standardize) {
    FitOptions<T> options;
    options.epochs = static_cast<std::int64_t>(c.epochs);
    options.batch_size = c.batch_size;
    options.sample_weight = c.weighted ? weight.values.data() : nullptr;
    options.standardize = true;
    net.fit(X.cview(), y.cview(), optimizer, options);
    return net;
  }
  std::vector<std::int64_t> order(static_cast<std::size_t>(c.rows));
  for (std::uint64_t epoch = 0; epoch < c.epochs; ++epoch) {
    permutation(order.data(), c.rows, recipe.seed, epoch);
    if (c.own_loss) {
      const BatchLoss<T> half_squared_error = [&](const std::int64_t* rows, auto Y, auto dY) {
        for (std::ptrdiff_t i = 0; i < Y.rows; ++i) {
          for (std::ptrdiff_t j = 0; j < Y.cols; ++j) {
            dY(i, j) = (Y(i, j) - y.cview()(rows[i], j)) / static_cast<T>(Y.rows);
          }
        }
        return 0.0;
      };
      net.train_epoch(X.cview(), half_squared_error, order.data(), c.rows, c.batch_size, optimizer);
      continue;
    }
    net.train_epoch(X.cview(), y.cview(), order.data(), c.rows, c.batch_size, optimizer,
                    c.weighted ? weight.values.data() : nullptr);
  }
  return net;
}

template <class T>
void write_little_endian(const std::string& path, const T* values, std::ptrdiff_t n) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  std::ofstream file;
  file.exceptions(std::ios::failbit | std::ios::badbit);
  file.open(path, std::ios::binary);
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    Bits bits;
    std::memcpy(&bits, values + i, sizeof bits);
    for (std::size_t byte = 0; byte < sizeof bits; ++byte) {
      file.put(static_cast<char>(static_cast<unsigned char>(bits >> (8 * byte))));
    }
  }
  file.close();
}

template <class T>
void run(const Case& c, const Recipe& recipe, const std::string& path) {
  Network<T> net = train<T>(c, recipe);
  write_little_endian(path, net.parameters(), net.n_parameters());
}

bool forced_isa_is_lacking() {
  const char* forced = std::getenv("FASTMLP_ISA");  // NOLINT(concurrency-mt-unsafe): no threads yet
  const std::vector<std::string> available = available_isas();
  if (forced == nullptr || std::count(available.begin(), available.end(), forced) > 0) return false;
  std::cout << "golden: skipped, this CPU has no " << forced << '\n';
  return true;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::cerr << "usage: golden CASES FOLDER\n";
    return 2;
  }
  if (forced_isa_is_lacking()) return 0;
  std::ifstream in(argv[1]);
  Recipe recipe{};
  in >> recipe.seed >> recipe.learning_rate;
  Case c{};
  int done = 0;
  for (; in >> c; ++done) {
    const std::string path = std::string(argv[2]) + '/' + std::to_string(done);
    run<float>(c, recipe, path + ".float32");
    run<double>(c, recipe, path + ".float64");
  }
  std::cout << "golden: " << done << " cases, isa " << isa() << ", team " << last_team_size()
            << '\n';
} catch (const std::exception& error) {
  std::cerr << "golden: " << error.what() << '\n';
  return 1;
}
