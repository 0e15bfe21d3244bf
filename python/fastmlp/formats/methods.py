"""The methods of `Network` that read and write the formats of other libraries.

Each calls a file of this folder, which is imported then and no earlier: `import fastmlp` loads none
of them, nor the libraries that they need.
"""

from __future__ import annotations

from typing import Any, Self

from fastmlp.formats.safetensors import AnyPath


class FormatsMixin:
    """Conversions from and to other libraries."""

    def to_onnx(self, path: AnyPath | None = None) -> Any:
        """Return the network as an ONNX model, and write it to a file if a path is given.

        The graph has opset 15, which ONNX Runtime 1.10 and later run. Its input "X" is (rows, n_in)
        in the network's dtype. The outputs "sigmoid" and "softmax" give "output_label", as
        `predict` does, and "probabilities", as `forward` does; the others give "output". The
        metadata of the network, its seed, epochs, scaling and loss are in the file too, so that
        `from_onnx` gives the same network back.

        Parameters
        ----------
        path : str, bytes or path, optional
            An existing file is replaced. If writing fails, it stays as it was.

        Returns
        -------
        onnx.ModelProto

        Raises
        ------
        ImportError
            If onnx is not installed (extra `onnx`).
        ValueError
            If the parameters have 2 GB or more.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import fastmlp
        >>> network = fastmlp.Network([4, 8, 3], output="softmax", seed=0)
        >>> model = network.to_onnx("model.onnx")  # doctest: +SKIP
        """
        from fastmlp.formats.onnx_export import network_model
        from fastmlp.formats.onnx_file import save

        model = network_model(self)
        if path is not None:
            save(model, path)
        return model

    @classmethod
    def from_onnx(cls, model: Any, *, output: str | None = None) -> Self:
        """Make a network of an ONNX model of fully connected layers.

        It reads graphs of skl2onnx, of both exporters of PyTorch, and of Keras by tf2onnx. An
        activation is recognised by what its nodes compute, whatever operators they are. Scalings
        and batch normalisation are folded into the weights. The page "ONNX" has the details.

        Parameters
        ----------
        model : str, bytes, path or onnx.ModelProto
            A file, or a model in memory. External data are read from the folder of the file.
        output : str, optional
            The output of the network if the graph ends in a layer without activation, which is
            "identity" by default: "sigmoid" or "softmax" for a graph that ends in logits. A graph
            that ends in the logarithms of probabilities needs "softmax".

        Returns
        -------
        Network
            It computes the values of the graph, up to rounding; its dtype is float64 if a matrix of
            the graph is of float64. Without the metadata that `to_onnx` writes its seed is 0.

        Raises
        ------
        ValueError
            If the file is damaged, or the graph has a node that such a network does not have; the
            message names the node.
        ImportError
            If onnx is not installed (extra `onnx`).
        OSError
            If the file does not exist or cannot be read.

        Warns
        -----
        UserWarning
            If the graph has the approximation of gelu by tanh. The network has gelu itself.

        Examples
        --------
        >>> import fastmlp
        >>> network = fastmlp.Network.from_onnx("model.onnx")  # doctest: +SKIP
        """
        from fastmlp.formats.onnx_import import read_network

        found: Self = read_network(cls, model, output)
        return found
