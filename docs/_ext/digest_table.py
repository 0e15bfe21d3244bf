"""The directive `digest-table`: digests of trained parameters, computed while the pages are built.

`{digest-table} machine` has a row for each instruction set of the machine and a column for each
number of threads; `{digest-table} options` has a row for each change of the options. Digests that
equal the first one are marked by colour, others by another colour and the word "different".
"""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import trainings
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

Cell = tuple[str, str]  # text in MyST, class


@functools.cache
def digests() -> dict[str, Any]:
    """Run all training runs, once for a build."""
    environment = os.environ | {"FASTMLP_MIN_WORK": "0"}
    environment.pop("FASTMLP_ISA", None)
    done = subprocess.run(
        [sys.executable, trainings.__file__], env=environment, stdout=subprocess.PIPE, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class DigestTable(SphinxDirective):
    """A fence `{digest-table} machine` or `{digest-table} options`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Train and make the table."""
        self.env.note_dependency(trainings.__file__)
        found = digests()
        first = next(iter(found["grid"].values()))[0]

        def cell(digest: str) -> Cell:
            return f"`{digest}`", "digest-same" if digest == first else "digest-different"

        if self.arguments[0] == "machine":
            head = ["instruction set", *(f"{n} thread{'s' * (n > 1)}" for n in found["teams"])]
            rows = [[(f"`{isa}`", ""), *map(cell, row)] for isa, row in found["grid"].items()]
        else:
            head = ["what is different", "digest", "bits"]
            rows = [
                [(name, ""), cell(digest), ("the same" if digest == first else "different", "")]
                for name, digest in found["variants"].items()
            ]
        return [self.table(head, rows)]

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> nodes.table:
        """Return a table of docutils'."""
        group = nodes.tgroup(cols=len(head))
        group += [nodes.colspec(colwidth=1) for _ in head]
        group += nodes.thead("", self.row([(text, "") for text in head]))
        group += nodes.tbody("", *map(self.row, rows))
        return nodes.table("", group, classes=["digests"])

    def row(self, cells: Sequence[Cell]) -> nodes.row:
        """Return a row."""
        entries = (
            nodes.entry("", *self.parse_text_to_nodes(text), classes=[name] if name else [])
            for text, name in cells
        )
        return nodes.row("", *entries)


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("digest-table", DigestTable)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
