"""`fastmlp predict`: a table becomes a column of predictions, block by block."""

import csv
import gzip
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TextIO

import click
import numpy as np

from fastmlp.cli import options, output, progress
from fastmlp.cli.errors import CommandError, discard_output
from fastmlp.cli.models import load_model, refuse_same_file
from fastmlp.cli.readers import open_table
from fastmlp.formats.safetensors import replacing

OTHER_FORMATS = (".parquet", ".arrow", ".feather", ".npy", ".npz", ".xlsx", ".safetensors")


@click.command
@click.argument("model", type=options.MODEL)
@click.argument("data", type=options.TABLE)
@click.option(
    "--output",
    "-o",
    type=options.OutputFile(allow_dash=True),
    default="-",
    metavar="FILE",
    help="The CSV file to write; compressed if its name ends in .gz.  [default: standard output]",
)
@click.option(
    "--proba", is_flag=True, help="Write the probability of each class instead of the labels."
)
@click.option(
    "--keep",
    multiple=True,
    metavar="COLUMN",
    shell_complete=options.complete_column,
    help="A column of DATA to write before the predictions, such as an id; may be repeated.",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="COLUMN",
    shell_complete=options.complete_column,
    help="A column that is not an input; may be repeated.",
)
@options.reading
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per line.")
def command(**given: Any) -> int:
    """Predict each row of DATA with MODEL. DATA is a file with a table, or - for standard input.

    The result has a row for each row of DATA, in the same order, and one column: prediction. With
    --proba it has the columns probability_LABEL instead; a model of quantiles writes quantile_0.05
    and so on. --keep writes columns of DATA before them. A table of any size needs little memory.

    Example: fastmlp predict model.safetensors new.csv -o predictions.csv
    """  # fmt: skip
    form = options.format_of(given)
    path = given["output"]
    if path != "-":
        refuse_same_file(path, [given["data"], given["model"]])
    if path.endswith(OTHER_FORMATS):
        raise CommandError(f"-o {path}: predictions are written as CSV; end the name in .csv")
    model = load_model(given["model"])
    rows = 0
    with open_table(given["data"], form) as source:
        inputs = model.inputs(source, list(options.listed(given["ignore"], source, "--ignore")))
        answer: Callable[[Any], Any] = model.predict
        names = model.output_names()
        if given["proba"]:
            answer = model.probabilities
            names = model.probability_names()
        kept = list(dict.fromkeys(options.listed(given["keep"], source, "--keep")))
        if twice := set(kept) & set(names):
            raise CommandError(f"--keep: {min(twice)!r} is a column that predict writes itself")
        names = [*kept, *names]
        with written(path) as file, progress.predicted_rows(path) as bar:
            write = json_lines(file, names) if given["as_json"] else csv_lines(file, names)
            for block in source.blocks(inputs, kept):
                write(block.kept, answer(model.prepared(source, block, inputs)))
                rows += block.table.rows
                bar.update(block.table.rows)
    if path != "-":
        output.say(f"{path}: {output.count(rows, 'row')}")
    return 0


Write = Callable[[Sequence[Sequence[Any]], Any], None]  # of the columns that are kept, and answers


def csv_lines(file: TextIO, names: Sequence[str]) -> Write:
    """Return a function that writes rows of CSV; write the names."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)

    def write(kept: Sequence[Sequence[Any]], answers: Any) -> None:
        columns = [map(str, column) for column in _columns(answers)]  # floats: all their digits
        writer.writerows(zip(*kept, *columns, strict=True))

    return write


def json_lines(file: TextIO, names: Sequence[str]) -> Write:
    """Return a function that writes each row as an object."""

    def write(kept: Sequence[Sequence[Any]], answers: Any) -> None:
        columns = [column.tolist() for column in _columns(answers)]
        for row in zip(*kept, *columns, strict=True):
            found = output.finite(dict(zip(names, row, strict=True)))
            file.write(json.dumps(found, default=str) + "\n")

    return write


def _columns(answers: Any) -> list[Any]:
    array = np.asarray(answers)
    return list(array.T) if array.ndim == 2 else [array]


@contextmanager
def written(path: str) -> Iterator[TextIO]:
    """Open a file for text; it replaces an existing one only if all goes well.

    Predictions are data, so they are in UTF-8 whatever the terminal can show.
    """
    with ExitStack() as stack:
        if path == "-":
            raw: Any = sys.stdout.buffer
        else:
            raw = stack.enter_context(replacing(path))
            if path.endswith(".gz"):
                raw = stack.enter_context(gzip.GzipFile("", "wb", fileobj=raw, mtime=0))
        file = io.TextIOWrapper(raw, "utf-8", newline="")
        try:
            yield file
            file.flush()
        finally:  # detached, because it would close standard output
            try:
                file.detach()
            except OSError:  # `flush` has reported it
                if path == "-":
                    discard_output()
                    file.detach()
