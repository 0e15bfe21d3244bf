"""Signatures of the native module as Python's own look, and links in docstrings.

pybind11 writes a signature into the first line of a docstring, with `self` and with types of its
own; autodoc takes it from there. What is left of it here are names and defaults.
"""

import ast
import re
from typing import Any

from sphinx.application import Sphinx

# A default that is an object is shown by its address, which is another in each build.
OBJECT = re.compile(r"<(?:\w+\.)*(\w+) object at 0x[0-9a-f]+>")
MATHEMATICS = re.compile(r"`?\bdocs/mathematics\.md\b`?")


def plain_signature(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, signature: str, returns: str
) -> tuple[str, str | None] | None:
    """Take types and `self` out of a signature that pybind11 wrote."""
    if not signature or (": " not in signature and "self" not in signature):
        return None
    signature = OBJECT.sub(r"\1()", signature)
    try:
        function = ast.parse(f"def f{signature}: ...").body[0]
    except SyntaxError:
        return None
    assert isinstance(function, ast.FunctionDef)
    arguments = function.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        argument.annotation = None
    if arguments.args and arguments.args[0].arg == "self":
        del arguments.args[0]
    return f"({ast.unparse(arguments)})", None


def link_mathematics(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Make the name of the page on the mathematics a link."""
    lines[:] = [MATHEMATICS.sub(":doc:`docs/mathematics.md </mathematics>`", s) for s in lines]


def setup(app: Sphinx) -> dict[str, Any]:
    """Act on each signature and docstring."""
    app.connect("autodoc-process-signature", plain_signature)
    app.connect("autodoc-process-docstring", link_mathematics, priority=600)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
