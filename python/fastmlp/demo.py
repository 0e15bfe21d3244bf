"""The demo: trains the native network and its NumPy twin alike on real data and compares them.

At the end it compares with scikit-learn, if that is installed, and shows three predictions.
`--plot` needs matplotlib. Start at `run_demo`.
"""

import importlib
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastmlp import reference
from fastmlp._core import permutation
from fastmlp.datasets import load_breast_cancer
from fastmlp.network import Network
from fastmlp.training import History

# The demo fails if max|Δθ| / max|θ| between native network and twin is larger than this. Rounding
# alone gives about 1e-15 and 3e-7.
LARGEST_DIFFERENCE = {"float64": 1e-10, "float32": 1e-4}
LOWEST_ACCURACY = 0.95  # on the test rows; the demo fails below it

LAYERS = [30, 64, 32, 1]
SEED = 0
TEST_PART = 0.2

# After these epochs the accuracy no longer changes. Training much longer would make the loss so
# small that a rounding error in float32 can turn a ReLU on or off; the two networks would then
# differ.
EPOCHS = 50
BATCH_SIZE = 32
LEARNING_RATE = 0.05

REPORTED_EPOCHS = 10  # the epochs from one line of progress to the next
TIMED_RUNS = 5  # runs of each network, alternating; their medians are compared

INTERRUPTED = 130  # the exit status of a program that Ctrl-C ended, as shells know it

CURVE_ROWS, CURVE_COLUMNS = 10, 60  # fits a terminal of 80 columns, labels included

AnyNetwork = Network | reference.Network


class Split(NamedTuple):
    """The data, standardised on its training part."""

    X_train: npt.NDArray[np.float64]
    y_train: npt.NDArray[np.float64]
    X_test: npt.NDArray[np.float64]
    y_test: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Result:
    """The result of the comparison in one dtype."""

    dtype: str
    loss: list[float]
    accuracy: float
    twin_accuracy: float
    difference: float
    seconds: float
    twin_seconds: float
    network: Network

    @property
    def failures(self) -> list[str]:
        """The checks that failed; a NaN fails every check."""
        failures = []
        if not self.difference <= LARGEST_DIFFERENCE[self.dtype]:
            limit = LARGEST_DIFFERENCE[self.dtype]
            failures.append(f"{self.dtype}: parameters differ by {self.difference:.1e} > {limit}")
        for name, accuracy in (("native", self.accuracy), ("twin", self.twin_accuracy)):
            if not accuracy >= LOWEST_ACCURACY:
                failures.append(
                    f"{self.dtype}: {name} test accuracy is {accuracy:.4f} < {LOWEST_ACCURACY}"
                )
        return failures


def run_demo(plot: str | None = None) -> int:
    """Train, compare and report; see `python -m fastmlp --help`.

    Parameters
    ----------
    plot : str, optional
        The file for the loss curves, a PNG.

    Returns
    -------
    int
        Exit status: 0; 1 if a comparison fails; 2 if the plot cannot be made; 130 after Ctrl-C.
    """
    try:
        return _run(plot)
    except KeyboardInterrupt:
        print("fastmlp: interrupted", file=sys.stderr)
        return INTERRUPTED


def _run(plot: str | None) -> int:
    start = time.perf_counter()
    try:
        figure_class = importlib.import_module("matplotlib.figure").Figure if plot else None
    except ImportError:
        print("fastmlp: --plot needs matplotlib: pip install 'fastmlp[plot]'", file=sys.stderr)
        return 2
    split = prepare(*load_breast_cancer())
    rows, test_rows = len(split.X_train), len(split.X_test)
    print(f"Breast Cancer Wisconsin: {rows} tumours to train, {test_rows} to test")
    print(f"{LAYERS}: {EPOCHS} epochs, batches of {BATCH_SIZE}, learning rate {LEARNING_RATE}")
    print("native is fastmlp; twin is the same network in plain NumPy")
    results = []
    for dtype in LARGEST_DIFFERENCE:
        results.append(compare(split, dtype))
        report(results[-1])
    if plot:
        try:
            save_plot(figure_class, plot, results)
        except OSError as error:
            print(f"fastmlp: the plot cannot be written: {error}", file=sys.stderr)
            return 2
        print(f"\nloss curves written to {plot}")
    print()
    failures = [failure for result in results for failure in result.failures]
    for failure in failures:
        print(f"FAILED {failure}")
    if failures:
        return 1
    print("OK: the native network and its twin agree, and both are accurate")
    conclude(results[-1], split)
    print(f"\nThis demo took {time.perf_counter() - start:.1f} s.")
    return 0


def stratified_split(
    y: npt.NDArray[np.float64], test_part: float, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the rows to train on and those to test on, the same fraction of each class.

    They are drawn by the library's own permutation (epoch `i` for class number `i`), so that the
    split is the same with every version of NumPy.
    """
    in_test = np.zeros(len(y), dtype=bool)
    for number, label in enumerate(np.unique(y)):
        rows = np.flatnonzero(y == label)
        order = permutation(len(rows), seed, number)
        in_test[rows[order[: round(test_part * len(rows))]]] = True
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)


def prepare(X: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Split:
    """Split, and standardise by the mean and deviation of the training part."""
    train, test = stratified_split(y, TEST_PART, SEED)
    mean, deviation = X[train].mean(axis=0), X[train].std(axis=0)
    deviation[deviation == 0] = 1.0  # a constant feature becomes 0, not 0 / 0
    X = (X - mean) / deviation
    return Split(X[train], y[train], X[test], y[test])


def compare(split: Split, dtype: str) -> Result:
    """Train both networks from the same start and on the same batches."""
    print(f"\n{dtype}")
    network, history, _ = _fit(Network, split, dtype, _progress("native"))
    assert isinstance(network, Network)
    twin, _, _ = _fit(reference.Network, split, dtype, _progress("twin"))
    times: list[float] = []
    twin_times: list[float] = []
    for _ in range(TIMED_RUNS):  # alternating, so that a busy moment slows both
        times.append(_fit(Network, split, dtype)[2])
        twin_times.append(_fit(reference.Network, split, dtype)[2])
    return Result(
        dtype=dtype,
        loss=history.loss,
        accuracy=_accuracy(network, split),
        twin_accuracy=_accuracy(twin, split),
        difference=float(
            np.abs(network.parameters - twin.parameters).max() / np.abs(twin.parameters).max()
        ),
        seconds=statistics.median(times),
        twin_seconds=statistics.median(twin_times),
        network=network,
    )


def report(result: Result) -> None:
    """Print the loss curve and the numbers of one comparison."""
    print("training loss by epoch")
    print(text_curve(result.loss))
    limit = LARGEST_DIFFERENCE[result.dtype]
    print(f"test accuracy       native {result.accuracy:.4f}   twin {result.twin_accuracy:.4f}")
    print(f"largest difference  {result.difference:.1e} of the largest parameter (limit {limit})")
    print(
        f"time of the fit     native {1e3 * result.seconds:.0f} ms   "
        f"twin {1e3 * result.twin_seconds:.0f} ms   "
        f"native is {result.twin_seconds / result.seconds:.1f} times faster"
    )


def conclude(result: Result, split: Split) -> None:
    """Print what a newcomer wants to know: accuracy and time beside scikit-learn's, predictions."""
    print(f"\n{len(split.X_test)} tumours that the network has not seen, {result.dtype}:")
    peer = scikit_learn(split, result.dtype)
    for what, ours, theirs in (
        ("right answers", f"{result.accuracy:.1%}", peer and f"{peer[0]:.1%}"),
        ("time to train", f"{1e3 * result.seconds:.0f} ms", peer and f"{1e3 * peer[1]:.0f} ms"),
    ):
        beside = f"   scikit-learn {theirs}" if theirs else ""
        print(f"{what}   fastmlp {ours}{beside}")
    if peer is None:
        print("(scikit-learn is not installed: pip install 'fastmlp[sklearn]' to compare with it)")
    print()
    for number, prediction in enumerate(three_predictions(result.network, split), start=1):
        print(f"tumour {number} is {prediction}")


def scikit_learn(split: Split, dtype: str) -> tuple[float, float] | None:
    """Train scikit-learn's network alike; return its accuracy and seconds, or None without it."""
    try:
        classifier = importlib.import_module("sklearn.neural_network").MLPClassifier
    except ImportError:
        return None
    model = classifier(
        LAYERS[1:-1], solver="sgd", momentum=0, alpha=0, learning_rate_init=LEARNING_RATE,
        batch_size=BATCH_SIZE, max_iter=EPOCHS, n_iter_no_change=EPOCHS, random_state=SEED,
    )  # fmt: skip
    X, X_test = split.X_train.astype(dtype), split.X_test.astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that more epochs would lower the loss
        start = time.perf_counter()
        model.fit(X, split.y_train)
        seconds = time.perf_counter() - start
    return float(model.score(X_test, split.y_test)), seconds


def three_predictions(network: Network, split: Split) -> list[str]:
    """Describe the first benign and the first malignant test row, and the least certain one."""
    probability = network.forward(split.X_test)[:, 0]
    rows = [int(np.flatnonzero(split.y_test == label)[0]) for label in (0, 1)]
    rows.append(int(np.abs(probability - 0.5).argmin()))
    predictions = []
    for row in rows:
        malignant = probability[row] >= 0.5
        certainty = probability[row] if malignant else 1 - probability[row]
        name, truth = (
            "malignant" if is_so else "benign" for is_so in (malignant, split.y_test[row])
        )
        percent = "more than 99%" if certainty > 0.99 else f"{certainty:.0%}"
        verdict = "right" if name == truth else f"wrong, it is {truth}"
        predictions.append(f"{name}, says the network ({percent} sure): {verdict}")
    return predictions


def text_curve(loss: Sequence[float]) -> str:
    """Draw the losses with stars, the highest at the top and 0 at the bottom."""
    columns = min(len(loss), CURVE_COLUMNS)
    shown = [loss[round(c * (len(loss) - 1) / max(columns - 1, 1))] for c in range(columns)]
    top = max(shown) or 1.0
    levels = [round(value / top * (CURVE_ROWS - 1)) for value in shown]
    lines = []
    for level in reversed(range(CURVE_ROWS)):
        stars = "".join("*" if at == level else " " for at in levels)
        lines.append(f"{top * level / (CURVE_ROWS - 1):8.4f} | {stars.rstrip()}")
    lines.append(" " * 9 + "+" + "-" * (columns + 1))
    lines.append(" " * 11 + "1" + str(len(loss)).rjust(columns - 1))
    return "\n".join(lines)


def save_plot(figure_class: Any, path: str, results: Sequence[Result]) -> None:
    """Write the loss curves as a PNG, without matplotlib's global state."""
    figure = figure_class()
    axes = figure.subplots()
    for result, style in zip(results, ("-", "--"), strict=True):  # dashed: the lines coincide
        axes.plot(range(1, len(result.loss) + 1), result.loss, style, label=result.dtype)
    axes.set(xlabel="epoch", ylabel="training loss", title=f"fastmlp {LAYERS}")
    axes.legend()
    figure.savefig(path, format="png")


def _fit(
    network_class: type[AnyNetwork], split: Split, dtype: str, *callbacks: Callable[..., object]
) -> tuple[AnyNetwork, History, float]:
    """Train a fresh network; return it, its history and the seconds that `fit` took."""
    network = network_class(LAYERS, dtype=dtype, seed=SEED)
    start = time.perf_counter()
    history = network.fit(
        split.X_train,
        split.y_train,
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        callbacks=callbacks,
    )
    return network, history, time.perf_counter() - start


def _progress(name: str) -> Callable[..., object]:
    def print_epoch(network: AnyNetwork, epoch: int, logs: dict[str, float]) -> None:
        if (epoch + 1) % REPORTED_EPOCHS == 0:
            print(f"{name:>6}: epoch {epoch + 1}/{EPOCHS}, loss {logs['loss']:.6f}", flush=True)

    return print_epoch


def _accuracy(network: AnyNetwork, split: Split) -> float:
    return float(np.mean(network.predict(split.X_test) == split.y_test))
