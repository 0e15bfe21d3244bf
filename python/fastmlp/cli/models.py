"""A file's model, tabular or a plain network, behind the same methods. Start at `load_model`."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp.cli.errors import CommandError
from fastmlp.cli.output import count
from fastmlp.cli.readers import Block, Source
from fastmlp.formats.network_file import KEY, TABULAR_KEY
from fastmlp.formats.safetensors import read_header
from fastmlp.network import Network
from fastmlp.tabular import load as load_tabular
from fastmlp.tabular._table import Column, Table

Array = npt.NDArray[Any]

# How a column that the model takes as this kind is read.
READ: dict[str, Callable[[Column], Any]] = {
    "number": Column.numbers,
    "boolean": Column.booleans,
    "date": Column.dates,
}
EXPECTED = {
    "number": "a finite number",
    "boolean": "true or false",
    "date": "a date such as 2017-01-31 or 2017-01-31T06:00:42",
}


def load_model(path: str) -> "TabularFile | NetworkFile":
    """Read a model of either kind; the first lines of the file say which."""
    with open(path, "rb") as file:
        try:
            metadata, _ = read_header(file)
        except ValueError as error:
            raise CommandError(
                f"{path} is not a model: it is damaged or not a safetensors file ({error})"
            ) from error
    if TABULAR_KEY in metadata:
        return TabularFile(path, load_tabular(path))
    if KEY in metadata:
        return NetworkFile(path, Network.load(path))
    raise CommandError(
        f"{path} is a safetensors file of another program; fastmlp train and Network.save write "
        "models"
    )


class Model:
    """What the commands ask of a model."""

    path: str
    classes: list[Any] | None  # the labels; None for a regression
    target: str | None  # the column that the model was trained on, if the file says it
    quantiles: tuple[float, ...] = ()  # what a quantile regression predicts

    def inputs(self, source: Source, without: Sequence[str]) -> list[str]:
        """Return the columns of a file that the model takes; refuse a file that lacks one."""
        raise NotImplementedError

    def kind(self, column: str) -> str:
        """Return as what a column is read: "number", "category" and so on."""
        raise NotImplementedError

    def prepared(self, source: Source, block: Block, inputs: Sequence[str]) -> Table:
        """Return the inputs in a block; refuse a value that cannot be read, and say where it is."""
        columns = {}
        for name in inputs:
            column, kind = block.table.columns[name], self.kind(name)
            columns[name] = read(source, block, column, kind)
        return Table(columns, block.table.rows, named=True)

    def predict(self, table: Table) -> Array:
        """Return labels or amounts, (m,) or one column for each."""
        raise NotImplementedError

    def probabilities(self, table: Table) -> Array:
        """Return the probability of each class."""
        raise NotImplementedError

    def answers(self, table: Table) -> Array:
        """Return what scores compare with the truth: probabilities, or amounts."""
        return self.predict(table) if self.classes is None else self.probabilities(table)

    def output_names(self) -> list[str]:
        """Return a name for each column of `predict`."""
        raise NotImplementedError

    def probability_names(self) -> list[str]:
        """Return a name for each column of `probabilities`; refuse a model that has none."""
        if self.classes is None:
            raise CommandError(f"--proba: {self.path} is a regression, which has no probabilities")
        return [f"probability_{label}" for label in self.classes]


class TabularFile(Model):
    """A model of fastmlp.tabular."""

    def __init__(self, path: str, model: Any) -> None:
        self.path, self.model = path, model
        self.target = model._target_name
        self.classes = model.classes_.tolist() if model._is_classifier() else None
        self.quantiles = getattr(model, "quantiles_", ())
        self.kinds = {one.name: one.kind for one in model.columns()}
        self.named = hasattr(model, "feature_names_in_")

    def inputs(self, source: Source, without: Sequence[str]) -> list[str]:
        """Return the columns of a file that the model takes; refuse a file that lacks one."""
        used = [name for name, kind in self.kinds.items() if kind != "left out"]
        missing = [name for name in used if name not in source.columns]
        if not missing:
            return used
        here = [name for name in source.columns if name not in without]
        if not self.named and len(here) == len(self.kinds):  # fitted on an array
            self.kinds = dict(zip(here, self.kinds.values(), strict=True))
            return here
        raise CommandError(
            f"{source.name} has no column {', '.join(map(repr, missing[:10]))}, which {self.path} "
            f"needs; it has {', '.join(map(repr, source.columns[:20]))}"
        )

    def kind(self, column: str) -> str:
        """Return as what a column is read."""
        return self.kinds[column]

    def prepared(self, source: Source, block: Block, inputs: Sequence[str]) -> Table:
        """Return the inputs in a block."""
        table = super().prepared(source, block, inputs)
        if self.named:
            return table
        names, given = self.model._encoder.names, table.columns
        columns = {
            name: given.get(here, Column(name, "numbers", np.zeros(table.rows)))  # left out
            for name, here in zip(names, self.kinds, strict=True)
        }
        return Table(columns, table.rows, named=False)

    def predict(self, table: Table) -> Array:
        """Return labels or amounts."""
        return np.asarray(self.model.predict(table))

    def probabilities(self, table: Table) -> Array:
        """Return the probability of each class."""
        return np.asarray(self.model.predict_proba(table))

    def output_names(self) -> list[str]:
        """Return a name for each column of `predict`."""
        return [f"quantile_{q}" for q in self.quantiles] or ["prediction"]


class NetworkFile(Model):
    """A network that Network.save wrote: it takes numbers, by name or in their order."""

    target = None

    def __init__(self, path: str, network: Network) -> None:
        self.path, self.network = path, network
        binary = network.output == "sigmoid" and network.layers[-1] == 1
        self.is_classifier = binary or network.output == "softmax"
        self.classes = None
        if self.is_classifier:
            labels = network.classes
            self.classes = list(range(max(2, network.layers[-1])))
            self.classes = self.classes if labels is None else labels.tolist()

    def inputs(self, source: Source, without: Sequence[str]) -> list[str]:
        """Return the columns of a file that the network takes; refuse a file that lacks one."""
        names, n_in = self.network.feature_names, self.network.layers[0]
        here = [name for name in source.columns if name not in without]
        if names is not None:
            missing = [name for name in names if name not in source.columns]
            if missing:
                raise CommandError(
                    f"{source.name} has no column {', '.join(map(repr, missing[:10]))}, which "
                    f"{self.path} needs"
                )
            return list(names)
        if len(here) != n_in:
            raise CommandError(
                f"{source.name} has {count(len(here), 'column')} and the network in {self.path} "
                f"takes {n_in}, in their order; name columns to leave out: --ignore NAME"
            )
        return here

    def kind(self, column: str) -> str:
        """Return as what a column is read."""
        return "number"

    def prepared(self, source: Source, block: Block, inputs: Sequence[str]) -> Table:
        """Return the inputs in a block; refuse missing values."""
        table = super().prepared(source, block, inputs)
        for name, column in table.columns.items():
            if column.missing().any():
                row = int(np.argmax(column.missing()))
                raise CommandError(
                    f"{source.name}: {block.place(row)}, column {name!r} is empty; the network in "
                    f"{self.path} takes no missing values"
                )
        return table

    def predict(self, table: Table) -> Array:
        """Return what the network predicts: labels, class numbers or amounts."""
        return np.asarray(self.network.predict(_rows(table)))

    def probabilities(self, table: Table) -> Array:
        """Return the probability of each class, or of each output that is yes or no."""
        found = np.asarray(self.network.forward(_rows(table)))
        return np.hstack([1 - found, found]) if found.shape[1] == 1 else found

    def output_names(self) -> list[str]:
        """Return a name for each column of `predict`."""
        n_out = self.network.layers[-1]
        if self.is_classifier or n_out == 1:
            return ["prediction"]
        return [f"prediction_{index}" for index in range(n_out)]

    def probability_names(self) -> list[str]:
        """Return a name for each column of `probabilities`; refuse a network that has none."""
        if self.network.output not in ("sigmoid", "softmax"):
            raise CommandError(f"--proba: {self.path} is a regression, which has no probabilities")
        labels = self.classes or range(
            self.network.layers[-1]
        )  # several outputs that are yes or no
        return [f"probability_{label}" for label in labels]


def _rows(table: Table) -> Array:
    return np.column_stack([column.values for column in table.columns.values()])


def read(source: Source, block: Block, column: Column, kind: str) -> Column:
    """Return a column of a block as its kind; refuse an unfit value, and say where it is."""
    if column.holds == "others":
        raise CommandError(f"{source.name}: {column.values}")
    convert = READ.get(kind)
    if convert is None:
        return column
    try:
        if kind == "number":
            return column.as_numbers()
        holds: Any = f"{kind}s"
        return Column(column.name, holds, np.asarray(convert(column), dtype=np.float64))
    except ValueError as error:
        for row in range(len(column)):
            one = column.part(row, row + 1)
            try:
                convert(one)
            except ValueError:
                raise CommandError(
                    f"{source.name}: {block.place(row)}, column {column.name!r}: "
                    f"{one.texts()[0]!r:.60} is not {EXPECTED[kind]}"
                ) from error
        raise


def refuse_same_file(output: str, inputs: Sequence[str]) -> None:
    """Refuse to write over a file that is read."""
    for path in inputs:
        if path != "-" and os.path.exists(output) and os.path.samefile(path, output):
            raise CommandError(f"{output} is the file that is read; give another name")
