"""What several commands share: lists as `--hidden 128 64`, files, columns, and how CSV is read."""

import codecs
import io
import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import click

from fastmlp.cli.readers import Format, Source, open_table

Command = TypeVar("Command", bound=Callable[..., Any])


class ListCommand(click.Command):
    """A command whose options may take several words: `--hidden 128 64` or `--hidden 128,64`.

    click gives an option a fixed number of words, so a longer list is joined to one word first.
    The words of an option that takes numbers or known names end where another word begins.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Join the words of lists, then parse as click does."""
        lists = {
            name: option.type
            for option in self.params
            if isinstance(option.type, WordList)
            for name in option.opts
        }
        joined, words = [], list(args)
        while words:
            word = words.pop(0)
            joined.append(word)
            if word in lists:
                taken: list[str] = []
                while words and (not taken or lists[word].takes(words[0])):
                    taken.append(words.pop(0))
                joined += [",".join(taken)] if taken else []
        return super().parse_args(ctx, joined)


class WordList(click.ParamType):
    """A list that is written with commas or spaces."""

    def takes(self, word: str) -> bool:
        """Return whether a word can be one more entry."""
        raise NotImplementedError


class Sizes(WordList):
    """Whole numbers, such as 128 64."""

    name = "sizes"

    def takes(self, word: str) -> bool:
        """Return whether a word can be one more entry."""
        return word.replace(",", "").isdigit()

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """Return the numbers."""
        words = [word for word in str(value).split(",") if word]
        if not words or not all(word.isdigit() and int(word) > 0 for word in words):
            self.fail(f"{value!r} is not a list of whole numbers such as 128 64", param, ctx)
        return tuple(map(int, words))


class Quantiles(WordList):
    """Numbers between 0 and 1 that increase, such as 0.05 0.5 0.95."""

    name = "quantiles"

    def takes(self, word: str) -> bool:
        """Return whether a word can be one more entry."""
        return word.replace(",", "").replace(".", "").isdigit()

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        """Return the numbers."""
        found: tuple[float, ...] = ()
        with suppress(ValueError):
            found = tuple(float(word) for word in str(value).split(",") if word)
        if not found or not all(0 < one < 1 for one in found) or sorted(set(found)) != list(found):
            self.fail(
                f"{value!r} is not a list of increasing quantiles such as 0.05 0.5 0.95",
                param,
                ctx,
            )
        return found


class Names(WordList):
    """Some of several names."""

    name = "names"

    def __init__(self, allowed: list[str]) -> None:
        self.allowed = allowed

    def takes(self, word: str) -> bool:
        """Return whether a word can be one more entry."""
        return word in self.allowed

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        """Return the names."""
        words = tuple(word for word in str(value).split(",") if word)
        for word in words:
            if word not in self.allowed:
                self.fail(f"{word!r} is not one of {', '.join(self.allowed)}", param, ctx)
        return words

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[Any]:
        """Return the names that begin so."""
        names = [name for name in self.allowed if name.startswith(incomplete)]
        return [click.shell_completion.CompletionItem(name) for name in names]


class Number(click.FloatRange):
    """A number in a range, which excludes infinity and nan."""

    name = "number"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the number."""
        found: float = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return found


class Count(click.IntRange):
    """A positive whole number that the core can hold."""

    name = "number"

    def __init__(self) -> None:
        super().__init__(1)

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Return the number."""
        found: int = super().convert(value, param, ctx)
        if found >= 2**63:  # not the maximum of the range, which --help would show
            self.fail(f"{value} is not below 2**63", param, ctx)
        return found


class Encoding(click.ParamType):
    """The name of a text encoding."""

    name = "encoding"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return the name as Python writes it."""
        try:
            io.TextIOWrapper(io.BytesIO(), value)  # refuses rot13 and others that are not of text
            return codecs.lookup(value).name
        except (LookupError, ValueError):
            return self.fail(
                f"{value!r} is not a known text encoding; try utf-8, cp1252 or latin-1", param, ctx
            )


class Delimiter(click.ParamType):
    """One character; the word tab and a backslash with t stand for the tabulator."""

    name = "delimiter"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return the character."""
        found = {"tab": "\t", "\\t": "\t"}.get(value, str(value))
        if len(found) != 1 or found in '"\r\n':
            self.fail(f"{value!r} is not a delimiter: it must be one character, or tab", param, ctx)
        return found


class KindOfColumn(click.ParamType):
    """A column and its kind, such as zip=category."""

    name = "kind"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str]:
        """Return the column and the kind."""
        column, _, kind = str(value).rpartition("=")
        if not column or kind not in ("number", "boolean", "category", "date"):
            self.fail(
                f"{value!r} is not NAME=KIND, where KIND is number, boolean, category or date",
                param,
                ctx,
            )
        return column, kind


class OutputFile(click.ParamType):
    """A file to write. It is refused at once if its folder does not exist or may not be written."""

    name = "file"

    def __init__(self, allow_dash: bool = False) -> None:
        self.allow_dash = allow_dash

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return the path."""
        path = str(value)
        if path == "-":
            if not self.allow_dash:
                self.fail("'-' is not possible here; give the name of a file", param, ctx)
            return path
        folder = os.path.dirname(path) or os.curdir
        if not os.path.isdir(folder):
            self.fail(f"{path!r}: the folder {folder!r} does not exist", param, ctx)
        if os.path.isdir(path) or not os.path.basename(path):
            self.fail(f"{path!r} is a folder; give the name of a file", param, ctx)
        if not os.access(path if os.path.exists(path) else folder, os.W_OK):
            self.fail(f"{path!r} cannot be written", param, ctx)
        return path

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[Any]:
        """Let the shell complete files."""
        return [click.shell_completion.CompletionItem(incomplete, type="file")]


TABLE = click.Path(allow_dash=True)  # a file to read; what is wrong with it, `open` says best
MODEL = click.Path()


def reading(command: Command) -> Command:
    """Add the options for CSV files; the command gets them as `form`."""
    for option in (
        click.option(
            "--delimiter", type=Delimiter(), metavar="CHARACTER",
            help="What separates the fields of a CSV file; guessed among , ; | and tab.",
        ),
        click.option(
            "--encoding", type=Encoding(), default="utf-8", metavar="NAME",
            help="The encoding of a CSV file.  [default: utf-8]",
        ),
        click.option(
            "--no-header", is_flag=True,
            help="The CSV file has no line with names; its columns are called x0, x1, ...",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def format_of(options: dict[str, Any]) -> Format:
    """Take the options of `reading` out of those of a command."""
    return Format(options.pop("delimiter"), options.pop("encoding"), not options.pop("no_header"))


def as_json(command: Command) -> Command:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def complete_column(ctx: click.Context, param: Any, incomplete: str) -> list[str]:
    """Return the columns of the file on the command line that begin so."""
    words = [ctx.params.get("data") or "", *ctx.args]
    for path in filter(os.path.isfile, words):
        with suppress(Exception), open_table(path) as source:  # no file helps: offer nothing
            return [name for name in source.columns if name.startswith(incomplete)]
    return []


def listed(names: tuple[str, ...], source: Source, option: str) -> Iterator[str]:
    """Yield columns that an option names, once for each or with commas; refuse an unknown one."""
    for given in names:
        for name in [given] if given in source.columns else given.split(","):
            yield known(name, source, option)


def known(name: str, source: Source, option: str) -> str:
    """Return the name of a column; refuse an unknown one, and say which ones there are."""
    import difflib

    from fastmlp.cli.errors import CommandError

    if name in source.columns:
        return name
    close = difflib.get_close_matches(name, source.columns, n=1)
    hint = f"did you mean {close[0]!r}?" if close else ""
    if not hint:
        shown = ", ".join(map(repr, source.columns[:20]))
        hint = f"it has {shown}" + (", ..." if len(source.columns) > 20 else "")
    raise CommandError(f"{option}: {source.name} has no column {name!r}; {hint}")
