"""A network as a C++ header with no dependency: `fastmlp export model.safetensors --cpp model.hpp`.

The header's mathematics is the library's own kernels, as text: of the files in `kernels/`, which
the build installs, every function is taken as it stands. Start at `cpp_header`.
"""

import os
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from fastmlp import _core
from fastmlp.io import replace_file
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
        unsigned using virtual void volatile wchar_t while xor xor_eq""",
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
    >>> from fastmlp.export import save_cpp
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
    other product is left to contract. `-ffast-math` is refused.

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
    >>> from fastmlp.export import cpp_header
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
            _HEAD.format(version=_core.__version__, layers=layers, names=names, scalar=scalar),
            f"\nnamespace {namespace} {{\n\nusing Scalar = {scalar};\n",
            f"inline constexpr std::size_t n_inputs = {network.layers[0]};\n",
            f"inline constexpr std::size_t n_outputs = {network.layers[-1]};\n\n",
            "namespace detail {\n\n",
            _UNKNOWN_ZERO,
            *(_kernel_source(name) for name in SOURCES if name != "erf.hpp" or "gelu" in names),
            _LAYERS,
            *_parameters(network),
            "\n}  // namespace detail\n\n",
            *_forward(network),
            f"\n}}  // namespace {namespace}\n",
        ]
    )


def _check(network: Network, namespace: str) -> None:
    if not re.fullmatch(r"[A-Za-z_]\w*", namespace, re.ASCII) or namespace in RESERVED:
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


def _numbers(values: Iterable[float]) -> str:
    """Return the values, exactly, eight in a line."""
    texts = [re.sub(r"\.?0*p", "p", float(value).hex()) for value in values]
    lines = (", ".join(texts[i : i + 8]) for i in range(0, len(texts), 8))
    return "\n    " + ",\n    ".join(lines)


def _forward(network: Network) -> Iterator[str]:
    yield _FORWARD_COMMENT
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
    yield _OUTPUTS[network.output].format(source=source)
    yield f"  for (std::size_t j = 0; j < n_outputs; ++j) out[j] = {source}[j];\n}}\n"


def _class_name(activation: str) -> str:
    return "".join(part.capitalize() for part in activation.split("_"))


_OUTPUTS = {
    "sigmoid": "  detail::apply<detail::Sigmoid>({source});\n",
    "softmax": "  detail::softmax({source});\n",
    "identity": "",
    "exp": "  detail::apply<detail::Exp>({source});\n",
}

_HEAD = """\
// Written by `fastmlp export` {version}: a network of layers {layers} ({names}) in {scalar}.
//
// The code, not the numbers, is fastmlp's: SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the fastmlp developers
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#if __cplusplus < 201703L && !(defined(_MSVC_LANG) && _MSVC_LANG >= 201703L)
#error "this header is C++17"
#endif
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || \\
    defined(__NO_SIGNED_ZEROS__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || \\
    defined(_M_FP_FAST)
#error "this network's results are bits; -ffast-math and its parts would change them"
#endif
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error "this network's results are bits; arithmetic in a wider type would change them"
#endif
"""

_UNKNOWN_ZERO = """\
// A product is fma(a, b, -0), which rounds like it. Compilers may join a product and a sum into an
// fma, an fma and a sum never; and of a volatile number they cannot know that it is -0.
template <class T>
struct MinusZero {
  static inline const volatile T value = T(-0.0);
};

"""

_LAYERS = """\
// The order of every sum is the library's: chunks of 4096 terms, in each one chain of fma for each
// output, or for a single output 16 chains, term k in chain k mod 16, and a fixed tree.

template <std::size_t kTerms, std::size_t kOutputs>
void dense(const Scalar* x, const Scalar* w, const Scalar* b, Scalar* z) {
  constexpr std::size_t kLanes = kOutputs == 1 ? 16 : 1, kChains = kOutputs * kLanes;
  for (std::size_t first = 0; first < kTerms; first += 4096) {
    const std::size_t last = kTerms - first < 4096 ? kTerms : first + 4096;
    Scalar t[kChains] = {};
    for (std::size_t k = first; k < last; k += kLanes) {
      const std::size_t lanes = last - k < kLanes ? last - k : kLanes;
      for (std::size_t l = 0; l < lanes; ++l) {
        for (std::size_t j = 0; j < kOutputs; ++j) {
          t[l + j] = std::fma(x[k + l], w[(k + l) * kOutputs + j], t[l + j]);
        }
      }
    }
    for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
      for (std::size_t l = 0; l < half; ++l) t[l] = t[l] + t[l + half];
    }
    for (std::size_t j = 0; j < kOutputs; ++j) z[j] = first == 0 ? t[j] : z[j] + t[j];
  }
  for (std::size_t j = 0; j < kOutputs; ++j) z[j] = z[j] + b[j];
}

template <class G, std::size_t kUnits>
void apply(Scalar (&z)[kUnits]) {
  for (std::size_t j = 0; j < kUnits; ++j) z[j] = G::forward(Vec<Scalar>(z[j])).value;
}

struct Exp {
  template <class V>
  static V forward(V z) {
    return exp(z);
  }
};

template <std::size_t kUnits>
void softmax(Scalar (&z)[kUnits]) {
  Scalar top = z[0];
  for (std::size_t j = 1; j < kUnits; ++j) top = top < z[j] ? z[j] : top;
  Scalar lane[16] = {};
  for (std::size_t j = 0; j < kUnits; ++j) {
    z[j] = exp(Vec<Scalar>(z[j] - top)).value;
    lane[j % 16] += z[j];
  }
  for (std::size_t half = 8; half > 0; half /= 2) {
    for (std::size_t l = 0; l < half; ++l) lane[l] += lane[l + half];
  }
  for (std::size_t j = 0; j < kUnits; ++j) z[j] = z[j] / lane[0];
}
"""

_FORWARD_COMMENT = """\
/// The outputs, out[n_outputs], of one row x[n_inputs]; out may be x. The bits of fastmlp's
/// Network::forward, in the default rounding mode and without flush-to-zero. On x86-64 std::fma is
/// one instruction with -mfma or -march=x86-64-v3, and a call without.
"""
