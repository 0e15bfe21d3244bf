// How a value of a table becomes inputs of a network; docs/file_format.md, "Tabular models", has
// the rules. python/fastmlp/tabular/_columns.py computes the same bits.
#pragma once

#include "tabular/value.hpp"

#include <fastmlp/tabular_model.hpp>

namespace fastmlp::detail {

/// Writes the inputs of a value to out[width_of(column)].
void encode_value(const ColumnEncoding& column, const Value& value, const Place& place, float* out);

}  // namespace fastmlp::detail
