"""Runs the tutorial: `python tests/python/helpers/notebook.py --write` stores its outputs.

The repository keeps the outputs, so that the site and GitHub show them. It keeps nothing that
changes from run to run: no times, no counters, no versions. The outputs are the same on every
machine, except for the bytes of pictures.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

TUTORIAL = Path(__file__).parents[3] / "docs" / "tutorial.ipynb"


def read() -> Any:
    """Return the tutorial as it is in the repository."""
    return nbformat.read(TUTORIAL, as_version=4)


def executed(notebook: Any) -> Any:
    """Return a notebook with the outputs of its cells, run in an empty folder by a new kernel."""
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=300,
            coalesce_streams=True,  # what is printed in two pieces is one output
            resources={"metadata": {"path": folder}},
        )
        # Pictures are shown in the notebook, even if the caller draws them nowhere.
        inline = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
        return cleaned(client.execute(env=os.environ | inline))


def cleaned(notebook: Any) -> Any:
    """Remove from a notebook what changes from run to run."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number}"
        cell.metadata = {name: cell.metadata[name] for name in ("alt",) if name in cell.metadata}
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = [_cleaned_output(output) for output in cell.outputs]
    return notebook


def _cleaned_output(output: Any) -> Any:
    if "execution_count" in output:
        output.execution_count = None
    if "metadata" in output:
        output.metadata = {}
    if "data" in output and "image/png" in output.data:
        output.data = {"image/png": output.data["image/png"]}
    return output


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    nbformat.write(executed(read()), TUTORIAL)
