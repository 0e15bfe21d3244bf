// CSR matrices as X. tests/python/network/test_sparse.py has more cases; here is what C++ adds: the
// view itself, fit and predict.
#include "support.hpp"

#include <fastmlp/fit.hpp>
#include <fastmlp/network.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <stdexcept>
#include <vector>

using namespace fastmlp;
using namespace fastmlp::testing;

namespace {

/// Eight rows of 50 columns with three entries each, unsorted, one column twice.
template <class T, class Index>
struct Sparse {
  static constexpr std::ptrdiff_t kRows = 8, kCols = 50;
  std::vector<T> data;
  std::vector<Index> indices, indptr{0};
  Matrix<T> dense{kRows, kCols};

  Sparse() {
    for (std::ptrdiff_t i = 0; i < kRows; ++i) {
      for (const std::ptrdiff_t column :
           {(7 * i + 3) % kCols, (11 * i) % kCols, (7 * i + 3) % kCols}) {
        data.push_back(static_cast<T>(0.1) * static_cast<T>(data.size()) - 1);
        indices.push_back(static_cast<Index>(column));
        dense.view()(i, column) += data.back();
      }
      indptr.push_back(static_cast<Index>(data.size()));
    }
  }
  CsrView<T> view() const {
    return {kRows,          kCols,         data.data(),
            indices.data(), indptr.data(), static_cast<std::ptrdiff_t>(data.size())};
  }
};

}  // namespace

TEST_CASE_TEMPLATE("a network takes a CSR matrix and gives the bits of its dense rows", T, float,
                   double) {
  const Sparse<T, std::int32_t> narrow;
  const Sparse<T, std::int64_t> wide;
  const Matrix<T> y = pattern<T>(narrow.kRows, 2);
  for (const std::vector<std::ptrdiff_t>& layers :
       {std::vector<std::ptrdiff_t>{50, 2}, {50, 9, 2}}) {
    Network<T> a(layers, {}, Output::kIdentity), b(layers, {}, Output::kIdentity);
    a.initialize(1), b.initialize(1);
    Matrix<T> expected(narrow.kRows, 2), out(narrow.kRows, 2);
    b.forward(narrow.dense.cview(), expected.view());
    for (const CsrView<T>& X : {narrow.view(), wide.view()}) {
      a.forward(X, out.view());
      CHECK(same_bits(out.values, expected.values));
    }
    const auto stored = static_cast<std::ptrdiff_t>(wide.data.size());
    out.values.assign(out.values.size(), T(0));
    a.forward({narrow.kRows, narrow.kCols, wide.data.data(), wide.indices.data(),
               wide.indptr.data(), stored},
              out.view());
    CHECK(same_bits(out.values, expected.values));
    FitOptions<T> options;
    options.epochs = 3, options.batch_size = 3;
    a.fit(narrow.view(), y.cview(), SgdOptions{}, options);
    b.fit(narrow.dense.cview(), y.cview(), SgdOptions{}, options);
    const auto parameters = [](Network<T>& net) {
      return std::vector<T>(net.parameters(), net.parameters() + net.n_parameters());
    };
    CHECK(same_bits(parameters(a), parameters(b)));
  }
}

TEST_CASE("the labels of a CSR matrix are those of its dense rows") {
  const Sparse<float, std::int32_t> X;
  Network<float> net({50, 3}, {}, Output::kSoftmax);
  net.initialize(1);
  Matrix<std::int64_t> labels(X.kRows, 1), expected(X.kRows, 1);
  net.predict(X.view(), labels.view());
  net.predict(X.dense.cview(), expected.view());
  CHECK(labels.values == expected.values);
}

TEST_CASE("a column index out of range is refused") {
  Sparse<float, std::int32_t> X;
  X.indices[4] = 50;
  Network<float> net({50, 3}, {}, Output::kSoftmax);
  Matrix<float> out(X.kRows, 3);
  CHECK_THROWS_WITH_AS(net.forward(X.view(), out.view()),
                       "X is a CSR matrix whose row 1 has the column index 50; it must be from 0 "
                       "to 49",
                       std::invalid_argument);
}
