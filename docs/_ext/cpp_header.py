"""The directive `cpp-header`: everything that a C++ header declares, in the header's order.

breathe's own `doxygenfile` declares the namespace once per file, which Sphinx's C++ domain reports
as an error. So this directive writes one directive of breathe for each class, function and so on.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple
from xml.etree import ElementTree

from docutils import nodes
from doxygen_xml import HEADERS, OUTPUT
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

NAMESPACE = OUTPUT / "namespacefastmlp.xml"


class Declaration(NamedTuple):
    """A declaration: its place, and the directive that shows it."""

    header: str
    line: int
    directive: str
    name: str
    options: str = ""


def place(element: ElementTree.Element) -> tuple[str, int]:
    """Return the header and line of an element."""
    location = element.find("location")
    assert location is not None
    return location.attrib["file"].removeprefix("fastmlp/"), int(location.attrib["line"])


def declarations() -> Iterator[Declaration]:
    """Yield the declarations in the namespace fastmlp, without those in nested namespaces."""
    namespace = ElementTree.parse(NAMESPACE).getroot().find("compounddef")
    assert namespace is not None
    for inner in namespace.findall("innerclass"):
        compound = ElementTree.parse(OUTPUT / f"{inner.attrib['refid']}.xml").find("compounddef")
        assert compound is not None
        kind, name = compound.attrib["kind"], compound.findtext("compoundname")
        yield Declaration(
            *place(compound), f"doxygen{kind}", str(name), ":members:\n:undoc-members:"
        )
    for member in namespace.iter("memberdef"):
        kind, name = member.attrib["kind"], f"fastmlp::{member.findtext('name')}"
        if kind == "function":
            types = (p.find("type") for p in member.findall("param"))
            name += "(" + ", ".join("".join(t.itertext()) for t in types if t is not None) + ")"
        yield Declaration(*place(member), f"doxygen{kind}", name)


class CppHeader(SphinxDirective):
    """A fence `{cpp-header} network.hpp`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Write a directive of breathe for each declaration, and run them."""
        header = self.arguments[0]
        self.env.note_dependency(str(HEADERS / "fastmlp" / header))
        found = sorted(d for d in declarations() if d.header == header)
        if not found:
            raise self.error(f"doxygen finds no declaration in {header}")
        parts = (f"```{{{d.directive}}} {d.name}\n{d.options}\n```" for d in found)
        return self.parse_text_to_nodes("\n\n".join(parts))


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("cpp-header", CppHeader)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
