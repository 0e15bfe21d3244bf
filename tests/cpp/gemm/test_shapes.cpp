// Shapes around the edges of tiles, vectors, chunks and packing: on every instruction set and on
// teams of 1 and 3 a product, and every epilogue of a network, has the bits of scalar on one
// thread.
#include "support.hpp"

#include <fastmlp/network.hpp>
#include <fastmlp/ops.hpp>

#include <doctest/doctest.h>

using namespace fastmlp;
using namespace fastmlp::testing;

namespace {

// Tiles have 4, 6 or 12 rows and 2, 4, 8, 16 or 32 columns, vectors up to 16 lanes.
constexpr std::ptrdiff_t kEdges[] = {1, 2, 3, 5, 6, 7, 11, 12, 13, 15, 16, 17, 25, 31, 32, 33, 40};

/// Whether compute() gives the same bits under every setting as under scalar on one thread.
template <class Compute>
bool same_as_scalar(const Compute& compute) {
  const Settings restore;
  set_isa("scalar");
  set_num_threads(1);
  const auto expected = compute();
  for (const std::string& name : available_isas()) {
    for (const int threads : {1, 3}) {
      set_isa(name);
      set_num_threads(threads);
      if (!same_bits(compute(), expected)) {
        MESSAGE(name, " on ", threads, " threads differs");
        return false;
      }
    }
  }
  return true;
}

std::ptrdiff_t power_of_two_from(std::ptrdiff_t n) {
  std::ptrdiff_t power = 1024;  // 4 KiB of float: rows so far apart are copied
  while (power < n) power *= 2;
  return power;
}

/// (rows, cols) of noise as it stands, or as the transpose of what stands; its rows in memory a
/// power of two apart, or without a gap.
template <class T>
class Operand {
 public:
  Operand(std::ptrdiff_t rows, std::ptrdiff_t cols, bool transposed, bool spaced, int salt)
      : rows_(transposed ? cols : rows),
        cols_(transposed ? rows : cols),
        transposed_(transposed),
        memory_(noise<T>(rows_, spaced ? power_of_two_from(cols_) : cols_,
                         static_cast<std::uint64_t>(salt))) {}
  MatrixView<const T> view() const {
    const MatrixView<const T> stands = memory_.cview().col_block(0, cols_);
    return transposed_ ? stands.transposed() : stands;
  }

 private:
  std::ptrdiff_t rows_, cols_;
  bool transposed_;
  Matrix<T> memory_;
};

/// A . B in all four transposes.
template <class T>
void check_products(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, bool spaced) {
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(k);
  CAPTURE(spaced);
  for (const bool transposed_a : {false, true}) {
    for (const bool transposed_b : {false, true}) {
      CAPTURE(transposed_a);
      CAPTURE(transposed_b);
      const Operand<T> A(m, k, transposed_a, spaced, 1), B(k, n, transposed_b, spaced, 2);
      CHECK(same_as_scalar([&] {
        Matrix<T> c(m, spaced ? 1024 * ((n + 1023) / 1024) : n);  // what is beside C stays 0
        matmul<T>(A.view(), B.view(), c.view().col_block(0, n));
        return c.values;
      }));
    }
  }
}

/// Predictions, gradients and the parameters after a step of a network with all epilogues.
template <class T>
void check_network(const std::vector<std::ptrdiff_t>& layers, std::ptrdiff_t rows, Activation g) {
  CAPTURE(rows);
  CAPTURE(name_of(g));
  const Matrix<T> X = noise<T>(rows, layers.front(), 3), y = noise<T>(rows, layers.back(), 4);
  CHECK(same_as_scalar([&] {
    Network<T> net(layers, std::vector<Activation>(layers.size() - 2, g), Output::kIdentity);
    net.initialize(5);
    Matrix<T> out(rows, layers.back());
    net.forward(X.cview(), out.view());
    std::vector<T> results = out.values;
    net.loss_and_gradients(X.cview(), y.cview());
    results.insert(results.end(), net.gradients(), net.gradients() + net.n_parameters());
    net.accumulate_gradients(X.cview(), y.cview());
    results.insert(results.end(), net.gradients(), net.gradients() + net.n_parameters());
    net.step(X.cview(), y.cview(), 0.1);
    results.insert(results.end(), net.parameters(), net.parameters() + net.n_parameters());
    return results;
  }));
}

}  // namespace

TEST_CASE_TEMPLATE("products of every odd shape have the bits of scalar", T, float, double) {
  std::size_t next = 0;
  for (const std::ptrdiff_t m : kEdges) {
    for (const std::ptrdiff_t n : kEdges) {
      check_products<T>(m, n, kEdges[next++ * 7 % std::size(kEdges)], false);
    }
  }
}

TEST_CASE_TEMPLATE("long and packed products have the bits of scalar", T, float, double) {
  // The last two are copied in several strips, and take several blocks of B.
  const std::ptrdiff_t shapes[][3] = {// m, n, k
                                      {13, 33, 1025}, {3, 5, 4097}, {1, 19, 4099},  {17, 1, 4099},
                                      {1029, 17, 5},  {7, 1033, 9}, {1, 1030, 12},  {1031, 1, 9},
                                      {26, 66, 130},  {49, 70, 65}, {27, 67, 1100}, {800, 67, 130},
                                      {26, 70, 2100}};
  for (const auto& [m, n, k] : shapes) {
    for (const bool spaced : {false, true}) check_products<T>(m, n, k, spaced);
  }
}

TEST_CASE_TEMPLATE("networks of every odd shape have the bits of scalar", T, float, double) {
  std::size_t next = 0;
  const auto edge = [&] { return kEdges[next++ * 5 % std::size(kEdges)]; };
  for (const Activation g : all_activations()) {
    for (int i = 0; i < 12; ++i) {
      const std::ptrdiff_t rows = edge();
      check_network<T>({edge(), edge(), edge(), 1 + i % 3}, rows, g);
    }
  }
  // One of those that are done in a tile, one that follows on rows, and one that needs Z.
  for (const Activation g : {Activation::kRelu, Activation::kTanh, Activation::kGelu}) {
    check_network<T>({30, 128, 1024, 2}, 37, g);
    check_network<T>({1030, 70, 1}, 27, g);
  }
}
