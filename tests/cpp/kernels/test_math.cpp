// Compares kernels/math.hpp and erf.hpp with libm in the next wider format, and every ISA with the
// scalar Vec. With FASTMLP_SOAK=1 it takes every float and 50 million doubles per function (about
// half an hour).
#include <fastmlp/runtime.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "math_probe.hpp"

namespace {

using fastmlp::testing::MathProbe;
using fastmlp::testing::MathProbes;
using fastmlp::testing::Unary;

// The promise is 2. This bound is tighter, so that the loss of a correction term fails the test.
// The worst known error is expm1's 1.16 around x = 37.1 (see half_expm1).
constexpr double kMaxUlp = 1.2;

template <class T>
using Wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

template <class T>
struct Function {
  std::string name;
  Unary<T> MathProbe<T>::* probe;
  Wide<T> (*reference)(Wide<T>);
  T low, high;                 // between them, results are neither saturated nor NaN
  std::vector<T> hard_points;  // besides those of every function
};

template <class T>
std::vector<Function<T>> functions() {
  using P = MathProbe<T>;
  using W = Wide<T>;
  const T top = std::log(std::numeric_limits<T>::max());
  const T bottom = std::log(std::numeric_limits<T>::denorm_min());
  const T normal = std::log(std::numeric_limits<T>::min());
  const T epsilon = std::log(std::numeric_limits<T>::epsilon());
  return {
      {"exp", &P::exp, [](W x) { return std::exp(x); }, bottom - 1, top + 1, {top, bottom, normal}},
      {"expm1", &P::expm1, [](W x) { return std::expm1(x); }, epsilon - 2, top + 1, {top, epsilon}},
      {"log", &P::log, [](W x) { return std::log(x); }, 0, 4, {T(0.5), T(2)}},
      {"log1p", &P::log1p, [](W x) { return std::log1p(x); }, -1, 4, {T(-0.2928932), T(0.4142135)}},
      {"tanh", &P::tanh, [](W x) { return std::tanh(x); }, epsilon, -epsilon, {T(0.549306)}},
      {"erf", &P::erf, [](W x) { return std::erf(x); }, -7, 7, {T(3.9192), T(4), T(5.8636), T(6)}},
  };
}

template <class T>
MathProbe<T> of_type(const MathProbes& probes) {
  if constexpr (std::is_same_v<T, float>) {
    return probes.of_float;
  } else {
    return probes.of_double;
  }
}

/// The scalar Vec, which the others have to match, and then the others that this CPU can run.
std::vector<MathProbes> runnable_isas() {
  const std::vector<std::string> available = fastmlp::available_isas();
  std::vector<MathProbes> isas;
  for (std::size_t i = 0; i < fastmlp::testing::kMathProbeCount; ++i) {
    const MathProbes& probes = *fastmlp::testing::kMathProbes[i];
    if (std::count(available.begin(), available.end(), probes.isa) > 0) {
      isas.push_back(probes);
    } else {
      std::printf("test_math: this CPU has no %s; that Vec is skipped\n", probes.isa);
    }
  }
  return isas;
}

bool soak() {
  const char* value =
      std::getenv("FASTMLP_SOAK");  // NOLINT(concurrency-mt-unsafe): no threads here
  return value != nullptr && std::string(value) == "1";
}

template <class T>
std::string hex(T x) {
  std::array<char, 64> text{};
  (void)std::snprintf(text.data(), text.size(), "%a", static_cast<double>(x));
  return text.data();
}

template <class T>
bool same(T a, T b) {  // bit for bit, but any NaN equals any other
  return (std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, sizeof(T)) == 0;
}

/// |y - exact| in units of T's spacing at `exact`. Infinite if only one of the two is a NaN or if
/// the sign of a zero is wrong.
template <class T>
double ulp_error(T y, Wide<T> exact) {
  using Limits = std::numeric_limits<T>;
  constexpr double kWrong = std::numeric_limits<double>::infinity();
  if (std::isnan(exact) || std::isnan(y)) return std::isnan(exact) == std::isnan(y) ? 0 : kWrong;
  if (y == 0 && std::signbit(y) != std::signbit(exact)) return kWrong;
  Wide<T> value = y;
  if (std::isinf(y)) {
    // Infinity stands for the next number after the largest one, and for all beyond it.
    value = std::copysign(std::scalbn(Wide<T>(1), Limits::max_exponent), value);
    if (std::fabs(exact) >= std::fabs(value))
      return std::signbit(y) == std::signbit(exact) ? 0 : kWrong;
  }
  if (value == exact) return 0;
  int exponent = exact == 0 ? Limits::min_exponent - 1 : std::ilogb(exact);
  if (exponent < Limits::min_exponent - 1) exponent = Limits::min_exponent - 1;  // denormals
  return static_cast<double>(std::scalbn(std::fabs(value - exact), Limits::digits - 1 - exponent));
}

/// The largest error of one function over many inputs.
template <class T>
struct Report {
  std::uint64_t examined = 0;
  double worst = 0;
  T worst_input = 0;
  long differing = 0;  // inputs for which an ISA's bits differ from the scalar Vec's
  T differing_input = 0;
};

/// Evaluates `xs` on every ISA and adds the errors to `report`.
template <class T>
void examine(const Function<T>& f, const std::vector<MathProbes>& isas, const std::vector<T>& xs,
             Report<T>& report) {
  report.examined += xs.size();
  std::vector<T> expected(xs.size());
  std::vector<T> ys(xs.size());
  (of_type<T>(isas.front()).*f.probe)(xs.data(), expected.data(), xs.size());
  for (std::size_t isa = 1; isa < isas.size(); ++isa) {
    (of_type<T>(isas[isa]).*f.probe)(xs.data(), ys.data(), xs.size());
    for (std::size_t i = 0; i < xs.size(); ++i) {
      if (same(ys[i], expected[i])) continue;
      ++report.differing;
      report.differing_input = xs[i];
    }
  }
  for (std::size_t i = 0; i < xs.size(); ++i) {
    const double error = ulp_error<T>(expected[i], f.reference(xs[i]));
    if (error <= report.worst) continue;
    report.worst = error;
    report.worst_input = xs[i];
  }
}

template <class T>
void require(const Function<T>& f, const Report<T>& report) {
  const std::string type = std::is_same_v<T, float> ? "float" : "double";
  std::printf("test_math: %-6s %-6s at most %.3f ulp, at %s\n", f.name.c_str(), type.c_str(),
              report.worst, hex(report.worst_input).c_str());
  INFO(f.name, " of ", type, ": ", report.worst, " ulp at ", hex(report.worst_input));
  CHECK(report.worst <= kMaxUlp);
  INFO(report.differing, " inputs differ between ISAs, one of them ", hex(report.differing_input));
  CHECK(report.differing == 0);
}

/// Doubles for which errors are likely: any bit pattern, any magnitude, the function's own range,
/// and numbers close to the points at which reductions, clamps and formats change.
class Doubles {
 public:
  explicit Doubles(const Function<double>& f) : f_(f), hard_points_(f.hard_points) {
    hard_points_.insert(hard_points_.end(), {0.35, 1.0, std::sqrt(0.5), std::sqrt(2.0), 0.0});
  }

  double next() {
    switch (random_() % 6) {
      case 0: {
        const std::uint64_t bits = random_();
        double x;
        std::memcpy(&x, &bits, sizeof x);
        return x;
      }
      case 1:
        return sign() * std::exp2(uniform(-60, 11));
      case 2:
        return uniform(-1.5, 1.5);
      case 3:
        return uniform(f_.low, f_.high);
      case 4: {  // exp and tanh change n at odd multiples of ln2 / 2 and ln2 / 4
        const auto multiple = static_cast<double>(random_() % 4300);
        return around(multiple * 0.17328679513998632);
      }
      default:
        return around(hard_points_[random_() % hard_points_.size()]);
    }
  }

 private:
  double uniform(double a, double b) {
    return a + (b - a) * std::ldexp(static_cast<double>(random_() >> 11), -53);
  }
  double sign() { return random_() % 2 == 0 ? 1 : -1; }
  double around(double x) { return sign() * (x + sign() * std::exp2(uniform(-56, -4))); }

  const Function<double>& f_;
  std::vector<double> hard_points_;
  std::mt19937_64 random_{20240229};
};

// Odd, so that the last vector of every call is only partly filled.
constexpr std::size_t kChunk = 4093;

template <class T>
struct Special {
  std::string name;
  std::vector<T> xs;
  std::vector<T> ys;  // f(xs), exact
};

template <class T>
std::vector<Special<T>> specials() {
  using Limits = std::numeric_limits<T>;
  constexpr T kZero = 0;
  constexpr T kInf = Limits::infinity();
  constexpr T kNan = Limits::quiet_NaN();
  constexpr T kLeast = Limits::denorm_min();
  constexpr T kMost = Limits::max();
  return {
      {"exp",
       {kZero, -kZero, kLeast, -kLeast, 1000, kMost, kInf, -1000, -kMost, -kInf, kNan},
       {1, 1, 1, 1, kInf, kInf, kInf, 0, 0, 0, kNan}},
      {"expm1",
       {kZero, -kZero, kLeast, -kLeast, 1000, kMost, kInf, -1000, -kMost, -kInf, kNan},
       {kZero, -kZero, kLeast, -kLeast, kInf, kInf, kInf, -1, -1, -1, kNan}},
      {"log",
       {1, kZero, -kZero, -kLeast, -1, -kMost, -kInf, kInf, kNan},
       {0, -kInf, -kInf, kNan, kNan, kNan, kNan, kInf, kNan}},
      {"log1p",
       {kZero, -kZero, kLeast, -kLeast, -1, -2, -kMost, -kInf, kInf, kNan},
       {kZero, -kZero, kLeast, -kLeast, -kInf, kNan, kNan, kNan, kInf, kNan}},
      {"tanh",
       {kZero, -kZero, kLeast, -kLeast, 30, -30, kMost, -kMost, kInf, -kInf, kNan},
       {kZero, -kZero, kLeast, -kLeast, 1, -1, 1, -1, 1, -1, kNan}},
      {"erf",  // 2 / sqrt(pi) is 1.13, so erf of the least number is that number
       {kZero, -kZero, kLeast, -kLeast, 7, -7, kMost, -kMost, kInf, -kInf, kNan},
       {kZero, -kZero, kLeast, -kLeast, 1, -1, 1, -1, 1, -1, kNan}},
  };
}

template <class T>
void check_special_values(const MathProbes& isa, const Function<T>& f) {
  for (const Special<T>& special : specials<T>()) {
    if (special.name != f.name) continue;
    REQUIRE(special.xs.size() == special.ys.size());
    std::vector<T> ys(special.xs.size());
    (of_type<T>(isa).*f.probe)(special.xs.data(), ys.data(), ys.size());
    for (std::size_t i = 0; i < ys.size(); ++i) {
      INFO(std::string(isa.isa), " ", f.name, "(", hex(special.xs[i]), ") = ", hex(ys[i]));
      CHECK(same(ys[i], special.ys[i]));
    }
  }
}

}  // namespace

TEST_CASE("special values of the math functions are exact") {
  for (const MathProbes& isa : runnable_isas()) {
    for (const Function<float>& f : functions<float>()) check_special_values(isa, f);
    for (const Function<double>& f : functions<double>()) check_special_values(isa, f);
  }
}

TEST_CASE("math functions of float stay within their bound and are the same on every ISA") {
  const std::vector<MathProbes> isas = runnable_isas();
  const std::uint64_t stride = soak() ? 1 : 1009;
  for (const Function<float>& f : functions<float>()) {
    Report<float> report;
    std::vector<float> xs;
    for (std::uint64_t pattern = 0; pattern >> 32 == 0;) {
      xs.clear();
      for (; pattern >> 32 == 0 && xs.size() < kChunk; pattern += stride) {
        const auto bits = static_cast<std::uint32_t>(pattern);
        float x;
        std::memcpy(&x, &bits, sizeof x);
        xs.push_back(x);
      }
      examine(f, isas, xs, report);
    }
    CHECK(report.examined == ((std::uint64_t{1} << 32) - 1) / stride + 1);
    require(f, report);
  }
}

TEST_CASE("math functions of double stay within their bound and are the same on every ISA") {
  const std::vector<MathProbes> isas = runnable_isas();
  const long count = soak() ? 50'000'000 : 200'000;
  for (const Function<double>& f : functions<double>()) {
    Doubles doubles(f);
    Report<double> report;
    std::vector<double> xs(kChunk);
    for (long done = 0; done < count; done += static_cast<long>(xs.size())) {
      for (double& x : xs) x = doubles.next();
      examine(f, isas, xs, report);
    }
    require(f, report);
  }
}
