"""Warns of pages that load something from the network: scripts, styles, fonts, pictures, frames."""

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util import logging

LOADED = re.compile(
    r"""<(?:script|img|iframe|source|embed)\b[^>]*\ssrc=["'](?:https?:)?//[^"']*"""
    r"""|<link\b(?![^>]*rel=["']canonical)[^>]*\shref=["'](?:https?:)?//[^"']*"""
    r"""|<object\b[^>]*\sdata=["'](?:https?:)?//[^"']*"""
    r"""|@import\s+(?:url\()?["']?(?:https?:)?//[^"')]*"""
    r"""|\burl\(\s*["']?(?:https?:)?//[^"')]*""",
    re.IGNORECASE,
)


def check(app: Sphinx, exception: Exception | None) -> None:
    """Look through the pages and style sheets that were written."""
    if exception is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir)
    for path in sorted([*folder.rglob("*.html"), *folder.rglob("*.css")]):
        for match in LOADED.finditer(path.read_text(encoding="utf-8")):
            name = path.relative_to(folder).as_posix()
            logging.getLogger(__name__).warning("%s loads %s", name, match[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Check at the end of the build."""
    app.connect("build-finished", check)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
