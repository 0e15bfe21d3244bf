"""A model as a C++ header with no dependency: `fastmlp export model.safetensors --cpp model.hpp`.

The header is the template cpp_header.hpp.in with its placeholders filled in: by
cpp_header_network.py for a network, by cpp_header_tabular.py for a tabular model. Start at
`cpp_header`.
"""

import os
from typing import Any

from fastmlp import _core
from fastmlp.formats.cpp_header_network import network_values
from fastmlp.formats.cpp_header_tabular import tabular_values
from fastmlp.formats.exported_header import PREFIX, check, filled, namespace_of, template
from fastmlp.formats.safetensors import replace_file
from fastmlp.network import Network

__all__ = ["cpp_header", "save_cpp"]


def save_cpp(model: Any, path: str | os.PathLike[str], namespace: str | None = None) -> str:
    """Write a network or a tabular model as a C++ header.

    Parameters
    ----------
    model : fastmlp.Network, TabularClassifier or TabularRegressor
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
    namespace = namespace_of(path) if namespace is None else namespace
    replace_file(path, cpp_header(model, namespace).encode())
    return PREFIX + namespace


def cpp_header(model: Any, namespace: str = "model") -> str:
    """Return a network or a tabular model as the text of a C++17 header.

    The header includes the standard library only and allocates nothing. It gives the bits of
    `Network.forward`, or of the predictions of a tabular model, under every compiler and all
    options but `-ffast-math`. With `-ffast-math`, or under GCC with a part of it, the header
    refuses to compile. Clang does not tell a header about parts such as `-fassociative-math`, so
    do not use them. Include the header before other headers that define its names as macros.

    Parameters
    ----------
    model : fastmlp.Network, TabularClassifier or TabularRegressor
    namespace : str
        Everything is in the C++ namespace `fastmlp_` and this name: `fastmlp_model`. The prefix
        keeps it apart from keywords, and from the names of all other headers. To use a name of your
        own, write `namespace scorer = fastmlp_model;`.

    Returns
    -------
    str
        For a network it has `n_inputs`, `n_outputs`, the type `Scalar` and
        `forward(const Scalar* x, Scalar* out)`. For a tabular model it has `Row`, with a member
        `col_NAME` for each column, an enum `Level_NAME` for each category, and `predict`; for a
        classifier also `classes` and `probabilities`.

    Raises
    ------
    ValueError
        If a parameter is not finite, there are more than a million parameters, or the namespace is
        not of letters, digits and single underscores. If a tabular model is not fitted.

    Examples
    --------
    >>> import fastmlp
    >>> from fastmlp.formats.cpp_header import cpp_header
    >>> text = cpp_header(fastmlp.Network([2, 3, 1], seed=0), "xor_gate")
    >>> "inline void forward(const Scalar* x, Scalar* out)" in text
    True
    """
    networks = [model] if isinstance(model, Network) else model.networks
    check(networks, namespace)
    values = network_values(model) if isinstance(model, Network) else tabular_values(model)
    return filled(
        template("cpp_header.hpp.in"),
        {"VERSION": _core.__version__, "NAMESPACE": PREFIX + namespace, **values},
    )
