"""Files as tables, block by block: CSV, Parquet, Arrow and npy, told apart by their first bytes.

A file may be compressed by gzip, bzip2 or xz, and "-" is standard input. A block has a few thousand
rows, so a file of any size needs little memory. Start at `open_table`.
"""

import bz2
import contextlib
import csv
import gzip
import io
import itertools
import lzma
import shutil
import sys
import tempfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fastmlp.cli.errors import CommandError
from fastmlp.cli.output import count
from fastmlp.tabular._table import Column, Table, joined_numbers, read_table

BLOCK = 8192  # rows
SAMPLE = 100  # lines of a CSV file from which the delimiter is guessed
DELIMITERS = ",;\t|"
LONGEST_FIELD = 1 << 24  # characters; a quote that is not closed would make one without end

# What pandas.read_csv takes for a missing value; "" is an empty field.
MISSING = {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND"}
MISSING |= {"1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}

COMPRESSED: dict[bytes, Any] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
UNREADABLE = {
    b"PK\3\4": "a ZIP archive or an Excel workbook: save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save the sheet as CSV",
    b"FEA1": "an old Feather file: write it again with a recent pyarrow",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: decompress it first, zstd -d",
}
BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe\0\0": "utf-32"}
BYTE_ORDER_MARKS |= {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\0\0\xfe\xff": "utf-32"}


@dataclass(frozen=True)
class Format:
    """What the user says about CSV files."""

    delimiter: str | None = None  # None to guess it
    encoding: str = "utf-8"
    header: bool = True  # whether the first line has the names


DEFAULT = Format()


@dataclass(frozen=True)
class Block:
    """Some rows of a file."""

    table: Table
    numbers: Any  # of the rows in the file, from 1
    lines: Any  # of the rows in the file, if it is CSV; else None
    kept: Sequence[Sequence[Any]] = ()  # columns as the file has them, for the result

    def place(self, row: int) -> str:
        """Return where a row of the block is in the file."""
        line = "" if self.lines is None else f" (line {self.lines[row]})"
        return f"row {self.numbers[row]}{line}"

    def take(self, rows: Any) -> "Block":
        """Return some of its rows."""
        lines = None if self.lines is None else self.lines[rows]
        return Block(self.table.take(rows), np.asarray(self.numbers)[rows], lines)


def joined(blocks: Sequence[Block]) -> Block:
    """Return blocks as one; equal texts become one object."""
    if not blocks:
        return Block(Table({}, 0, named=True), [], None)
    columns = {}
    for name, first in blocks[0].table.columns.items():
        values = [block.table.columns[name].values for block in blocks]
        if first.holds == "others":  # what no model takes
            columns[name] = first
        elif isinstance(first.values, np.ndarray):
            columns[name] = joined_numbers([block.table.columns[name] for block in blocks])
        else:
            once: dict[Any, Any] = {}
            texts = [once.setdefault(text, text) for part in values for text in part]
            columns[name] = Column(name, first.holds, texts)
    numbers = np.concatenate([np.asarray(block.numbers) for block in blocks])
    lines = None if blocks[0].lines is None else np.concatenate([block.lines for block in blocks])
    return Block(Table(columns, len(numbers), named=True), numbers, lines)


class Source:
    """A file that is open: the base of the formats."""

    def __init__(self, name: str, columns: Sequence[str]) -> None:
        self.name = name
        self.columns = list(columns)
        if not self.columns:
            raise CommandError(f"{name} has no columns")
        twice = {column for column in self.columns if self.columns.count(column) > 1}
        if twice:
            raise CommandError(f"{name} has two columns called {min(twice)!r}; rename one")

    def blocks(self, wanted: Collection[str], kept: Sequence[str] = ()) -> Iterator[Block]:
        """Yield all rows once, with the wanted columns and those that are kept."""
        raise NotImplementedError


@contextmanager
def open_table(path: str, form: Format = DEFAULT) -> Iterator[Source]:
    """Open a file as a table; `path` "-" is standard input."""
    name = "standard input" if path == "-" else path
    with ExitStack() as stack, _naming(name):
        if path == "-" and sys.stdin is None:
            raise CommandError("standard input is closed")
        raw: Any = sys.stdin.buffer if path == "-" else stack.enter_context(open(path, "rb"))
        yield _source(raw, path, name, form, stack)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Turn what a damaged file raises into a line with its name."""
    try:
        yield
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise CommandError(f"{name} is damaged: {error}") from error


def _source(raw: BinaryIO, path: str, name: str, form: Format, stack: ExitStack) -> Source:
    start, stream = _peeked(raw, name)
    if not start:
        raise CommandError(f"{name} is empty")
    for mark, what in UNREADABLE.items():
        if start.startswith(mark):
            raise CommandError(f"{name} is {what}")
    for mark, opened in COMPRESSED.items():
        if start.startswith(mark):
            inner = stack.enter_context(opened(stream))
            return _source(inner, "-", name, form, stack)
    for mark, kind in FILES.items():
        if start.startswith(mark):
            return kind(_file(stream, path, stack), name, stack)
    if start.startswith(b"\xff\xff\xff\xff"):
        return _ArrowStream(stream, name, stack)
    encoding = next((e for m, e in BYTE_ORDER_MARKS.items() if start.startswith(m)), form.encoding)
    if b"\0" in start and not encoding.startswith(("utf-16", "utf-32")):
        raise CommandError(f"{name} is not a table: it must be CSV, Parquet, Arrow or npy")
    return CsvSource(stream, name, form, encoding)


def _peeked(raw: BinaryIO, name: str) -> tuple[bytes, BinaryIO]:
    """Return the first bytes, and a stream that still has them."""
    rest = _Rejoined(b"", raw, name)
    start = b""
    while len(start) < 512 and (piece := rest.read(512 - len(start))):
        start += piece
    return start, io.BufferedReader(_Rejoined(start, raw, name), 1 << 16)


class _Rejoined(io.RawIOBase):
    """Bytes, then the rest of the stream that they were read from."""

    def __init__(self, start: bytes, rest: BinaryIO, name: str) -> None:
        self.start, self.rest, self.name = start, rest, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece, self.start = self.start, b""
        piece = piece or self._read(len(buffer))
        self.start = piece[len(buffer) :]
        buffer[: len(piece)] = piece[: len(buffer)]
        return min(len(piece), len(buffer))

    def _read(self, size: int) -> bytes:
        try:
            return getattr(self.rest, "read1", self.rest.read)(size)
        except OSError as error:
            if error.errno is not None:  # not what gzip says of a damaged file
                error.filename = self.name
            raise


def _file(stream: BinaryIO, path: str, stack: ExitStack) -> str:
    """Return the path of a file that can be read in any order; a pipe becomes a temporary one."""
    if path != "-" and Path(path).is_file():
        return path
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fastmlp-"))
    copy = Path(folder, "table")
    with copy.open("wb") as file:
        shutil.copyfileobj(stream, file)
    return str(copy)


# CSV


class CsvSource(Source):
    """Lines of fields; all columns hold texts."""

    def __init__(self, stream: BinaryIO, name: str, form: Format, encoding: str) -> None:
        lines = _decoded(stream, name, encoding)
        sample = list(itertools.islice(lines, SAMPLE))
        csv.field_size_limit(LONGEST_FIELD)
        self.reader = csv.reader(
            itertools.chain(sample, lines),
            delimiter=form.delimiter or _delimiter(sample),
            strict=True,
        )
        self.name = name
        first = self._record()
        while first == []:
            first = self._record()
        if first is None:
            raise CommandError(f"{name} has no rows")
        self.pending = [] if form.header else [first]
        if form.header:  # as pandas calls a column without a name
            columns = [one or f"Unnamed: {index}" for index, one in enumerate(first)]
        else:
            columns = [f"x{index}" for index in range(len(first))]
        super().__init__(name, columns)

    def _record(self) -> list[str] | None:
        """Return the fields of the next record; None at the end."""
        first = self.reader.line_num + 1
        try:
            return next(self.reader, None)
        except csv.Error as error:
            last, what = self.reader.line_num, str(error)
            if "limit" in what or "end of data" in what:
                last, what = first, "a quote is not closed"
            place = f"line {first}" if first == last else f"lines {first} to {last}"
            raise CommandError(f"{self.name}: {place}: {what}") from error

    def blocks(self, wanted: Collection[str], kept: Sequence[str] = ()) -> Iterator[Block]:
        """Yield all rows once, with the wanted columns and those that are kept."""
        places = [index for index, name in enumerate(self.columns) if name in wanted]
        row = 1
        while True:
            records, lines = self._records(row)
            if not records:
                return
            fields = list(zip(*records, strict=True))
            columns = {
                self.columns[place]: Column(
                    self.columns[place],
                    "texts",
                    [None if text in MISSING or text.isspace() else text for text in fields[place]],
                )
                for place in places
            }
            table = Table(columns, len(records), named=True)
            values = [fields[self.columns.index(name)] for name in kept]
            yield Block(table, range(row, row + len(records)), lines, values)
            row += len(records)

    def _records(self, row: int) -> tuple[list[list[str]], Any]:
        """Return the records of the next block and their lines."""
        records, lines = self.pending, [self.reader.line_num] * len(self.pending)
        self.pending = []
        while len(records) < BLOCK and (record := self._record()) is not None:
            if not record:
                continue  # an empty line
            if len(record) != len(self.columns):
                raise CommandError(
                    f"{self.name}: row {row + len(records)} (line {self.reader.line_num}) has "
                    f"{count(len(record), 'field')}; the first line has {len(self.columns)}"
                )
            records.append(record)
            lines.append(self.reader.line_num)
        return records, np.array(lines)


def _decoded(stream: BinaryIO, name: str, encoding: str) -> Iterator[str]:
    """Yield the lines as text; they end as in the file."""
    later = encoding.removesuffix("-sig")
    is_split_first = "\n".encode(later) == b"\n"  # not UTF-16 and the like
    lines: Iterable[Any] = _byte_lines(stream)
    if not is_split_first:
        lines = io.TextIOWrapper(stream, encoding, newline="")
    try:
        for number, line in enumerate(lines, start=1):
            try:
                text: str = line
                if is_split_first:
                    text = line.decode(encoding if number == 1 else later)
            except UnicodeDecodeError as error:
                raise CommandError(
                    f"{name}: line {number} is not {encoding.upper()}, byte {error.start + 1} is "
                    f"0x{line[error.start]:02x}; name its encoding, such as --encoding cp1252"
                ) from error
            if "\0" in text:
                raise CommandError(
                    f"{name}: line {number} has a NUL character; the file is damaged"
                )
            yield text
    except UnicodeError as error:
        raise CommandError(f"{name} is not {encoding.upper()}: {error}") from error


def _byte_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield lines that end with a newline, a carriage return or both."""
    for line in stream:
        if b"\r" in line[:-2]:
            yield from line.splitlines(keepends=True)
        else:
            yield line


def _delimiter(sample: Sequence[str]) -> str:
    """Return the delimiter that divides all lines alike, or the first one that divides the first.

    Without any the file has one column.
    """
    best, most = ",", 1
    for delimiter in DELIMITERS:
        with contextlib.suppress(csv.Error):
            counts = [len(record) for record in csv.reader(sample, delimiter=delimiter) if record]
            if len(counts) > 2:
                counts.pop()  # the sample may end inside it
            if counts and len(set(counts)) == 1 and counts[0] > most:
                best, most = delimiter, counts[0]
    if most == 1 and sample:
        first = next((line for line in sample if line.strip()), "")
        best = max(DELIMITERS, key=first.count)  # "," if none occurs
    return best


# Other formats


class NpySource(Source):
    """An array with two axes, whose columns are x0, x1, …, or a structured one."""

    def __init__(self, path: str, name: str, stack: ExitStack) -> None:
        try:
            self.array = np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise CommandError(f"{name} cannot be read: {error}") from error
        names = self.array.dtype.names
        if self.array.ndim != (1 if names else 2):
            raise CommandError(
                f"{name} has an array of shape {self.array.shape}; a table has rows and columns"
            )
        super().__init__(name, names or [f"x{index}" for index in range(self.array.shape[1])])

    def blocks(self, wanted: Collection[str], kept: Sequence[str] = ()) -> Iterator[Block]:
        """Yield all rows once, with the wanted columns and those that are kept."""
        for begin in range(0, len(self.array), BLOCK):
            part = self.array[begin : begin + BLOCK]
            columns = {
                name: part[name] if self.array.dtype.names else part[:, place]
                for place, name in enumerate(self.columns)
            }
            inputs = {name: column for name, column in columns.items() if name in wanted}
            values = [columns[name].tolist() for name in kept]
            yield _block(self.name, inputs, len(part), begin + 1, values)


class _ArrowSource(Source):
    """What pyarrow reads."""

    def batches(self, wanted: list[str]) -> Iterable[Any]:
        """Yield record batches."""
        raise NotImplementedError

    def blocks(self, wanted: Collection[str], kept: Sequence[str] = ()) -> Iterator[Block]:
        """Yield all rows once, with the wanted columns and those that are kept."""
        import pyarrow

        names = [name for name in self.columns if name in wanted]
        read = [name for name in self.columns if name in wanted or name in kept]
        row = 1
        for batch in self.batches(read):
            for begin in range(0, batch.num_rows, BLOCK):
                part = pyarrow.Table.from_batches([batch.slice(begin, BLOCK)])
                values = [part.column(name).to_pylist() for name in kept]
                yield _block(self.name, part.select(names), part.num_rows, row, values)
                row += part.num_rows


class ParquetSource(_ArrowSource):
    """A Parquet file."""

    def __init__(self, path: str, name: str, stack: ExitStack) -> None:
        parquet = _pyarrow(name, "pyarrow.parquet")
        with _arrow_errors(name):
            self.file = stack.enter_context(parquet.ParquetFile(path))
        super().__init__(name, self.file.schema_arrow.names)

    def batches(self, wanted: list[str]) -> Iterable[Any]:
        """Yield record batches."""
        with _arrow_errors(self.name):
            yield from self.file.iter_batches(BLOCK, columns=wanted)


class ArrowFile(_ArrowSource):
    """An Arrow file, which is also called Feather."""

    def __init__(self, path: str, name: str, stack: ExitStack) -> None:
        pyarrow = _pyarrow(name, "pyarrow")
        with _arrow_errors(name):
            mapped = stack.enter_context(pyarrow.memory_map(path))
            self.file = stack.enter_context(pyarrow.ipc.open_file(mapped))
        super().__init__(name, self.file.schema.names)

    def batches(self, wanted: list[str]) -> Iterable[Any]:
        """Yield record batches."""
        with _arrow_errors(self.name):
            for index in range(self.file.num_record_batches):
                yield self.file.get_batch(index)


class _ArrowStream(_ArrowSource):
    """An Arrow stream."""

    def __init__(self, stream: BinaryIO, name: str, stack: ExitStack) -> None:
        pyarrow = _pyarrow(name, "pyarrow")
        with _arrow_errors(name):
            self.file = stack.enter_context(pyarrow.ipc.open_stream(stream))
        super().__init__(name, self.file.schema.names)

    def batches(self, wanted: list[str]) -> Iterable[Any]:
        """Yield record batches."""
        with _arrow_errors(self.name):
            yield from self.file


FILES: dict[bytes, Any] = {
    b"\x93NUMPY": NpySource,
    b"PAR1": ParquetSource,
    b"ARROW1": ArrowFile,
}


def _pyarrow(name: str, module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise CommandError(
            f"{name} is a Parquet or Arrow file, and pyarrow, which reads it, is not installed: "
            "pip install pyarrow"
        ) from error


@contextmanager
def _arrow_errors(name: str) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except pyarrow.ArrowException as error:
        raise CommandError(f"{name} cannot be read: {error}") from error
    except OSError as error:  # pyarrow's errors of damaged files have no number
        if error.errno is not None:
            raise
        raise CommandError(f"{name} is damaged: {error}") from error


def _block(
    name: str, columns: Any, rows: int, first_row: int, kept: Sequence[Sequence[Any]]
) -> Block:
    try:
        table = read_table(columns)
    except (TypeError, ValueError) as error:
        raise CommandError(f"{name}: {error}") from error
    numbers = range(first_row, first_row + rows)
    return Block(Table(table.columns, rows, named=True), numbers, None, kept)
