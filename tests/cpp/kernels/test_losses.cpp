// The loss kernels, called directly: what they do with the numbers of each output, which the public
// calls reach only in part.
#include "dispatch.hpp"
#include "support.hpp"

#include <fastmlp/options.hpp>

#include <doctest/doctest.h>

#include <cmath>
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
      std::vector<T> factors;
      for (std::ptrdiff_t j = 0; j < cols; ++j) factors.push_back(static_cast<T>(2 + j % 5));
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
