"""A network as a C99 header for microcontrollers: `fastmlp export model.safetensors --c model.h`.

The header is the template c_header.h.in with its placeholders filled in. Its functions are those of
c_functions.h.in that the network needs; they are the kernels of the library, written in C. Their
constants are read from the kernel sources. Start at `c_header`.
"""

import os
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from fastmlp import _core
from fastmlp.formats.exported_header import (
    PREFIX,
    check,
    filled,
    in_lines,
    kernel_sources,
    literal,
    namespace_of,
    scalar_of,
    template,
    title_of,
)
from fastmlp.formats.safetensors import replace_file
from fastmlp.network import Network

__all__ = ["c_header", "save_c"]

BITS = {"float": "uint32_t", "double": "uint64_t"}  # unsigned integers of the same size


def save_c(network: Network, path: str | os.PathLike[str], namespace: str | None = None) -> str:
    """Write a network as a C header.

    Parameters
    ----------
    network : fastmlp.Network
    path : str or path
        An existing file is replaced. If writing fails, it stays as it was.
    namespace : str, optional
        As for `c_header`. The default is the name of the file without its ending, with `_` in place
        of the characters that are not letters or digits.

    Returns
    -------
    str
        What all names in the header begin with.

    Raises
    ------
    ValueError
        As for `c_header`.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import fastmlp
    >>> from fastmlp.formats.c_header import save_c
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_c(fastmlp.Network([2, 3, 1], seed=0), pathlib.Path(folder) / "model.h")
    'fastmlp_model'
    """
    namespace = namespace_of(path) if namespace is None else namespace
    replace_file(path, c_header(network, namespace).encode(), function="export")
    return PREFIX + namespace


def c_header(network: Network, namespace: str = "model") -> str:
    """Return a network as the text of a C99 header, for microcontrollers.

    The weights are constant arrays. The header allocates nothing, keeps no state and includes only
    <float.h>, <math.h>, <stddef.h>, <stdint.h> and <string.h>. It is valid C++ too.

    A float32 network gives the bits of `Network.forward` under every compiler and all options but
    `-ffast-math`, also on a processor without fma: there each term of a sum takes a few operations
    in double precision. To round twice instead, define `FASTMLP_NO_FMA` before the header is
    included; the outputs then differ by rounding. A float64 network gives the same bits if the C
    library's `fma` rounds once, as glibc's does; newlib's does so only with an instruction for it.

    Parameters
    ----------
    network : fastmlp.Network
    namespace : str
        All names begin with `fastmlp_` and this name: `fastmlp_model_forward`.

    Returns
    -------
    str
        With `fastmlp_model_forward(x, out, scratch)`, where `scratch` is memory of the caller, and
        the sizes `fastmlp_model_n_inputs`, `_n_outputs` and `_n_scratch`. For a classifier also
        `fastmlp_model_label(out)`, the number of the class. The texts `feature_names` and `classes`
        of the network are arrays of strings.

    Raises
    ------
    ValueError
        If a parameter is not finite, there are more than a million parameters, or the namespace is
        not of letters, digits and single underscores. If the model is a tabular model, which reads
        texts and dates.

    Examples
    --------
    >>> import fastmlp
    >>> from fastmlp.formats.c_header import c_header
    >>> text = c_header(fastmlp.Network([2, 3, 1], seed=0), "xor_gate")
    >>> "void fastmlp_xor_gate_forward(const float *x, float *out, float *scratch)" in text
    True
    """
    if not isinstance(network, Network):
        raise ValueError(
            f"export: the model is a {type(network).__name__}; a C header can be of a Network, "
            "which takes numbers. Write a C++ header of a tabular model (--cpp)"
        )
    check([network], namespace)
    name, scalar = PREFIX + namespace, scalar_of(network)
    body = "\n".join(_forward_lines(network))
    code = {
        "BODY": body,
        "LABEL": _label_function(network),
        "FUNCTIONS": _functions(body, scalar),
    }
    words = _constants(scalar) | {"Scalar": scalar, "Bits": BITS[scalar]}
    return filled(
        template("c_header.h.in"),
        {
            "VERSION": _core.__version__,
            "TITLE": title_of(network),
            "NAME": name,
            "SCALAR": scalar,
            "INPUTS": str(network.layers[0]),
            "OUTPUTS": str(network.layers[-1]),
            "SCRATCH": str(max(sum(_buffers(network)), 1)),
            "CHECK": DOUBLE_CHECK.replace("nn_", f"{name}_") if scalar == "double" else "",
            "TABLES": "".join(_tables(network, name)),
            "PARAMETERS": "".join(_parameters(network, name)),
            **{key: _in_c(text, name, words) for key, text in code.items()},
        },
    )


# The weights and texts


def _parameters(network: Network, name: str) -> Iterator[str]:
    for index, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        for letter, values in (("w", weight.T.ravel()), ("b", bias)):
            array = f"static const {scalar_of(network)} {name}_{letter}{index}[]"
            yield f"\n{array} = {{{in_lines(map(_number, values))}}};\n"


def _number(value: Any) -> str:
    """Return the shortest decimal literal that is this number in its type."""
    return str(value) + ("F" if value.dtype == np.float32 else "")


def _tables(network: Network, name: str) -> Iterator[str]:
    """Yield the names of the features and the labels of the classes, if the network has them."""
    for key in ("feature_names", "classes"):
        texts = getattr(network, key)
        if texts is not None:
            items = in_lines(literal(str(text)) for text in texts)
            yield f"\nstatic const char *const {name}_{key}[] = {{{items}}};\n"


DOUBLE_CHECK = """
/* -fsingle-precision-constant would turn the doubles below into floats. */
typedef char nn_doubles[(long)16777217.0 == 16777217L ? 1 : -1];
"""

# The code. In it, nn_ stands for the name and _, and `Scalar` for float or double.


def _buffers(network: Network) -> tuple[int, int]:
    """Return the sizes of the two parts of scratch, which hold every other hidden layer."""
    hidden = network.layers[1:-1]
    return max(hidden[::2], default=0), max(hidden[1::2], default=0)


def _forward_lines(network: Network) -> Iterator[str]:
    """Yield the lines of the function forward."""
    first, second = _buffers(network)
    if first:
        yield "  Scalar *const a = scratch;"
    if second:
        yield f"  Scalar *const b = scratch + {first};"
    names = [*network.hidden, network.output]
    if any(name not in ("identity", "softmax") for name in names):
        yield "  size_t j;"
    if not first:
        yield "  (void)scratch;"
    source = "x"
    for index, (n_in, n_out) in enumerate(pairwise(network.layers)):
        target = "out" if index == len(network.hidden) else "ab"[index % 2]
        parameters = f"nn_w{index}, nn_b{index}"
        if n_out == 1:
            yield f"  nn_dense_1({source}, {n_in}, {parameters}, {target});"
        else:
            yield f"  nn_dense({source}, {n_in}, {parameters}, {n_out}, {target});"
        if names[index] == "softmax":
            yield f"  nn_softmax({target}, {n_out});"
        elif names[index] != "identity":
            yield f"  for (j = 0; j < {n_out}; ++j) {target}[j] = nn_{names[index]}({target}[j]);"
        source = target


SIGMOID_LABEL = """
/* The label of the outputs: 1 if the probability is at least 0.5, else 0. */
static inline int nn_label(const Scalar *out) { return out[0] >= (Scalar)0.5; }
"""
SOFTMAX_LABEL = """
/* The label of the outputs: the number of the most probable class. */
static inline int nn_label(const Scalar *out) {
  int j, best = 0;
  for (j = 1; j < nn_n_outputs; ++j) best = out[best] < out[j] ? j : best;
  return best;
}
"""


def _label_function(network: Network) -> str:
    """Return the function that says what the outputs mean, if they are those of a classifier."""
    if network.output == "softmax":
        return SOFTMAX_LABEL
    return SIGMOID_LABEL if network.output == "sigmoid" and network.layers[-1] == 1 else ""


def _functions(body: str, scalar: str) -> str:
    """Return the functions that the body calls, and those which they call."""
    needed: list[str] = []
    called = body
    for function in reversed(template("c_functions.h.in").strip().split("\n\n")):
        only = re.match(r"/\* \[(\w+)\] ", function)
        if only and only[1] != scalar:
            continue
        found = re.search(r"^static inline .*?(nn_\w+)\(", function, re.MULTILINE)
        if found and re.search(rf"\b{found[1]}\(", called):
            needed.insert(0, function.replace(f"[{scalar}] ", ""))
            called += function
    return "\n\n".join(needed)


def _in_c(code: str, name: str, words: dict[str, str]) -> str:
    """Replace what depends on the network in a piece of the code."""
    code = re.sub(r"\b(k[A-Z]\w*|Scalar|Bits)\b", lambda match: words[match[1]], code)
    return re.sub(r"\bnn_", f"{name}_", code)


def _constants(scalar: str) -> dict[str, str]:
    """Return the constants of the kernel sources, as they are written in C."""
    dtype, unsigned = (np.float32, "U") if scalar == "float" else (np.float64, "ULL")
    text = "".join(kernel_sources().values())
    # Those of the other type are left out.
    text = re.sub(rf"^struct \w+<(?!{scalar}>)\w+> {{.*?^}};", "", text, flags=re.M | re.S)
    pattern = r"static constexpr (\S+) (k\w+)(?:\[\])? =\s(.*?);"
    constants = {}
    for kind, name, value in re.findall(pattern, text, re.DOTALL):
        if kind in ("float", "double", "auto"):
            found = [text.rstrip("F") for text in re.findall(r"-?\d[\w.]*(?:[+-]\d+)?", value)]
            numbers = (float.fromhex(text) if "x" in text else float(text) for text in found)
            joined = ", ".join(_number(dtype(number)) for number in numbers)
            is_negative = len(found) == 1 and joined.startswith("-")
            constants[name] = f"({joined})" if is_negative else joined
        elif kind.startswith("std::uint"):
            constants[name] = value + unsigned
        elif kind == "int":
            constants[name] = value
    return constants
