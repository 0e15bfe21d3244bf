// What a value of a table stands for: a number, a date, a boolean or a text, by the rules of
// python/fastmlp/tabular/_table.py. Start at `number_of`.
#pragma once

#include "check.hpp"

#include <fastmlp/tabular_model.hpp>

#include <optional>
#include <string>

namespace fastmlp::detail {

/// The value as a number, or NaN if it is missing. \throws std::invalid_argument if it is neither
double number_of(const Value& value, const Place& place);

/// The value as seconds since 1970 on the clock of its own time zone, or NaN.
double seconds_of(const Value& value, const Place& place);

/// The value as 0, 1 or NaN.
double truth_of(const Value& value, const Place& place);

/// The value as a text, or nothing if it is missing. 3.0 becomes "3", true becomes "True".
std::optional<std::string> text_of(const Value& value);

}  // namespace fastmlp::detail
