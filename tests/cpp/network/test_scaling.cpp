// Network<T>::fold_scaling(), FitOptions::standardize and statistics_of(). The golden digests
// compare trained networks with Python's, bit for bit.
#include "support.hpp"

#include <fastmlp/network.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

using namespace fastmlp;
using namespace fastmlp::testing;

// NOLINTBEGIN(bugprone-unchecked-optional-access): a test may fail there

namespace {

/// Columns of very different scales, and two targets that are sums of them.
template <class T>
struct Problem {
  Matrix<T> X = noise<T>(300, 3, 1), y{300, 2};
  Problem() {
    for (std::ptrdiff_t i = 0; i < X.rows; ++i) {
      y.view()(i, 0) = 1000 * (X.cview()(i, 0) + X.cview()(i, 1)) + 5000;
      y.view()(i, 1) = X.cview()(i, 2);
      X.view()(i, 1) = X.cview()(i, 1) * 100 + 2000;
      X.view()(i, 2) = X.cview()(i, 2) / 1000;
    }
  }
};

template <class T>
Network<T> network(Output output = Output::kIdentity) {
  Network<T> net({3, 6, 2}, {Activation::kTanh}, output);
  net.initialize(3);
  return net;
}

template <class T>
FitOptions<T> standardized(std::int64_t epochs) {
  FitOptions<T> options;
  options.epochs = epochs;
  options.standardize = true;
  return options;
}

template <class T>
std::vector<T> parameters_of(const Network<T>& net) {
  return {net.parameters(), net.parameters() + net.n_parameters()};
}

template <class T>
Matrix<T> forward(const Network<T>& net, const Matrix<T>& X) {
  Matrix<T> out(X.rows, net.layers().back());
  net.forward(X.cview(), out.view());
  return out;
}

}  // namespace

TEST_CASE("statistics are means and deviations, by the weights of the rows") {
  Matrix<double> X(4, 2);
  X.values = {1, 5, 3, 5, 5, 5, 100, 7};  // the last row has no weight
  const double weight[] = {1, 2, 1, 0};
  const Statistics s = statistics_of<double>(X.cview(), weight);
  CHECK(s.mean == std::vector<double>{3, 5});
  CHECK(s.deviation[0] == doctest::Approx(std::sqrt(2.0)));
  CHECK(s.deviation[1] == 1);  // a constant column
  for (std::ptrdiff_t i = 0; i < 4; ++i) X.view()(i, 1) = -1e9;
  CHECK(statistics_of<double>(X.cview()).deviation[1] == 1e9);
}

TEST_CASE("the sum of a column is that of its sums over 1024 rows each") {
  const Matrix<double> X = noise<double>(2500, 1, 2);
  double total = 0;
  for (std::ptrdiff_t first = 0; first < X.rows; first += 1024) {
    double part = 0;
    for (std::ptrdiff_t i = first; i < std::min<std::ptrdiff_t>(first + 1024, X.rows); ++i) {
      part += X.cview()(i, 0);
    }
    total += part;
  }
  CHECK(statistics_of<double>(X.cview()).mean[0] == total / 2500);
}

TEST_CASE("a column has the same statistics alone and beside many others") {
  const Matrix<float> X = noise<float>(2100, 1500, 2);  // a block has fewer than 1024 rows
  Matrix<float> column(X.rows, 1);
  for (std::ptrdiff_t i = 0; i < X.rows; ++i) column.view()(i, 0) = X.cview()(i, 7);
  const Statistics wide = statistics_of<float>(X.cview());
  const Statistics alone = statistics_of<float>(column.cview());
  CHECK(wide.mean[7] == alone.mean[0]);
  CHECK(wide.deviation[7] == alone.deviation[0]);
}

TEST_CASE_TEMPLATE("statistics do not depend on how the rows are read", T, float, double) {
  const Matrix<T> X = noise<T>(5000, 3, 2);
  const RowSource<T> reader(
      5000, 3, [&](const std::int64_t*, std::ptrdiff_t first, std::ptrdiff_t count, T* out) {
        std::copy_n(&X.cview()(first, 0), count * 3, out);
      });
  const Statistics a = statistics_of<T>(X.cview()), b = statistics_of(reader);
  CHECK(a.mean == b.mean);
  CHECK(a.deviation == b.deviation);
}

TEST_CASE_TEMPLATE("fit on scaled rows learns columns of any scale", T, float, double) {
  const Problem<T> p;
  Network<T> net = network<T>();
  const History history = net.fit(p.X.cview(), p.y.cview(), SgdOptions{0.1}, standardized<T>(60));
  CHECK(history.loss.back() < history.loss.front() / 30);
  // The reported loss is that of raw targets.
  const double after = net.loss(p.X.cview(), p.y.cview()).mean();
  CHECK(after < 2 * history.loss.back());
  CHECK(after > history.loss.back() / 2);
}

TEST_CASE_TEMPLATE("two standardized fits of 5 epochs equal one of 10", T, float, double) {
  const Problem<T> p;
  Network<T> twice = network<T>(), once = network<T>();
  Optimizer adam_twice(AdamOptions{}), adam_once(AdamOptions{});
  for (int i = 0; i < 2; ++i) {
    twice.fit(p.X.cview(), p.y.cview(), adam_twice, standardized<T>(5));
  }
  once.fit(p.X.cview(), p.y.cview(), adam_once, standardized<T>(10));
  CHECK(same_bits(parameters_of(twice), parameters_of(once)));
  CHECK(once.scaling()->input_mean == twice.scaling()->input_mean);
}

TEST_CASE("unfolding changes the parameters but not what calls give") {
  const Problem<double> p;
  Network<double> net = network<double>();
  net.fit(p.X.cview(), p.y.cview(), SgdOptions{0.1}, standardized<double>(2));
  const Matrix<double> folded = forward(net, p.X);
  const double loss = net.loss(p.X.cview(), p.y.cview()).mean();
  const std::vector<double> parameters = parameters_of(net);
  net.unfold_scaling();
  net.unfold_scaling();  // the second call does nothing
  CHECK_FALSE(same_bits(parameters_of(net), parameters));
  const Matrix<double> unfolded = forward(net, p.X);
  for (std::size_t i = 0; i < folded.values.size(); ++i) {
    CHECK(unfolded.values[i] == doctest::Approx(folded.values[i]).epsilon(1e-9));
  }
  CHECK(net.loss(p.X.cview(), p.y.cview()).mean() == doctest::Approx(loss).epsilon(1e-9));
  net.refold_scaling();
  net.refold_scaling();
  CHECK(forward(net, p.X).values[0] == doctest::Approx(folded.values[0]).epsilon(1e-9));
}

TEST_CASE("a callback that throws leaves a network for raw rows") {
  const Problem<float> p;
  Network<float> stopped = network<float>(), whole = network<float>();
  FitOptions<float> options = standardized<float>(4);
  options.on_epoch = [](const EpochLog&) -> bool { throw std::runtime_error("enough"); };
  CHECK_THROWS_AS(stopped.fit(p.X.cview(), p.y.cview(), SgdOptions{0.1}, options),
                  std::runtime_error);
  whole.fit(p.X.cview(), p.y.cview(), SgdOptions{0.1}, standardized<float>(1));
  CHECK(same_bits(parameters_of(stopped), parameters_of(whole)));
}

TEST_CASE("an epoch that is stopped puts the scaling back") {
  const Problem<float> p;
  Network<float> net = network<float>();
  net.fit(p.X.cview(), p.y.cview(), SgdOptions{0.1}, standardized<float>(1));
  const Matrix<float> before = forward(net, p.X);
  const RowSource<float> failing(
      300, 3,
      [&](const std::int64_t* rows, std::ptrdiff_t first, std::ptrdiff_t count, float* out) {
        if (rows != nullptr) throw std::runtime_error("the disk is gone");  // only training gathers
        std::copy_n(&p.X.cview()(first, 0), count * 3, out);
      });
  CHECK_THROWS_WITH(net.fit(failing, p.y.cview(), SgdOptions{0.1}, standardized<float>(1)),
                    "the disk is gone");
  const Matrix<float> after = forward(net, p.X);
  for (std::size_t i = 0; i < after.values.size(); ++i) {
    CHECK(after.values[i] == doctest::Approx(before.values[i]).epsilon(1e-3));
  }
}

TEST_CASE("a scaling that does not fit is refused and changes nothing") {
  Network<float> net = network<float>();
  const std::vector<float> before = parameters_of(net);
  Scaling s;
  s.input_scale = {1, 0, 1};
  CHECK_THROWS_WITH(net.fold_scaling(s),
                    "fold_scaling: input_scale has 0 for column 1; it must be positive and finite");
  s.input_scale = {1, 1};
  CHECK_THROWS_WITH(net.fold_scaling(s), "fold_scaling: input_scale has 2 entries; it must have 3");
  s = {};
  s.input_mean = {0, 0, 1e6};
  CHECK_THROWS_AS(net.fold_scaling(s), std::invalid_argument);
  s = {};
  s.input_scale = {1e-40, 1, 1};
  CHECK_THROWS_WITH(net.fold_scaling(s),
                    "fold_scaling: with this scaling a weight or a bias is too large for float32; "
                    "use float64, or scale the data in another unit");
  s = {};
  s.output_mean = {1, 2};
  Network<float> classes = network<float>(Output::kSoftmax);
  CHECK_THROWS_AS(classes.fold_scaling(s), std::invalid_argument);
  CHECK_FALSE(net.scaling());
  CHECK(same_bits(parameters_of(net), before));
}

TEST_CASE("a column that float cannot resolve is refused before anything changes") {
  Problem<float> p;
  for (std::ptrdiff_t i = 0; i < p.X.rows; ++i) p.X.view()(i, 1) += 1e8F;
  Network<float> net = network<float>();
  const std::vector<float> before = parameters_of(net);
  CHECK_THROWS_AS(net.fit(p.X.cview(), p.y.cview(), SgdOptions{0.1}, standardized<float>(1)),
                  std::invalid_argument);
  CHECK(same_bits(parameters_of(net), before));
}

TEST_CASE("a first standardized epoch that diverges leaves no scaling behind") {
  const Problem<float> p;
  Network<float> net = network<float>();
  const std::vector<float> before = parameters_of(net);
  CHECK_THROWS_AS(net.fit(p.X.cview(), p.y.cview(), SgdOptions{1e30}, standardized<float>(2)),
                  Diverged);
  CHECK_FALSE(net.scaling());
  CHECK(same_bits(parameters_of(net), before));
}

TEST_CASE("copies carry the scaling and the metadata") {
  Network<double> net = network<double>();
  Scaling s;
  s.input_mean = {1, 2, 3};
  net.fold_scaling(s);
  net.metadata()["note"] = "of May";
  Network<double> twin = net.copy();
  CHECK(twin.scaling()->input_mean == s.input_mean);
  CHECK(twin.scaling()->output_scale == std::vector<double>{1, 1});
  CHECK(twin.metadata() == net.metadata());
}

// NOLINTEND(bugprone-unchecked-optional-access)
