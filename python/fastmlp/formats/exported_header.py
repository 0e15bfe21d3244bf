"""What the exported headers share, in C++ (cpp_header.py) and in C (c_header.py).

The kernel sources, which the build installs in `kernels/`, have parts for the headers, between the
lines `// [export: begin]` and `// [export: end]`.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fastmlp import _core
from fastmlp.network import Network

MOST_PARAMETERS = 1_000_000  # 17 MB of text, which a compiler reads in three seconds

# Every namespace in C++ and every name in C begins with it. Without it, a name could be that of a
# function or a macro in some header (gamma, index, linux …), and no list of these is complete. No
# other library has names that begin with it.
PREFIX = "fastmlp_"

# The kernel sources that have marked parts; each follows the sources that it uses.
SOURCES = ("kernel_table.hpp", "math.hpp", "erf.hpp", "activations.hpp", "losses.hpp")


def check(networks: list[Network], namespace: str) -> None:
    """Refuse networks that cannot be a header, and a name that C++ could not use."""
    # In C++ names with two underscores in a row belong to the compiler.
    if not re.fullmatch(r"[^\W_]+(_[^\W_]+)*_?", namespace, re.ASCII):
        raise ValueError(
            f"export: the namespace is {namespace!r}; it must be of letters (a to z), digits and "
            "single underscores, and not begin with an underscore; give another one (--namespace)"
        )
    n_parameters = sum(network.n_parameters for network in networks)
    if n_parameters > MOST_PARAMETERS:
        raise ValueError(
            f"export: the model has {n_parameters} parameters; a header can have at most "
            f"{MOST_PARAMETERS}. Load the file with fastmlp/io.hpp or fastmlp/tabular.hpp instead"
        )
    if not all(np.isfinite(network.parameters).all() for network in networks):
        raise ValueError("export: a parameter is not finite; every one must be")


def namespace_of(path: str | os.PathLike[str]) -> str:
    """Return the name of a file without its ending, as letters, digits and single underscores."""
    return re.sub(r"[\W_]+", "_", Path(path).stem, flags=re.ASCII).strip("_")


def template(name: str) -> str:
    """Return a template of this folder."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def filled(template: str, values: dict[str, str]) -> str:
    """Replace every `@NAME@` at once, so that a value may contain anything.

    RuntimeError if the names are not exactly those of the values.
    """
    names = set(re.findall(r"@(\w+)@", template))
    if names != values.keys():
        raise RuntimeError(
            f"export: the template has the placeholders {sorted(names)}; "
            f"they must be {sorted(values)}"
        )
    return re.sub(r"@(\w+)@", lambda match: values[match[1]], template)


def title_of(network: Network) -> str:
    """Return what a network is, for the first line of a header."""
    layers = "-".join(map(str, network.layers))
    names = ", ".join((*network.hidden, network.output))
    return f"a network of layers {layers} ({names}) in {scalar_of(network)}"


def scalar_of(network: Network) -> str:
    """Return the C++ type of the parameters."""
    return {"float32": "float", "float64": "double"}[network.dtype.name]


def in_lines(texts: Iterable[str]) -> str:
    """Return the texts as a list in C, eight in a line."""
    items = list(texts)
    lines = (", ".join(items[i : i + 8]) for i in range(0, len(items), 8))
    return "\n    " + ",\n    ".join(lines)


def literal(text: str) -> str:
    """Return a text as a C++ literal in UTF-8."""
    plain = set(range(32, 127)) - set(b'"\\?')  # two ? may begin a trigraph
    codes = text.encode("utf-8", "surrogatepass")
    return '"' + "".join(chr(code) if code in plain else f"\\{code:03o}" for code in codes) + '"'


def kernel_sources() -> dict[str, str]:
    """Return the marked parts of each kernel source."""
    return {name: _kernel_source(name) for name in SOURCES}


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
