// Predicts from a table as it is: predict_table MODEL TABLE. The model is a file of
// fastmlp.tabular, the table has values between commas and a line of column names. Prints the label
// and its probability for each row.
#include <fastmlp/tabular.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

std::vector<std::string> fields(const std::string& line) {
  std::vector<std::string> found;
  std::istringstream stream(line + ",");
  for (std::string field; std::getline(stream, field, ',');) found.push_back(field);
  return found;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) throw std::runtime_error("usage: predict_table MODEL TABLE");
  const auto model = fastmlp::load_tabular<fastmlp::TabularClassifier>(argv[1]);
  std::ifstream table(argv[2]);
  std::string line;
  if (!std::getline(table, line)) throw std::runtime_error("the table has no line");
  const std::vector<std::string> names = fields(line);
  while (std::getline(table, line)) {
    const std::vector<std::string> values = fields(line);
    if (values.size() != names.size())
      throw std::runtime_error("a row has another length: " + line);
    // Texts that hold numbers are read as such, and an empty one is a missing value. A program that
    // has numbers, booleans or std::optional gives them as they are: {{"age", 31}, ...}.
    fastmlp::NamedRow row;
    for (std::size_t j = 0; j < names.size(); ++j) row[names[j]] = values[j];
    const std::vector<double> p = model.predict_proba(model.row(row));
    const auto best = std::max_element(p.begin(), p.end());
    std::printf("%s %.3f\n", model.classes()[static_cast<std::size_t>(best - p.begin())].c_str(),
                *best);
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
