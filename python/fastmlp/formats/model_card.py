"""A model card: the README.md of a network on the Hugging Face Hub."""

import json
import re
from collections.abc import Iterator
from typing import Any

from fastmlp._trainable import loss_arguments
from fastmlp.network import Network

__all__ = ["model_card"]

# Texts of `metadata` that have a place of their own in a card, or that `_facts` lists anyway.
KNOWN = {"title", "description", "license", "feature_names", "classes"}


def model_card(network: Network) -> str:
    """Return the text of a README.md that the Hugging Face Hub understands.

    Parameters
    ----------
    network : Network
        Its `metadata` may have a "title", which becomes the heading, a "description", which becomes
        the text below the heading, and a "license": its name on the Hub, such as "bsd-3-clause".
        The card lists all other texts.

    Returns
    -------
    str
        Markdown, which begins with YAML between two lines `---`.

    Examples
    --------
    >>> import fastmlp
    >>> from fastmlp.formats.model_card import model_card
    >>> network = fastmlp.Network([2, 8, 1], seed=0)
    >>> network.metadata["title"] = "Rain tomorrow"
    >>> network.metadata["license"] = "cc-by-4.0"
    >>> for line in model_card(network).splitlines()[:7]:
    ...     print(repr(line))
    '---'
    'library_name: fastmlp'
    'license: "cc-by-4.0"'
    'pipeline_tag: tabular-classification'
    '---'
    ''
    '# Rain tomorrow'
    """
    return "\n".join(_lines(network)) + "\n"


def _lines(network: Network) -> Iterator[str]:
    is_classifier = network.output in ("sigmoid", "softmax")
    texts = network.metadata
    yield "---"
    yield "library_name: fastmlp"
    if "license" in texts:
        yield f"license: {json.dumps(texts['license'])}"  # JSON is YAML
    yield f"pipeline_tag: tabular-{'classification' if is_classifier else 'regression'}"
    yield "---\n"
    yield f"# {_markdown(texts.get('title', 'A fully connected network'))}\n"
    if "description" in texts:
        yield texts["description"] + "\n"
    yield "| | |\n| --- | --- |"
    for name, value in _facts(network):
        yield f"| {_markdown(name)} | {_markdown(str(value))} |"
    yield "\n```python"
    yield "import fastmlp\n"
    yield 'network = fastmlp.Network.load("model.safetensors")'
    yield f"network.predict(X)  # X has {network.layers[0]} columns"
    yield "```"


def _facts(network: Network) -> Iterator[tuple[str, Any]]:
    yield "layers", ", ".join(map(str, network.layers))
    yield "hidden activations", ", ".join(network.hidden) or "none"
    yield "output", network.output
    yield from loss_arguments(network).items()
    yield "parameters", f"{network.n_parameters} in {network.dtype}"
    yield "epochs trained", network.epochs_trained
    if network.feature_names is not None:
        yield "features", ", ".join(network.feature_names)
    if network.classes is not None:
        yield "classes", ", ".join(map(str, network.classes.tolist()))
    yield from (item for item in sorted(network.metadata.items()) if item[0] not in KNOWN)


def _markdown(text: str) -> str:
    """Return a text in one line, with all marks of Markdown escaped."""
    return re.sub(r"([\\`*_\[\]<>|#&~])", r"\\\1", " ".join(text.split()))
