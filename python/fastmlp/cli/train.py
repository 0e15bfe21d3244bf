"""`fastmlp train`: a table becomes a model."""

import os
import tempfile
import time
import warnings
from contextlib import closing, suppress
from dataclasses import asdict, replace
from typing import Any

import click
import numpy as np

from fastmlp.cli import options, output, progress, scores
from fastmlp.cli.errors import FAILED, CommandError
from fastmlp.cli.models import read as read_as
from fastmlp.cli.models import refuse_same_file
from fastmlp.cli.readers import Block, Format, Source, joined, open_table
from fastmlp.cli.target import Guess, guess
from fastmlp.tabular import TabularClassifier, TabularRegressor
from fastmlp.tabular._members import Task, held_out
from fastmlp.tabular._table import Column, Table, _boolean
from fastmlp.tabular._target import labels, places_among

SHOWN_COLUMNS = 20
OF_A_TASK = (
    ("loss", "regression"),
    ("quantiles", "regression"),
    ("class_weight", "classification"),
)
LOSSES = TabularRegressor._LOSSES


@click.command(cls=options.ListCommand)
@click.argument("data", type=options.TABLE)
@click.option(
    "--target",
    "-t",
    required=True,
    metavar="COLUMN",
    shell_complete=options.complete_column,
    help="The column to predict.",
)
@click.option(
    "--output",
    "-o",
    required=True,
    type=options.OutputFile(),
    metavar="FILE",
    help="The file for the model, in the safetensors format.",
)
@click.option(
    "--task",
    type=click.Choice(["classification", "regression"]),
    help="Guessed: text, booleans and whole numbers with at most 20 values are classes.",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="COLUMN",
    shell_complete=options.complete_column,
    help="A column to leave out, or several with commas; may be repeated.",
)
@click.option(
    "--type",
    "kinds",
    multiple=True,
    type=options.KindOfColumn(),
    metavar="COLUMN=KIND",
    help="The kind of a column: number, boolean, category or date; may be repeated.",
)
@click.option(
    "--hidden", type=options.Sizes(), metavar="SIZE...", help="Units in each hidden layer."
)
@click.option("--epochs", type=options.Count(), help="The most passes over the rows.")
@click.option("--members", type=options.Count(), help="Number of networks to average.")
@click.option("--batch-size", type=options.Count(), help="Rows in one training step.")
@click.option("--learning-rate", type=options.Number(0, min_open=True), help="For AdamW.")
@click.option("--weight-decay", type=options.Number(0), help="For AdamW.")
@click.option(
    "--dropout",
    type=options.Number(0, 1, max_open=True),
    help="Fraction of the hidden units that each step leaves out.",
)
@click.option("--loss", type=click.Choice(LOSSES), help="The loss of a regression.")
@click.option(
    "--quantiles",
    type=options.Quantiles(),
    metavar="QUANTILE...",
    help="Predict these quantiles instead of the mean, such as 0.05 0.5 0.95.",
)
@click.option(
    "--class-weight",
    type=click.Choice(["balanced"]),
    help="Give every class the same total weight.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    default=0,
    help="The same table and seed give the same file.  [default: 0]",
)
@options.reading
@options.as_json
def command(**given: Any) -> int:
    """Train a model on the table DATA: CSV, Parquet, Arrow or npy, or - for standard input.

    Rows without a target are left out. Missing values, texts and dates need no preparation.
    Settings that you do not give are chosen by the size of the table and the task.

    Example: fastmlp train data.csv --target survived -o model.safetensors
    """  # fmt: skip
    form = options.format_of(given)
    refuse_same_file(given["output"], [given["data"]])
    started = time.perf_counter()
    table, chosen, dropped, ignore, kinds = read(given, form)
    model = make(chosen, given, ignore, kinds)
    if not given["as_json"]:
        report_data(chosen, table, dropped, given["task"] is None)
    bar = progress.Training()
    with closing(bar), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "fit: some columns are left out")  # the report says it
        model.fit(
            Table({**table.columns, chosen.target.name: chosen.target}, table.rows, True),
            chosen.target.name,
            callbacks=[bar],
        )
    found = held_out_scores(model, table, chosen)
    save(model, given["output"])
    seconds = time.perf_counter() - started
    if given["as_json"]:
        output.say_json(as_dict(model, chosen, table, dropped, found, given["output"], seconds))
    else:
        report(model, found, given, seconds)
    return 0


def read(
    given: dict[str, Any], form: Format
) -> tuple[Table, Guess, int, list[str], dict[str, str]]:
    """Return the inputs, the target, how many rows were without it, and the choices by column."""
    with open_table(given["data"], form) as source:
        target = options.known(given["target"], source, "--target")
        ignore = list(options.listed(given["ignore"], source, "--ignore"))
        kinds = {options.known(name, source, "--type"): kind for name, kind in given["kinds"]}
        if target in ignore:
            raise CommandError(f"--ignore: {target!r} is the target")
        if target in kinds:
            raise CommandError(
                f"--type: {target!r} is the target; --task classification or --task regression "
                "says what it is"
            )
        block = joined(list(source.blocks(source.columns)))
        if block.table.rows == 0:
            raise CommandError(f"{source.name} has names of columns but no rows")
        column = read_as(source, block, block.table.columns[target], "category")
        column = numbers_of(source, block, column)
        there = np.flatnonzero(~column.missing())
        if len(there) == 0:
            raise CommandError(f"--target: {target!r} is empty in every row of {source.name}")
        dropped = len(column) - len(there)
        if dropped:
            block, column = block.take(there), column.take(there)
        columns = {
            name: one if name in ignore else typed(source, block, one, kinds.get(name))
            for name, one in block.table.columns.items()
            if name != target
        }
        if not columns:
            raise CommandError(f"{source.name} has no column besides the target {target!r}")
        columns = {name: replace(one, place=block.place) for name, one in columns.items()}

        def place(row: int) -> str:
            return f"{source.name}: {block.place(row)}, column {target!r}"

        chosen = guess(column, given["task"], place)
        return Table(columns, len(there), named=True), chosen, dropped, ignore, kinds


def numbers_of(source: Source, block: Block, column: Column) -> Column:
    """Return a column as numbers if all of its values are numbers, else as it is."""
    is_numbers = column.holds == "numbers" or column.is_text_of_numbers()
    return read_as(source, block, column, "number") if is_numbers else column


def typed(source: Source, block: Block, column: Column, kind: str | None) -> Column:
    """Return a column as its kind or, if the user names none, numbers and booleans as such."""
    if kind is not None:
        return read_as(source, block, column, kind)
    column = numbers_of(source, block, read_as(source, block, column, "category"))
    return read_as(source, block, column, "boolean") if column.is_text_of(_boolean) else column


def make(chosen: Guess, given: dict[str, Any], ignore: list[str], kinds: dict[str, str]) -> Any:
    """Return a model that is not yet fitted."""
    names = ("hidden", "epochs", "batch_size", "learning_rate", "weight_decay", "dropout", "seed")
    settings = {name: given[name] for name in names}
    settings |= {"n_members": given["members"], "ignore": ignore, "column_types": kinds or None}
    for option, task in OF_A_TASK:
        if given[option] is None:
            continue
        if chosen.task != task:
            raise CommandError(
                f"--{option.replace('_', '-')} is for {task}; the task is {chosen.task}, because "
                f"{chosen.reason}"
            )
        settings[option] = given[option]
    return (TabularClassifier if chosen.task == "classification" else TabularRegressor)(**settings)


def held_out_scores(model: Any, table: Table, chosen: Guess) -> scores.Scores | None:
    """Score each row that a network held out by this network; None if no row was held out."""
    places = None
    if chosen.task == "classification":
        places = places_among(model.classes_, chosen.target, "train")
    task = Task(
        np.empty((table.rows, 0)), np.empty(0), places, None, {}, model._used_recipe, model.seed_
    )
    outputs = np.full((table.rows, model.networks[0].layers[-1]), np.nan)
    for member, network in enumerate(model.networks):  # no two of them hold out the same row
        rows = np.flatnonzero(held_out(task, member))
        for begin in range(0, len(rows), 8192):
            part = rows[begin : begin + 8192]
            outputs[part] = network.forward(model._encoder.encode(table.take(part)))
    rows = np.flatnonzero(~np.isnan(outputs[:, 0]))
    if len(rows) == 0:
        return None
    answers = model._answers(outputs[rows])
    if places is not None:
        return scores.of_classes(model.classes_.tolist(), places[rows], answers)
    y = chosen.target.numbers()[rows]
    if model.quantiles_:
        return scores.of_quantiles(y, answers, model.quantiles_)
    return scores.of_amounts(y, answers)


def save(model: Any, path: str) -> None:
    """Write the model; if that fails, keep it in the folder for temporary files."""
    try:
        model.save(path)
    except OSError as error:
        with suppress(OSError):
            folder = tempfile.mkdtemp(prefix="fastmlp-")
            kept = os.path.join(folder, "model.safetensors")
            model.save(kept)
            raise CommandError(
                f"{path}: {error.strerror}; the model is in {kept} instead", FAILED
            ) from error
        raise


# What is printed


def report_data(chosen: Guess, table: Table, dropped: int, is_guessed: bool) -> None:
    """Print the task and the rows."""
    rows = output.count(table.rows, "row")
    without = f"; {output.count(dropped, 'row')} without a target left out" if dropped else ""
    change = ""
    if is_guessed and chosen.target.holds == "numbers":
        other = "regression" if chosen.task == "classification" else "classification"
        change = f"; add --task {other} to change that"
    what = chosen.task
    if chosen.task == "classification":
        names, n = np.unique(labels(chosen.target), return_counts=True)
        order = np.argsort(-n, kind="stable")[:6]
        shown = ", ".join(f"{output.clipped(str(names[i]))} ({n[i]:,})" for i in order)
        what += f": {shown}" + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    output.say(
        *output.facts(
            [
                ("task", what),
                ("", f"because {chosen.reason}{change}"),
                ("data", f"{rows}, {output.count(len(table.columns), 'column')}{without}"),
            ]
        )
    )


def report_columns(model: Any) -> None:
    """Print what became of each column."""
    found = model.columns()
    rows = [
        [one.name, one.kind, str(one.inputs), one.description.partition(": ")[2]]
        for one in found[:SHOWN_COLUMNS]
    ]
    output.say("", *output.table(["column", "is", "inputs", "which are"], rows))
    if len(found) > SHOWN_COLUMNS:
        output.say(f"and {len(found) - SHOWN_COLUMNS} more, which fastmlp inspect lists")


def report(model: Any, found: scores.Scores | None, given: dict[str, Any], seconds: float) -> None:
    """Print the columns, the networks, their scores, the file and the next command."""
    report_columns(model)
    network = model.networks[0]
    n = len(model.networks)
    epochs = [history["epochs"] for history in model.histories]
    spread = output.count(max(epochs), "epoch")
    if min(epochs) < max(epochs):
        spread = f"{min(epochs)} to {spread}"
    output.say(
        "",
        *output.facts(
            [
                (
                    "model",
                    f"{output.count(n, 'network')} of {'-'.join(map(str, network.layers))} units, "
                    f"{output.count(network.n_parameters, 'parameter')}"
                    + (" each" if n > 1 else ""),
                ),
                ("trained", f"{spread}, {seconds:.1f} s with reading and writing"),
            ]
        ),
        "",
    )
    if found is None:
        output.say(
            "no rows were held out, because there are few; fastmlp evaluate scores the model"
        )
    else:
        by = "each by a network" if n > 1 else "by the network,"
        did = "that did not train on it" if n > 1 else "which did not train on them"
        output.say(
            *output.wrapped(
                f"scores of {output.count(found['rows'], 'held-out row')}, {by} {did}:"
            ),
            *scores.summary(found),
            *output.wrapped(
                "They can be too good if the table is small, because these rows chose the best "
                "epoch. fastmlp evaluate scores rows that you have kept apart."
            ),
        )
    path = given["output"]
    output.say(
        "",
        f"{path}: {output.size(os.path.getsize(path))}",
        f"next: fastmlp predict {output.quoted(path)} NEW.csv -o predictions.csv",
    )


def as_dict(
    model: Any,
    chosen: Guess,
    table: Table,
    dropped: int,
    found: scores.Scores | None,
    path: str,
    seconds: float,
) -> dict[str, Any]:
    """Return the report for --json."""
    return {
        "task": chosen.task,
        "target": chosen.target.name,
        "classes": getattr(model, "classes_", np.array([])).tolist() or None,
        "rows": table.rows,
        "rows_without_target": dropped,
        "columns": [asdict(one) for one in model.columns()],
        "layers": list(model.networks[0].layers),
        "networks": model.histories,
        "measures": model._measures(),
        "held_out": found,
        "file": path,
        "seconds": round(seconds, 3),
    }
