"""Makes signatures of native functions look like Python's, and adds links to docstrings.

pybind11 writes a signature into the first line of a docstring, with `self` and with its own types,
and autodoc shows it. This extension keeps only the names and defaults.
"""

import ast
import inspect
import re
from typing import Any

from sphinx.application import Sphinx

import fastmlp

# An object as a default is shown with its address, which differs from build to build.
OBJECT = re.compile(r"<(?:\w+\.)*(\w+) object at 0x[0-9a-f]+>")
MATHEMATICS = re.compile(r"`?\bdocs/mathematics\.md\b`?")


def plain(signature: str) -> str | None:
    """Remove types and `self` from a signature; return None if it is not a signature."""
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
    return ast.unparse(arguments)


def process_signature(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, signature: str, returns: str
) -> tuple[str, str | None] | None:
    """Reduce a signature written by pybind11 to names and defaults."""
    if not signature or (": " not in signature and "self" not in signature):
        return None
    found = plain(OBJECT.sub(r"\1()", signature))
    return None if found is None else (f"({found})", None)


def sign_native_classes(app: Sphinx) -> None:
    """Give native classes the signatures of their constructors, where autodoc reads them."""
    for name, native in inspect.getmembers(fastmlp._core, inspect.isclass):
        if getattr(fastmlp, name, None) is native:  # others are bases of classes in Python
            written = (native.__init__.__doc__ or "").removeprefix("__init__").partition(" -> ")[0]
            native.__signature__ = inspect.signature(eval(f"lambda {plain(written)}: None"))


def link_mathematics(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Turn mentions of docs/mathematics.md into links."""
    lines[:] = [MATHEMATICS.sub(":doc:`docs/mathematics.md </mathematics>`", s) for s in lines]


def setup(app: Sphinx) -> dict[str, Any]:
    """Process each signature and docstring."""
    app.connect("builder-inited", sign_native_classes)
    app.connect("autodoc-process-signature", process_signature)
    app.connect("autodoc-process-docstring", link_mathematics, priority=600)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
