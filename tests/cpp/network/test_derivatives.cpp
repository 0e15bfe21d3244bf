// backward, input_gradients, jacobian, activations, and epochs with a loss of the caller. Their
// values are compared with differences in tests/python/network/test_derivatives.py.
#include "support.hpp"

#include <fastmlp/network.hpp>
#include <fastmlp/optimizer.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <vector>

using namespace fastmlp;
using namespace fastmlp::testing;

namespace {

template <class T>
Network<T> made(Output output = Output::kIdentity) {
  Network<T> net({5, 9, 7, 3}, {Activation::kTanh, Activation::kGelu}, output);
  net.initialize(4);
  return net;
}

template <class T>
std::vector<T> gradients_of(const Network<T>& net) {
  return {net.gradients(), net.gradients() + net.n_parameters()};
}

template <class T>
std::vector<T> parameters_of(const Network<T>& net) {
  return {net.parameters(), net.parameters() + net.n_parameters()};
}

std::vector<std::int64_t> in_order(std::ptrdiff_t rows) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(rows));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  return order;
}

}  // namespace

TEST_CASE_TEMPLATE("derivatives have the same bits under all settings", T, float, double) {
  for (const Output output : all_outputs()) {
    Network<T> net = made<T>(output);
    const Matrix<T> X = noise<T>(300, 5, 1), dY = noise<T>(300, 3, 2);
    std::vector<std::vector<T>> expected;
    under_all_settings([&](const std::string& isa, int threads) {
      CAPTURE(isa);
      CAPTURE(threads);
      Matrix<T> dX(300, 5), only_dX(300, 5), J(300, 15), Y(300, 3), A(300, 9), B(300, 7);
      const MatrixView<T> to = dX.view();
      net.backward(X.cview(), dY.cview(), &to);
      net.input_gradients(X.cview(), dY.cview(), only_dX.view());
      net.jacobian(X.cview(), J.view());
      net.activations(X.cview(), {A.view(), B.view(), Y.view()});
      CHECK(same_bits(dX.values, only_dX.values));
      const std::vector<std::vector<T>> found{dX.values, J.values, gradients_of(net),
                                              A.values,  B.values, Y.values};
      if (expected.empty()) expected = found;
      for (std::size_t i = 0; i < found.size(); ++i) CHECK(same_bits(found[i], expected[i]));
    });
  }
}

TEST_CASE("results may have any strides, and rows may come from a function") {
  const Network<double> net = made<double>(Output::kSoftmax);
  const Matrix<double> X = noise<double>(40, 5, 1), dY = noise<double>(40, 3, 2);
  Matrix<double> dX(40, 5), turned(5, 40), J(40, 15), turned_J(15, 40), Y(3, 40), Z(40, 3);
  net.input_gradients(X.cview(), dY.cview(), dX.view());
  const RowSource<double> read(
      40, 3, [&](const std::int64_t*, std::ptrdiff_t first, std::ptrdiff_t count, double* out) {
        std::copy_n(&dY.values[static_cast<std::size_t>(3 * first)], 3 * count, out);
      });
  net.input_gradients(X.cview(), read, turned.view().transposed());
  net.jacobian(X.cview(), J.view());
  net.jacobian(X.cview(), turned_J.view().transposed());
  Matrix<double> A(9, 40), B(40, 7);
  net.activations(X.cview(), {A.view().transposed(), B.view(), Y.view().transposed()});
  net.forward(X.cview(), Z.view());
  for (std::ptrdiff_t i = 0; i < 40; ++i) {
    for (std::ptrdiff_t k = 0; k < 5; ++k) CHECK(dX.view()(i, k) == turned.view()(k, i));
    for (std::ptrdiff_t k = 0; k < 15; ++k) CHECK(J.view()(i, k) == turned_J.view()(k, i));
    for (std::ptrdiff_t k = 0; k < 3; ++k) CHECK(Z.view()(i, k) == Y.view()(k, i));
  }
}

TEST_CASE("the derivatives by a single feature may have any strides") {
  Network<double> net({1, 8, 3}, {Activation::kTanh}, Output::kIdentity);
  net.initialize(4);
  const Matrix<double> X = noise<double>(50, 1, 1), dY = noise<double>(50, 3, 2);
  Matrix<double> dX(50, 1), wide(50, 4), J(50, 3), one(1, 3);
  net.input_gradients(X.cview(), dY.cview(), dX.view());
  net.input_gradients(X.cview(), dY.cview(), wide.view().col_block(2, 1));
  net.jacobian(X.cview(), J.view());
  for (std::ptrdiff_t i = 0; i < 50; ++i) {
    CHECK(wide.view()(i, 2) == dX.view()(i, 0));
    CHECK(wide.view()(i, 1) == 0);
    net.jacobian(X.cview().row_block(i, 1), one.view());
    for (std::ptrdiff_t j = 0; j < 3; ++j) CHECK(J.view()(i, j) == one.view()(0, j));
  }
}

TEST_CASE("a gradient of the caller can be applied by any optimizer") {
  Network<float> ours = made<float>(), own = made<float>();
  const Matrix<float> X = noise<float>(64, 5, 1), y = noise<float>(64, 3, 2);
  const std::vector<std::int64_t> order = in_order(64);
  Optimizer of_ours{AdamOptions{}}, of_own{AdamOptions{}};
  Matrix<float> Y(64, 3);
  for (int step = 0; step < 5; ++step) {
    ours.train_epoch(X.cview(), y.cview(), order.data(), 64, 64, of_ours);
    own.forward(X.cview(), Y.view());
    for (std::size_t i = 0; i < Y.values.size(); ++i) {
      Y.values[i] = (Y.values[i] - y.values[i]) * (1.0f / 64);
    }
    own.backward(X.cview(), Y.cview());
    own.apply_gradients(of_own);
  }
  CHECK(same_bits(parameters_of(ours), parameters_of(own)));
}

TEST_CASE_TEMPLATE("an epoch with a loss of the caller has the bits of the library's", T, float,
                   double) {
  const Matrix<T> X = noise<T>(9000, 5, 1), y = noise<T>(9000, 3, 2);
  const std::vector<std::int64_t> order = in_order(9000);
  EpochOptions options;
  options.dropout = {0.25, 0.5};
  for (const std::ptrdiff_t batch_size : {32, 4096, 8192}) {  // so that 1 / batch_size is exact
    CAPTURE(batch_size);
    const std::ptrdiff_t rows = 8192;
    Network<T> ours = made<T>(), own = made<T>();
    Optimizer of_ours{SgdOptions{}}, of_own{SgdOptions{}};
    const BatchLoss<T> half_squared_error = [&](const std::int64_t* of, auto Y, auto dY) {
      double sum = 0;
      for (std::ptrdiff_t i = 0; i < Y.rows; ++i) {
        for (std::ptrdiff_t j = 0; j < Y.cols; ++j) {
          const T error = Y(i, j) - y.cview()(of[i], j);
          sum += static_cast<double>(error) * static_cast<double>(error) / 2;
          dY(i, j) = error * (T(1) / static_cast<T>(Y.rows));
        }
      }
      return sum / static_cast<double>(Y.rows);
    };
    const double expected = ours.train_epoch(X.cview(), y.cview(), order.data(), rows, batch_size,
                                             of_ours, nullptr, {}, options)
                                .mean();
    const double found = own.train_epoch(X.cview(), half_squared_error, order.data(), rows,
                                         batch_size, of_own, {}, options)
                             .mean();
    CHECK(std::abs(found - expected) < 1e-5 * expected);
    CHECK(same_bits(parameters_of(ours), parameters_of(own)));
    CHECK(own.epochs_trained() == 1);
  }
}

TEST_CASE("what does not fit is refused and changes nothing") {
  Network<double> net = made<double>();
  const Matrix<double> X = noise<double>(4, 5, 1), dY = noise<double>(4, 3, 2);
  net.backward(X.cview(), dY.cview());
  const std::vector<double> before = gradients_of(net);
  Matrix<double> out(4, 5), J(4, 15);
  const auto message = [](auto call) -> std::string {
    try {
      call();
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "accepted";
  };
  CHECK(message([&] { net.backward(dY.cview(), dY.cview()); }) ==
        "backward: X has shape (4, 3); this network takes 5 features");
  CHECK(message([&] { net.backward(X.cview(), X.cview()); }) ==
        "backward: dY has shape (4, 5); it must be that of the outputs, (4, 3)");
  CHECK(message([&] { net.jacobian(X.cview(), out.view()); }) ==
        "jacobian: out has shape (4, 5); it must be (4, 15)");
  CHECK(message([&] { net.input_gradients(X.cview(), dY.cview(), J.view()); }) ==
        "input_gradients: dX has shape (4, 15); it must be (4, 5)");
  CHECK(message([&] { net.activations(X.cview(), {out.view()}); }) ==
        "activations: out has 1 matrices; the network has 3 layers after its inputs");
  const std::int64_t order[] = {4};
  Optimizer sgd{SgdOptions{}};
  const BatchLoss<double> none = [](const std::int64_t*, auto, auto) { return 0.0; };
  CHECK(message([&] { net.train_epoch(X.cview(), none, order, 1, 1, sgd); }) != "accepted");
  const std::int64_t first[] = {0};
  CHECK(message([&] {
          net.train_epoch(X.cview(), BatchLoss<double>(), first, 1, 1, SgdOptions{0.1});
        }) == "train_epoch: loss is an empty function");
  CHECK(same_bits(gradients_of(net), before));
  CHECK(net.epochs_trained() == 0);
}

TEST_CASE("an exception of the loss ends the epoch at that batch") {
  Network<double> net = made<double>();
  const Matrix<double> X = noise<double>(40, 5, 1);
  const std::vector<std::int64_t> order = in_order(40);
  Optimizer sgd{SgdOptions{}};
  std::vector<double> before;
  int calls = 0;
  const BatchLoss<double> loss = [&](const std::int64_t*, auto Y, auto dY) {
    before = parameters_of(net);
    if (++calls == 3) throw std::domain_error("mine");
    for (std::ptrdiff_t i = 0; i < Y.rows; ++i) {
      for (std::ptrdiff_t j = 0; j < Y.cols; ++j) dY(i, j) = Y(i, j);
    }
    return 0.0;
  };
  CHECK_THROWS_AS(net.train_epoch(X.cview(), loss, order.data(), 40, 10, sgd), std::domain_error);
  CHECK(same_bits(parameters_of(net), before));
  CHECK(calls == 3);
  net.train_epoch(X.cview(), X.cview().col_block(0, 3), order.data(), 40, 10, sgd);
}
