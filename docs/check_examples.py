"""Runs the Python code of the guides: `python docs/check_examples.py [PAGE ...]`.

The blocks of a page run one after another in one namespace, in a temporary folder. If an expression
ends with a comment `# -> text`, it must give that text. A page that begins with
`<!-- needs: NAME -->` is skipped if that package is not installed.
"""

import ast
import importlib.util
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PAGES = (
    "index",
    "getting_started",
    "tabular",
    "performance",
    "reproducibility",
    "from_sklearn",
    "from_pytorch",
)
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
NEEDS = re.compile(r"\A<!-- needs: (\w+) -->")
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


def run_page(path: Path) -> str:
    """Run a page and return a line that says how it went."""
    text = path.read_text(encoding="utf-8")
    needed = NEEDS.match(text)
    if needed and importlib.util.find_spec(needed[1]) is None:
        return f"skipped: {needed[1]} is not installed"
    namespace: dict[str, Any] = {"__name__": "__page__"}
    compared = 0
    blocks = list(BLOCK.finditer(text))
    for block in blocks:
        line = text.count("\n", 0, block.start()) + 1
        compared += run_block(block[1], f"{path.name}, block at line {line}", namespace)
    return f"{len(blocks)} blocks ran, {compared} outputs as the page says"


def main(pages: list[str]) -> None:
    """Run the named pages, or all of them."""
    with tempfile.TemporaryDirectory() as folder:
        for page in pages or PAGES:
            path = (DOCS / page).with_suffix(".md")
            os.chdir(folder)
            print(f"{path.name}: {run_page(path)}", flush=True)
            os.chdir("/")


if __name__ == "__main__":
    main(sys.argv[1:])
