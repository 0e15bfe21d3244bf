"""`TabularClassifier` and `TabularRegressor`: their arguments, targets, predictions and scores.

What they share is in _model.py.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp._float_mode import in_default_float_mode
from fastmlp._trainable import require_number
from fastmlp.formats.safetensors import AnyPath
from fastmlp.tabular import _file
from fastmlp.tabular._model import TabularModel, entries_of, mean_of, row_weights
from fastmlp.tabular._table import Column
from fastmlp.tabular._target import Amounts, amounts_of, class_weights, classes_of, places_among

Array = npt.NDArray[Any]


class TabularClassifier(TabularModel):
    """Classification of the rows of a table by one neural network or the mean of several.

    The encoding of a column follows from its values: numbers are scaled and coded by quantiles,
    categories get an input for each level, dates are split into parts. Values may be missing
    everywhere except in the target. The page "Tables" has the details. Arguments that are None are
    chosen by the size of the table and the task.

    Parameters
    ----------
    hidden : sequence of int, optional
        The number of units of each hidden layer.
    activation : str, optional
        The activation of the hidden layers, one of `fastmlp.ACTIVATIONS`.
    n_members : int, optional
        The number of networks whose probabilities are averaged. Each has its own seed and holds
        out different rows.
    epochs, batch_size : int, optional
        The largest number of passes over the rows, and the number of rows in one step.
    learning_rate, weight_decay : float, optional
        For AdamW.
    dropout : float, optional
        The fraction of hidden units that each step leaves out.
    patience : int, optional
        The training of a network ends after this many epochs without a lower error on the rows
        that it holds out. It keeps the parameters of the epoch with the lowest error.
    scaling : {"robust", "quantile"}, optional
        How numbers are scaled: by the middle half of the values, with outliers squeezed smoothly
        into ±3, or by rank.
    n_bins : int, optional
        The number of quantiles that code a number besides its scaled value; 0 for none.
    max_levels : int, optional
        The largest number of levels of a category that have an input of their own.
    class_weight : None, "balanced" or dict of label to float
        The weight of each class in the loss; "balanced" gives all classes the same total weight.
    ignore : sequence of str
        Columns that are not used.
    column_types : dict of str to str, optional
        The kind of some columns, instead of what they seem to hold: "number", "boolean",
        "category" or "date".
    seed : int, numpy.random.Generator or None
        The same table and seed give the same model on every machine. None draws a random one.
    verbose : bool
        Print what becomes of each column, and how each network was trained.

    Attributes
    ----------
    classes_ : ndarray
        The labels, sorted: int64, bool or text.
    networks : list of Network
        The trained networks; they take encoded rows (`encode`).
    network : Network
        The network, if there is one.
    histories : list of dict
        For each network "epochs", their number; "best_epoch", the one that was kept; its "loss"
        and "val_error", which for classes is the Brier score of the held-out rows; and
        "temperature", by which its logits were divided.
    history_ : list of History
        For each network its losses after each epoch; `fastmlp.plot.history` draws one. Not in
        files.
    seed_ : int
        The seed that was used.
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of str
        Their names, if they have names.

    Examples
    --------
    >>> from fastmlp.tabular import TabularClassifier
    >>> table = {"size": [1, 2, 3, 7, 8, 9] * 10, "color": ["red", None, "blue"] * 20}
    >>> table["kind"] = ["small" if size < 5 else "large" for size in table["size"]]
    >>> model = TabularClassifier(n_members=2).fit(table, "kind")
    >>> model.predict({"size": [2, 8], "color": ["red", "green"]}).tolist()
    ['small', 'large']
    """

    _MODEL = "TabularClassifier"
    _ERROR = "Brier score"

    classes_: Array

    def __init__(
        self,
        *,
        hidden: Sequence[int] | None = None,
        activation: str | None = None,
        n_members: int | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        dropout: float | None = None,
        patience: int | None = None,
        scaling: str | None = None,
        n_bins: int | None = None,
        max_levels: int | None = None,
        class_weight: Any = None,
        ignore: Sequence[str] = (),
        column_types: Mapping[str, str] | None = None,
        seed: int | np.random.Generator | None = 0,
        verbose: bool = False,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.n_members = n_members
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.patience = patience
        self.scaling = scaling
        self.n_bins = n_bins
        self.max_levels = max_levels
        self.class_weight = class_weight
        self.ignore = ignore
        self.column_types = column_types
        self.seed = seed
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags

        tags = super().__sklearn_tags__()
        tags.estimator_type = "classifier"
        tags.classifier_tags = ClassifierTags()
        return tags

    def _is_classifier(self) -> bool:
        return True

    def _loss(self) -> str:
        return "cross_entropy"

    def _learn_target(self, target: Column, weight: Array | None) -> Any:
        classes, places = classes_of(target)
        if len(classes) < 2:
            raise ValueError(
                f"fit: the target {target.name!r} has one class, {classes.tolist()[0]!r}; a "
                "classifier needs two classes or more"
            )
        of_classes = class_weights(self.class_weight, classes, places)
        if of_classes is not None:
            weight = of_classes if weight is None else weight * of_classes
            if not weight.any():
                raise ValueError("fit: class_weight gives every row the weight 0")
        structure = {"layers": len(classes), "output": "softmax"}
        return {"classes_": classes}, structure, places, places, weight

    @classmethod
    def _learned_of(cls, content: _file.Content) -> dict[str, Any]:
        return {"classes_": content.classes}

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class.

        Parameters
        ----------
        X : frame, dict of columns, or array_like of shape (m, n)
            Columns are found by name, whatever their order; others are ignored. An array has the
            columns of the fit, in their order.

        Returns
        -------
        ndarray of float64, shape (m, n_classes)
            In the order of `classes_`.

        Raises
        ------
        ValueError, TypeError
            If the model is not fitted, or the table lacks a column or has other values in one; the
            message names the column.
        """
        return self._outputs(X, "predict_proba")

    def _answers(self, outputs: Array) -> Array:
        # Of float32 outputs the sum is 1 up to 1e-7, which scikit-learn's log_loss warns of.
        # From left to right, as in C++: NumPy's sum has an order of its own.
        total = np.zeros(len(outputs))
        for column in outputs.T:
            total += column
        return outputs / total[:, None]

    def predict(self, X: Any) -> Array:
        """Return the label of the most probable class.

        Parameters
        ----------
        X : frame, dict of columns, or array_like of shape (m, n)
            As for `predict_proba`.

        Returns
        -------
        ndarray of shape (m,)
            With the type of `classes_`.

        Raises
        ------
        ValueError, TypeError
            As for `predict_proba`.
        """
        places = self._outputs(X, "predict").argmax(axis=1)
        return np.asarray(self.classes_[places])

    @in_default_float_mode
    def score(self, X: Any, y: Any = None, sample_weight: npt.ArrayLike | None = None) -> float:
        """Return the accuracy.

        Parameters
        ----------
        X : frame, dict of columns, or array_like of shape (m, n)
        y : str or a sequence of m labels, optional
            None and a name stand for the column of X; None for the one that was named in `fit`.
        sample_weight : array_like of shape (m,), optional

        Returns
        -------
        float
            The fraction of rows whose label is predicted.

        Raises
        ------
        ValueError, TypeError
            As for `predict_proba`, or if y has another length, has missing labels, or has labels
            of another type than `classes_`.

        Warns
        -----
        UserWarning
            If y has a label that is not in `classes_`; its rows count as wrong.
        """
        table, target = self._scored(X, y, "score")
        truth = places_among(self.classes_, target, "score")
        right = self.predict_proba(table).argmax(axis=1) == truth
        return mean_of(right.astype(np.float64), row_weights(sample_weight, table.rows))


class TabularRegressor(TabularModel):
    """Regression on the rows of a table by one neural network or the mean of several.

    Columns are encoded as by `TabularClassifier`, which documents the arguments that both have.

    Parameters
    ----------
    loss : {"squared_error", "huber", "absolute_error", "poisson"}
        What is minimised, for targets that are scaled to a standard deviation of about 1. "huber"
        and "absolute_error" are less moved by extreme targets; "poisson" is for counts.
    delta : float
        For "huber": the scaled error at which the loss turns from a parabola into a line.
    quantiles : float or sequence of float, optional
        Predict these quantiles, such as [0.05, 0.5, 0.95], by the pinball loss; loss is then left
        at its default. Each is shifted so that the right share of the held-out rows is below it.
    clip : bool, optional
        Whether predictions stay within the range of the training targets; by default if loss is
        "squared_error".
    hidden, activation, n_members, epochs, batch_size, learning_rate, weight_decay
        As for `TabularClassifier`.
    dropout, patience, scaling, n_bins, max_levels, ignore, column_types, seed, verbose
        As for `TabularClassifier`.

    Attributes
    ----------
    quantiles_ : tuple of float
        The quantiles that are predicted; empty if `quantiles` is None.
    networks, network, histories, history_, seed_, n_features_in_, feature_names_in_
        As for `TabularClassifier`.

    Examples
    --------
    >>> from fastmlp.tabular import TabularRegressor
    >>> table = {"x": [i % 50 / 10 for i in range(500)]}
    >>> table["y"] = [2 * x + 1 for x in table["x"]]
    >>> model = TabularRegressor(n_members=2).fit(table, "y")
    >>> model.score(table) > 0.99
    True
    """

    _MODEL = "TabularRegressor"

    _LOSSES = ("squared_error", "huber", "absolute_error", "poisson")

    _amounts: Amounts
    quantiles_: tuple[float, ...]

    def __init__(
        self,
        *,
        loss: str = "squared_error",
        delta: float = 1.0,
        quantiles: float | Sequence[float] | None = None,
        clip: bool | None = None,
        hidden: Sequence[int] | None = None,
        activation: str | None = None,
        n_members: int | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        dropout: float | None = None,
        patience: int | None = None,
        scaling: str | None = None,
        n_bins: int | None = None,
        max_levels: int | None = None,
        ignore: Sequence[str] = (),
        column_types: Mapping[str, str] | None = None,
        seed: int | np.random.Generator | None = 0,
        verbose: bool = False,
    ) -> None:
        self.loss = loss
        self.delta = delta
        self.quantiles = quantiles
        self.clip = clip
        self.hidden = hidden
        self.activation = activation
        self.n_members = n_members
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.patience = patience
        self.scaling = scaling
        self.n_bins = n_bins
        self.max_levels = max_levels
        self.ignore = ignore
        self.column_types = column_types
        self.seed = seed
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import RegressorTags

        tags = super().__sklearn_tags__()
        tags.estimator_type = "regressor"
        tags.regressor_tags = RegressorTags()
        return tags

    def _is_classifier(self) -> bool:
        return False

    def _loss(self) -> str:
        if self.loss not in self._LOSSES:
            raise ValueError(f"fit: loss is {self.loss!r}; it must be one of {self._LOSSES}")
        if self.quantiles is None:
            return self.loss
        if self.loss != "squared_error":
            raise ValueError(
                f"fit: loss is {self.loss!r} and quantiles is {self.quantiles!r}, which has a loss "
                "of its own; give one of them"
            )
        return "pinball"

    def _learn_target(self, target: Column, weight: Array | None) -> Any:
        y = amounts_of(target, "fit")
        loss, quantiles = self._loss(), _quantiles(self.quantiles)
        require_number("fit", "delta", self.delta, lambda d: 0 < d < math.inf, "positive")
        amounts = Amounts.learn(y, loss)
        structure: dict[str, Any] = {"layers": max(1, len(quantiles)), "output": "identity"}
        if loss == "poisson":
            structure["output"] = "exp"
        elif loss == "huber":
            structure |= {"loss": loss, "delta": float(self.delta)}
        elif loss == "absolute_error":
            structure["loss"] = loss
        elif loss == "pinball":
            structure |= {"loss": loss, "quantiles": quantiles}
        learned = {"_amounts": amounts, "quantiles_": quantiles}
        return learned, structure, amounts.targets(y), None, weight

    @classmethod
    def _learned_of(cls, content: _file.Content) -> dict[str, Any]:
        quantiles = _quantiles(content.arguments.get("quantiles"))
        if content.members[0].network.layers[-1] != max(1, len(quantiles)):
            raise ValueError(f"load: the networks do not fit the quantiles {quantiles}")
        return {"_amounts": content.amounts, "quantiles_": quantiles}

    def predict(self, X: Any) -> Array:
        """Return a number for each row, or its quantiles.

        Parameters
        ----------
        X : frame, dict of columns, or array_like of shape (m, n)
            Columns are found by name, whatever their order; others are ignored. An array has the
            columns of the fit, in their order.

        Returns
        -------
        ndarray of float64, shape (m,) or (m, n_quantiles)
            With several quantiles a column for each; each row is sorted, so that they never cross.

        Raises
        ------
        ValueError, TypeError
            If the model is not fitted, or the table lacks a column or has other values in one; the
            message names the column.
        """
        amounts = self._outputs(X, "predict")
        return amounts[:, 0] if amounts.shape[1] == 1 else amounts

    def _output_scale(self) -> float:
        return self._amounts.scale

    def _answers(self, outputs: Array) -> Array:
        return np.sort(self._amounts.amounts(outputs, self._used_recipe.clip), axis=1)

    @in_default_float_mode
    def score(self, X: Any, y: Any = None, sample_weight: npt.ArrayLike | None = None) -> float:
        """Return R², the explained fraction of the variance.

        For quantiles it is D², the same with pinball losses: 1 minus the ratio of the loss to that
        of the quantiles of y, as the mean over all quantiles.

        Parameters
        ----------
        X : frame, dict of columns, or array_like of shape (m, n)
        y : str or a sequence of m numbers, optional
            None and a name stand for the column of X; None for the one that was named in `fit`.
        sample_weight : array_like of shape (m,), optional

        Returns
        -------
        float
            1 if all predictions are right, 0 if they are no better than the mean of y. If y is
            constant, 1 or 0.

        Raises
        ------
        ValueError, TypeError
            As for `predict`, or if y has another length or is missing.
        """
        table, target = self._scored(X, y, "score")
        amounts, weight = amounts_of(target, "score"), row_weights(sample_weight, table.rows)
        predicted = self.predict(table)
        if self.quantiles_:
            columns = predicted.reshape(table.rows, -1).T
            found = [
                _pinball_score(amounts, column, quantile, weight)
                for column, quantile in zip(columns, self.quantiles_, strict=True)
            ]
            return math.fsum(found) / len(found)
        errors = amounts - predicted
        deviations = amounts - mean_of(amounts, weight)
        unexplained = mean_of(errors * errors, weight)
        variance = mean_of(deviations * deviations, weight)
        if variance == 0:
            return 1.0 if unexplained == 0 else 0.0
        return 1.0 - unexplained / variance


MODELS: dict[str, type[TabularModel]] = {
    model._MODEL: model for model in (TabularClassifier, TabularRegressor)
}


def load(path: AnyPath) -> Any:
    """Read a classifier or a regressor, whichever the file holds.

    Parameters
    ----------
    path : str, bytes or path

    Returns
    -------
    TabularClassifier or TabularRegressor

    Raises
    ------
    ValueError, OSError, TypeError
        As for `TabularClassifier.load`.
    """
    content = _file.load(path)
    return MODELS[content.model]._restored(content)


def _quantiles(quantiles: Any) -> tuple[float, ...]:
    """Return the quantiles as a tuple, empty for None; refuse what are none."""
    if quantiles is None:
        return ()
    given = entries_of(quantiles)
    for quantile in given:
        require_number("fit", "quantiles", quantile, lambda q: 0 < q < 1, "a number in (0, 1)")
    if not given or any(low >= high for low, high in itertools.pairwise(given)):
        raise ValueError(f"fit: quantiles is {quantiles!r}; they must increase")
    return tuple(map(float, given))


def _pinball_score(y: Array, predicted: Array, quantile: float, weight: Array | None) -> float:
    """Return D² of a quantile: 1 - loss of the predictions / loss of the quantile of y."""
    order = np.argsort(y, kind="stable")
    share = np.cumsum(np.ones(len(y)) if weight is None else weight[order])
    constant = y[order][np.searchsorted(share, quantile * share[-1])]
    losses = []
    for found in (predicted, constant):
        errors = y - found
        losses.append(mean_of(np.maximum(quantile * errors, (quantile - 1) * errors), weight))
    if losses[1] == 0:
        return 1.0 if losses[0] == 0 else 0.0
    return 1.0 - losses[0] / losses[1]
