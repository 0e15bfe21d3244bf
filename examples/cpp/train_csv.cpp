// Trains on a CSV file: train_csv FILE. The file has one line of column names, then numbers; the
// last column is 0 or 1. Every fifth row is used for validation.
#include <fastmlp/network.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Table {
  std::vector<float> X, y;
  std::ptrdiff_t rows() const { return static_cast<std::ptrdiff_t>(y.size()); }
  std::ptrdiff_t features() const { return static_cast<std::ptrdiff_t>(X.size() / y.size()); }
  fastmlp::MatrixView<const float> X_view() const { return {X.data(), rows(), features()}; }
  fastmlp::MatrixView<const float> y_view() const { return {y.data(), rows(), 1}; }
};

/// The numbers of one line. Errors name the file, the line as an editor counts, and the column.
std::vector<float> numbers_in(const std::string& line, const std::string& place) {
  std::vector<float> numbers;
  std::istringstream cells(line);
  for (std::string cell; std::getline(cells, cell, ',');) {
    char* end = nullptr;
    numbers.push_back(std::strtof(cell.c_str(), &end));
    const bool whole = end != cell.c_str() && *end == '\0';
    if (!whole || !std::isfinite(numbers.back())) {
      throw std::runtime_error(place + ", column " + std::to_string(numbers.size()) + ": \"" +
                               cell + "\" is not a number");
    }
  }
  return numbers;
}

void read(const std::string& path, Table& train, Table& validation) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) throw std::runtime_error(path + ": cannot be read");
  const auto columns = static_cast<std::size_t>(std::count(line.begin(), line.end(), ',')) + 1;
  for (int row = 0; std::getline(file, line); ++row) {
    if (!line.empty() && line.back() == '\r') line.pop_back();  // of a file from Windows
    const std::string place = path + ": line " + std::to_string(row + 2);
    std::vector<float> numbers = numbers_in(line, place);
    if (numbers.size() != columns) {
      throw std::runtime_error(place + " has " + std::to_string(numbers.size()) +
                               " columns; the first line has " + std::to_string(columns));
    }
    const float label = numbers.back();
    if (label != 0 && label != 1)
      throw std::runtime_error(place + ": the last column is not 0 or 1");
    numbers.pop_back();
    Table& table = row % 5 == 4 ? validation : train;
    table.X.insert(table.X.end(), numbers.begin(), numbers.end());
    table.y.push_back(label);
  }
  if (validation.y.empty()) throw std::runtime_error(path + ": fewer than 5 rows");
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) throw std::runtime_error("usage: train_csv FILE");
  Table train, validation;
  read(argv[1], train, validation);

  fastmlp::Network<float> net({train.features(), 64, 32, 1});  // ReLU, ReLU, sigmoid
  net.initialize(/*seed=*/0);
  fastmlp::FitOptions<float> options;
  options.epochs = 200;
  options.standardize = true;  // a network learns little from columns that are not scaled
  options.validation = fastmlp::ValidationData<float>{validation.X_view(), validation.y_view()};
  options.early_stopping = fastmlp::EarlyStopping{10};
  options.on_epoch = [](const fastmlp::EpochLog& log) {
    if (log.epoch % 10 == 0) {
      std::printf("epoch %3d: loss %.4f, validation loss %.4f\n", static_cast<int>(log.epoch),
                  log.loss, *log.val_loss);
    }
    return false;  // true would end the run
  };
  const fastmlp::History history =
      net.fit(train.X_view(), train.y_view(), fastmlp::SgdOptions{0.05, 0.9}, options);

  std::vector<std::int64_t> labels(validation.y.size());
  net.predict(validation.X_view(), {labels.data(), validation.rows(), 1});
  int right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) right += labels[i] == validation.y[i];
  std::printf("%zu epochs; %d of %zu validation rows are right\n", history.loss.size(), right,
              labels.size());
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
