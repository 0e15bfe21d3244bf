"""Shows Jupyter notebooks with the outputs that they hold, as pages like any other.

A notebook becomes the Markdown that its author would write: text, blocks of code, and what each of
them gave. Nothing is run. The alternative text of a picture is "alt" in the metadata of its cell.
"""

import json
from html import escape
from typing import Any

from docutils import nodes
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.application import Sphinx


def markdown(notebook: dict[str, Any]) -> str:
    """Return a notebook as Markdown."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        parts += [shown(output, cell["metadata"].get("alt", "")) for output in cell["outputs"]]
    return "\n\n".join(parts) + "\n"


def shown(output: dict[str, Any], alt: str) -> str:
    """Return an output of a cell: HTML if there is any, else the picture, else the text."""
    data = output.get("data", {})
    if "text/html" in data:
        return f"```{{raw}} html\n{''.join(data['text/html'])}\n```"
    if "image/png" in data:
        source = f"data:image/png;base64,{''.join(data['image/png']).strip()}"
        return f'```{{raw}} html\n<img alt="{escape(alt)}" src="{source}">\n```'
    return f"```text\n{''.join(data.get('text/plain', output.get('text', ''))).rstrip()}\n```"


class NotebookParser(MystParser):
    """Reads the text of an ipynb file."""

    supported = ("notebook",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Parse a notebook as its Markdown."""
        super().parse(markdown(json.loads(inputstring)), document)


def setup(app: Sphinx) -> dict[str, Any]:
    """Let the pages be notebooks too."""
    app.add_source_suffix(".ipynb", "notebook")
    app.add_source_parser(NotebookParser)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
