"""The methods of `Network` that read and write the formats of other libraries.

Each calls a file of this folder, which is imported then and no earlier: `import fastmlp` loads none
of them, nor the libraries that they need.
"""

from __future__ import annotations

import os
from typing import Any, Self


class FormatsMixin:
    """Conversions from and to other libraries."""

    def to_onnx(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Return the network as an ONNX model; write it to a file if a path is given."""
        from fastmlp.formats.onnx_export import network_model
        from fastmlp.formats.onnx_file import save

        model = network_model(self)
        if path is not None:
            save(model, path)
        return model

    @classmethod
    def from_onnx(cls, model: Any, *, output: str | None = None) -> Self:
        """Make a network of an ONNX model."""
        from fastmlp.formats.onnx_import import read_network

        found: Self = read_network(cls, model, output)
        return found
