// Bits at shapes around the edges of tiles, vectors, chunks and packing, on every instruction set
// and on teams of 1 and 3. A product has the bits of the plain loops in gemm/reference.hpp, with
// every epilogue. A network, with every activation, has the bits of scalar on one thread.
#include "dispatch.hpp"
#include "gemm/gemm.hpp"
#include "gemm/reference.hpp"
#include "support.hpp"
#include "threads/parallel.hpp"

#include <fastmlp/network.hpp>
#include <fastmlp/ops.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

using namespace fastmlp;
using namespace fastmlp::testing;

namespace {

// Tiles have 4, 6 or 12 rows and 2, 4, 8, 16 or 32 columns, vectors up to 16 lanes.
constexpr std::ptrdiff_t kEdges[] = {1, 2, 3, 5, 6, 7, 11, 12, 13, 15, 16, 17, 25, 31, 32, 33, 40};

/// Whether compute() gives the bits of `expected` on every instruction set, on 1 thread and on 3.
template <class T, class Compute>
bool same_everywhere(const std::vector<T>& expected, const Compute& compute) {
  const Settings restore;
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

/// compute() on scalar and one thread.
template <class Compute>
auto on_scalar(const Compute& compute) {
  const Settings restore;
  set_isa("scalar");
  set_num_threads(1);
  return compute();
}

std::ptrdiff_t power_of_two_from(std::ptrdiff_t n) {
  std::ptrdiff_t power = 1024;  // 4 KiB of float: rows so far apart are copied
  while (power < n) power *= 2;
  return power;
}

/// A (rows, cols) matrix of noise. If `transposed`, its columns lie in memory one after another,
/// otherwise its rows. If `spaced`, these lie a power of two apart, otherwise without gaps.
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
    const MatrixView<const T> in_memory = memory_.cview().col_block(0, cols_);
    return transposed_ ? in_memory.transposed() : in_memory;
  }

 private:
  std::ptrdiff_t rows_, cols_;
  bool transposed_;
  Matrix<T> memory_;
};

/// An epilogue: its kernels, and a function that makes the new element of C from a complete sum s.
template <class T>
struct EpilogueCase {
  const char* name;
  const detail::EpilogueKernels<T>& (*kernels)(const detail::KernelTable<T>&);
  T (*element)(T s, T c, T bias, T activated);
  bool reads_c = false;  // such an epilogue takes one chunk only
};
constexpr double kAlpha = 0.1;

constexpr auto kRelu = static_cast<std::size_t>(Activation::kRelu);
template <class T>
using Table = detail::KernelTable<T>;
template <class T>
constexpr EpilogueCase<T> kEpilogues[] = {
    {"store", [](const Table<T>& t) -> auto& { return t.store; }, [](T s, T, T, T) { return s; }},
    {"add", [](const Table<T>& t) -> auto& { return t.add; }, [](T s, T c, T, T) { return c + s; },
     true},
    {"update", [](const Table<T>& t) -> auto& { return t.update; },
     [](T s, T c, T, T) { return detail::scalar_fma(-static_cast<T>(kAlpha), s, c); }, true},
    {"activate", [](const Table<T>& t) -> auto& { return t.activations[kRelu].activate; },
     [](T s, T, T bias, T) { return s + bias <= 0 ? 0 : s + bias; }},
    {"derivative", [](const Table<T>& t) -> auto& { return t.activations[kRelu].derivative; },
     [](T s, T, T, T activated) { return activated > 0 ? s : 0; }}};

/// The matrices that an epilogue reads: noise of C's shape. The rows of C lie a power of two apart
/// or without gaps.
template <class T>
struct Target {
  Matrix<T> c, bias, activated;
  std::ptrdiff_t cols;

  Target(std::ptrdiff_t m, std::ptrdiff_t n, bool spaced)
      : c(noise<T>(m, spaced && n > 1 ? power_of_two_from(n) : n, 3)),
        bias(noise<T>(1, n, 4)),
        activated(noise<T>(m, n, 5)),
        cols(n) {}

  /// All the memory of C, gaps included, after the reference has made C = epilogue(A . B).
  template <class Product>
  std::vector<T> expected(const EpilogueCase<T>& epilogue, const Product& product) const {
    Matrix<T> result = c;
    const MatrixView<T> C = result.view();
    product([&](std::ptrdiff_t i, std::ptrdiff_t j, T s) {
      C(i, j) = epilogue.element(s, C(i, j), bias.cview()(0, j), activated.cview()(i, j));
    });
    return result.values;
  }
  /// The same after product(context, kernels, to), on the set number of threads.
  template <class Product>
  std::vector<T> computed(const EpilogueCase<T>& epilogue, const Product& product) const {
    Matrix<T> result = c;
    const detail::Call<T> call;
    detail::AlignedBuffer<T> workspace;
    const detail::GemmContext<T> context{call.kernels(), workspace, detail::max_team()};
    detail::Epilogue<T> to;
    to.c = result.values.data();
    to.ldc = c.cols;
    to.bias = bias.values.data();
    to.activated = activated.values.data();
    to.ld_activated = cols;
    to.alpha = static_cast<T>(kAlpha);
    detail::with_team(context.max_team,
                      [&] { product(context, epilogue.kernels(call.kernels()), to); });
    return result.values;
  }
};

template <class T>
void check_product(const MatrixView<const T>& A, const MatrixView<const T>& B,
                   const EpilogueCase<T>& epilogue, bool spaced) {
  CAPTURE(epilogue.name);
  const Target<T> target(A.rows, B.cols, spaced);
  const std::vector<T> expected = target.expected(
      epilogue, [&](const auto& element) { detail::reference::gemm<T>(A, B, element); });
  CHECK(same_everywhere(expected, [&] {
    return target.computed(epilogue, [&](const auto& context, const auto& kernels, const auto& to) {
      detail::gemm<T>(context, A, B, kernels, to);
    });
  }));
}

/// A . B in all four transposes.
template <class T>
void check_products(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, bool spaced,
                    bool all_epilogues = false) {
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(k);
  CAPTURE(spaced);
  for (const bool transposed_a : {false, true}) {
    for (const bool transposed_b : {false, true}) {
      CAPTURE(transposed_a);
      CAPTURE(transposed_b);
      const Operand<T> A(m, k, transposed_a, spaced, 1), B(k, n, transposed_b, spaced, 2);
      for (const EpilogueCase<T>& epilogue : kEpilogues<T>) {
        if (epilogue.reads_c && k > detail::kChunk) continue;
        check_product<T>(A.view(), B.view(), epilogue, spaced);
        if (!all_epilogues) break;  // the first one stores the sums
      }
    }
  }
}

template <class T>
void check_sum_of_rows(std::ptrdiff_t rows, std::ptrdiff_t cols, const EpilogueCase<T>& epilogue) {
  CAPTURE(rows);
  CAPTURE(cols);
  CAPTURE(epilogue.name);
  const Matrix<T> A = noise<T>(rows, cols, 6);
  const Target<T> target(1, cols, false);
  const std::vector<T> expected = target.expected(
      epilogue, [&](const auto& element) { detail::reference::sum_rows<T>(A.cview(), element); });
  CHECK(same_everywhere(expected, [&] {
    return target.computed(epilogue, [&](const auto& context, const auto& kernels, const auto& to) {
      detail::sum_rows<T>(context, A.cview(), kernels, to);
    });
  }));
}

/// Predictions, gradients and the parameters after a step of a network with all epilogues.
template <class T>
void check_network(const std::vector<std::ptrdiff_t>& layers, std::ptrdiff_t rows, Activation g) {
  CAPTURE(rows);
  CAPTURE(name_of(g));
  const Matrix<T> X = noise<T>(rows, layers.front(), 3), y = noise<T>(rows, layers.back(), 4);
  const auto results_of_a_network = [&] {
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
  };
  CHECK(same_everywhere(on_scalar(results_of_a_network), results_of_a_network));
}

}  // namespace

TEST_CASE_TEMPLATE("products of every odd shape have the bits of the reference", T, float, double) {
  std::size_t next = 0;
  for (const std::ptrdiff_t m : kEdges) {
    for (const std::ptrdiff_t n : kEdges) {
      check_products<T>(m, n, kEdges[next++ * 7 % std::size(kEdges)], false);
    }
  }
}

TEST_CASE_TEMPLATE("long and packed products have the bits of the reference", T, float, double) {
  // The last two are packed in several strips and need several blocks of B.
  const std::ptrdiff_t shapes[][3] = {// m, n, k
                                      {13, 33, 1025}, {3, 5, 4097}, {1, 19, 4099},  {17, 1, 4099},
                                      {1029, 17, 5},  {7, 1033, 9}, {1, 1030, 12},  {1031, 1, 9},
                                      {26, 66, 130},  {49, 70, 65}, {27, 67, 1100}, {800, 67, 130},
                                      {26, 70, 2100}};
  for (const auto& [m, n, k] : shapes) {
    for (const bool spaced : {false, true}) check_products<T>(m, n, k, spaced);
  }
}

TEST_CASE_TEMPLATE("three chunks are added in order", T, float, double) {
  const std::ptrdiff_t k = 2 * detail::kChunk + 100;
  for (const auto& [m, n] : {std::pair{3, 5}, {1, 19}, {17, 1}, {26, 70}}) {
    check_products<T>(m, n, k, false);
  }
}

// Each term underflows to -0. A lane past the end of a vector must keep its -0, because adding the
// product of two padding zeros would make it +0.
TEST_CASE_TEMPLATE("a product with one column keeps the sign of zero", T, float, double) {
  for (std::ptrdiff_t k = detail::kLanes; k <= 3 * detail::kLanes; ++k) {
    Matrix<T> a(3, k), x(k, 1);
    for (T& value : a.values) value = -std::numeric_limits<T>::min();
    for (T& value : x.values) value = std::numeric_limits<T>::min();
    CHECK(same_everywhere<T>({-T(0), -T(0), -T(0)}, [&] {
      Matrix<T> c(3, 1);
      matmul<T>(a.cview(), x.cview(), c.view());
      return c.values;
    }));
  }
}

TEST_CASE_TEMPLATE("every epilogue gets the sums of the reference", T, float, double) {
  const std::ptrdiff_t shapes[][3] = {{13, 33, 40}, {26, 70, 130}, {1, 19, 33},   {17, 1, 33},
                                      {5, 6, 0},    {3, 5, 4097},  {1, 19, 4099}, {17, 1, 4099}};
  for (const auto& [m, n, k] : shapes) {
    for (const bool spaced : {false, true}) check_products<T>(m, n, k, spaced, true);
  }
}

TEST_CASE_TEMPLATE("sums of rows have the bits of the reference", T, float, double) {
  for (const std::ptrdiff_t rows : {0, 1, 15, 16, 17, 100, 4096}) {
    for (const std::ptrdiff_t cols : {1, 7, 16, 33, 300}) {
      for (const EpilogueCase<T>& epilogue : kEpilogues<T>) {
        check_sum_of_rows<T>(rows, cols, epilogue);
      }
    }
  }
}

TEST_CASE_TEMPLATE("networks of every odd shape have the bits of the scalar kernels", T, float,
                   double) {
  std::size_t next = 0;
  const auto edge = [&] { return kEdges[next++ * 5 % std::size(kEdges)]; };
  for (const Activation g : all_activations()) {
    for (int i = 0; i < 12; ++i) {
      const std::ptrdiff_t rows = edge();
      check_network<T>({edge(), edge(), edge(), 1 + i % 3}, rows, g);
    }
  }
  // An activation that runs in a tile, one that runs on complete rows, and one that needs Z.
  for (const Activation g : {Activation::kRelu, Activation::kTanh, Activation::kGelu}) {
    check_network<T>({30, 128, 1024, 2}, 37, g);
    check_network<T>({1030, 70, 1}, 27, g);
  }
}
