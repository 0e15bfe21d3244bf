"""Pages whose text is a file outside docs/, and links to such files.

`contributing.md` in docs/ is a stub for readers of the repository; on the site the page shows the
text of CONTRIBUTING.md. Links in that text, and links from other pages to the file, are changed to
lead to the right page. A link to any other file of the repository becomes a download.
"""

import os
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent

# Files of the repository, and the page that shows each of them.
PAGES = {
    "README.md": "index",
    "CONTRIBUTING.md": "contributing",
    "CHANGELOG.md": "changelog",
    "SECURITY.md": "security",
    "cpp/README.md": "internals",
    "examples/cpp/README.md": "examples",
    "examples/python/README.md": "gallery",
    "benchmarks/README.md": "benchmarks",
}
OWN_TEXT = ("index", "gallery")  # these pages do not show the text of their file
SOURCES = {page: name for name, page in PAGES.items() if page not in OWN_TEXT}

LINK = re.compile(r"(?<=\]\()(?!#|[a-z]+:)([^)#\s]+)")
FENCE = re.compile(r"^(```+|~~~+).*?^\1", re.MULTILINE | re.DOTALL)


def read_source(app: Sphinx, page: str, source: list[str]) -> None:
    """Replace a stub by the text of its file, and change links to files into links to pages."""
    text, folder = source[0], (DOCS / page).parent
    if page in SOURCES:
        app.env.note_dependency(str(ROOT / SOURCES[page]))
        text, folder = (ROOT / SOURCES[page]).read_text(encoding="utf-8"), ROOT / SOURCES[page]
        folder = folder.parent

    def led(match: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / match[1]))
        if not target.is_relative_to(ROOT):
            return match[1]
        found = PAGES.get(target.relative_to(ROOT).as_posix())
        path = DOCS / f"{found}.md" if found else target
        return Path(os.path.relpath(path, (DOCS / page).parent)).as_posix()

    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [LINK.sub(led, text[end : fence.start()]), fence[0]]
        end = fence.end()
    source[0] = "".join([*parts, LINK.sub(led, text[end:])])


def setup(app: Sphinx) -> dict[str, Any]:
    """Act on each page as it is read."""
    app.connect("source-read", read_source)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
