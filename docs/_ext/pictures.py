"""The directive `picture`: a drawing that the build makes, once for each of furo's two themes.

The drawings are functions in `drawings.py`. The text of the directive is the caption; its option
`alt` says in words what the drawing shows, and is required.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import drawings
import matplotlib as mpl
from docutils import nodes
from docutils.parsers.rst import directives
from doxygen_xml import DOCS
from matplotlib.figure import Figure
from palette import DARK, LIGHT, Palette
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

PICTURES = DOCS / "_build" / "pictures"
DRAWINGS: dict[str, Callable[[Palette], Figure]] = {
    "data-flow": drawings.data_flow,
    "product": drawings.product,
    "loss-curves": drawings.loss_curves,
    "optimizers": drawings.optimizers,
}


def draw(name: str, palette: Palette) -> Path:
    """Draw one picture in one theme's colours and return the file."""
    style = {
        "svg.hashsalt": name,  # the same picture is the same file
        "svg.fonttype": "path",
        "font.size": 10.5,
        "mathtext.fontset": "cm",
        "text.color": palette.ink,
        "axes.labelcolor": palette.ink,
        "axes.edgecolor": palette.muted,
        "xtick.color": palette.ink,
        "ytick.color": palette.ink,
        "grid.color": palette.faint,
    }
    with mpl.rc_context(style):
        figure = DRAWINGS[name](palette)
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}-{palette.name}.svg"
        figure.savefig(path, transparent=True, metadata={"Date": None})
    return path


class Picture(SphinxDirective):
    """A fence `{picture} NAME` with `:alt:` and a caption."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Draw the picture and show the version that fits the reader's theme."""
        name = self.arguments[0]
        if name not in DRAWINGS or "alt" not in self.options:
            raise self.error(f"picture: needs :alt: and one of {', '.join(DRAWINGS)}")
        for module in (__file__, drawings.__file__):
            self.env.note_dependency(module)
        figure = nodes.figure(classes=["picture"])
        for palette in (LIGHT, DARK):
            path = draw(name, palette).relative_to(DOCS)
            figure += nodes.image(
                uri=f"/{path.as_posix()}",
                alt=self.options["alt"],
                classes=[f"only-{palette.name}"],
            )
        caption = self.parse_content_to_nodes()
        if caption:
            figure += nodes.caption("", "", *caption[0].children)
        return [figure]


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("picture", Picture)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
