"""What commands print: lines and tables for a terminal of 80 columns or fewer, and JSON.

Characters that standard output cannot show are replaced, so that no encoding ends a command.
"""

import json
import math
import os
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

WIDTH = 79  # a full line of 80 would wrap in some terminals
NARROWEST = 20  # of wrapped text
LONGEST = 24  # characters of a name in a table; a longer one is cut
# What stands for characters beyond ASCII in texts of this program.
PLAIN = str.maketrans({"²": "2"})


def width(stream: Any = None) -> int:
    """Return the length that lines for a stream may have; the default is standard output."""
    columns = 0
    with suppress(AttributeError, OSError, ValueError):  # it is no terminal
        columns = os.get_terminal_size((stream or sys.stdout).fileno()).columns
    return min(WIDTH, columns - 1) if columns > 1 else WIDTH  # 0 if the terminal does not know


def say(*lines: str) -> None:
    """Print lines on standard output."""
    for line in lines:
        print(shown(line), flush=True)


def wrapped(text: str) -> list[str]:
    """Return the lines of a text."""
    return textwrap.wrap(text, max(width(), NARROWEST), break_on_hyphens=False)


def shown(text: str) -> str:
    """Return the text as standard output can show it."""
    try:
        _encode(text)
    except UnicodeEncodeError:
        encoding = _encoding()
        plain = text.translate(PLAIN)
        return plain.encode(encoding, "backslashreplace").decode(encoding)
    return text


def quoted(path: str) -> str:
    """Return a path as a word of a command, which can be pasted into a shell."""
    if os.name == "nt":
        return subprocess.list2cmdline([path])
    try:
        _encode(path)
        return shlex.quote(path)
    except UnicodeEncodeError:
        codes = os.fsencode(path)
        plain = set(range(32, 127)) - set(b"'\\")
        return "$'" + "".join(chr(c) if c in plain else f"\\{c:03o}" for c in codes) + "'"


def _encoding() -> str:
    return getattr(sys.stdout, "encoding", None) or "ascii"


def _encode(text: str) -> None:
    """Raise UnicodeEncodeError if standard output cannot show the text."""
    # With this handler, which Python sets in the locale C, names of files are printed as they are.
    escapes = getattr(sys.stdout, "errors", None) == "surrogateescape"
    text.encode(_encoding(), "surrogateescape" if escapes else "strict")


def say_json(content: Any) -> None:
    """Print an object as JSON in ASCII; a number that is not finite becomes null."""
    print(json.dumps(finite(content), indent=2), flush=True)


def finite(content: Any) -> Any:
    """Return an object for JSON, in which a number that is not finite becomes None."""
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table; columns of numbers are aligned to the right.

    The last column is wrapped if the lines would become too long. If it has no room either, each
    row becomes a block of lines, one for each column.
    """
    rows = [[*map(clipped, row[:-1]), row[-1]] for row in rows]
    columns = list(zip(header, *rows, strict=True))
    right = [len(cells) > 1 and all(map(_is_number, cells[1:])) for cells in columns]
    widths = [max(map(len, cells)) for cells in columns]
    begin = sum(widths[:-1]) + 2 * len(widths[:-1])
    if begin + min(widths[-1], NARROWEST) > width():
        blocks = [["", *facts(zip(header, row, strict=True))] for row in rows]
        return [line for block in blocks for line in block][1:]
    lines = []
    for row in [header, *rows]:
        cells = [
            cell.rjust(size) if is_right else cell.ljust(size)
            for cell, size, is_right in zip(row, widths, right, strict=True)
        ]
        start = "  ".join([*cells[:-1], ""])
        space = width() - begin
        last = cells[-1].rstrip()
        parts = textwrap.wrap(row[-1], space) if len(row[-1]) > space else [last]
        lines += [f"{start if part is parts[0] else ' ' * begin}{part}" for part in parts or [""]]
    return [line.rstrip() for line in lines]


def _is_number(cell: str) -> bool:
    return cell[:1].isdigit() or cell[:2].strip("-").isdigit() or cell in ("", "-")


def facts(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Return lines with a name and what is said about it."""
    rows = list(rows)
    begin = max(len(name) for name, _ in rows) + 2
    space = max(width() - begin, NARROWEST)
    lines = []
    for name, text in rows:
        parts = textwrap.wrap(text, space, break_on_hyphens=False, break_long_words=False) or [""]
        lines.append(f"{name:{begin}}{parts[0]}".rstrip())
        lines += [" " * begin + part for part in parts[1:]]
    return lines


def clipped(text: str, width: int = LONGEST) -> str:
    """Return the text, or its beginning if it is too long."""
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= width else text[: width - 3] + "..."


def count(number: int, singular: str, plural: str = "") -> str:
    """Return a number and its noun: "1 row", "12,000 rows"."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def size(bytes_: int) -> str:
    """Return a number of bytes with its unit."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if bytes_ >= factor:
            return f"{bytes_ / factor:.3g} {unit}"
    return f"{bytes_} bytes"


def score(value: float) -> str:
    """Return a share or a loss with four digits after the point."""
    return "-" if math.isnan(value) else f"{value:.4f}"


def amount(value: float) -> str:
    """Return an amount with four significant digits, and every digit before the point."""
    if not math.isfinite(value) or (value and not 1e-3 <= abs(value) < 1e9):
        return f"{value:.4g}"
    digits = 3 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:,.{max(0, digits)}f}"
