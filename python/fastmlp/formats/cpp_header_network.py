"""The parts of a C++ header that compute a network.

For the activations a header copies the library's own kernel sources.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from fastmlp._trainable import Array
from fastmlp.formats.exported_header import filled, in_lines, kernel_sources, scalar_of, title_of
from fastmlp.network import Network

FORWARD = """\
/// Computes the outputs out[n_outputs] of one row x[n_inputs]; out may be x. They have the bits of
/// fastmlp's Network::forward, in the default rounding mode and without flush-to-zero. On x86-64
/// std::fma is one instruction with -mfma or -march=x86-64-v3, and a slow call without.
inline void forward(const Scalar* x, Scalar* out) {
@BODY@
}
"""


def network_values(network: Network) -> dict[str, str]:
    """Return the values of the placeholders of cpp_header.hpp.in for one network."""
    kernels = kernel_sources()
    return {
        "TITLE": title_of(network),
        "INCLUDES": "",
        "SCALAR": scalar_of(network),
        "INTERFACE": sizes(network),
        "KERNELS": "".join(kernels.values()),
        "PARAMETERS": "".join(parameters(network)),
        "FUNCTIONS": filled(FORWARD, {"BODY": "\n".join(forward_lines(network, kernels))}),
    }


def sizes(network: Network) -> str:
    """Return the constants n_inputs and n_outputs."""
    return (
        f"inline constexpr std::size_t n_inputs = {network.layers[0]};\n"
        f"inline constexpr std::size_t n_outputs = {network.layers[-1]};\n"
    )


def parameters(network: Network) -> Iterator[str]:
    """Yield the definitions of the weights and biases."""
    for index, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        yield f"\ninline constexpr Scalar w{index}[] = {{{numbers(weight.ravel())}}};\n"
        yield f"inline constexpr Scalar b{index}[] = {{{numbers(bias)}}};\n"


def numbers(values: Array) -> str:
    """Return the values as hexadecimal literals, which are exact."""
    suffix = "F" if values.dtype == np.float32 else ""
    return in_lines(re.sub(r"\.?0*p", "p", float(value).hex()) + suffix for value in values)


def forward_lines(network: Network, kernels: dict[str, str], place: str = "") -> Iterator[str]:
    """Yield the lines of the body of a forward pass; `place` is the namespace of the parameters."""
    source = "x"
    for index, (n_in, n_out) in enumerate(pairwise(network.layers)):
        target = f"a{index + 1}"
        arguments = f"{source}, detail::{place}w{index}, detail::{place}b{index}, {target}"
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
