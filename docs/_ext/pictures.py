"""Pictures that the build makes, once for each of furo's two themes.

`{picture} NAME` shows a function of `drawings.py`. `{picture-of} NAME` shows the figure that the
code of the page has under this name: the code above the directive runs, as check_examples runs it.
`{picture-by} NAME` shows the figure of a program in examples/python. The text of each is the
caption; the option `alt` says in words what is to be seen, and is required.
"""

import contextlib
import logging
import os
import runpy
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import check_examples
import drawings
import matplotlib as mpl
from docutils import nodes
from docutils.parsers.rst import directives
from doxygen_xml import DOCS
from matplotlib import pyplot
from matplotlib.figure import Figure
from palette import DARK, LIGHT, Palette
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import fastmlp

PICTURES = DOCS / "_build" / "pictures"
DRAWINGS: dict[str, Callable[[Palette], Figure]] = {
    "data-flow": drawings.data_flow,
    "product": drawings.product,
    "loss-curves": drawings.loss_curves,
    "optimizers": drawings.optimizers,
}
TEXT_WIDTH = 7.6  # inches of a figure that is as wide as the text
PAGES: dict[str, check_examples.PageCode] = {}  # the code of the pages that have run so far


def style(palette: Palette, name: str) -> dict[str, Any]:
    """Return matplotlib's settings for a picture of this name in these colours."""
    return {
        "svg.hashsalt": name,  # the same picture is the same file
        "svg.fonttype": "path",
        "font.size": 10.5,
        "mathtext.fontset": "cm",
        "figure.figsize": (6.4, 4.0),
        "axes.prop_cycle": mpl.cycler(color=fastmlp.plot.COLORS),
        "text.color": palette.ink,
        "axes.labelcolor": palette.ink,
        "axes.edgecolor": palette.muted,
        "xtick.color": palette.ink,
        "ytick.color": palette.ink,
        "grid.color": palette.faint,
        "legend.facecolor": palette.paper,
        "legend.edgecolor": palette.faint,
    }


def save(figure: Figure, name: str, theme: str) -> Path:
    """Write a figure as an SVG and return the file."""
    path = PICTURES / f"{name}-{theme}.svg"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, transparent=True, metadata={"Date": None})
    return path


def draw(name: str, palette: Palette) -> Path:
    """Draw one picture in one theme's colours and return the file."""
    with mpl.rc_context(style(palette, name)):
        return save(DRAWINGS[name](palette), name, palette.name)


def dark_copy(light: Path, name: str) -> Path:
    """Write the picture again with each colour of the light theme replaced by the dark one's."""
    text = light.read_text(encoding="utf-8")
    for before, after in zip(LIGHT[1:], DARK[1:], strict=True):
        text = text.replace(before, after)
    dark = light.with_name(f"{name}-{DARK.name}.svg")
    dark.write_text(text, encoding="utf-8")
    return dark


class Picture(SphinxDirective):
    """A fence `{picture} NAME` with `:alt:` and a caption."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Draw the picture and show the version that fits the reader's theme."""
        name = self.arguments[0]
        if name not in DRAWINGS:
            raise self.error(f"picture: {name} is not one of {', '.join(DRAWINGS)}")
        self.env.note_dependency(drawings.__file__)
        return [self.shown({theme.name: draw(name, theme) for theme in (LIGHT, DARK)})]

    def shown(self, files: Mapping[str, Path], width: str = "100%") -> nodes.figure:
        """Return a figure with a file for each theme."""
        if "alt" not in self.options:
            raise self.error(f"{self.name}: needs :alt:, which says what the picture shows")
        self.env.note_dependency(__file__)
        figure = nodes.figure(classes=["picture"])
        for theme, path in files.items():
            figure += nodes.image(
                uri=f"/{path.relative_to(DOCS).as_posix()}",
                alt=self.options["alt"],
                width=width,
                classes=[f"only-{theme}"],
            )
        caption = self.parse_content_to_nodes()
        if caption:
            figure += nodes.caption("", "", *caption[0].children)
        return figure


class PictureOf(Picture):
    """A fence `{picture-of} NAME`, where the code of the page has Axes or a Figure of this name."""

    def run(self) -> list[nodes.Node]:
        """Run the code of the page down to here and show the figure."""
        page = self.env.docname
        if page not in PAGES or self.lineno < PAGES[page].line:
            PAGES[page] = check_examples.PageCode(Path(self.env.doc2path(page)))
        return [self.drawn_by(f"{page}-{self.lineno}", self.figure)]

    def figure(self) -> Figure:
        """Run the code of the page down to here; return the figure."""
        page = PAGES[self.env.docname]
        page.run_until(self.lineno)
        drawn = page.namespace[self.arguments[0]]
        return getattr(drawn, "figure", drawn)

    def drawn_by(self, name: str, make: Callable[[], Figure]) -> nodes.figure:
        """Make a figure in a folder of its own, and show it as wide as it is drawn."""
        with (
            mpl.rc_context(style(LIGHT, name)),
            tempfile.TemporaryDirectory() as folder,
            contextlib.chdir(folder),
        ):
            figure = make()
            light = save(figure, name, LIGHT.name)
        width = f"{min(100, round(100 * figure.get_figwidth() / TEXT_WIDTH))}%"
        files = {LIGHT.name: light, DARK.name: dark_copy(light, Path(name).name)}
        return self.shown(files, width)


class PictureBy(PictureOf):
    """A fence `{picture-by} NAME`, for the program NAME.py in examples/python."""

    def run(self) -> list[nodes.Node]:
        """Run the program and show its figure."""
        self.env.note_dependency(str(self.program))
        return [self.drawn_by(f"example-{self.arguments[0]}", self.figure)]

    @property
    def program(self) -> Path:
        """The file of the program."""
        return DOCS.parent / "examples" / "python" / f"{self.arguments[0]}.py"

    def figure(self) -> Figure:
        """Run the program; return its figure."""
        runpy.run_path(str(self.program))
        return pyplot.gcf()


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directives."""
    os.environ["MPLBACKEND"] = "agg"
    logging.getLogger("fastmlp").setLevel(logging.WARNING)  # a11y_pygments shows all that is logged
    app.add_directive("picture", Picture)
    app.add_directive("picture-of", PictureOf)
    app.add_directive("picture-by", PictureBy)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
