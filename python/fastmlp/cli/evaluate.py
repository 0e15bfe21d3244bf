"""`fastmlp evaluate`: a model's scores on a table whose target is known."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import click
import numpy as np
import numpy.typing as npt

from fastmlp.cli import options, output, scores
from fastmlp.cli.errors import CommandError
from fastmlp.cli.models import Model, load_model, read, refuse_same_file
from fastmlp.cli.readers import Block, Format, Source, joined, open_table

Array = npt.NDArray[Any]

SHUFFLED_ROWS = 2000  # of the importance of columns, which predicts them again and again


@click.command
@click.argument("model", type=options.MODEL)
@click.argument("data", type=options.TABLE)
@click.option(
    "--target",
    "-t",
    metavar="COLUMN",
    shell_complete=options.complete_column,
    help="The column with the true values; models of fastmlp train know its name.",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="COLUMN",
    shell_complete=options.complete_column,
    help="A column that is not an input; may be repeated.",
)
@click.option(
    "--plot",
    type=options.OutputFile(),
    metavar="FILE",
    help="Draw the scores and the importance of the columns, as PNG, PDF or SVG.",
)
@options.reading
@options.as_json
def command(**given: Any) -> int:
    """Compare the predictions of MODEL with the target in DATA: a file, or - for standard input.

    For classes it prints accuracy, ROC AUC, log loss, the confusion matrix and the calibration; for
    a regression RMSE, MAE and R². Rows without a target are left out.

    Example: fastmlp evaluate model.safetensors test.csv --plot report.png
    """  # fmt: skip
    form = options.format_of(given)
    if given["plot"]:
        from fastmlp.cli import report  # says what to install, before a long run

        report.check(given["plot"])
        refuse_same_file(given["plot"], [given["data"], given["model"]])
    model = load_model(given["model"])
    found = compared(model, given, form)
    if model.classes is not None:
        result = scores.of_classes(model.classes, found.truth, found.answers)
    elif model.quantiles:
        result = scores.of_quantiles(found.truth, found.answers, model.quantiles)
    else:
        result = scores.of_amounts(found.truth, found.answers)
    if given["plot"]:
        report.draw(given["plot"], model, found.truth, found.answers, joined(found.first).table)
    if given["as_json"]:
        output.say_json({"rows_without_target": found.dropped, **result})
        return 0
    without = f"; {output.count(found.dropped, 'row')} without a target left out" * (
        found.dropped > 0
    )
    output.say(f"{output.count(result['rows'], 'row')}{without}", *scores.summary(result))
    output.say(*scores.details(result))
    if given["plot"]:
        output.say("", f"{given['plot']}: pictures of the scores")
    return 0


class Compared(NamedTuple):
    """The truth, what the model says, and the inputs of the first rows."""

    truth: Array  # amounts, or the places of labels
    answers: Array  # amounts, or the probabilities of all classes
    first: list[Block]
    dropped: int  # rows without a target


def compared(model: Model, given: dict[str, Any], form: Format) -> Compared:
    """Predict the rows of a table that have a target."""
    truths, answers, first, dropped, kept = [], [], [], 0, 0
    with open_table(given["data"], form) as source:
        target = _target(model, given["target"], source)
        without = [target, *options.listed(given["ignore"], source, "--ignore")]
        inputs = model.inputs(source, without)
        for whole in source.blocks([*inputs, target]):
            truth = read(source, whole, whole.table.columns[target], "category")
            rows = np.flatnonzero(~truth.missing())
            dropped += whole.table.rows - len(rows)
            if len(rows) == 0:
                continue
            block = whole.take(rows)
            truths.append(_truth(model, source, block, target))
            prepared = model.prepared(source, block, inputs)
            answers.append(model.answers(prepared))
            if kept < SHUFFLED_ROWS:
                first.append(Block(prepared, block.numbers, block.lines))
                kept += len(rows)
        if not truths:
            raise CommandError(f"{source.name} has no row with a value in {target!r}")
    return Compared(np.concatenate(truths), np.concatenate(answers), first, dropped)


def _target(model: Model, given: str | None, source: Source) -> str:
    name = given or model.target
    if name is None:
        raise CommandError(f"{model.path} does not say what it predicts; name it: --target COLUMN")
    if given is None and name not in source.columns:
        raise CommandError(
            f"{source.name} has no column {name!r}, which {model.path} predicts; name the column "
            "with the true values: --target COLUMN"
        )
    return options.known(name, source, "--target")


def _truth(model: Model, source: Source, block: Block, target: str) -> Array:
    """Return amounts, or the places of the labels among the classes of the model."""
    column = block.table.columns[target]
    if model.classes is None:
        return np.asarray(read(source, block, column, "number").values)
    values: Sequence[Any] = column.texts()
    if not isinstance(model.classes[0], str):
        kind = "boolean" if isinstance(model.classes[0], bool) else "number"
        typed = read(source, block, column, kind)
        values = typed.integers or typed.values.tolist()
    places = {label: place for place, label in enumerate(model.classes)}
    found = [places.get(value, -1) for value in values]
    if -1 in found:
        row = found.index(-1)
        known = ", ".join(map(str, model.classes[:10])) + ", ..." * (len(places) > 10)
        raise CommandError(
            f"{source.name}: {block.place(row)}, column {target!r}: {values[row]!r:.60} is not "
            f"a class of {model.path}; its classes are {known}"
        )
    return np.array(found)
