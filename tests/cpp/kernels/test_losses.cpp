// The loss kernels, called directly: what they do with the numbers of each output, which the public
// calls reach only in part.
#include "dispatch.hpp"
#include "support.hpp"

#include <fastmlp/options.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace fastmlp;
using namespace fastmlp::testing;

namespace {

template <class T>
const detail::KernelTable<T>& kernels() {
  static_assert(sizeof(T) == sizeof(float) || sizeof(T) == sizeof(double));
  if constexpr (sizeof(T) == sizeof(float)) {
    return *detail::current_isa().float_kernels;
  } else {
    return *detail::current_isa().double_kernels;
  }
}

template <class T>
const detail::OutputKernels<T>& kernels_of(Output output) {
  return kernels<T>().outputs[static_cast<std::size_t>(output)];
}

template <class T>
struct Result {
  std::vector<double> losses;
  std::vector<T> dz;
};

/// The losses of these rows and their dZ, with the scale 1/4 for each row.
template <class T>
Result<T> losses(void (*loss)(const detail::LossBlock<T>&), const Matrix<T>& z, const Matrix<T>& y,
                 const T* parameters, const T* factors) {
  const std::vector<T> scale(static_cast<std::size_t>(z.rows), T(0.25));
  Result<T> result{std::vector<double>(static_cast<std::size_t>(z.rows)), z.values};
  detail::LossBlock<T> block{z.values.data(),     z.rows,       z.cols,
                             y.values.data(),     scale.data(), result.dz.data(),
                             result.losses.data()};
  block.parameters = parameters;
  block.factors = factors;
  loss(block);
  return result;
}

}  // namespace

TEST_CASE_TEMPLATE("a factor for each output multiplies its loss and not its gradient", T, float,
                   double) {
  const Settings restore;
  for (const std::string& isa : available_isas()) {
    set_isa(isa);
    CAPTURE(isa);
    for (const std::ptrdiff_t cols : {1, 2, 21, 600}) {
      const Matrix<T> z = noise<T>(37, cols, 1), y = noise<T>(37, cols, 2);
      std::vector<T> factors(static_cast<std::size_t>(cols));
      for (std::size_t j = 0; j < factors.size(); ++j) factors[j] = static_cast<T>(2 + j % 5);
      const auto loss = kernels_of<T>(Output::kIdentity).loss;
      const Result<T> plain = losses<T>(loss, z, y, nullptr, nullptr);
      const Result<T> multiplied = losses<T>(loss, z, y, nullptr, factors.data());
      CHECK(same_bits(plain.dz, multiplied.dz));
      for (std::size_t i = 0; i < plain.losses.size(); ++i) {
        double expected = 0;
        for (std::size_t j = 0; j < factors.size(); ++j) {
          const std::size_t k = i * factors.size() + j;
          const double error = double(z.values[k]) - double(y.values[k]);
          expected += double(factors[j]) * error * error / 2;
        }
        CHECK(multiplied.losses[i] == doctest::Approx(expected).epsilon(1e-5));
      }
      factors.assign(factors.size(), T(1));
      CHECK(same_bits(plain.losses, losses<T>(loss, z, y, nullptr, factors.data()).losses));
    }
  }
}

TEST_CASE("only an identity output says how its loss depends on the scale of its targets") {
  CHECK(detail::about(Output::kIdentity).power == 2);
  for (const Output output : {Output::kSigmoid, Output::kSoftmax, Output::kExp}) {
    CHECK(detail::about(output).power == 0);
  }
}

namespace {

template <class T>
constexpr T kNaN = std::numeric_limits<T>::quiet_NaN();

/// The loss of one unit and its slope, both in T, in the words of docs/mathematics.md.
template <class T>
std::pair<T, T> expected(Loss loss, T yhat, T y, T parameter) {
  const T r = yhat - y;
  switch (loss) {
    case Loss::kHuber:
      return {std::abs(r) <= parameter ? T(0.5) * r * r
                                       : parameter * (std::abs(r) - T(0.5) * parameter),
              r < -parameter  ? -parameter
              : r > parameter ? parameter
                              : r};
    case Loss::kAbsoluteError:
      return {std::abs(r), static_cast<T>((r > 0) - (r < 0))};
    case Loss::kPinball:
      break;
  }
  const T above = y - yhat;
  return {std::max(parameter * above, (parameter - 1) * above), y > yhat   ? -parameter
                                                                : y < yhat ? 1 - parameter
                                                                           : T(0)};
}

/// Numbers of both signs and sizes, some of them equal to those of another salt, for `cols`
/// columns.
template <class T>
Matrix<T> with_ties(std::ptrdiff_t rows, std::ptrdiff_t cols, int salt) {
  Matrix<T> m = noise<T>(rows, cols, 7 + static_cast<std::uint64_t>(salt));
  for (std::size_t k = 0; k < m.values.size(); ++k) {
    if (k % 3 == 0) m.values[k] = static_cast<T>((k + static_cast<std::size_t>(salt)) % 4);
  }
  return m;
}

}  // namespace

TEST_CASE_TEMPLATE("each loss and its slope are those of the formula, for any number of outputs", T,
                   float, double) {
  const Settings restore;
  for (const std::string& isa : available_isas()) {
    set_isa(isa);
    for (const std::string_view name : loss_names()) {
      const Loss kind = parse_loss(name);
      const auto& kernel = kernels<T>().losses[static_cast<std::size_t>(kind)];
      const bool one_target = kernel.parameter == detail::LossParameter::kQuantile;
      for (const std::ptrdiff_t cols : {1, 2, 7, 16, 513}) {
        CAPTURE(isa);
        CAPTURE(name);
        CAPTURE(cols);
        const std::ptrdiff_t rows = cols == 1 ? 1030 : 41;  // one column has pieces of 512 rows
        const Matrix<T> z = with_ties<T>(rows, cols, 0);
        const Matrix<T> y = with_ties<T>(rows, one_target ? 1 : cols, 1);
        std::vector<T> parameters, factors;
        for (std::ptrdiff_t j = 0; j < cols; ++j) {
          parameters.push_back(static_cast<T>(j + 1) / static_cast<T>(cols + 1));
          factors.push_back(static_cast<T>(1 + j % 3));
        }
        const Result<T> found = losses<T>(kernel.loss, z, y, parameters.data(), factors.data());
        for (std::ptrdiff_t i = 0; i < z.rows; ++i) {
          double sum = 0;
          for (std::ptrdiff_t j = 0; j < cols; ++j) {
            const auto at = [&](const Matrix<T>& m, std::ptrdiff_t col) {
              return m.values[static_cast<std::size_t>(i * m.cols + col)];
            };
            const auto [loss, slope] = expected(kind, at(z, j), at(y, one_target ? 0 : j),
                                                parameters[static_cast<std::size_t>(j)]);
            sum += static_cast<double>(loss * factors[static_cast<std::size_t>(j)]);
            REQUIRE(found.dz[static_cast<std::size_t>(i * cols + j)] == slope * T(0.25));
          }
          REQUIRE(found.losses[static_cast<std::size_t>(i)] == doctest::Approx(sum).epsilon(1e-12));
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("a NaN among outputs or targets stays one, in its own unit", T, float, double) {
  const Settings restore;
  for (const std::string& isa : available_isas()) {
    set_isa(isa);
    for (const std::string_view name : loss_names()) {
      CAPTURE(isa);
      CAPTURE(name);
      const auto& kernel = kernels<T>().losses[static_cast<std::size_t>(parse_loss(name))];
      Matrix<T> z = noise<T>(9, 1, 1), y = noise<T>(9, 1, 2);
      z.values[2] = kNaN<T>;
      y.values[5] = kNaN<T>;
      const T parameter = T(0.5);
      const Result<T> found = losses<T>(kernel.loss, z, y, &parameter, nullptr);
      for (std::size_t i = 0; i < 9; ++i) {
        CHECK(std::isnan(found.losses[i]) == (i == 2 || i == 5));
        CHECK(std::isnan(found.dz[i]) == (i == 2 || i == 5));
      }
    }
  }
}

TEST_CASE_TEMPLATE("kPower says how a loss depends on the scale of its targets", T, float, double) {
  for (const std::string_view name : loss_names()) {
    CAPTURE(name);
    const auto& kernel = kernels<T>().losses[static_cast<std::size_t>(parse_loss(name))];
    const bool is_delta = kernel.parameter == detail::LossParameter::kDelta;
    Matrix<T> z = noise<T>(30, 1, 1), y = noise<T>(30, 1, 2);
    T parameter = T(0.25);
    const Result<T> whole = losses<T>(kernel.loss, z, y, &parameter, nullptr);
    for (T& value : z.values) value /= 4;  // by a power of two, without rounding
    for (T& value : y.values) value /= 4;
    if (is_delta) parameter /= 4;
    const T factor = std::pow(T(4), static_cast<T>(kernel.power));
    CHECK(same_bits(whole.losses, losses<T>(kernel.loss, z, y, &parameter, &factor).losses));
    CHECK(detail::power_of(Output::kIdentity, {parse_loss(name)}) == kernel.power);
  }
  CHECK(detail::power_of(Output::kIdentity, {}) == 2);
}
