"""Runs doxygen on the C++ headers, for breathe; passes its warnings on to Sphinx."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util import logging

DOCS = Path(__file__).parents[1]
HEADERS = DOCS.parent / "cpp" / "include"
OUTPUT = DOCS / "_build" / "doxygen"

SETTINGS = {
    "PROJECT_NAME": "fastmlp",
    "INPUT": f'"{HEADERS / "fastmlp"}"',
    "FILE_PATTERNS": "*.hpp",
    "STRIP_FROM_PATH": f'"{HEADERS}"',
    "OUTPUT_DIRECTORY": f'"{OUTPUT}"',
    "XML_OUTPUT": ".",
    "GENERATE_XML": "YES",
    "GENERATE_HTML": "NO",
    "GENERATE_LATEX": "NO",
    "XML_PROGRAMLISTING": "NO",
    # Show members without a comment too: their name and type say everything.
    "EXTRACT_ALL": "YES",
    "HIDE_UNDOC_RELATIONS": "YES",
    # Leave out what is not for users, and explicit instantiations, which breathe cannot read.
    "EXCLUDE_SYMBOLS": "*::Impl *::io_detail *::io_detail::* std",
    "INPUT_FILTER": '"sed -e s/.*library.s.own.*// -e s/^extern.template.*//"',
    "MACRO_EXPANSION": "YES",
    "EXPAND_ONLY_PREDEF": "YES",
    "PREDEFINED": "FASTMLP_EXPORT=",
    "QUIET": "YES",
    "WARN_NO_PARAMDOC": "NO",
    "WARN_FORMAT": '"$file:$line: $text"',
}


def run_doxygen(app: Sphinx, config: Any) -> None:
    """Write the XML again from scratch."""
    program = shutil.which("doxygen")
    if program is None:
        raise SphinxError(
            "the C++ API is read by doxygen, which is not installed (Debian, Ubuntu: "
            "apt install doxygen; macOS: brew install doxygen)"
        )
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    settings = "".join(f"{name} = {value}\n" for name, value in SETTINGS.items())
    done = subprocess.run(
        [program, "-"], input=settings, text=True, capture_output=True, cwd=DOCS, check=False
    )
    if done.returncode != 0:
        raise SphinxError(f"doxygen failed:\n{done.stderr}")
    # In examples, doxygen writes the end of a C comment with an entity between its two characters.
    for path in OUTPUT.glob("*.xml"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("*&amp;zwj;/", "*/"), encoding="utf-8")
    logger = logging.getLogger(__name__)
    for line in done.stderr.splitlines():
        logger.warning("doxygen: %s", line)


def setup(app: Sphinx) -> dict[str, Any]:
    """Run doxygen before breathe looks for its output."""
    app.connect("config-inited", run_doxygen)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
