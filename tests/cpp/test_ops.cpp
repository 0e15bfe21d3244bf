// The operations give naive sums in a wider type, for any strides, and the same bits with every
// instruction set and number of threads.
#include "kernels/fma.hpp"
#include "support.hpp"

#include <fastmlp/network.hpp>
#include <fastmlp/ops.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

using namespace fastmlp;
using namespace fastmlp::testing;

namespace {

/// |C - A.B| <= 2 k eps sum |a||b| for each element, the bound of a sum in any order.
template <class T>
bool is_product(MatrixView<const T> A, MatrixView<const T> B, MatrixView<const T> C) {
  const double eps = std::numeric_limits<T>::epsilon();
  for (std::ptrdiff_t i = 0; i < C.rows; ++i) {
    for (std::ptrdiff_t j = 0; j < C.cols; ++j) {
      long double sum = 0, size = 0;
      for (std::ptrdiff_t p = 0; p < A.cols; ++p) {
        const long double term = static_cast<long double>(A(i, p)) * B(p, j);
        sum += term;
        size += std::abs(term);
      }
      if (!(std::abs(C(i, j) - sum) <= 2 * static_cast<double>(A.cols) * eps * size)) return false;
    }
  }
  return true;
}

}  // namespace

TEST_CASE_TEMPLATE("matmul is right for every shape and transpose", T, float, double) {
  for (const std::ptrdiff_t m : {0, 1, 5, 6, 7, 33}) {
    for (const std::ptrdiff_t n : {0, 1, 2, 15, 16, 17}) {
      for (const std::ptrdiff_t k : {0, 1, 15, 16, 17, 4096, 4097, 9000}) {
        if (k > 17 && m > 7) continue;  // long sums need no large result
        const Matrix<T> a = pattern<T>(m, k, 1), b = pattern<T>(k, n, 2);
        const Matrix<T> at = pattern<T>(k, m, 3), bt = pattern<T>(n, k, 4);
        Matrix<T> c(m, n);
        CAPTURE(m);
        CAPTURE(n);
        CAPTURE(k);
        matmul<T>(a.cview(), b.cview(), c.view());
        CHECK(is_product(a.cview(), b.cview(), c.cview()));
        matmul<T>(at.cview().transposed(), bt.cview().transposed(), c.view());
        CHECK(is_product(at.cview().transposed(), bt.cview().transposed(), c.cview()));
      }
    }
  }
}

TEST_CASE("matmul writes to any strides, and reads negative and zero strides") {
  const Matrix<double> a = pattern<double>(4, 6);
  Matrix<double> wide(10, 9);
  const MatrixView<double> c(wide.values.data() + 2, 4, 3, 18, 2);
  const MatrixView<const double> backwards(a.values.data() + 23, 4, 6, -6, -1);
  const MatrixView<const double> constant(a.values.data(), 6, 3, 0, 0);
  matmul<double>(backwards, constant, c);
  CHECK(is_product<double>(backwards, constant, c));
  CHECK(wide.values[3] == 0);  // between the columns of c
}

TEST_CASE_TEMPLATE("matmul has the same bits under every setting", T, float, double) {
  const Matrix<T> a = pattern<T>(37, 4100, 1), b = pattern<T>(4100, 19, 2);
  std::vector<T> first, first_column;
  under_all_settings([&](const std::string& name, int threads) {
    CAPTURE(name);
    CAPTURE(threads);
    Matrix<T> c(37, 19), column(37, 1);
    matmul<T>(a.cview(), b.cview(), c.view());
    matmul<T>(a.cview(), b.cview().col_block(0, 1), column.view());
    if (first.empty()) {
      first = c.values;
      first_column = column.values;
    }
    CHECK(same_bits(c.values, first));
    CHECK(same_bits(column.values, first_column));
  });
}

TEST_CASE("an element of a product does not depend on its place or on the operands' layout") {
  const Matrix<float> a = pattern<float>(40, 300, 1), b = pattern<float>(300, 40, 2);
  Matrix<float> at(300, 40), whole(40, 40), part(3, 40), transposed(40, 40);
  for (std::ptrdiff_t i = 0; i < 40; ++i) {
    for (std::ptrdiff_t j = 0; j < 300; ++j) at.view()(j, i) = a.cview()(i, j);
  }
  matmul<float>(a.cview(), b.cview(), whole.view());
  matmul<float>(a.cview().row_block(5, 3), b.cview(), part.view());
  matmul<float>(at.cview().transposed(), b.cview(), transposed.view());
  const float* row = &whole.view()(5, 0);
  CHECK(same_bits(part.values, {row, row + part.values.size()}));
  CHECK(same_bits(whole.values, transposed.values));
}

TEST_CASE_TEMPLATE("relu keeps NaN, and its backward is zero where z <= 0", T, float, double) {
  const T nan = std::numeric_limits<T>::quiet_NaN(), inf = std::numeric_limits<T>::infinity();
  Matrix<T> z(1, 6), a(1, 6), dz(1, 6);
  z.values = {T(-1), T(-0.0), T(0), T(2), inf, nan};
  relu<T>(z.cview(), a.view());
  CHECK(a.values[0] == 0);
  CHECK(a.values[3] == 2);
  CHECK(a.values[4] == inf);
  CHECK(std::isnan(a.values[5]));
  const Matrix<T> da = pattern<T>(1, 6);
  relu_backward<T>(da.cview(), z.cview(), dz.view());
  CHECK(dz.values[0] == 0);
  CHECK(dz.values[2] == 0);
  CHECK(dz.values[3] == da.values[3]);
}

TEST_CASE_TEMPLATE("sigmoid does not overflow, and may work in place", T, float, double) {
  Matrix<T> z(2, 2);
  z.values = {T(-1000), T(0), T(1000), T(1)};
  sigmoid<T>(z.cview(), z.view());
  CHECK(z.values[0] == 0);
  CHECK(z.values[1] == T(0.5));
  CHECK(z.values[2] == 1);
  CHECK(z.values[3] == doctest::Approx(1 / (1 + std::exp(-1.0))).epsilon(1e-6));
}

TEST_CASE("binary_cross_entropy is finite for large logits and 0 for no rows") {
  Matrix<double> z(2, 1), y(2, 1);
  z.values = {1000, -1000};
  y.values = {0, 1};
  CHECK(binary_cross_entropy<double>(z.cview(), y.cview()) == 1000);
  CHECK(binary_cross_entropy<double>({nullptr, 0, 1}, {nullptr, 0, 1}) == 0);
  y.values[0] = 1.5;
  CHECK_THROWS_WITH_AS(binary_cross_entropy<double>(z.cview(), y.cview()),
                       "binary_cross_entropy: y[0] is 1.5; with a sigmoid output y must be in "
                       "[0, 1]",
                       std::invalid_argument);
}

TEST_CASE_TEMPLATE("binary_cross_entropy adds in the order of a network's loss", T, float, double) {
  // If the weights of a network are the unit matrix, its logits are X.
  struct Shape {
    std::ptrdiff_t rows, cols;
  };
  for (const Shape shape : {Shape{1, 1}, {700, 1}, {2100, 1}, {3, 2}, {1, 700}, {1300, 5}}) {
    CAPTURE(shape.rows);
    CAPTURE(shape.cols);
    Network<T> net({shape.cols, shape.cols});
    for (std::ptrdiff_t j = 0; j < shape.cols; ++j) net.weights(0)(j, j) = 1;
    const Matrix<T> z = noise<T>(shape.rows, shape.cols, 1);
    Matrix<T> y = noise<T>(shape.rows, shape.cols, 2);
    for (T& target : y.values) target = std::abs(target);
    under_all_settings([&](const std::string& name, int threads) {
      CAPTURE(name);
      CAPTURE(threads);
      CHECK(binary_cross_entropy<T>(z.cview(), y.cview()) == net.loss(z.cview(), y.cview()).mean());
    });
  }
}

TEST_CASE("binary_cross_entropy of many columns continues a row's sum from slice to slice") {
  const Settings restore;
  set_num_threads(1);                                // for the many short calls
  constexpr std::ptrdiff_t kCols = (1 << 20) + 700;  // more than a slice
  const Matrix<float> z = noise<float>(1, kCols, 1);
  const Matrix<float> y(1, kCols);
  std::vector<double> losses;
  losses.reserve(kCols);
  for (std::ptrdiff_t j = 0; j < kCols; ++j) {
    losses.push_back(
        binary_cross_entropy<float>(z.cview().col_block(j, 1), y.cview().col_block(j, 1)));
  }
  const std::vector<double> ones(losses.size(), 1.0);
  CHECK(binary_cross_entropy<float>(z.cview(), y.cview()) ==
        dot<double>(losses.data(), ones.data(), kCols));  // dot() adds in the same order
}

TEST_CASE("should_stop stops every operation") {
  const Settings restore;
  set_num_threads(1);  // all elements of `to` are the same one, so two threads would race
  constexpr std::ptrdiff_t kSize = 2500;  // a product of this size takes more than 20 ms
  const Matrix<double> a = pattern<double>(kSize, kSize), one(kSize, kSize);
  Matrix<double> out(kSize, kSize);
  const MatrixView<const double> A = a.cview();
  const MatrixView<double> C = out.view();
  // These views repeat one element, and every operation on them takes more than 20 ms.
  const MatrixView<const double> Z(a.values.data(), 30000, 30000, 0, 0);
  const MatrixView<const double> zeros(one.values.data(), 30000, 30000, 0, 0);
  const MatrixView<double> to(out.values.data(), 30000, 30000, 0, 0);
  const ShouldStop stop = [] { return true; };
  CHECK_THROWS_AS(matmul<double>(A, A, C, stop), Stopped);
  CHECK_THROWS_AS(relu<double>(Z, to, stop), Stopped);
  CHECK_THROWS_AS(relu_backward<double>(Z, Z, to, stop), Stopped);
  CHECK_THROWS_AS(sigmoid<double>(Z, to, stop), Stopped);
  CHECK_THROWS_AS(sigmoid_backward<double>(Z, Z, to, stop), Stopped);
  CHECK_THROWS_AS(binary_cross_entropy<double>(Z, zeros, stop), Stopped);
  CHECK_THROWS_AS(sgd_update<double>(to, Z, 0.1, stop), Stopped);
  const ShouldStop fails = []() -> bool { throw std::domain_error("from should_stop"); };
  CHECK_THROWS_WITH_AS(matmul<double>(A, A, C, fails), "from should_stop", std::domain_error);
  CHECK_NOTHROW(matmul<double>(A.row_block(0, 2), A, C.row_block(0, 2), stop));  // too short to ask
}

TEST_CASE("an sgd_update that was stopped has updated the first elements and no others") {
  const Settings restore;
  // One slow thread takes more than 20 ms on any machine, so it is asked at least once.
  set_isa("scalar");
  set_num_threads(1);
  constexpr std::ptrdiff_t kSize = 80000000;
  std::vector<float> parameter(static_cast<std::size_t>(kSize), 1.0f);
  const float step = 1.0f;
  const MatrixView<const float> gradient(&step, 1, kSize, 0, 0);
  int asked = 0;
  const ShouldStop stop = [&] { return ++asked == 1; };
  CHECK_THROWS_AS(sgd_update<float>({parameter.data(), 1, kSize}, gradient, 0.5, stop), Stopped);
  const auto first_old = std::find(parameter.begin(), parameter.end(), 1.0f);
  CHECK(first_old != parameter.begin());
  CHECK(first_old != parameter.end());
  CHECK(std::count(parameter.begin(), first_old, 0.5f) == first_old - parameter.begin());
  CHECK(std::count(first_old, parameter.end(), 1.0f) == parameter.end() - first_old);
}

TEST_CASE("sgd_update rounds once, on any strides") {
  Matrix<float> p(3, 4);
  p.values.assign(12, 1.0f);
  const Matrix<float> g = pattern<float>(4, 3);
  sgd_update<float>(p.view(), g.cview().transposed(), 0.3);
  for (std::ptrdiff_t i = 0; i < 3; ++i) {
    for (std::ptrdiff_t j = 0; j < 4; ++j) {
      CHECK(p.view()(i, j) == detail::scalar_fma(-0.3f, g.cview()(j, i), 1.0f));
    }
  }
}

TEST_CASE("shapes that do not fit are refused, and nothing is written") {
  const Matrix<float> a = pattern<float>(3, 4), b = pattern<float>(5, 2);
  Matrix<float> c(3, 2);
  CHECK_THROWS_WITH_AS(matmul<float>(a.cview(), b.cview(), c.view()),
                       "matmul: A is (3, 4) and B is (5, 2); A's columns must equal B's rows",
                       std::invalid_argument);
  CHECK_THROWS_AS(relu<float>(a.cview(), c.view()), std::invalid_argument);
  CHECK_THROWS_AS(sgd_update<float>(c.view(), c.view(), 0.0), std::invalid_argument);
  CHECK(same_bits(c.values, std::vector<float>(6)));
}
