"""`TabularModel`: what the classifier and the regressor share, from the table to the file.

The table is read in _table.py, encoded in _encoder.py, and the networks are trained in _members.py.
The class keeps scikit-learn's rules (a constructor that only stores, `get_params`, what is learned
ends with "_") without inheriting from it, because importing it takes a second. Start at
`TabularModel.fit`.
"""

import inspect
import logging
import math
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from fastmlp._core import ACTIVATIONS
from fastmlp._float_mode import in_default_float_mode
from fastmlp._history import History
from fastmlp._trainable import positive_integer, require_not_negative, require_number
from fastmlp._training_loop import logger
from fastmlp.callbacks import CSVLogger, MLflow, ModelCheckpoint, TensorBoard, TerminateOnNaN
from fastmlp.formats.safetensors import AnyPath
from fastmlp.network import Network
from fastmlp.tabular import _file
from fastmlp.tabular._columns import BY_NAME, SCALINGS, Number
from fastmlp.tabular._encoder import BLOCK, ColumnSummary, Encoder, suited_kinds
from fastmlp.tabular._members import Member, Progress, Task, train_members
from fastmlp.tabular._recipe import Recipe, default_recipe
from fastmlp.tabular._table import Column, Table, read_column, read_table
from fastmlp.tabular._target import refuse_missing
from fastmlp.training import callback_tuple, resolve_seed

Array = npt.NDArray[Any]


# Names of arguments in scikit-learn and in the libraries of boosted trees, and ours.
OTHER_NAMES = {
    "random_state": "seed",
    "random_seed": "seed",
    "hidden_layer_sizes": "hidden",
    "max_iter": "epochs",
    "n_epochs": "epochs",
    "n_estimators": "n_members",
    "learning_rate_init": "learning_rate",
    "alpha": "weight_decay",
    "n_iter_no_change": "patience",
}


class TabularModel:
    """What the classifier and the regressor share."""

    _MODEL: ClassVar[str]  # in files
    _ERROR: ClassVar[str] = "loss"  # of held-out rows, which chooses the epoch

    seed: int | np.random.Generator | None
    ignore: Sequence[str]
    column_types: Mapping[str, str] | None
    verbose: bool

    # The arguments that replace a value of the recipe.
    _RECIPE: ClassVar[tuple[str, ...]] = (
        "hidden",
        "activation",
        "n_members",
        "epochs",
        "batch_size",
        "learning_rate",
        "weight_decay",
        "dropout",
        "patience",
        "scaling",
        "n_bins",
        "max_levels",
        "clip",  # of the regressor
    )

    # Parameters, by scikit-learn's rules

    def __new__(cls, *args: Any, **arguments: Any) -> Self:
        for name in arguments:
            if name in OTHER_NAMES:
                raise TypeError(
                    f"{cls.__name__}: there is no argument {name!r}; it is called "
                    f"{OTHER_NAMES[name]!r} here"
                )
        return super().__new__(cls)

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return sorted(name for name in inspect.signature(cls.__init__).parameters if name != "self")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the arguments of the constructor.

        Parameters
        ----------
        deep : bool
            Makes no difference; scikit-learn passes it.

        Returns
        -------
        dict of str to object
        """
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **params: Any) -> Self:
        """Set arguments of the constructor.

        Parameters
        ----------
        **params
            New values by name.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the constructor has no argument of that name.
        """
        names = self._parameter_names()
        for name in params:
            if name not in names:
                raise ValueError(
                    f"set_params: Invalid parameter {name!r} for estimator {self!r}. "
                    f"Valid parameters are: {names!r}."
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if repr(value) != repr(defaults[name].default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def _repr_html_(self) -> str | None:
        from fastmlp._html import tabular_html  # its imports take milliseconds

        return tabular_html(self)

    # Set by `fit` and `load`, all at once.
    _members: list[Member]
    _encoder: Encoder
    _used_recipe: Recipe
    _target_name: str | None
    seed_: int

    def __sklearn_is_fitted__(self) -> bool:
        return "_members" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=True),
            input_tags=InputTags(allow_nan=True, string=True, categorical=True),
        )

    # Fitting

    @in_default_float_mode
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: npt.ArrayLike | None = None,
        *,
        callbacks: Iterable[Callable[[Progress], object]] = (),
    ) -> Self:
        """Learn from a table.

        After Ctrl-C or an error the model is as before. Networks that are trained at once end their
        epoch first.

        Parameters
        ----------
        X : frame, dict of columns, or array_like of shape (m, n)
            A frame of pandas, polars, pyarrow or another library that narwhals reads (extra
            `tabular`). The columns of an array are called x0, x1, …
        y : str, or a sequence of m values
            The name of the target's column in X, or the targets. They must not be missing.
        sample_weight : array_like of shape (m,), optional
            The weight of each row in the loss, not negative.
        callbacks : iterable of callable
            Functions of your own, or what `fastmlp.callbacks.per_member` returns. Each is called
            with a `Progress` after each epoch of each network. If one returns True, training ends:
            a network that is being trained ends its epoch and is kept, and a network that has not
            begun is left out. Which have begun depends on the number of threads, and with several
            threads their last epochs depend on timing.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If the table cannot be used, or an argument of the constructor is not as documented. The
            message names the column.
        FloatingPointError
            If training diverges.
        ImportError
            If X is a frame and narwhals is not installed.

        Warns
        -----
        UserWarning
            If columns are left out: they are constant, equal to others or identifiers. If a column
            is perhaps not what it seems: texts that look like numbers or dates, texts that are
            mostly rare, or whole numbers that look like identifiers.
        """
        called = member_callbacks(callbacks)
        table, target, target_name = self._read(X, y)
        weight = row_weights(sample_weight, table.rows)
        if weight is not None and not weight.all():  # rows without weight teach nothing
            rows = np.flatnonzero(weight)
            table, target, weight = table.take(rows), target.take(rows), weight[rows]
        column_types, ignore = self._column_choices(table)
        kinds = suited_kinds(table, column_types, ignore)
        recipe = self._recipe(table.rows, sum(kind is Number for kind in kinds.values()))
        learned, structure, targets, strata, weight = self._learn_target(target, weight)
        encoder = Encoder.learn(table, kinds, recipe, column_types, ignore)
        structure["layers"] = [encoder.width, *recipe.hidden, structure["layers"]]
        structure["hidden"] = recipe.activation
        if self.verbose:
            print(lines_of(encoder.summaries()))
        logger.info("fit: %r, %d rows, %d columns", self, table.rows, len(table.columns))
        self._require_savable()
        inputs = encoder.encode(table)
        seed = resolve_seed(self.seed, "fit")  # last: it may draw from the user's generator
        task = Task(inputs, targets, strata, weight, structure, recipe, seed)
        members = train_members(task, called)
        learned["seed_"] = seed
        self._set_fitted(encoder, recipe, members, learned, target_name, table.named)
        if self.verbose:
            print(self._training())
        if logger.isEnabledFor(logging.INFO):
            for line in self._training().splitlines():
                logger.info("fit: %s", line)
        return self

    def _read(self, X: Any, y: Any) -> tuple[Table, Column, str | None]:
        """Return the table without the target, the target, and its name if it was in the table."""
        if y is None:
            raise ValueError(
                f"fit: {type(self).__name__} requires y to be passed, but the target y is None; "
                "give the name of its column in X, or the targets"
            )
        table = read_table(X)
        if isinstance(y, str):
            if y not in table.columns:
                raise ValueError(
                    f"fit: the table has no column {y!r}; it has {list(table.columns)[:50]}"
                )
            target, name = table.columns[y], y
            table = table.without([y])
        else:
            target, name = target_of(y), None
        if not table.columns:
            raise ValueError(
                f"fit: 0 feature(s) (shape=({table.rows}, 0)) while a minimum of 1 is required."
            )
        if table.rows < 2:
            raise ValueError(
                f"fit: Found array with {table.rows} sample(s) while a minimum of 2 is required: "
                "the table has too few rows"
            )
        if len(target) != table.rows:
            raise ValueError(
                f"fit: X has {table.rows} rows and y has {len(target)} values; inconsistent "
                "numbers of samples"
            )
        refuse_missing(target, "fit")
        return table, target, name

    def _learn_target(self, target: Column, weight: Array | None) -> Any:
        """Return what is learned, the structure, the targets, the strata and the weights."""
        raise NotImplementedError

    def _is_classifier(self) -> bool:
        raise NotImplementedError

    def _loss(self) -> str:
        raise NotImplementedError

    def _recipe(self, rows: int, numbers: int) -> Recipe:
        """Return the recipe for a table of this size, with the user's values in it."""
        recipe = default_recipe(rows, numbers, self._is_classifier(), self._loss())
        given: dict[str, Any] = {name: getattr(self, name, None) for name in self._RECIPE}
        given = {name: value for name, value in given.items() if value is not None}
        if not isinstance(given.get("clip", True), bool):
            raise ValueError(f"fit: clip is {given['clip']!r}; it must be True, False or None")
        for name in ("n_members", "epochs", "batch_size", "patience", "max_levels"):
            if name in given:
                given[name] = positive_integer("fit", name, given[name])
        for name in ("learning_rate", "weight_decay"):
            if name in given:
                require_not_negative("fit", name, given[name])
                given[name] = float(given[name])
        if "dropout" in given:
            require_number("fit", "dropout", given["dropout"], lambda p: 0 <= p < 1, "in [0, 1)")
            given["dropout"] = float(given["dropout"])
        if "n_bins" in given and given["n_bins"] != 0:
            given["n_bins"] = positive_integer("fit", "n_bins", given["n_bins"])
        if "hidden" in given:
            sizes = entries_of(given["hidden"])
            given["hidden"] = tuple(positive_integer("fit", "hidden", size) for size in sizes)
        for name, allowed in (("activation", ACTIVATIONS), ("scaling", tuple(SCALINGS))):
            if given.get(name, getattr(recipe, name)) not in allowed:
                raise ValueError(f"fit: {name} is {given[name]!r}; it must be one of {allowed}")
        return replace(recipe, **given)

    def _column_choices(self, table: Table) -> tuple[Mapping[str, str], Sequence[str]]:
        """Return column_types and ignore; refuse names of columns that the table does not have."""
        if isinstance(self.ignore, str):
            raise TypeError(f"fit: ignore is {self.ignore!r}; give a list: [{self.ignore!r}]")
        chosen, ignore = dict(self.column_types or {}), list(self.ignore)
        for argument, names in (("column_types", chosen), ("ignore", ignore)):
            unknown = [name for name in names if name not in table.columns]
            if unknown:
                raise ValueError(
                    f"fit: {argument} names the columns {unknown}, which the table does not have; "
                    f"it has {list(table.columns)[:50]}"
                )
        for name, kind in chosen.items():
            if kind not in BY_NAME:
                raise ValueError(
                    f"fit: column_types has {kind!r} for {name!r}; it must be one of "
                    f"{sorted(BY_NAME)}"
                )
        return chosen, ignore

    def _require_savable(self) -> None:
        """Refuse arguments that a file cannot hold."""
        for name, value in self.get_params().items():
            if name == "seed":
                continue  # a generator is saved as the seed that was drawn from it
            try:
                _file.packed(value)
            except TypeError as error:
                raise TypeError(f"fit: {name} is {value!r:.80}; {error}") from None

    def _set_fitted(
        self,
        encoder: Encoder,
        recipe: Recipe,
        members: list[Member],
        learned: dict[str, Any],
        target_name: str | None,
        named: bool,
    ) -> None:
        self._members, self._encoder, self._used_recipe = members, encoder, recipe
        self._target_name = target_name
        self.n_features_in_ = len(encoder.names)
        self.__dict__.pop("feature_names_in_", None)
        if named:
            self.feature_names_in_ = np.array(encoder.names, dtype=object)
        for name, value in learned.items():
            setattr(self, name, value)

    # Predicting

    @property
    def networks(self) -> list[Network]:
        """The trained networks; they take encoded rows (`encode`)."""
        self._require_fitted("networks")
        return [member.network for member in self._members]

    @property
    def histories(self) -> list[dict[str, Any]]:
        """How each network was trained: epochs, best epoch, loss, val_error and temperature.

        Loss and val_error are those of the best epoch: the mean loss of the training rows, and the
        error of the held-out rows, which is the loss or, for classes, the Brier score.
        """
        self._require_fitted("histories")
        return [member.history for member in self._members]

    @property
    def history_(self) -> list[History]:
        """The loss of each network after each epoch, for `fastmlp.plot.history`.

        Its val_loss is the loss of the held-out rows. For classes the epoch that was kept is that
        of the lowest Brier score instead, `metrics["val_brier_score"]`. A model that was read from
        a file has no curves.
        """
        self._require_fitted("history_")
        curves = [member.curve for member in self._members if member.curve is not None]
        if not curves:
            raise AttributeError("history_: this model was loaded, and files do not hold curves")
        return curves

    @property
    def network(self) -> Network:
        """The network, if there is one; several are in `networks`."""
        if len(self.networks) != 1:
            raise AttributeError(
                f"this model has {len(self.networks)} networks, in `networks`; with n_members=1 it "
                "has one"
            )
        return self.networks[0]

    def _measures(self) -> dict[str, str]:
        """Return what the numbers in `histories` are, for JSON."""
        error = "brier_score" if self._is_classifier() else self._loss()
        return {"loss": self._loss(), "val_error": error}

    def columns(self) -> list[ColumnSummary]:
        """Return what became of each column of the table.

        Returns
        -------
        list of ColumnSummary
            In the order of the table.
        """
        self._require_fitted("columns")
        return self._encoder.summaries()

    def summary(self) -> str:
        """Return the columns, the networks and their training as text.

        Returns
        -------
        str
            Several lines.
        """
        self._require_fitted("summary")
        return f"{self!r}\n{lines_of(self._encoder.summaries())}\n\n{self._training()}"

    def _training(self) -> str:
        """Return a line for each network: its size, and how it was trained."""
        lines = []
        for index, (network, history, _) in enumerate(self._members, start=1):
            held = history["val_error"]
            lines.append(
                f"network {index}: {'-'.join(map(str, network.layers))}, {network.n_parameters} "
                f"parameters, epoch {history['best_epoch']} of {history['epochs']}"
                + ("" if held is None else f", {self._ERROR} {held:.4g} on the rows held out")
            )
        return "\n".join(lines)

    def to_onnx(self, path: AnyPath | None = None) -> Any:
        """Return the model as an ONNX model, and write it to a file if a path is given.

        The graph takes the values of the table and encodes them itself. It has an input (rows, 1)
        for each column that the model uses, with the name of the column: texts for a category, ""
        if missing, and float64 for other columns, NaN if missing. A date is its seconds since 1970,
        a boolean is 0 or 1. The outputs are "output_label" and "probabilities" of a classifier, and
        "output" (rows, n_out) of a regressor.

        Parameters
        ----------
        path : str, bytes or path, optional
            An existing file is replaced. If writing fails, it stays as it was.

        Returns
        -------
        onnx.ModelProto

        Raises
        ------
        ImportError
            If onnx is not installed (extra `onnx`).
        ValueError
            If the model is not fitted, or its parameters have 2 GB or more.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> from fastmlp.tabular import TabularRegressor
        >>> model = TabularRegressor().fit({"size": [1, 2, 3]}, [1, 2, 3])  # doctest: +SKIP
        >>> model.to_onnx("model.onnx")  # doctest: +SKIP
        """
        from fastmlp.formats.onnx_export_tabular import tabular_model
        from fastmlp.formats.onnx_file import save

        model = tabular_model(self)
        if path is not None:
            save(model, path)
        return model

    @in_default_float_mode
    def encode(self, X: Any) -> Array:
        """Return the inputs of the networks for the rows of a table.

        Parameters
        ----------
        X : frame, dict of columns, or array_like of shape (m, n)

        Returns
        -------
        ndarray of float32, shape (m, n_inputs)
            `networks[0].forward` takes it.
        """
        self._require_fitted("encode")
        return self._encoder.encode(self._known(X))

    # Files

    def save(self, path: AnyPath) -> None:
        """Write the model to a safetensors file.

        It holds what was learned of each column, the target, the networks and the arguments of the
        constructor: all that `predict` needs. Nothing is pickled. The file is written under a
        temporary name and then renamed, so no reader ever sees half of it.

        Parameters
        ----------
        path : str, bytes or path
            An existing file is replaced.

        Raises
        ------
        OSError
            If the file cannot be written. An existing file is then unchanged.
        ValueError
            If the model is not fitted.
        TypeError
            If `path` is no path, such as an open file.
        """
        self._require_fitted("save")
        arguments = self.get_params()
        if not isinstance(self.seed, int):
            arguments["seed"] = self.seed_
        content = _file.Content(
            self._MODEL,
            arguments,
            self._encoder,
            hasattr(self, "feature_names_in_"),
            self._target_name,
            getattr(self, "classes_", None),
            getattr(self, "_amounts", None),
            self.seed_,
            self._used_recipe,
            self._members,
        )
        _file.save(content, path)

    @classmethod
    def load(cls, path: AnyPath) -> Self:
        """Read a model from a file that `save` wrote.

        Parameters
        ----------
        path : str, bytes or path

        Returns
        -------
        model
            It predicts the same bits as the one that was saved.

        Raises
        ------
        ValueError
            If the file is damaged or holds something else; the message says what is wrong.
        OSError
            If the file does not exist or cannot be read.
        TypeError
            If `path` is no path, such as an open file.
        """
        content = _file.load(path)
        if content.model != cls._MODEL:
            raise ValueError(
                f"load: {path!r} holds a {content.model}; read it with {content.model}.load"
            )
        return cls._restored(content)

    @classmethod
    def _restored(cls, content: _file.Content) -> Self:
        """Return a model with the content of a file."""
        try:
            model = cls(**content.arguments)
        except TypeError as error:
            raise ValueError(
                f"load: the file has arguments that this version does not take: {error}"
            ) from error
        learned: dict[str, Any] = {"seed_": content.seed}
        learned |= cls._learned_of(content)
        model._set_fitted(
            content.encoder, content.recipe, content.members, learned, content.target, content.named
        )
        return model

    @classmethod
    def _learned_of(cls, content: _file.Content) -> dict[str, Any]:
        """Return what `_learn_target` had learned."""
        raise NotImplementedError

    @in_default_float_mode
    def _outputs(self, X: Any, function: str) -> Array:
        """Return what a model makes of the mean outputs of the networks, float64 (m, n_out)."""
        self._require_fitted(function)
        table = self._known(X)
        outputs = np.empty((table.rows, self.networks[0].layers[-1]))
        for begin in range(0, table.rows, BLOCK):
            inputs = self._encoder.encode(table.part(begin, begin + BLOCK))
            total = np.zeros((len(inputs), outputs.shape[1]))
            for network in self.networks:
                total += network.forward(inputs)
            outputs[begin : begin + BLOCK] = total / len(self.networks)
        return self._answers(outputs)

    def _answers(self, outputs: Array) -> Array:
        """Return what the mean outputs of the networks stand for."""
        raise NotImplementedError

    def _of_columns(self, contributions: Array) -> Array:
        """Return sums over the inputs of each column, from (m, n_inputs, n_out).

        They are of answers, not of outputs; `_answers` is linear but for clips and sorts.
        """
        found = np.zeros((len(contributions), len(self._encoder.names), contributions.shape[2]))
        begin = 0
        for name, kind in self._encoder.kinds.items():
            part = contributions[:, begin : begin + kind.width]
            found[:, self._encoder.names.index(name)] = part.sum(axis=1)
            begin += kind.width
        return found * self._output_scale()

    def _output_scale(self) -> float:
        """Return by how much answers change with outputs."""
        return 1.0

    def _require_fitted(self, function: str) -> None:
        if not self.__sklearn_is_fitted__():
            # Who wants to catch scikit-learn's error has imported it.
            sklearn = sys.modules.get("sklearn.exceptions")
            error: type[Exception] = getattr(sklearn, "NotFittedError", ValueError)
            raise error(f"{function}: this {type(self).__name__} is not fitted yet; call fit first")

    def _known(self, X: Any) -> Table:
        """Return the table with the columns of the fit, by name or by position."""
        table = read_table(X)
        names, owner = self._encoder.names, type(self).__name__
        named = hasattr(self, "feature_names_in_")
        if table.named and named:
            missing = [name for name in self._encoder.kinds if name not in table.columns]
            if missing:
                raise ValueError(
                    f"the table has no columns {missing}, which {owner} was fitted on; it has "
                    f"{list(table.columns)[:50]}"
                )
            return table
        if len(table.columns) != len(names):
            raise ValueError(
                f"X has {len(table.columns)} features, but {owner} is expecting {len(names)} "
                "features as input"
            )
        if table.named != named:
            which = ("has", "without") if table.named else ("does not have valid", "with")
            warnings.warn(
                f"X {which[0]} feature names, but {owner} was fitted {which[1]} feature names",
                UserWarning,
                stacklevel=5,
            )
        columns = dict(zip(names, table.columns.values(), strict=True))
        return Table(columns, table.rows, table.named)

    def _scored(self, X: Any, y: Any, function: str) -> tuple[Table, Column]:
        """Return the table and the targets to compare with: y, or the target's column of X."""
        self._require_fitted(function)
        table = read_table(X)
        if y is not None and not isinstance(y, str):
            target = target_of(y)
        else:
            name = y or self._target_name
            if name is None or name not in table.columns:
                raise ValueError(
                    f"{function}: y is None and the table has no column {name!r}; give the targets"
                    if name
                    else f"{function}: give y, because the model was fitted with y apart from X"
                )
            target = table.columns[name]
            table = table.without([name])
        if len(target) != table.rows:
            raise ValueError(f"{function}: X has {table.rows} rows and y has {len(target)} values")
        refuse_missing(target, function)
        return table, target


# Small things


def target_of(y: Any) -> Column:
    """Return the targets of a sequence, of a series or of a single column."""
    shape = getattr(y, "shape", ())
    if isinstance(y, list | tuple):
        with suppress(ValueError):  # of different lengths inside
            shape = np.shape(y)
    if len(shape) == 2:
        columns = list(read_table(y).columns.values())
        if len(columns) != 1:
            raise ValueError(
                f"y should be a 1d array, got an array of shape {tuple(shape)} instead: there is "
                "one target"
            )
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected; its column is taken",
            getattr(sys.modules.get("sklearn.exceptions"), "DataConversionWarning", UserWarning),
            stacklevel=5,
        )
        return replace(columns[0], name="y")
    return read_column(getattr(y, "name", None) or "y", y)


def member_callbacks(callbacks: Any) -> tuple[Any, ...]:
    """Return the callbacks as a tuple; refuse those of a single network."""
    collected = callback_tuple(callbacks)
    for callback in collected:
        name = type(callback).__name__
        if isinstance(callback, CSVLogger | MLflow | TensorBoard):
            raise TypeError(
                f"fit: callbacks has a {name}, which is for one network, and this model may have "
                f"several; give fastmlp.callbacks.per_member(lambda member: {name}(...))"
            )
        if isinstance(callback, ModelCheckpoint | TerminateOnNaN):
            raise TypeError(
                f"fit: callbacks has a {name}, which is for the fit of a Network; this model keeps "
                "the best epoch of each of its networks by itself"
            )
    return collected


def entries_of(value: Any) -> list[Any]:
    """Return the entries of a sequence or an array; anything else is one entry."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    is_one = isinstance(value, str | bytes | set | frozenset) or not isinstance(value, Iterable)
    return [value] if is_one else list(value)


def row_weights(sample_weight: Any, rows: int) -> Array | None:
    if sample_weight is None:
        return None
    weight = read_column("sample_weight", sample_weight).numbers()
    if weight.shape != (rows,):
        raise ValueError(
            f"sample_weight.shape == {weight.shape}, expected ({rows},): one weight for each row"
        )
    if np.isnan(weight).any() or weight.min() < 0 or not weight.any():
        raise ValueError("sample_weight must be finite, not negative and not all zero")
    return weight


def mean_of(values: Array, weight: Array | None) -> float:
    if weight is None:
        return math.fsum(values) / len(values) if len(values) else math.nan
    return math.fsum(values * weight) / math.fsum(weight)


def lines_of(summaries: list[ColumnSummary]) -> str:
    width = max(len(one.name) for one in summaries)
    return "\n".join(f"{one.name:{width}}  {one.description}" for one in summaries)
