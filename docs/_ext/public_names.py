"""Warns of public names of the package, and headers of the library, that no page documents."""

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

from cpp_header import declarations
from doxygen_xml import DOCS
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

MODULES = (
    "fastmlp",
    "fastmlp.callbacks",
    "fastmlp.datasets",
    "fastmlp.formats.cpp_header",
    "fastmlp.metrics",
    "fastmlp.ops",
    "fastmlp.plot",
    "fastmlp.reference",
    "fastmlp.schedules",
    "fastmlp.sklearn",
    "fastmlp.tabular",
)


def public_names(module: str) -> Iterator[str]:
    """Yield the full names of a module's public names and of their public members."""
    namespace = vars(importlib.import_module(module))
    own = [n for n, x in namespace.items() if getattr(x, "__module__", "") == module]
    for name in namespace.get("__all__", own):
        thing = namespace[name]
        if name.startswith("_") or inspect.ismodule(thing):
            continue
        yield f"{module}.{name}"
        # scikit-learn documents what an estimator inherits; a dataclass documents its own fields.
        if inspect.isclass(thing):
            fields = getattr(thing, "__dataclass_fields__", ())
            for member in sorted(set(dir(thing)) - set(fields)):
                origin = getattr(getattr(thing, member), "__module__", None) or module
                if not member.startswith("_") and origin.startswith("fastmlp"):
                    yield f"{module}.{name}.{member}"


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of each public name and header that the pages lack."""
    logger = logging.getLogger(__name__)
    documented = {name for name, *_ in env.domains["py"].get_objects()}
    for module in MODULES:
        for name in public_names(module):
            if name not in documented:
                logger.warning("the public name %s is on no page", name)
    pages = "".join(page.read_text(encoding="utf-8") for page in DOCS.glob("api/*.md"))
    for header in sorted({declaration.header for declaration in declarations()}):
        if f"{{cpp-header}} {header}\n" not in pages:
            logger.warning("the header %s is on no page of api/", header)


def setup(app: Sphinx) -> dict[str, Any]:
    """Check after all pages are read."""
    app.connect("env-check-consistency", check)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
