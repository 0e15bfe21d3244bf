"""A network as a C++ header with no dependency: `fastmlp export model.safetensors --cpp model.hpp`.

The header's mathematics is the library's own kernels, as text: of the files in `kernels/`, which
the build installs, every function is taken as it stands. Start at `cpp_header`.
"""

import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from fastmlp import _core
from fastmlp._arguments import Array
from fastmlp.formats import _cpp_text
from fastmlp.formats.safetensors import replace_file
from fastmlp.network import Network

__all__ = ["cpp_header", "save_cpp"]

MOST_PARAMETERS = 250_000  # 4 MB of text, which a compiler reads in seconds
SOURCES = ("vec_scalar.hpp", "math.hpp", "erf.hpp", "activations.hpp")

# Where the library's own compile options keep a product and a sum apart, the header cannot rely on
# any: a product is an fma with a zero that no compiler knows.
SUBSTITUTES = {
    "Vec(a.value * b.value)": "Vec(scalar_fma(a.value, b.value, MinusZero<T>::value))",
    "__builtin_fmaf": "std::fma",
    "__builtin_fma": "std::fma",
    "__builtin_sqrtf": "std::sqrt",
    "__builtin_sqrt": "std::sqrt",
    "__builtin_memcpy": "std::memcpy",
    "__builtin_inf()": "std::numeric_limits<double>::infinity()",
    '__builtin_nan("")': "std::numeric_limits<double>::quiet_NaN()",
}
RESERVED = frozenset(
    re.findall(
        r"\w+",
        """alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t
        char32_t class compl const const_cast constexpr continue decltype default delete do double
        dynamic_cast else enum explicit export extern false float for friend goto if inline int long
        mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public
        register reinterpret_cast return short signed sizeof static static_assert static_cast std
        struct switch template this thread_local throw true try typedef typeid typename union
        unsigned using virtual void volatile wchar_t while xor xor_eq
        char8_t co_await co_return co_yield concept consteval constinit requires""",
    )
)


def save_cpp(network: Network, path: str | os.PathLike[str], namespace: str | None = None) -> None:
    """Write a network as a C++ header.

    Parameters
    ----------
    network : fastmlp.Network
    path : str or path
        A file that exists is replaced; what is written is complete or not there.
    namespace : str, optional
        By default the name of the header without its ending, `_` in place of what is no letter or
        digit.

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
    ...     "namespace model {" in path.read_text()
    True
    """
    if namespace is None:
        namespace = re.sub(r"\W", "_", Path(path).stem, flags=re.ASCII)
    replace_file(path, cpp_header(network, namespace).encode())


def cpp_header(network: Network, namespace: str = "model") -> str:
    """Return a network as the text of a C++17 header.

    It includes the standard library only, allocates nothing, and gives the bits of
    `network.forward` whatever the compiler's options: every multiply-add is `std::fma`, and no
    other product is left to contract. `-ffast-math` is refused, and by GCC each part of it; Clang
    tells nobody of parts such as `-fassociative-math`: do not use them. Include the header before
    others that define macros of its names.

    Parameters
    ----------
    network : fastmlp.Network
    namespace : str
        Of what it defines: `n_inputs`, `n_outputs`, the type `Scalar` and
        `forward(const Scalar* x, Scalar* out)`.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If a parameter is not finite, there are more than 250 000, or the namespace is no name.

    Examples
    --------
    >>> import fastmlp
    >>> from fastmlp.formats.cpp_header import cpp_header
    >>> text = cpp_header(fastmlp.Network([2, 3, 1], seed=0), "xor_gate")
    >>> "inline void forward(const Scalar* x, Scalar* out)" in text
    True
    """
    _check(network, namespace)
    scalar = {"float32": "float", "float64": "double"}[network.dtype.name]
    layers = "-".join(map(str, network.layers))
    names = ", ".join((*network.hidden, network.output))
    return "".join(
        [
            _cpp_text.HEAD.format(
                version=_core.__version__, layers=layers, names=names, scalar=scalar
            ),
            f"\nnamespace {namespace} {{\n\nusing Scalar = {scalar};\n",
            f"inline constexpr std::size_t n_inputs = {network.layers[0]};\n",
            f"inline constexpr std::size_t n_outputs = {network.layers[-1]};\n\n",
            "namespace detail {\n\n",
            _cpp_text.UNKNOWN_ZERO,
            *(_kernel_source(name) for name in SOURCES if name != "erf.hpp" or "gelu" in names),
            _cpp_text.LAYERS,
            *_parameters(network),
            "\n}  // namespace detail\n\n",
            *_forward(network),
            f"\n}}  // namespace {namespace}\n",
        ]
    )


def _check(network: Network, namespace: str) -> None:
    # What begins with two underscores, or with one and a capital, is the compiler's.
    if not re.fullmatch(r"(?!__|_[A-Z])[A-Za-z_]\w*", namespace, re.ASCII) or namespace in RESERVED:
        raise ValueError(
            f"export: the namespace is {namespace!r}, which is no name in C++; give another one "
            "(--namespace)"
        )
    if network.n_parameters > MOST_PARAMETERS:
        raise ValueError(
            f"export: the network has {network.n_parameters} parameters; a header can have at "
            f"most {MOST_PARAMETERS}. Load the file with fastmlp/io.hpp instead"
        )
    if not np.isfinite(network.parameters).all():
        raise ValueError("export: a parameter is not finite; every one must be")


def _kernel_source(name: str) -> str:
    """Return what a kernel header defines, without its frame of includes and namespaces."""
    folder = Path(_core.__file__).parent / "kernels"
    text = (folder / name).read_text(encoding="utf-8")
    opening = "namespace fastmlp::detail {\nnamespace {\n"
    body = text[text.index(opening) + len(opening) : text.rindex("\n}  // namespace\n")]
    for old, new in SUBSTITUTES.items():
        body = body.replace(old, new)
    return f"// fastmlp, {name}{body}\n"


def _parameters(network: Network) -> Iterator[str]:
    for index, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        yield f"\ninline constexpr Scalar w{index}[] = {{{_numbers(weight.ravel())}}};\n"
        yield f"inline constexpr Scalar b{index}[] = {{{_numbers(bias)}}};\n"


def _numbers(values: Array) -> str:
    """Return the values, exactly, eight in a line."""
    suffix = "F" if values.dtype == np.float32 else ""
    texts = [re.sub(r"\.?0*p", "p", float(value).hex()) + suffix for value in values]
    lines = (", ".join(texts[i : i + 8]) for i in range(0, len(texts), 8))
    return "\n    " + ",\n    ".join(lines)


def _forward(network: Network) -> Iterator[str]:
    yield _cpp_text.FORWARD_COMMENT
    yield "inline void forward(const Scalar* x, Scalar* out) {\n"
    source = "x"
    for index, (n_in, n_out) in enumerate(pairwise(network.layers)):
        yield f"  Scalar a{index + 1}[{n_out}];\n"
        yield (
            f"  detail::dense<{n_in}, {n_out}>({source}, detail::w{index}, detail::b{index}, "
            f"a{index + 1});\n"
        )
        source = f"a{index + 1}"
        if index < len(network.hidden):
            yield f"  detail::apply<detail::{_class_name(network.hidden[index])}>({source});\n"
    yield _cpp_text.OUTPUTS[network.output].format(source=source)
    yield f"  for (std::size_t j = 0; j < n_outputs; ++j) out[j] = {source}[j];\n}}\n"


def _class_name(activation: str) -> str:
    return "".join(part.capitalize() for part in activation.split("_"))
