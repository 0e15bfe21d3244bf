// Trains on a CSV file: train_csv FILE. The file has one line of column names, then numbers; the
// last column is 0 or 1. Every fifth row is used for validation.
#include <fastmlp/network.hpp>

#include <cmath>
#include <cstdio>
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

void read(const char* path, Table& train, Table& validation) {
  std::ifstream file(path);
  std::string line, cell;
  if (!std::getline(file, line)) throw std::runtime_error(std::string(path) + ": cannot be read");
  for (int row = 0; std::getline(file, line); ++row) {
    Table& table = row % 5 == 4 ? validation : train;
    std::istringstream cells(line);
    while (std::getline(cells, cell, ',')) table.X.push_back(std::stof(cell));
    table.y.push_back(table.X.back());
    table.X.pop_back();
  }
  if (train.y.empty() || validation.y.empty()) throw std::runtime_error("too few rows");
}

/// Scales each column to mean 0 and variance 1 on the training rows: a network learns little from
/// unscaled columns.
void standardize(Table& train, Table& validation) {
  const std::ptrdiff_t n = train.features();
  for (std::ptrdiff_t j = 0; j < n; ++j) {
    double sum = 0, squares = 0;
    for (std::ptrdiff_t i = 0; i < train.rows(); ++i) {
      const double x = train.X[static_cast<std::size_t>(i * n + j)];
      sum += x;
      squares += x * x;
    }
    const double mean = sum / static_cast<double>(train.rows());
    const double deviation = std::sqrt(squares / static_cast<double>(train.rows()) - mean * mean);
    for (Table* table : {&train, &validation}) {
      for (std::ptrdiff_t i = 0; i < table->rows(); ++i) {
        float& x = table->X[static_cast<std::size_t>(i * n + j)];
        x = static_cast<float>((x - mean) / (deviation > 0 ? deviation : 1));
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) throw std::runtime_error("usage: train_csv FILE");
  Table train, validation;
  read(argv[1], train, validation);
  standardize(train, validation);

  fastmlp::Network<float> net({train.features(), 64, 32, 1});  // ReLU, ReLU, sigmoid
  net.initialize(/*seed=*/0);
  fastmlp::FitOptions<float> options;
  options.epochs = 200;
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
