"""A network as a C++ header with no dependency: `fastmlp export model.safetensors --cpp model.hpp`.

The header is the template cpp_header.hpp.in with its placeholders filled in. For the activations it
copies the library's own kernel sources, which the build installs in `kernels/`: the parts of them
between the lines `// [export: begin]` and `// [export: end]`. Start at `cpp_header`.
"""

import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from fastmlp import _core
from fastmlp._trainable import Array
from fastmlp.formats.safetensors import replace_file
from fastmlp.network import Network

__all__ = ["cpp_header", "save_cpp"]

MOST_PARAMETERS = 250_000  # 4 MB of text, which a compiler reads in seconds

# The kernel sources that have marked parts; each follows the sources that it uses.
SOURCES = ("kernel_table.hpp", "math.hpp", "erf.hpp", "activations.hpp", "losses.hpp")

# Begins every namespace. A name alone may be that of a function or a macro of some header (gamma,
# index, linux …), and no list of those is complete; no other library has names that begin so.
PREFIX = "fastmlp_"


def save_cpp(network: Network, path: str | os.PathLike[str], namespace: str | None = None) -> str:
    """Write a network as a C++ header.

    Parameters
    ----------
    network : fastmlp.Network
    path : str or path
        An existing file is replaced. If writing fails, it stays as it was.
    namespace : str, optional
        As for `cpp_header`. The default is the name of the file without its ending, with `_` in
        place of the characters that are not letters or digits.

    Returns
    -------
    str
        The C++ namespace.

    Raises
    ------
    ValueError
        As for `cpp_header`.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import fastmlp
    >>> from fastmlp.formats.cpp_header import save_cpp
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "model.hpp"
    ...     save_cpp(fastmlp.Network([2, 3, 1], seed=0), path)
    'fastmlp_model'
    """
    if namespace is None:
        namespace = re.sub(r"[\W_]+", "_", Path(path).stem, flags=re.ASCII).strip("_")
    replace_file(path, cpp_header(network, namespace).encode())
    return PREFIX + namespace


def cpp_header(network: Network, namespace: str = "model") -> str:
    """Return a network as the text of a C++17 header.

    The header includes the standard library only and allocates nothing. It gives the bits of
    `network.forward` under every compiler and all options but `-ffast-math`. With `-ffast-math`,
    or under GCC with a part of it, the header refuses to compile. Clang does not tell a header
    about parts such as `-fassociative-math`, so do not use them. Include the header before other
    headers that define its names as macros.

    Parameters
    ----------
    network : fastmlp.Network
    namespace : str
        The header has `n_inputs`, `n_outputs`, the type `Scalar` and
        `forward(const Scalar* x, Scalar* out)` in the namespace `fastmlp_` and this name:
        `fastmlp_model`. The prefix keeps it apart from keywords, and from the names of all other
        headers. To use a name of your own, write `namespace scorer = fastmlp_model;`.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If a parameter is not finite, there are more than 250 000 parameters, or the namespace is
        not of letters, digits and single underscores.

    Examples
    --------
    >>> import fastmlp
    >>> from fastmlp.formats.cpp_header import cpp_header
    >>> text = cpp_header(fastmlp.Network([2, 3, 1], seed=0), "xor_gate")
    >>> "inline void forward(const Scalar* x, Scalar* out)" in text
    True
    """
    _check(network, namespace)
    kernels = {name: _kernel_source(name) for name in SOURCES}
    return _fill(
        Path(__file__).with_name("cpp_header.hpp.in").read_text(encoding="utf-8"),
        {
            "VERSION": _core.__version__,
            "LAYERS": "-".join(map(str, network.layers)),
            "NAMES": ", ".join((*network.hidden, network.output)),
            "SCALAR": {"float32": "float", "float64": "double"}[network.dtype.name],
            "NAMESPACE": PREFIX + namespace,
            "N_INPUTS": str(network.layers[0]),
            "N_OUTPUTS": str(network.layers[-1]),
            "KERNELS": "".join(kernels.values()),
            "PARAMETERS": "".join(_parameters(network)),
            "FORWARD": "\n".join(_forward(network, kernels)),
        },
    )


def _fill(template: str, values: dict[str, str]) -> str:
    """Replace every `@NAME@`; RuntimeError if the names are not exactly those of the values."""
    names = set(re.findall(r"@(\w+)@", template))
    if names != values.keys():
        raise RuntimeError(
            f"export: the template has the placeholders {sorted(names)}; "
            f"they must be {sorted(values)}"
        )
    return re.sub(r"@(\w+)@", lambda match: values[match[1]], template)


def _check(network: Network, namespace: str) -> None:
    # In C++ names with two underscores in a row belong to the compiler.
    if not re.fullmatch(r"[^\W_]+(_[^\W_]+)*_?", namespace, re.ASCII):
        raise ValueError(
            f"export: the namespace is {namespace!r}; it must be of letters (a to z), digits and "
            "single underscores, and not begin with an underscore; give another one (--namespace)"
        )
    if network.n_parameters > MOST_PARAMETERS:
        raise ValueError(
            f"export: the network has {network.n_parameters} parameters; a header can have at "
            f"most {MOST_PARAMETERS}. Load the file with fastmlp/io.hpp instead"
        )
    if not np.isfinite(network.parameters).all():
        raise ValueError("export: a parameter is not finite; every one must be")


def _kernel_source(name: str) -> str:
    """Return the marked parts of a kernel source; RuntimeError if it has none."""
    path = Path(_core.__file__).parent / "kernels" / name
    lines = path.read_text(encoding="utf-8").split("\n")
    begins = [i for i, line in enumerate(lines) if line == "// [export: begin]"]
    ends = [i for i, line in enumerate(lines) if line == "// [export: end]"]
    marks = sorted(begins + ends)
    paired = len(begins) == len(ends) and marks[::2] == begins and marks[1::2] == ends
    if not begins or not paired:
        raise RuntimeError(f"export: {path} has no parts between [export: begin] and [export: end]")
    parts = ["\n".join(lines[i + 1 : j]) for i, j in zip(begins, ends, strict=True)]
    return "\n".join([f"// fastmlp, {name}", *parts])


def _parameters(network: Network) -> Iterator[str]:
    for index, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        yield f"\ninline constexpr Scalar w{index}[] = {{{_numbers(weight.ravel())}}};\n"
        yield f"inline constexpr Scalar b{index}[] = {{{_numbers(bias)}}};\n"


def _numbers(values: Array) -> str:
    """Return the values as hexadecimal literals, which are exact, eight in a line."""
    suffix = "F" if values.dtype == np.float32 else ""
    texts = [re.sub(r"\.?0*p", "p", float(value).hex()) + suffix for value in values]
    lines = (", ".join(texts[i : i + 8]) for i in range(0, len(texts), 8))
    return "\n    " + ",\n    ".join(lines)


def _forward(network: Network, kernels: dict[str, str]) -> Iterator[str]:
    """Yield the lines of the body of `forward`."""
    source = "x"
    for index, (n_in, n_out) in enumerate(pairwise(network.layers)):
        target = f"a{index + 1}"
        arguments = f"{source}, detail::w{index}, detail::b{index}, {target}"
        yield f"  Scalar {target}[{n_out}];"
        yield f"  detail::dense<{n_in}, {n_out}>({arguments});"
        if index < len(network.hidden):
            g = _struct(kernels, "activations.hpp", network.hidden[index])
            yield f"  detail::apply<detail::{g}>({target});"
        source = target
    if network.output == "softmax":  # the one output whose units depend on each other
        yield f"  detail::softmax({source});"
    else:
        unit = _struct(kernels, "losses.hpp", network.output)
        yield f"  detail::apply<detail::{unit}>({source});"
    yield f"  for (std::size_t j = 0; j < n_outputs; ++j) out[j] = {source}[j];"


def _struct(kernels: dict[str, str], source: str, name: str) -> str:
    """Return the struct of a kernel source that has this kName; RuntimeError if there is none."""
    start = rf'^struct (\w+) {{[^\n]*\n  static constexpr const char\* kName = "{name}";$'
    structs: list[str] = re.findall(start, kernels[source], re.MULTILINE)
    if len(structs) != 1:
        raise RuntimeError(f"export: the marked parts of {source} have no struct with kName {name}")
    return structs[0]
