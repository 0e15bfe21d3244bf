"""Pictures of training runs, networks and predictions, drawn by matplotlib.

Every function draws into the Axes `ax` that you give, or into a new figure, and returns the Axes.
matplotlib is imported when a function is called; the extra `plot` installs it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastmlp._core import permutation
from fastmlp._trainable import positive_integer
from fastmlp.network import Network

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastmlp.training import History

__all__ = [
    "calibration",
    "dead_units",
    "decision_boundary",
    "history",
    "permutation_importance",
    "residuals",
    "roc",
    "weights",
]

Array = npt.NDArray[Any]

# Colours that the colour-blind can tell apart, after Okabe and Ito. The first four are a little
# darker than theirs, so that thin lines are easy to see on white.
COLORS = ("#0072b2", "#c75300", "#00805d", "#b0558a", "#56b4e9", "#e69f00")
BLUE, ORANGE, GREEN = COLORS[:3]
GREY = "#8a8a8a"  # can be seen on white and on black
LINE_STYLES = ("-", "--", ":", "-.")  # when the colours begin again
MARKERS = "os^Dv"
MOST_NAMES = 40  # beside the rows of a matrix; more would lie on each other


def history(history: History, ax: Axes | None = None, *, learning_rate: bool = False) -> Axes:
    """Draw the loss after each epoch, and mark the epoch of the lowest validation loss.

    The picture counts epochs from 1; `history.best_epoch` counts from 0.

    Parameters
    ----------
    history : History
        What `fit` returned; of a tabular model one of its `history_`.
    ax : matplotlib.axes.Axes, optional
        The Axes to draw into; the default makes a new figure.
    learning_rate : bool
        Whether to draw the learning rate too, on an axis of its own at the right.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes of the losses.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError
        If `history` is not a History or `ax` is not an Axes.
    ValueError
        If the history has no epochs.

    Examples
    --------
    >>> import fastmlp
    >>> X, y = fastmlp.datasets.load_breast_cancer()
    >>> net = fastmlp.Network([30, 16, 1], seed=0)
    >>> run = net.fit(X, y, epochs=20, standardize=True, validation_split=0.2)
    >>> ax = fastmlp.plot.history(run)
    """
    if not all(hasattr(history, name) for name in ("loss", "val_loss", "learning_rate")):
        advice = "give the History that fit returned"
        if isinstance(getattr(type(history), "history_", None), property):
            advice = "give the History of one of its networks, such as model.history_[0]"
        raise TypeError(f"history: history is a {type(history).__name__}; {advice}")
    if not history.loss:
        raise ValueError("history: the history has no epochs; call fit with epochs of at least 1")
    axes = _axes("history", ax)
    epochs = np.arange(1, len(history.loss) + 1)
    marker = "o" if len(epochs) == 1 else None  # a line of one point is invisible
    axes.plot(epochs, history.loss, color=BLUE, marker=marker, label="training")
    if history.val_loss:
        val_loss = np.asarray(history.val_loss)
        axes.plot(epochs, val_loss, color=ORANGE, marker=marker, label="validation")
        if not np.isnan(val_loss).all():
            best = int(np.nanargmin(val_loss))
            label = f"best epoch: {epochs[best]} of {len(epochs)}"
            axes.plot(epochs[best], val_loss[best], "o", color=ORANGE, markersize=8, label=label)
    axes.set(xlabel="epoch", ylabel="loss")
    axes.locator_params(axis="x", integer=True)
    lines = list(axes.get_lines())
    if learning_rate:
        right = axes.twinx()
        lines += right.plot(
            epochs, history.learning_rate, color=GREEN, linestyle="--", marker=marker,
            label="learning rate",
        )  # fmt: skip
        right.set_ylabel("learning rate")
        right.spines["top"].set_visible(False)
    axes.legend(handles=lines, frameon=False)
    return axes


def decision_boundary(
    network: Any,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    ax: Axes | None = None,
    *,
    resolution: int = 200,
    names: Sequence[str] | None = None,
) -> Axes:
    """Colour the plane of two features by the class that the network predicts there.

    The stronger the colour, the higher the probability of the class. Lines show where the
    predicted class changes; dots show the rows of `X` in the colour of their class `y`.

    Parameters
    ----------
    network : Network or classifier
        A network with two inputs and the output `softmax`, or `sigmoid` with one unit; or an
        estimator with `predict_proba` and `classes_`.
    X : array_like (m, 2)
        The rows to show. Their range, and a tenth on each side, is the range of the picture.
    y : array_like (m,)
        The class of each row, as `predict` gives it.
    ax : matplotlib.axes.Axes, optional
        The Axes to draw into; the default makes a new figure.
    resolution : int
        The picture has this many points in each direction.
    names : sequence of 2 str, optional
        The names of the two features. The default is the network's `feature_names`.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError
        If the network gives no probabilities of classes, or `X` has no real numbers.
    ValueError
        If `X` has not two columns, `y` has another length or another class, or a number is not
        finite.

    Examples
    --------
    >>> import numpy as np, fastmlp
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> y = X[:, 0] * X[:, 1] > 0
    >>> net = fastmlp.Network([2, 16, 1], seed=0)
    >>> net.fit(X, y, epochs=100, optimizer="adam").epochs
    100
    >>> ax = fastmlp.plot.decision_boundary(net, X, y)
    """
    function = "decision_boundary"
    rows = _matrix(function, "X", X)
    if rows.shape[1] != 2:
        raise ValueError(
            f"{function}: X has shape {rows.shape}; the plane shows 2 features, so X must be (m, 2)"
        )
    labels = _labels(function, network)
    numbers = _class_numbers(function, y, labels, len(rows))
    positive_integer(function, "resolution", resolution)
    own = getattr(network, "feature_names", None)
    names = _names(function, names, own or ("feature 0", "feature 1"))
    axes = _axes(function, ax)

    low, high = rows.min(axis=0), rows.max(axis=0)
    margin = np.where(high > low, (high - low) / 10, 1.0)
    low, high = low - margin, high + margin
    x0, x1 = (np.linspace(low[j], high[j], resolution) for j in (0, 1))
    grid = np.stack(np.meshgrid(x0, x1), axis=-1).reshape(-1, 2)
    shares = _probabilities(network, grid).reshape(resolution, resolution, len(labels))
    best = shares.argmax(axis=2)
    rgb = importlib.import_module("matplotlib.colors").to_rgb
    colors = np.array([rgb(COLORS[k % len(COLORS)]) for k in range(len(labels))])
    # From no colour, where all classes have the same probability, to half covered.
    certainty = (shares.max(axis=2) - 1 / len(labels)) / (1 - 1 / len(labels))
    image = np.dstack([colors[best], 0.5 * np.clip(certainty, 0, 1)])
    extent = (low[0], high[0], low[1], high[1])
    axes.imshow(image, extent=extent, origin="lower", aspect="auto", interpolation="bilinear")
    for k, label in enumerate(labels):
        lead = shares[:, :, k] - np.delete(shares, k, axis=2).max(axis=2)
        if lead.min() < 0 < lead.max():
            axes.contour(x0, x1, lead, levels=[0], colors=GREY, linewidths=1.5)
        of_class = rows[numbers == k]
        axes.plot(
            of_class[:, 0], of_class[:, 1], MARKERS[k // len(COLORS) % len(MARKERS)],
            color=colors[k], markeredgecolor="white", markeredgewidth=0.5, label=str(label),
        )  # fmt: skip
    axes.set(xlabel=names[0], ylabel=names[1], xlim=extent[:2], ylim=extent[2:])
    axes.legend(title="class")
    return axes


def weights(network: Network, layer: int = 0, ax: Axes | None = None) -> Axes:
    """Draw the weights of a layer as a coloured matrix, with a row for each input.

    Blue is negative, orange is positive, and no colour is zero. A row without colour is an input
    that the layer ignores, if all inputs have the same scale or `fit(standardize=True)` has scaled
    them: then these are the weights of scaled inputs and outputs.

    Parameters
    ----------
    network : Network
        The network.
    layer : int
        Which `network.weights`; 0 is the first, -1 the last.
    ax : matplotlib.axes.Axes, optional
        The Axes to draw into; the default makes a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes of the matrix. A colour bar stands beside it.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError
        If `network` is not a network.
    ValueError
        If there is no such layer.

    Examples
    --------
    >>> import fastmlp
    >>> net = fastmlp.Network([30, 16, 1], seed=0)
    >>> ax = fastmlp.plot.weights(net)
    """
    _require_network("weights", network)
    count = len(network.weights)
    if isinstance(layer, bool) or not isinstance(layer, int) or not -count <= layer < count:
        raise ValueError(
            f"weights: layer is {layer!r}; this network has {count} matrices of weights, so layer "
            f"must be an integer from 0 to {count - 1}, or from -{count} to -1"
        )
    axes = _axes("weights", ax)
    layer %= count
    matrix = np.asarray(network.weights[layer], dtype=np.float64)
    scaling = network.scaling or {}
    if layer == 0 and "input_scale" in scaling:
        matrix = matrix * scaling["input_scale"][:, np.newaxis]
    if layer == count - 1 and "output_scale" in scaling:
        matrix = matrix / scaling["output_scale"]
    largest = float(np.abs(matrix).max()) or 1.0
    image = axes.imshow(
        matrix, cmap=_diverging_colors(), vmin=-largest, vmax=largest, aspect="auto",
        interpolation="nearest",
    )  # fmt: skip
    axes.figure.colorbar(image, ax=axes, label="weight")
    below = "input" if layer == 0 else f"unit of hidden layer {layer}"
    above = "output" if layer == count - 1 else f"unit of hidden layer {layer + 1}"
    axes.set(xlabel=above, ylabel=below)
    axes.locator_params(integer=True)
    if layer == 0 and network.feature_names and len(network.feature_names) <= MOST_NAMES:
        axes.set_yticks(range(len(matrix)), network.feature_names)
    return axes


def roc(
    y: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    ax: Axes | None = None,
    *,
    classes: Sequence[Any] | None = None,
) -> Axes:
    """Draw the receiver operating characteristic, with the area under it in the legend.

    Each point of the curve is a threshold. The share of the positive rows above the threshold is
    drawn against the share of the negative rows above it. With several classes there is a curve for
    each class against all others.

    Parameters
    ----------
    y : array_like (m,)
        The true class of each row: 0 or 1, or class numbers from 0, or the labels in `classes`.
    probabilities : array_like (m,), (m, 1) or (m, n_classes)
        The probability of class 1, or of every class, as `forward` and `predict_proba` give them.
    ax : matplotlib.axes.Axes, optional
        The Axes to draw into; the default makes a new figure.
    classes : sequence, optional
        The labels in the order of the columns, such as an estimator's `classes_`.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError
        If the probabilities are not real numbers.
    ValueError
        If the shapes do not fit, a class is unknown or has no row, or a number is not finite.

    Examples
    --------
    >>> import fastmlp
    >>> X, y = fastmlp.datasets.load_breast_cancer()
    >>> net = fastmlp.Network([30, 16, 1], seed=0)
    >>> net.fit(X[:400], y[:400], epochs=20, standardize=True).epochs
    20
    >>> ax = fastmlp.plot.roc(y[400:], net.forward(X[400:]))
    """
    numbers, shares, labels = _classes_and_shares("roc", y, probabilities, classes)
    for k, label in enumerate(labels):
        if len(set(numbers == k)) == 1:
            which = "no row" if not (numbers == k).any() else "no other row than those"
            raise ValueError(
                f"roc: y has {which} of class {label!r}; a curve needs rows of the class and others"
            )
    axes = _axes("roc", ax)
    shown = range(len(labels)) if len(labels) > 2 else [1]
    for k in shown:
        false, true = _roc_curve(numbers == k, shares[:, k])
        area = float(np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2))
        name = f"class {labels[k]}, area {area:.3f}" if len(labels) > 2 else f"area {area:.3f}"
        axes.plot(false, true, color=_color(k - shown[0]), linestyle=_style(k), label=name)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="chance")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    axes.legend(frameon=False, loc="lower right")
    return axes


def calibration(
    y: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    ax: Axes | None = None,
    *,
    n_bins: int = 10,
    classes: Sequence[Any] | None = None,
) -> Axes:
    """Draw how often events happen against how probable the network says they are.

    The rows are sorted into bins by their probability. The diagonal means that the probabilities
    are true: 80 % of the rows with probability 0.8 are of class 1. Below it the probabilities are
    too high, above it too low. The larger the dot, the more rows are in the bin. With more than two
    classes, the probability is that of the predicted class, and the event is that the prediction
    is right.

    Parameters
    ----------
    y : array_like (m,)
        The true class of each row: 0 or 1, or class numbers from 0, or the labels in `classes`.
    probabilities : array_like (m,), (m, 1) or (m, n_classes)
        The probability of class 1, or of every class, as `forward` and `predict_proba` give them.
    ax : matplotlib.axes.Axes, optional
        The Axes to draw into; the default makes a new figure.
    n_bins : int
        The number of bins, all of the same width.
    classes : sequence, optional
        The labels in the order of the columns, such as an estimator's `classes_`.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes. The legend has the expected calibration error: the mean distance from the
        diagonal, each bin weighted by its number of rows.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError
        If the probabilities are not real numbers.
    ValueError
        If the shapes do not fit, a class is unknown, a probability is not between 0 and 1, or
        `n_bins` is not a positive integer.

    Examples
    --------
    >>> import fastmlp
    >>> X, y = fastmlp.datasets.load_breast_cancer()
    >>> net = fastmlp.Network([30, 16, 1], seed=0)
    >>> net.fit(X[:400], y[:400], epochs=20, standardize=True).epochs
    20
    >>> ax = fastmlp.plot.calibration(y[400:], net.forward(X[400:]))
    """
    numbers, shares, labels = _classes_and_shares("calibration", y, probabilities, classes)
    positive_integer("calibration", "n_bins", n_bins)
    if len(labels) > 2:
        given, happened = shares.max(axis=1), shares.argmax(axis=1) == numbers
        names = "probability of the predicted class", "share of right predictions"
    else:
        given, happened = shares[:, 1], numbers == 1
        names = f"probability of class {labels[1]}", f"share of rows of class {labels[1]}"
    axes = _axes("calibration", ax)
    bins = np.minimum((given * n_bins).astype(int), n_bins - 1)
    rows = np.bincount(bins, minlength=n_bins)
    used = rows > 0
    mean = np.bincount(bins, given, n_bins)[used] / rows[used]
    share = np.bincount(bins, happened, n_bins)[used] / rows[used]
    error = float(np.sum(np.abs(mean - share) * rows[used]) / len(given))
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfect")
    axes.plot(mean, share, color=BLUE, label=f"calibration error {error:.3f}")
    axes.scatter(mean, share, s=20 + 180 * rows[used] / rows.max(), color=BLUE)
    axes.set(xlabel=names[0], ylabel=names[1], aspect="equal")
    axes.legend(frameon=False)
    return axes


def residuals(
    y: npt.ArrayLike,
    predictions: npt.ArrayLike,
    ax: Axes | None = None,
    *,
    names: Sequence[str] | None = None,
) -> Axes:
    """Draw the residuals y - prediction against the predictions, a dot for each row.

    A good model leaves a band around zero without a shape. A curve means that the model misses
    something; a fan means that the errors grow with the value.

    Parameters
    ----------
    y : array_like (m,) or (m, n_out)
        The targets.
    predictions : array_like (m,) or (m, n_out)
        The network's predictions for them.
    ax : matplotlib.axes.Axes, optional
        The Axes to draw into; the default makes a new figure.
    names : sequence of n_out str, optional
        The names of the outputs, for the legend.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes. The legend has the root mean square of the residuals of each output.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError
        If an array does not have real numbers.
    ValueError
        If the shapes differ, there is no row, or a number or a residual is not finite.

    Examples
    --------
    >>> import numpy as np, fastmlp
    >>> X = np.linspace(-2, 2, 200)[:, np.newaxis]
    >>> net = fastmlp.Network([1, 32, 1], output="identity", seed=0)
    >>> net.fit(X, np.sin(X), epochs=50, optimizer="adam").epochs
    50
    >>> ax = fastmlp.plot.residuals(np.sin(X), net.forward(X))
    """
    targets, values = (
        _matrix("residuals", name, given, vector=True)
        for name, given in (("y", y), ("predictions", predictions))
    )
    if targets.shape != values.shape:
        raise ValueError(
            f"residuals: y has shape {np.shape(y)} and predictions has shape "
            f"{np.shape(predictions)}; the shapes must be equal"
        )
    default = [f"output {k}" for k in range(targets.shape[1])] if targets.shape[1] > 1 else [""]
    names = _names("residuals", names, default)
    with np.errstate(over="ignore"):
        residuals = targets - values
    if not np.isfinite(residuals).all():
        row = int(np.argwhere(~np.isfinite(residuals))[0, 0])
        raise ValueError(f"residuals: y - predictions is too large for float64 at row {row}")
    axes = _axes("residuals", ax)
    for k, name in enumerate(names):
        left = residuals[:, k]
        largest = float(np.abs(left).max()) or 1.0  # so that no square overflows
        rms = f"RMS {largest * float(np.sqrt(np.mean((left / largest) ** 2))):.3g}"
        axes.plot(
            values[:, k], left, MARKERS[k // len(COLORS) % len(MARKERS)], color=_color(k),
            markersize=4, alpha=0.6, markeredgewidth=0, label=f"{name}, {rms}" if name else rms,
        )  # fmt: skip
    axes.axhline(0, color=GREY, linestyle=":")
    axes.set(xlabel="prediction", ylabel="residual (y - prediction)")
    axes.legend(frameon=False)
    return axes


def dead_units(network: Network, X: npt.ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw the share of the units of each hidden layer that are zero for every row of X.

    Such a unit passes nothing on and learns nothing. Many of them are a sign of a learning rate
    that is too high, or of columns that need scaling. Only units of activations that can be exactly
    zero, such as `relu`, can die.

    Parameters
    ----------
    network : Network
        A network with a hidden layer.
    X : array_like (m, n_in)
        Rows such as those that the network was trained on; a few hundred are enough.
    ax : matplotlib.axes.Axes, optional
        The Axes to draw into; the default makes a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes. Over each bar are the number of such units and the number of all units.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError
        If `network` is not a network, or `X` does not have real numbers.
    ValueError
        If the network has no hidden layer, `X` does not fit it or has no rows, or an output of a
        hidden layer is not finite.

    Examples
    --------
    >>> import fastmlp
    >>> X, _ = fastmlp.datasets.load_breast_cancer()
    >>> net = fastmlp.Network([30, 64, 32, 1], seed=0)
    >>> net.biases[0][:16] = -1e6  # a quarter of the first layer is 0 for every row
    >>> ax = fastmlp.plot.dead_units(net, X)
    """
    _require_network("dead_units", network)
    if not network.hidden:
        raise ValueError(
            f"dead_units: the network has the layers {network.layers}; it has no hidden layer"
        )
    counts = []
    for layer, units in enumerate(_hidden_outputs(network, X), start=1):
        if len(units) == 0:
            raise ValueError("dead_units: X has no rows; it must have at least one")
        if not np.isfinite(units).all():
            row = int(np.argwhere(~np.isfinite(units))[0, 0])
            raise ValueError(
                f"dead_units: hidden layer {layer} has an output that is not finite at row {row}; "
                "X and the parameters of the network must be finite"
            )
        counts.append(int((~units.any(axis=0)).sum()))
    axes = _axes("dead_units", ax)
    sizes = network.layers[1:-1]
    numbers = np.arange(1, len(sizes) + 1)
    shares = [count / size for count, size in zip(counts, sizes, strict=True)]
    bars = axes.bar(numbers, shares, color=BLUE, width=0.6)
    labels = [f"{count} of {size}" for count, size in zip(counts, sizes, strict=True)]
    axes.bar_label(bars, labels, padding=2)
    axes.set(xlabel="hidden layer", ylabel="share of dead units", ylim=(0, 1.1), xticks=numbers)
    return axes


def permutation_importance(
    model: Any,
    X: Any,
    y: npt.ArrayLike,
    ax: Axes | None = None,
    *,
    n_repeats: int = 5,
    seed: int = 0,
    names: Sequence[str] | None = None,
    n_shown: int = 20,
) -> Axes:
    """Draw how much worse the model becomes when one column of X is shuffled.

    The bars are means over the repeats, the dots are the repeats. The model does not
    need a column near zero, perhaps because another column says the same. Give rows that the model
    was not trained on.

    Parameters
    ----------
    model : Network, estimator or tabular model
        Anything with `score(X, y)`: the picture shows how far the score falls. For a Network it
        shows how far `loss` rises.
    X : array_like (m, n_in), data frame or dict
        The rows, or a dict of columns for a model that takes one. A data frame needs narwhals,
        which the extra `tabular` installs.
    y : array_like
        Their targets, as the model takes them.
    ax : matplotlib.axes.Axes, optional
        The Axes to draw into; the default makes a new figure.
    n_repeats : int
        How often each column is shuffled.
    seed : int
        The seed of the shuffles; the same seed gives the same picture.
    names : sequence of n_in str, optional
        The names of the columns. The default is the network's `feature_names` or the data frame's
        names, or numbers.
    n_shown : int
        Only this many columns are drawn, the most important ones.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes, with the most important column at the top.

    Raises
    ------
    ImportError
        If matplotlib is not installed, or narwhals for a data frame.
    TypeError
        If the model has neither `score` nor `loss`.
    ValueError
        If `n_repeats` or `n_shown` is not a positive integer, `names` has another length, or `X`
        and `y` do not have the same number of rows.

    References
    ----------
    L. Breiman, "Random Forests", Machine Learning 45, 2001, section 10.

    Examples
    --------
    >>> import fastmlp
    >>> X, y = fastmlp.datasets.load_breast_cancer()
    >>> net = fastmlp.Network([30, 16, 1], seed=0)
    >>> net.fit(X[:400], y[:400], epochs=20, standardize=True).epochs
    20
    >>> ax = fastmlp.plot.permutation_importance(net, X[400:], y[400:])
    """
    function = "permutation_importance"
    positive_integer(function, "n_repeats", n_repeats)
    positive_integer(function, "n_shown", n_shown)
    measure, label = _measure(function, model)
    rows, columns, shuffled = _shuffled_columns(function, X)
    if np.shape(y)[:1] != (rows,):
        raise ValueError(
            f"{function}: X has {rows} rows and y has shape {np.shape(y)}; y must have an entry "
            "for each row"
        )
    names = _names(function, names, getattr(model, "feature_names", None) or columns)
    axes = _axes(function, ax)
    before = measure(X, y)
    found = np.array(
        [
            [
                measure(shuffled(j, permutation(rows, seed, repeat)), y) - before
                for repeat in range(n_repeats)
            ]
            for j in range(len(columns))
        ]
    )
    shown = np.argsort(-found.mean(axis=1), kind="stable")[:n_shown][::-1]
    places = np.arange(len(shown))
    axes.barh(places, found[shown].mean(axis=1), color=BLUE, alpha=0.6)
    axes.plot(
        found[shown].ravel(), places.repeat(n_repeats), "o", color=BLUE, markersize=5,
        markeredgecolor="white", markeredgewidth=0.5,
    )  # fmt: skip
    axes.axvline(0, color=GREY, linewidth=1)
    axes.set_yticks(places, [names[j] for j in shown])
    axes.set_xlabel(label)
    return axes


# Arguments


def _axes(function: str, ax: Any) -> Axes:
    """Return the given Axes, or those of a new figure."""
    try:
        pyplot = importlib.import_module("matplotlib.pyplot")
    except ImportError as error:
        raise ImportError(
            f"{function}: needs matplotlib, which is not installed: pip install 'fastmlp[plot]'"
        ) from error
    if ax is not None and not isinstance(ax, pyplot.Axes):
        raise TypeError(
            f"{function}: ax is a {type(ax).__name__}; it must be one matplotlib Axes, such as "
            "figure.add_subplot() gives"
        )
    axes: Axes = pyplot.subplots(layout="constrained")[1] if ax is None else ax
    if ax is None:
        axes.spines[["top", "right"]].set_visible(False)
    return axes


def _require_network(function: str, network: Any) -> None:
    if not isinstance(network, Network):
        hint = "; give its network_" if hasattr(network, "network_") else ""
        if hasattr(network, "networks"):
            hint = "; give one of its `networks`, which take the rows that its `encode` returns"
        raise TypeError(
            f"{function}: network is a {type(network).__name__}; it must be a fastmlp.Network{hint}"
        )


def _matrix(function: str, name: str, given: Any, *, vector: bool = False) -> Array:
    """Return finite real numbers with two axes; a vector becomes one column where it is allowed."""
    array = np.asarray(given)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{function}: {name} has dtype {array.dtype}; it must hold real numbers")
    if vector and array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2 or not array.size:
        rule = "(m,) or (m, n)" if vector else "(m, n)"
        raise ValueError(
            f"{function}: {name} has shape {np.shape(given)}; it must be {rule}, with at least one "
            "row"
        )
    if not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0, 0])
        raise ValueError(f"{function}: {name} is not finite at row {row}; leave such rows out")
    return array.astype(np.float64, copy=False)


def _names(function: str, names: Sequence[str] | None, default: Sequence[str]) -> list[str]:
    if names is None:
        return list(default)
    if isinstance(names, str) or len(names) != len(default):
        raise ValueError(f"{function}: names is {names!r}; it must have {len(default)} names")
    return [str(name) for name in names]


def _labels(function: str, model: Any) -> list[Any]:
    """Return the classes of a classifier in the order of its probabilities."""
    if isinstance(model, Network):
        kind = model.output, model.layers[-1]
        if kind != ("sigmoid", 1) and kind[0] != "softmax":
            raise TypeError(
                f"{function}: the network has the output {kind[0]!r} with {kind[1]} units; it must "
                "be 'softmax', or 'sigmoid' with one unit"
            )
        return list(range(max(2, kind[1]))) if model.classes is None else model.classes.tolist()
    if not (hasattr(model, "predict_proba") and hasattr(model, "classes_")):
        raise TypeError(
            f"{function}: network is a {type(model).__name__}; it must be a fastmlp.Network or a "
            "fitted classifier with predict_proba and classes_"
        )
    return list(model.classes_)


def _probabilities(model: Any, X: Array) -> Array:
    """Return the probability of every class, (m, n_classes)."""
    given = np.asarray(model.forward(X) if isinstance(model, Network) else model.predict_proba(X))
    return np.hstack([1 - given, given]) if given.shape[1] == 1 else given


def _class_numbers(
    function: str, y: Any, labels: Sequence[Any], rows: int, hint: str = ""
) -> Array:
    """Return the place of each row's class among the labels; `hint` ends the message of others."""
    given = np.asarray(y)
    if given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    if given.shape != (rows,):
        raise ValueError(
            f"{function}: y has shape {np.shape(y)}; it must have one class for each of the {rows} "
            "rows"
        )
    places = {label: number for number, label in enumerate(labels)}
    for label in given.tolist():
        if label not in places:
            known = ", ".join(map(repr, labels[:10])) + (", ..." if len(labels) > 10 else "")
            raise ValueError(
                f"{function}: y has the class {label!r}; the classes are {known}{hint}"
            )
    return np.array([places[label] for label in given.tolist()])


def _classes_and_shares(
    function: str, y: Any, probabilities: Any, classes: Sequence[Any] | None
) -> tuple[Array, Array, list[Any]]:
    """Return the class number of each row, the probability of each class, and the labels."""
    shares = _matrix(function, "probabilities", probabilities, vector=True)
    if shares.min() < 0 or shares.max() > 1:
        wrong = float(shares.min() if shares.min() < 0 else shares.max())
        raise ValueError(
            f"{function}: probabilities has {wrong:g}; a probability is between 0 and 1"
        )
    if shares.shape[1] == 1:
        shares = np.hstack([1 - shares, shares])
    labels = list(range(shares.shape[1])) if classes is None else list(classes)
    if len(labels) != shares.shape[1]:
        raise ValueError(
            f"{function}: classes has {len(labels)} labels and probabilities has "
            f"{shares.shape[1]} columns; there must be a label for each column"
        )
    hint = "; for other labels give classes=, such as the model's classes_"
    numbers = _class_numbers(function, y, labels, len(shares), hint if classes is None else "")
    return numbers, shares, labels


# Measurements


def _hidden_outputs(network: Network, X: Any) -> Iterator[Array]:
    """Yield the outputs of each hidden layer, (m, units).

    They are the outputs of a network that ends there: its last weights are the identity matrix.
    """
    for count in range(1, len(network.hidden) + 1):
        units = network.layers[count]
        part = Network(
            [*network.layers[: count + 1], units],
            hidden=network.hidden[:count],
            output="identity",
            dtype=network.dtype.name,
        )
        for layer in range(count):
            part.weights[layer][...] = network.weights[layer]
            part.biases[layer][...] = network.biases[layer]
        part.weights[count][...] = np.eye(units)
        part.biases[count][...] = 0
        yield part.forward(X).reshape(-1, units)


def _roc_curve(positive: Array, score: Array) -> tuple[Array, Array]:
    """Return the false and the true positive rate at each threshold, from the highest down."""
    order = np.argsort(-score, kind="stable")
    last_of_ties = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    true = np.cumsum(positive[order])[last_of_ties]
    false = last_of_ties + 1 - true
    return np.append(0, false) / false[-1], np.append(0, true) / true[-1]


def _measure(function: str, model: Any) -> tuple[Callable[[Any, Any], float], str]:
    """Return a function that grows as the model becomes worse, and what the axis says."""
    if hasattr(model, "score"):
        return lambda X, y: -float(model.score(X, y)), "fall of the score if shuffled"
    if hasattr(model, "loss") and callable(model.loss):
        return lambda X, y: float(model.loss(X, y)), "rise of the loss if shuffled"
    raise TypeError(
        f"{function}: model is a {type(model).__name__}; it must have score(X, y), or be a "
        "fastmlp.Network"
    )


def _shuffled_columns(
    function: str, X: Any
) -> tuple[int, list[str], Callable[[int, npt.NDArray[np.int64]], Any]]:
    """Return the number of rows, the names of the columns, and how to reorder one column."""
    if isinstance(X, Mapping):
        lengths = {len(column) for column in X.values()}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(
                f"{function}: X has columns of {sorted(lengths)} rows; all must have the same "
                "number, at least one"
            )

        def reordered_dict(column: int, order: npt.NDArray[np.int64]) -> Any:
            name = list(X)[column]
            if isinstance(X[name], np.ndarray):
                return {**X, name: X[name][order]}
            values = list(X[name])
            return {**X, name: [values[row] for row in order.tolist()]}

        return lengths.pop(), [str(name) for name in X], reordered_dict
    if not hasattr(X, "columns") and not hasattr(X, "column_names"):
        array = np.asarray(X)
        if array.ndim != 2 or not array.size:
            raise ValueError(
                f"{function}: X has shape {array.shape}; it must be (m, n), a data frame or a dict "
                "of columns"
            )

        def reordered(column: int, order: npt.NDArray[np.int64]) -> Array:
            changed = array.copy()
            changed[:, column] = array[order, column]
            return changed

        return len(array), [f"column {j}" for j in range(array.shape[1])], reordered
    try:
        frame = importlib.import_module("narwhals").from_native(X, eager_only=True)
    except ImportError as error:
        raise ImportError(
            f"{function}: a data frame needs narwhals, which is not installed: "
            "pip install 'fastmlp[tabular]'; or give an array"
        ) from error

    def reordered_frame(column: int, order: npt.NDArray[np.int64]) -> Any:
        return frame.with_columns(frame[frame.columns[column]][order.tolist()]).to_native()

    return len(frame), [str(name) for name in frame.columns], reordered_frame


# Colours


def _color(number: int) -> str:
    return COLORS[number % len(COLORS)]


def _style(number: int) -> str:
    return LINE_STYLES[number // len(COLORS) % len(LINE_STYLES)]


def _diverging_colors() -> Any:
    """Return colours from blue over none to orange."""
    colors = importlib.import_module("matplotlib.colors")
    blue, orange = colors.to_rgb(BLUE), colors.to_rgb(ORANGE)
    stops = [(0.0, (*blue, 1)), (0.5, (*blue, 0)), (0.5, (*orange, 0)), (1.0, (*orange, 1))]
    return colors.LinearSegmentedColormap.from_list("fastmlp", stops)
