#include "tabular/encoding.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace fastmlp {
namespace detail {
namespace {

constexpr double kDay = 86400;  // seconds

// Widths

std::size_t places_of(const CategoryEncoding& c) {
  return c.places.size() + static_cast<std::size_t>(c.has_rare) +
         static_cast<std::size_t>(c.has_missing);
}
/// Two levels share an input, which is -1 or 1.
bool is_signed(const CategoryEncoding& c) { return c.places.size() == 2 && !c.has_rare; }

std::size_t width(std::monostate) { return 0; }
std::size_t width(const BooleanEncoding&) { return 1; }
std::size_t width(const NumberEncoding& n) {
  return static_cast<std::size_t>(n.scaling != NumberEncoding::Scaling::kNone) + n.means.size() +
         static_cast<std::size_t>(n.has_missing);
}
std::size_t width(const CategoryEncoding& c) {
  return places_of(c) - static_cast<std::size_t>(is_signed(c));
}
std::size_t width(const DateEncoding& d) {
  std::size_t sum = d.day ? width(*d.day) : 0;
  for (const auto* part : {&d.month, &d.weekday, &d.hour}) sum += *part ? width(**part) : 0;
  return sum;
}

// Numbers. Each line rounds as in Python; the library is compiled without fused operations.

/// Keeps NaN and -0, as NumPy does.
double clipped(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

double robust(const NumberEncoding& n, double x) {
  constexpr double kLargest = 1e6;  // its square is finite; the smooth clip is flat long before
  const double z = clipped((x - n.robust[0]) * n.robust[1], -kLargest, kLargest);
  const double third = z / 3;
  return z / std::sqrt(1 + third * third);
}

double by_rank(const NumberEncoding& n, double x) {
  constexpr double kRootOf3 = 1.7320508075688772;  // a rank in [-1, 1] gets the deviation 1
  const auto above = std::upper_bound(n.quantiles.begin(), n.quantiles.end(), x);
  const auto last = static_cast<std::ptrdiff_t>(n.quantiles.size()) - 2;
  const auto at = static_cast<std::size_t>(
      std::clamp<std::ptrdiff_t>(above - n.quantiles.begin() - 1, 0, last));
  const double begin = n.quantiles[at], end = n.quantiles[at + 1];
  const double part = clipped((x - begin) / (end - begin), 0, 1);
  const double share = n.shares[at] + part * (n.shares[at + 1] - n.shares[at]);
  return (2 * share - 1) * kRootOf3;
}

float* encode_number(const NumberEncoding& n, double value, float* out) {
  const bool is_missing = std::isnan(value);
  const double x = is_missing ? n.center : value;
  if (n.scaling != NumberEncoding::Scaling::kNone) {
    const bool is_robust = n.scaling == NumberEncoding::Scaling::kRobust;
    *out++ = static_cast<float>(is_robust ? robust(n, x) : by_rank(n, x));
  }
  for (std::size_t t = 0; t < n.means.size(); ++t) {
    const double low = n.edges[t], high = n.edges[t + 1];
    *out++ = static_cast<float>(clipped((x - low) / (high - low), 0, 1) - n.means[t]);
  }
  if (n.has_missing) *out++ = is_missing ? 1.0F : 0.0F;
  return out;
}

// Categories

float* encode_level(const CategoryEncoding& c, const std::optional<std::string>& level,
                    float* out) {
  const std::size_t places = places_of(c);
  std::size_t at = places;  // no place
  if (level) {
    const auto found = c.places.find(*level);
    if (found != c.places.end()) {
      at = found->second;
    } else if (c.has_rare) {
      at = c.places.size();
    }
  } else if (c.has_missing) {
    at = places - 1;
  }
  // A value without a place is the mean of the training rows.
  const auto input = [&](std::size_t k) {
    if (at == places) return c.shares[k];
    return k == at ? 1.0 : 0.0;
  };
  std::size_t k = 0;
  if (is_signed(c)) {
    *out++ = static_cast<float>(input(1) - input(0));
    k = 2;
  }
  for (; k < places; ++k) *out++ = static_cast<float>(input(k));
  return out;
}

// Dates, by H. Hinnant's `civil_from_days`.

std::int64_t floor_mod(std::int64_t a, std::int64_t b) { return (a % b + b) % b; }

std::int64_t month_of(std::int64_t days) {
  const std::int64_t of_era = floor_mod(days + 719468, 146097);  // an era has 400 years
  const std::int64_t of_years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  const std::int64_t of_year = of_era - (365 * of_years + of_years / 4 - of_years / 100);
  return ((5 * of_year + 2) / 153 + 2) % 12 + 1;
}

float* encode_date(const DateEncoding& d, double seconds, float* out) {
  const bool is_missing = std::isnan(seconds);
  const double here = is_missing ? 0 : seconds;
  const double day = std::floor(here / kDay);
  const auto days = static_cast<std::int64_t>(day);
  const auto hour = static_cast<std::int64_t>(std::floor((here - day * kDay) / 3600));
  const auto part = [&](const std::optional<CategoryEncoding>& c, std::int64_t value) {
    if (!c) return;
    std::optional<std::string> level;
    if (!is_missing) level = std::to_string(value);
    out = encode_level(*c, level, out);
  };
  if (d.day) out = encode_number(*d.day, is_missing ? seconds : here / kDay, out);
  part(d.month, month_of(days));
  part(d.weekday, floor_mod(days + 3, 7) + 1);  // 1 January 1970 was a Thursday; Monday is 1
  part(d.hour, hour);
  return out;
}

/// Writes the inputs of a value of a column of each kind.
struct Encode {
  const Value& value;
  const Place& place;
  float* out;

  void operator()(std::monostate) const {}
  void operator()(const NumberEncoding& n) const { encode_number(n, number_of(value, place), out); }
  void operator()(const BooleanEncoding&) const {
    const double truth = truth_of(value, place);
    *out = static_cast<float>(std::isnan(truth) ? 0 : 2 * truth - 1);
  }
  void operator()(const CategoryEncoding& c) const { encode_level(c, text_of(value), out); }
  void operator()(const DateEncoding& d) const { encode_date(d, seconds_of(value, place), out); }
};

}  // namespace

void encode_value(const ColumnEncoding& column, const Value& value, const Place& place,
                  float* out) {
  std::visit(Encode{value, place, out}, column.kind);
}

}  // namespace detail

std::size_t width_of(const ColumnEncoding& column) {
  return std::visit([](const auto& kind) { return detail::width(kind); }, column.kind);
}

}  // namespace fastmlp
