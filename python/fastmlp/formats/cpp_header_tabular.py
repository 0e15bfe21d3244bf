"""The parts of a C++ header that compute a tabular model: from raw values to its prediction.

The template cpp_header_tabular.hpp.in has the code that is the same for every model. This module
writes what depends on the model: the row, the enums of the categories, the constants and the calls.
The arithmetic is that of fastmlp/tabular/_columns.py. Start at `tabular_values`.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from fastmlp._trainable import Array
from fastmlp.formats.cpp_header_network import forward_lines, numbers, parameters, sizes
from fastmlp.formats.exported_header import filled, kernel_sources, literal, template
from fastmlp.tabular._columns import Boolean, Category, Date, Number, Quantile

NAN = "std::numeric_limits<double>::quiet_NaN()"


class Names:
    """Names for C++ that are letters, digits and underscores, each given once.

    The header writes a prefix before each, so that none is a keyword or a macro of another header,
    or begins with a digit.
    """

    def __init__(self, *taken: str) -> None:
        self.taken = set(taken)

    def add(self, text: str, otherwise: str) -> str:
        """Return a name for a text; `otherwise` is one for a text without letters and digits."""
        name = wanted = re.sub(r"[\W_]+", "_", text, flags=re.ASCII).strip("_") or otherwise
        count = 1
        while name in self.taken:
            count += 1
            name = f"{wanted}_{count}"
        self.taken.add(name)
        return name


def comment(text: str) -> str:
    """Return a text in quotes, for the end of a line."""
    shown = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text[:60])
    return f'// "{shown}"'


def tabular_values(model: Any) -> dict[str, str]:
    """Return the values of the placeholders of cpp_header.hpp.in for a tabular model."""
    networks, kernels = model.networks, kernel_sources()
    if any(network.dtype != np.float32 for network in networks):
        raise ValueError("export: a network of the model is not of float32; every one must be")
    columns = list(_columns(model))
    encoding, functions = template("cpp_header_tabular.hpp.in").split("// [functions]\n")
    members = "".join(
        f"\nnamespace member{index} {{\n{''.join(parameters(network))}\n"
        "inline void forward(const Scalar* x, Scalar* out) {\n"
        + "\n".join(forward_lines(network, kernels, f"member{index}::"))
        + f"\n}}\n\n}}  // namespace member{index}\n"
        for index, network in enumerate(networks)
    )
    calls = "\n".join(
        f"  add_outputs(member{index}::forward, inputs, out);" for index in range(len(networks))
    )
    lines = "\n".join(line for column in columns for line in column.encode_lines())
    constants = "".join(text for column in columns for text in column.constants)
    return {
        "TITLE": f"a {model._MODEL} of {len(networks)} network" + "s" * (len(networks) > 1),
        "INCLUDES": "#include <limits>\n#include <optional>\n#include <string_view>\n",
        "SCALAR": "float",
        "INTERFACE": _interface(model, columns),
        "KERNELS": "".join(kernels.values()),
        "PARAMETERS": members + "\n" + encoding + constants,
        "FUNCTIONS": filled(
            functions,
            {
                "ENCODE": lines,
                "CALLS": calls,
                "MEMBERS": f"{len(networks)}.0",
                "LEVELS": "".join(column.level_function() for column in columns),
            },
        )
        + _predict(model),
    }


# Columns


class _Column:
    """What the header has of a column."""

    def __init__(self, index: int, name: str, kind: Any, identifier: str) -> None:
        self.name, self.kind, self.place, self.identifier = name, kind, f"c{index}", identifier
        self.constants: list[str] = []
        self.levels: list[str] = []  # enumerators
        if isinstance(kind, Category):
            names = Names()
            self.levels = [
                "is_" + names.add(level, f"level_{place + 1}")
                for place, level in enumerate(kind.levels)
            ]

    def enum(self) -> str:
        """Return the enum of the levels, if this is a category."""
        if not isinstance(self.kind, Category):
            return ""
        lines = "".join(
            f"  {name},  {comment(level)}\n"
            for name, level in zip(self.levels, self.kind.levels, strict=True)
        )
        return (
            f"/// The column {literal(self.name)}; `other` is any text that is not listed.\n"
            f"enum class Level_{self.identifier} {{\n{lines}  other,\n  missing\n}};\n\n"
        )

    def level_function(self) -> str:
        """Return the function from texts to levels, if this is a category."""
        if not isinstance(self.kind, Category):
            return ""
        texts = "".join(f"    {literal(level)}sv,\n" for level in self.kind.levels)
        level, function = f"Level_{self.identifier}", f"to_{self.identifier}"
        return (
            f"/// The level of a text in UTF-8 for the column {literal(self.name)}.\n"
            f"inline {level} {function}(std::string_view text) {{\n"
            "  using namespace std::string_view_literals;\n"
            f'  constexpr std::string_view levels[] = {{\n{texts}    ""sv}};\n'
            f"  return static_cast<{level}>(detail::place_of_text(text, levels));\n"
            "}\n"
            "/// The same; a null pointer is a missing value.\n"
            f"inline {level} {function}(const char* text) {{\n"
            f"  return text == nullptr ? {level}::missing : {function}(std::string_view(text));\n"
            "}\n\n"
        )

    def member(self) -> str:
        """Return the member of the struct Row."""
        name = f"col_{self.identifier}"
        if isinstance(self.kind, Category):
            level = f"Level_{self.identifier}"
            return f"  {level} {name} = {level}::missing;  {comment(self.name)}\n"
        if isinstance(self.kind, Boolean):
            return f"  std::optional<bool> {name};  {comment(self.name)}\n"
        what = ": seconds since 1970" if isinstance(self.kind, Date) else ""
        return f"  double {name} = {NAN};  {comment(self.name)}{what}\n"

    def encode_lines(self) -> Iterator[str]:
        """Yield the lines that write the inputs; they define the constants that they use."""
        value = f"row.col_{self.identifier}"
        yield f"  {comment(self.name)}"
        if isinstance(self.kind, Number):
            yield from self._number(self.kind, value, self.place)
        elif isinstance(self.kind, Category):
            yield self._level(self.kind, f"static_cast<std::size_t>({value})", self.place)
        elif isinstance(self.kind, Boolean):
            yield f"  *out++ = {value} ? (*{value} ? 1.0F : -1.0F) : 0.0F;"
        else:
            yield f"  const DateParts {self.place} = parts_of({value});"
            for name, part in self.kind.parts.items():
                yield from self._part(part, f"{self.place}.{name}", f"{self.place}_{name}")

    def _part(self, part: Any, value: str, place: str) -> Iterator[str]:
        if isinstance(part, Number):
            yield from self._number(part, value, place)
            return
        levels = [int(level) if level.isdecimal() else -1 for level in part.levels]
        whole = ", ".join(map(str, levels)) or "-1"
        self.constants.append(f"inline constexpr int {place}_levels[] = {{{whole}}};\n")
        count = len(levels)
        level = f"place_of_part({self.place}, {value}, {place}_levels, {count})"
        yield self._level(part, level, place)

    def _number(self, kind: Number, value: str, place: str) -> Iterator[str]:
        center = numbers(np.array([kind.center])).strip()
        yield f"  const double {place}_x = or_center({value}, {center});"
        if kind.scaling is not None:
            scale = "by_rank" if isinstance(kind.scaling, Quantile) else "robust"
            names = [
                self._constant(f"{place}_{name}", values)
                for name, values in kind.scaling.tensors().items()
            ]
            yield f"  *out++ = {scale}({place}_x, {', '.join(names)});"
        if kind.bins:
            edges = self._constant(f"{place}_edges", kind.edges)
            means = self._constant(f"{place}_means", kind.means)
            yield f"  out = places({place}_x, {edges}, {means}, out);"
        if kind.has_missing:
            yield f"  *out++ = is_missing({value}) ? 1.0F : 0.0F;"

    def _level(self, kind: Category, place: str, name: str) -> str:
        """Return the line that encodes a place: a level, `other` or `missing`."""
        shares = self._constant(f"{name}_shares", kind.shares)
        flags = [kind.has_rare, kind.has_missing, kind.is_signed]
        given = ", ".join([place, str(len(kind.levels)), *(str(flag).lower() for flag in flags)])
        return f"  out = level({given}, {shares}, out);"

    def _constant(self, name: str, values: Array) -> str:
        """Define an array; return its name."""
        text = f"inline constexpr double {name}[] = {{{numbers(values)}}};\n"
        if text not in self.constants:
            self.constants.append(text)
        return name


def _columns(model: Any) -> Iterator[_Column]:
    names = Names()
    for index, name in enumerate(model._encoder.names):
        if name in model._encoder.kinds:
            identifier = names.add(name, f"column_{index + 1}")
            yield _Column(index, name, model._encoder.kinds[name], identifier)


# What the program sees


def _interface(model: Any, columns: Iterable[_Column]) -> str:
    text = sizes(model.networks[0]).replace("n_inputs", "n_encoded") + "\n"
    if hasattr(model, "classes_"):
        labels = ", ".join(literal(str(label)) for label in model.classes_.tolist())
        text += "/// The labels, in the order of the probabilities.\n"
        text += f"inline constexpr const char* classes[n_outputs] = {{{labels}}};\n\n"
    elif model.quantiles_:
        text += "/// The quantiles that are predicted.\n"
        values = ", ".join(map(repr, model.quantiles_))
        text += f"inline constexpr double quantiles[n_outputs] = {{{values}}};\n\n"
    columns = list(columns)
    text += "".join(column.enum() for column in columns)
    text += "/// A row of the table. A value is missing until it is set; NaN is missing too.\n"
    return text + "struct Row {\n" + "".join(column.member() for column in columns) + "};\n"


CLASSIFIER = """
/// Computes the probability of each class, out[n_outputs]: the bits of Python's `predict_proba`.
inline void probabilities(const Row& row, double* out) {
  detail::mean_outputs(row, out);
  double total = 0.0;
  for (std::size_t j = 0; j < n_outputs; ++j) total += out[j];
  for (std::size_t j = 0; j < n_outputs; ++j) out[j] = out[j] / total;
}

/// The place in `classes` of the most probable label.
inline std::size_t predict(const Row& row) {
  double found[n_outputs];
  probabilities(row, found);
  std::size_t best = 0;
  for (std::size_t j = 1; j < n_outputs; ++j) best = found[best] < found[j] ? j : best;
  return best;
}
"""
REGRESSOR = """
/// Computes out[n_outputs], which rise: the bits of Python's `predict`.
inline void predict(const Row& row, double* out) {
  detail::mean_outputs(row, out);
  for (std::size_t j = 0; j < n_outputs; ++j) out[j] = @AMOUNT@;
  for (std::size_t j = 1; j < n_outputs; ++j) {
    for (std::size_t k = j; k > 0 && out[k] < out[k - 1]; --k) {
      const double larger = out[k - 1];
      out[k - 1] = out[k];
      out[k] = larger;
    }
  }
}
"""
ONE_AMOUNT = """
/// The amount: the bits of Python's `predict`.
inline double predict(const Row& row) {
  double out[n_outputs];
  detail::mean_outputs(row, out);
  return @AMOUNT@;
}
"""


def _predict(model: Any) -> str:
    if hasattr(model, "classes_"):
        return CLASSIFIER
    amounts = model._amounts
    numbers_of = np.array([amounts.center, amounts.scale, amounts.least, amounts.largest])
    center, scale, least, largest = numbers(numbers_of).split(", ")
    is_single = model.networks[0].layers[-1] == 1
    amount = f"detail::amount(out[{'0' if is_single else 'j'}], {center.strip()}, {scale})"
    if model._used_recipe.clip:
        amount = f"detail::clipped({amount}, {least}, {largest})"
    return filled(ONE_AMOUNT if is_single else REGRESSOR, {"AMOUNT": amount})
