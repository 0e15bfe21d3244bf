#include "tabular/value.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <string_view>

namespace fastmlp::detail {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kLargest = 1e100;     // differences and squares of larger numbers would overflow
constexpr double kLargestDate = 1e18;  // seconds; days of larger ones may not fit an integer
constexpr double kDay = 86400;         // seconds

// Texts

/// The length of the white space at the beginning of a UTF-8 text, as Python's str.strip sees it.
std::size_t leading_space(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const unsigned a = byte(0), b = byte(1), c = byte(2);
  if ((a >= 0x09 && a <= 0x0D) || (a >= 0x1C && a <= 0x20)) return 1;
  if (a == 0xC2 && (b == 0x85 || b == 0xA0)) return 2;  // U+0085, U+00A0
  const unsigned code = a >= 0xE1 && a <= 0xE3 && b >= 0x80 && c >= 0x80
                            ? (a & 0x0F) << 12 | (b & 0x3F) << 6 | (c & 0x3F)
                            : 0;
  constexpr unsigned kOthers[] = {0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000};
  const bool is_space =
      (code >= 0x2000 && code <= 0x200A) ||
      std::find(std::begin(kOthers), std::end(kOthers), code) != std::end(kOthers);
  return is_space ? 3 : 0;
}

std::string_view trimmed(std::string_view text) {
  while (const std::size_t n = leading_space(text)) text.remove_prefix(n);
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t n = 1; n <= 3 && n <= text.size(); ++n) {
      if (leading_space(text.substr(text.size() - n)) != n) continue;
      text.remove_suffix(n);
      changed = true;
    }
  }
  return text;
}

std::string lower(std::string_view text) {
  std::string all(text);
  for (char& c : all) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return all;
}

/// Whether a trimmed text among numbers, dates or booleans stands for a missing value.
bool stands_for_missing(std::string_view text) {
  constexpr std::string_view kMissing[] = {"?", "-", ".", "na", "n/a", "nan", "none", "null"};
  return text.empty() || (text.size() <= 4 && std::find(std::begin(kMissing), std::end(kMissing),
                                                        lower(text)) != std::end(kMissing));
}

/// Reads a text from the left.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }
  bool next_is(std::string_view any) const {
    return !rest_.empty() && any.find(rest_[0]) != std::string_view::npos;
  }
  /// Skips one character if it is one of these.
  bool skip(std::string_view any) {
    const bool found = next_is(any);
    if (found) rest_.remove_prefix(1);
    return found;
  }
  /// Skips digits, `most` at most; returns their number.
  std::size_t digits(std::size_t most = std::string_view::npos) {
    std::size_t n = 0;
    while (n < most && skip("0123456789")) ++n;
    return n;
  }
  /// Reads exactly so many digits.
  std::optional<int> number(std::size_t count) {
    const std::string_view begin = rest_;
    if (digits(count) != count) return std::nullopt;
    int value = 0;
    for (const char c : begin.substr(0, count)) value = 10 * value + (c - '0');
    return value;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

/// Converts a text that has the form of a number.
double converted(std::string_view text) {
  Text stream;
  stream << text;
  double value = 0;
  stream >> value;  // it fails beyond the largest double, which it then gives
  return value;
}

/// A number such as -1.5e3. "007" is none: its zeros say that it is a code.
std::optional<double> parsed_number(std::string_view text) {
  Scanner scan(text);
  scan.skip("+-");
  bool has_digits = scan.skip("0");
  if (!has_digits) has_digits = scan.digits() > 0;
  if (scan.skip(".")) has_digits = scan.digits() > 0 || has_digits;
  if (!has_digits) return std::nullopt;
  if (scan.skip("eE")) {
    scan.skip("+-");
    if (scan.digits(3) == 0) return std::nullopt;
  }
  if (!scan.at_end()) return std::nullopt;
  return converted(text);
}

/// The days from 1970 to a day of the Gregorian calendar, by H. Hinnant's `days_from_civil`.
std::int64_t days_from(int year, int month, int day) {
  const std::int64_t y = year - (month <= 2);
  const std::int64_t era = y / 400, of_era = y - era * 400;  // \pre year > 0
  const std::int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

bool is_day(int year, int month, int day) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (year < 1 || month < 1 || month > 12 || day < 1) return false;
  const bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return day <= kDays[month - 1] + (month == 2 && is_leap);
}

/// A date such as 2017-01-31 or 2017-01-31T06:00:42.5Z; the time zone is skipped.
std::optional<double> parsed_date(std::string_view text) {
  Scanner scan(text);
  const auto part = [&](std::string_view before, std::size_t count) -> std::optional<int> {
    return before.empty() || scan.skip(before) ? scan.number(count) : std::nullopt;
  };
  const auto year = part("", 4), month = part("-", 2), day = part("-", 2);
  if (!year || !month || !day || !is_day(*year, *month, *day)) return std::nullopt;
  int hours = 0, minutes = 0;
  double seconds = 0;
  if (scan.next_is("T ")) {
    const auto hour = part("T ", 2), minute = part(":", 2);
    if (!hour || !minute || *hour > 23 || *minute > 59) return std::nullopt;
    hours = *hour;
    minutes = *minute;
    if (scan.skip(":")) {
      const std::string_view begin = scan.rest();
      if (scan.digits(2) != 2) return std::nullopt;
      if (scan.skip(".") && scan.digits(9) == 0) return std::nullopt;
      seconds = converted(begin.substr(0, begin.size() - scan.rest().size()));
      if (seconds >= 60) return std::nullopt;
    }
  }
  if (!scan.skip("Z") && scan.skip("+-")) {
    if (!scan.number(2)) return std::nullopt;
    scan.skip(":");
    if (!scan.number(2)) return std::nullopt;
  }
  if (!scan.at_end()) return std::nullopt;
  const auto days = static_cast<double>(days_from(*year, *month, *day));
  return days * kDay + hours * 3600 + minutes * 60 + seconds;
}

std::optional<double> parsed_truth(std::string_view text) {
  const std::string low = lower(text.substr(0, 6));
  if (low == "true" || low == "1") return 1.0;
  if (low == "false" || low == "0") return 0.0;
  return std::nullopt;
}

/// The value as a number; texts are parsed, and refused if they cannot be.
template <class Parse>
double read(const Value& value, const Place& place, const Parse& parse, const char* what) {
  if (const auto* number = std::get_if<double>(&value.held())) return *number;
  if (const auto* truth = std::get_if<bool>(&value.held())) return *truth ? 1.0 : 0.0;
  const auto* text = std::get_if<std::string>(&value.held());
  if (text == nullptr) return kNaN;
  const std::string_view inner = trimmed(*text);
  if (stands_for_missing(inner)) return kNaN;
  const std::optional<double> found = parse(inner);
  if (!found) refuse_value(place, "'" + text->substr(0, 40) + "'", what);
  return *found;
}

/// A number in scientific notation: its digits as an integer, and its exponent.
struct Scientific {
  std::uint64_t digits;
  int exponent;  // of the first digit
};

double read_back(const Scientific& x) {
  Text text;
  text << x.digits << 'e' << x.exponent - static_cast<int>(std::to_string(x.digits).size()) + 1;
  double value = 0;
  text >> value;
  return value;
}

/// The fewest digits that read back as the positive number x.
Scientific shortest(double x) {
  for (int precision = 0;; ++precision) {
    Text text;
    text.setf(std::ios::scientific, std::ios::floatfield);
    text.precision(precision);
    text << x;
    std::string mantissa = text.str();
    const std::size_t e = mantissa.find('e');
    Scientific found{0, std::stoi(mantissa.substr(e + 1))};
    mantissa.resize(e);
    mantissa.erase(std::remove(mantissa.begin(), mantissa.end(), '.'), mantissa.end());
    found.digits = std::stoull(mantissa);
    if (read_back(found) == x || precision == 16) return found;
    // Below a power of two, doubles are denser: the next digits up may do where the nearest do not.
    ++found.digits;
    if (read_back(found) == x) return found;
  }
}

/// The number as Python's repr writes it, or as an integer if it is one below 2^53.
std::string digits_of(double x) {
  if (std::isinf(x)) return x > 0 ? "inf" : "-inf";
  if (x == std::floor(x) && std::fabs(x) < 0x1p53) {
    return std::to_string(static_cast<std::int64_t>(x));
  }
  const Scientific found = shortest(std::fabs(x));
  std::string digits = std::to_string(found.digits);
  const auto count = static_cast<int>(digits.size());
  const int exponent = found.exponent;
  std::string text = x < 0 ? "-" : "";
  if (exponent >= -4 && exponent < 16) {
    if (exponent < 0)
      return text + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
    if (count <= exponent + 1) {
      return text + digits + std::string(static_cast<std::size_t>(exponent + 1 - count), '0') +
             ".0";
    }
    return text + digits.insert(static_cast<std::size_t>(exponent) + 1, ".");
  }
  if (count > 1) digits.insert(1, ".");
  const std::string size = std::to_string(std::abs(exponent));
  return text + digits + (exponent < 0 ? "e-" : "e+") + (size.size() < 2 ? "0" : "") + size;
}

}  // namespace

double number_of(const Value& value, const Place& place) {
  const double found = read(value, place, parsed_number, "a number");
  if (std::fabs(found) > kLargest) {
    refuse_value(place, digits_of(found),
                 "a number that is finite and within 1e100, or NaN, which counts as missing");
  }
  return found;
}

double seconds_of(const Value& value, const Place& place) {
  const double found =
      read(value, place, parsed_date, "a date such as 2017-01-31 or 2017-01-31T06:00:42");
  if (std::fabs(found) > kLargestDate) {
    refuse_value(place, digits_of(found), "a date, or seconds since 1970 within 1e18");
  }
  return found;
}

double truth_of(const Value& value, const Place& place) {
  const double found = read(value, place, parsed_truth, "true or false");
  if (found != 0 && found != 1 && !std::isnan(found)) {
    refuse_value(place, digits_of(found), "true or false, or 1 or 0");
  }
  return found;
}

std::optional<std::string> text_of(const Value& value) {
  if (const auto* truth = std::get_if<bool>(&value.held())) return *truth ? "True" : "False";
  if (const auto* number = std::get_if<double>(&value.held())) {
    if (std::isnan(*number)) return std::nullopt;
    return digits_of(*number);
  }
  const auto* text = std::get_if<std::string>(&value.held());
  if (text == nullptr || trimmed(*text).empty()) return std::nullopt;
  return *text;
}

}  // namespace fastmlp::detail
