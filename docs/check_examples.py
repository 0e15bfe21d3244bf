"""Runs the Python code of the guides: `python docs/check_examples.py [PAGE ...]`.

The blocks of a page run one after another in one namespace, in a temporary folder. If an expression
ends with a comment `# -> text`, it must give that text. If a block of the language `text` follows
a block of code, the code must print that text; "…" stands for anything in a line. A page that
begins with `<!-- needs: NAMES -->` is skipped if one of these packages or programs is not
installed. On a page that says `<!-- runs: sh -->`, the blocks of the language `sh` run as well, and
a block whose first line is a comment with the name of a file is written to that file.
"""

import ast
import contextlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import warnings
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PAGES = (
    "index",
    "getting_started",
    "data_frames",
    "arrays",
    "tabular",
    "callbacks",
    "command_line",
    "performance",
    "reproducibility",
    "from_sklearn",
    "from_pytorch",
    "from_keras",
    "works_with",
    "plots",
    "gradients",
    "autograd",
    "explain",
    "onnx",
    *(f"guides/{path.stem}" for path in sorted(DOCS.glob("guides/*.md"))),
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", re.MULTILINE | re.DOTALL)
NEEDS = re.compile(r"\A<!-- needs: (.+) -->")
RUNS_SH = "<!-- runs: sh -->"
FILE = re.compile(r"(?://|#) ([\w.]+)\n")
GIVES = re.compile(r"# -> (.*)$")


def run_block(code: str, name: str, namespace: dict[str, Any]) -> int:
    """Run a block and compare its outputs; return the number of comparisons."""
    compared = 0
    lines = code.splitlines()
    for statement in ast.parse(code).body:
        says = GIVES.search(lines[(statement.end_lineno or 1) - 1])
        if says and isinstance(statement, ast.Expr):
            given = repr(eval(compile(ast.Expression(statement.value), name, "eval"), namespace))
            if given != says[1]:
                raise AssertionError(f"{name}: the code gives {given}, the page says {says[1]}")
            compared += 1
        else:
            exec(compile(ast.Module([statement], []), name, "exec"), namespace)
    return compared


class PageCode:
    """The code of a page, run from the top down and as far as it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8")
        self.namespace: dict[str, Any] = {"__name__": "__page__"}
        self.line = 0  # the code above it has run
        self.blocks = self.compared = 0

    def run_until(self, line: float) -> None:
        """Run the blocks that begin above this line and have not run yet."""
        for block in BLOCK.finditer(self.text):
            number = self.text.count("\n", 0, block.start()) + 1
            if self.line < number < line:
                self.line = number
                self._run(*block.groups(), f"{self.path.name}, block at line {number}")

    def _run(self, language: str, code: str, shown: str | None, name: str) -> None:
        printed = ""
        if language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as output, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # some pages show what is warned of
                self.compared += run_block(code, name, self.namespace)
            printed = output.getvalue()
        elif RUNS_SH not in self.text:
            return
        elif language == "sh":
            printed = run_commands(code, name)
        elif file := FILE.match(code):
            Path(file[1]).write_text(code, encoding="utf-8")
        self.blocks += 1
        if shown is not None:
            self.compared += 1
            if not re.fullmatch(re.escape(shown).replace("…", ".*"), printed):
                raise AssertionError(f"{name} prints\n{printed}\nThe page says\n{shown}")


def run_commands(code: str, name: str) -> str:
    """Run a block of commands; return what they print."""
    done = subprocess.run(["bash", "-ec", code], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{name} fails\n{done.stdout}{done.stderr}")
    return done.stdout


def run_page(path: Path) -> str:
    """Run a page and return a line that says how it went."""
    page = PageCode(path)
    needed = NEEDS.match(page.text)
    for name in needed[1].split() if needed else ():
        if not shutil.which(name) and not importlib.util.find_spec(name):
            return f"skipped: {name} is not installed"
    page.run_until(float("inf"))
    return f"{page.blocks} blocks ran, {page.compared} outputs as the page says"


def main(pages: list[str]) -> None:
    """Run the named pages, or all of them."""
    os.environ["MPLBACKEND"] = "agg"  # pictures are drawn and shown nowhere
    # The python3, cmake and fastmlp of the commands are those of this environment.
    os.environ["PATH"] = sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"]
    with tempfile.TemporaryDirectory() as folder:
        for page in pages or PAGES:
            path = DOCS / f"{page}.md"
            os.chdir(folder)
            print(f"{page}: {run_page(path)}", flush=True)
            os.chdir("/")


if __name__ == "__main__":
    main(sys.argv[1:])
