"""What `fit` does beside training: held-out rows, metrics, weights of classes, lines, `History`."""

import io
import math
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import metrics, reference
from fastmlp._training_data import SPLIT_EPOCH
from fastmlp.training import History

BOTH = pytest.mark.parametrize("kind", [fastmlp.Network, reference.Network])
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] > 0.5).astype(np.float64)
CLASSES = np.digitize(X[:, 0], [-0.5, 0.5])
WEIGHT = RNG.uniform(0.5, 2.0, 40)


def make(kind: Any = fastmlp.Network, layers: Any = (3, 5, 1), **options: Any) -> Any:
    return kind(list(layers), **{"seed": 3, "hidden": "tanh", **options})


def split_by_hand(share: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    order = reference.Network([1, 1], seed=0)._permutation(len(X), seed, SPLIT_EPOCH)
    return np.sort(order[share:]), np.sort(order[:share])


# Held-out rows


@BOTH
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_split_is_training_on_the_other_rows(kind: Any, optimizer: str, shuffle: bool) -> None:
    training, held_out = split_by_hand(8)
    options = {"epochs": 3, "batch_size": 8, "optimizer": optimizer, "shuffle": shuffle}
    a, b = make(kind), make(kind)
    history = a.fit(X, Y, sample_weight=WEIGHT, validation_split=0.2, **options)
    expected = b.fit(
        X[training],
        Y[training],
        sample_weight=WEIGHT[training],
        validation_data=(X[held_out], Y[held_out], WEIGHT[held_out]),
        **options,
    )
    np.testing.assert_array_equal(a.parameters, b.parameters)
    assert history == expected


@BOTH
def test_two_fits_hold_out_the_same_rows(kind: Any) -> None:
    a, b = make(kind), make(kind)
    optimizers = fastmlp.Adam(), fastmlp.Adam()
    whole = a.fit(X, Y, epochs=10, validation_split=0.25, optimizer=optimizers[0])
    first = b.fit(X, Y, epochs=5, validation_split=0.25, optimizer=optimizers[1])
    second = b.fit(X, Y, epochs=5, validation_split=0.25, optimizer=optimizers[1])
    np.testing.assert_array_equal(a.parameters, b.parameters)
    assert first.val_loss + second.val_loss == whole.val_loss


def test_the_seed_alone_chooses_the_rows() -> None:
    seen: list[Any] = []
    for seed, epochs_trained in ((0, 0), (0, 7), (1, 0)):
        network = make(output="identity")
        network.epochs_trained = epochs_trained
        options = {"validation_split": 0.5, "metrics": lambda y, p: seen.append(y) or 0}
        network.fit(X, np.arange(40), epochs=1, learning_rate=1e-6, seed=seed, **options)
        np.testing.assert_array_equal(seen[-1], split_by_hand(20, seed)[1])
    np.testing.assert_array_equal(seen[0], seen[1])
    assert (seen[0] != seen[2]).any()


@pytest.mark.parametrize(
    ("share", "rows", "held_out"), [(0.2, 40, 8), (0.5, 3, 2), (0.01, 40, 1), (0.999, 40, None)]
)
def test_the_share_is_rounded_to_rows(share: float, rows: int, held_out: int | None) -> None:
    sizes: list[int] = []
    options: dict[str, Any] = {
        "epochs": 1,
        "validation_split": share,
        "metrics": lambda y, p: sizes.append(len(y)) or 0,
    }
    if held_out is None:
        with pytest.raises(
            ValueError, match=r"validation_split is 0.999 and X has 40 rows; at least one"
        ):
            make().fit(X[:rows], Y[:rows], **options)
    else:
        make().fit(X[:rows], Y[:rows], **options)
        assert sizes == [held_out]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("with_seed", [True, False])
def test_a_run_with_a_split_resumes(tmp_path: Path, shuffle: bool, with_seed: bool) -> None:
    path = tmp_path / "run.safetensors"
    options: dict[str, Any] = {"validation_split": 0.2, "shuffle": shuffle, "early_stopping": 3}
    options["class_weight"] = "balanced"
    whole, begun = make(), make()
    expected = whole.fit(X, Y, epochs=6, **options, seed=11)
    begun.fit(X, Y, epochs=2, **options, seed=11, checkpoint=path)
    resumed = make(seed=8)
    if with_seed:
        options["seed"] = 11
    history = resumed.fit(X, Y, epochs=6, **options, resume=path)
    np.testing.assert_array_equal(whole.parameters, resumed.parameters)
    assert history == expected


def test_a_resumed_run_holds_out_as_many_rows(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    make().fit(X, Y, epochs=1, validation_split=0.2, checkpoint=path)
    with pytest.raises(ValueError, match="the number of rows is 30 here and 32 in the checkpoint"):
        make().fit(X, Y, epochs=2, validation_split=0.25, resume=path)


def test_early_stopping_takes_a_split() -> None:
    network = make()
    history = network.fit(
        X, 1 - Y, epochs=60, validation_split=0.3, early_stopping=2, learning_rate=2
    )
    assert network.epochs_trained == history.best_epoch + 1


# Metrics


SK_NAMES = {
    "accuracy": "accuracy_score",
    "balanced_accuracy": "balanced_accuracy_score",
    "log_loss": "log_loss",
    "mae": "mean_absolute_error",
    "r2": "r2_score",
    "rmse": "root_mean_squared_error",
}


@pytest.mark.parametrize("output", ["sigmoid", "softmax", "identity"])
def test_metrics_are_those_of_scikit_learn(output: str) -> None:
    sk = pytest.importorskip("sklearn.metrics")
    y = {"sigmoid": Y, "softmax": CLASSES, "identity": X[:, 0] + 1.0}[output]
    network = make(layers=(3, 5, 3 if output == "softmax" else 1), output=output, dtype="float64")
    names = ["mae", "r2", "rmse"]
    if output != "identity":
        names = ["accuracy", "balanced_accuracy", "log_loss"]
    history = network.fit(
        X, y, epochs=3, metrics=[*names, sk.r2_score][: 3 + (output != "softmax")]
    )
    outputs = network.forward(X)
    for name in names:
        given = outputs
        if "accuracy" in name:
            given = outputs.argmax(axis=1) if output == "softmax" else outputs[:, 0] >= 0.5
        expected = getattr(sk, SK_NAMES[name])(y, given)
        assert history.metrics[name][-1] == pytest.approx(expected, rel=1e-12)
        assert len(history.metrics[name]) == 3
    if output != "softmax":
        assert history.metrics["r2_score"][-1] == pytest.approx(sk.r2_score(y, outputs))


def test_roc_auc_is_that_of_scikit_learn() -> None:
    sk = pytest.importorskip("sklearn.metrics")
    scores = np.round(RNG.random((40, 3)), 1)  # with ties
    assert metrics.roc_auc(Y, scores[:, 0]) == pytest.approx(sk.roc_auc_score(Y, scores[:, 0]))
    one_hot = np.eye(3)[CLASSES]
    expected = sk.roc_auc_score(one_hot, scores)
    assert metrics.roc_auc(one_hot, scores) == pytest.approx(expected)
    assert metrics.roc_auc(CLASSES, scores) == pytest.approx(expected)
    assert metrics.roc_auc(np.where(CLASSES == 2, 0, CLASSES), scores) < 1  # class 2 has no rows
    assert math.isnan(metrics.roc_auc(np.ones(40), scores[:, 0]))


def test_metrics_of_several_outputs() -> None:
    sk = pytest.importorskip("sklearn.metrics")
    y, outputs = np.round(RNG.random((20, 2))), RNG.random((20, 2))
    assert metrics.accuracy(y, outputs) == sk.accuracy_score(y, outputs >= 0.5)
    assert metrics.r2(y, outputs) == pytest.approx(sk.r2_score(y, outputs))
    assert metrics.rmse(y, outputs) == pytest.approx(np.sqrt(((y - outputs) ** 2).mean()))
    assert metrics.mae(y, outputs) == pytest.approx(np.abs(y - outputs).mean())
    assert metrics.r2([2.0, 2.0], [2.0, 2.0]) == 1.0
    assert metrics.r2([2.0, 2.0], [2.0, 3.0]) == 0.0
    with pytest.raises(ValueError, match="balanced_accuracy: outputs has several sigmoid"):
        metrics.balanced_accuracy(y, outputs)
    with pytest.raises(ValueError, match=r"mae: y has shape \(20, 2\) and outputs has shape \(20,"):
        metrics.mae(y, outputs[:, 0])


def test_a_probability_of_a_half_is_a_yes() -> None:
    assert metrics.accuracy([1, 0], [0.5, 0.25]) == 1
    assert metrics.balanced_accuracy([1, 0], [0.5, 0.25]) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_wrong_answer_without_doubt_costs_as_much_as_the_dtype_can_tell(dtype: Any) -> None:
    sure = -np.log(np.finfo(dtype).eps)
    assert metrics.log_loss([1, 0], np.array([0, 1], dtype)) == pytest.approx(sure)
    assert metrics.log_loss([1], np.array([[1, 0]], dtype)) == pytest.approx(sure)


def test_the_log_loss_of_a_row_is_the_sum_over_its_outputs() -> None:
    assert metrics.log_loss([[0, 1], [1, 1]], np.full((2, 2), 0.5)) == pytest.approx(np.log(4))


def test_class_numbers_may_be_a_column() -> None:
    P = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])
    for metric in (metrics.accuracy, metrics.balanced_accuracy, metrics.log_loss, metrics.roc_auc):
        assert metric([[0], [1]], P) == metric([0, 1], P)


@pytest.mark.parametrize("metric", metrics.__all__)
def test_a_metric_refuses_what_has_no_answer(metric: str) -> None:
    function = getattr(metrics, metric)
    masked = np.ma.masked_array([0.0, 1.0], [True, False])
    for given in (([0, 1], masked), (masked, [0, 1])):
        with pytest.raises((TypeError, ValueError), match=f"{metric}: .*masked"):
            function(*given)
    for y, outputs in (([], []), ([0, 1], [0.5]), ([[0, 1]], [[0.5, 0.2, 0.3]])):
        with pytest.raises(ValueError, match=f"{metric}: y has shape"):
            function(y, outputs)


@pytest.mark.parametrize("metric", ["mae", "r2", "rmse"])
def test_an_error_of_class_numbers_is_refused(metric: str) -> None:
    with pytest.raises(ValueError, match=f"{metric}: y has shape"):
        getattr(metrics, metric)([0, 1], [[0.9, 0.1], [0.2, 0.8]])


@BOTH
@pytest.mark.parametrize("validates", [True, False])
def test_metrics_see_the_validation_rows_or_those_trained_on(kind: Any, validates: bool) -> None:
    network, seen, logs_seen = make(kind), [], []

    def count(y: Any, outputs: Any) -> int:
        seen.append((y, outputs))
        return len(y)

    options = {"validation_data": (X[:9], Y[:9, None])} if validates else {}
    history = network.fit(
        X,
        Y[:, None],
        epochs=2,
        metrics=["accuracy", count],
        callbacks=[lambda network, epoch, logs: logs_seen.append(logs)],
        **options,
    )
    prefix, rows = ("val_", 9) if validates else ("", 40)
    assert history.metrics[f"{prefix}count"] == [rows, rows]
    y, outputs = seen[-1]
    assert y.shape == outputs.shape == (rows,)
    np.testing.assert_array_equal(outputs, network.forward(X[:rows])[:, 0])
    assert logs_seen[-1][f"{prefix}accuracy"] == history.metrics[f"{prefix}accuracy"][-1]


def test_one_hot_rows_become_class_numbers_for_metrics() -> None:
    seen: list[Any] = []
    network = make(layers=(3, 3), output="softmax")
    history = network.fit(
        X, np.eye(3)[CLASSES], epochs=1, metrics=["accuracy", lambda y, p: seen.append(y) or 0]
    )
    np.testing.assert_array_equal(seen[0], CLASSES)
    assert history.metrics["accuracy"] == [np.mean(network.predict(X) == CLASSES)]


def test_a_schedule_is_told_the_losses_alone() -> None:
    told: list[Any] = []

    def schedule(epoch: int, rate: float, logs: Any) -> float:
        told.append(logs)
        return rate

    make().fit(X, Y, epochs=1, metrics="accuracy", schedule=schedule, validation_split=0.2)
    assert set(told[1]) == {"loss", "val_loss"}


def test_metrics_are_nan_before_a_resume(tmp_path: Path) -> None:
    path, network = tmp_path / "run.safetensors", make()
    network.fit(X, Y, epochs=2, checkpoint=path)
    values = network.fit(X, Y, epochs=3, resume=path, metrics="accuracy").metrics["accuracy"]
    assert np.isnan(values[:2]).all()
    assert values[2] == np.mean(network.predict(X) == Y)


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "split 1": ({"validation_split": 1}, ValueError, "validation_split is 1; it must be at least"),
    "split negative": ({"validation_split": -0.1}, ValueError, "validation_split is -0.1"),
    "split a string": ({"validation_split": "0.1"}, ValueError, "validation_split is '0.1'"),
    "split NaN": ({"validation_split": math.nan}, ValueError, "validation_split is nan"),
    "two kinds of validation": (
        {"validation_split": 0.5, "validation_data": (X, Y)},
        ValueError,
        "validation_split is 0.5 and validation_data is given; give one",
    ),
    "held-out rows without weight": (
        {"validation_split": 0.2, "sample_weight": np.isin(np.arange(40), split_by_hand(8)[0])},
        ValueError,
        "with validation_split=0.2, the validation rows all have weight 0",
    ),
    "an unknown metric": ({"metrics": ["acc"]}, ValueError, r"has 'acc'; it must be .*'accuracy'"),
    "a metric of numbers": ({"metrics": [1]}, TypeError, "metrics has 1; it must be one of"),
    "metrics a number": ({"metrics": 1}, TypeError, "metrics is 1; it must be"),
    "a metric twice": ({"metrics": ["mae", "mae"]}, ValueError, "two of the name 'mae'"),
    "a reserved name": (
        {"metrics": types.new_class("loss")},
        ValueError,
        "has one of the name 'loss', which",
    ),
    "verbose negative": ({"verbose": -1}, ValueError, "verbose is -1; it must be True, False or"),
    "verbose a string": ({"verbose": "yes"}, ValueError, "verbose is 'yes'"),
    "class_weight a string": (
        {"class_weight": "auto"},
        ValueError,
        "class_weight is 'auto'; it must be 'balanced' or a dict",
    ),
    "class_weight a list": ({"class_weight": [1, 2]}, ValueError, r"class_weight is \[1, 2\]"),
    "an unknown class": ({"class_weight": {2: 1.0}}, ValueError, "class_weight has 2; .* 0 to 1"),
    "a negative weight": ({"class_weight": {1: -1.0}}, ValueError, "class_weight of 1 is -1.0; it"),
    "no weight at all": ({"class_weight": {0: 0, 1: 0}}, ValueError, "sample_weight has the sum 0"),
    "classes between": (
        {"class_weight": "balanced", "y": np.where(np.arange(40) < 7, Y, 0.5)},
        ValueError,
        r"y\[7\] is 0.5; it must be 0 or 1",
    ),
    "four kinds of validation data": (
        {"validation_data": (X, Y, WEIGHT, None)},
        ValueError,
        "validation_data is a tuple of 4 items; it must be",
    ),
    "rows to train on without weight": (
        {"validation_split": 0.2, "sample_weight": np.isin(np.arange(40), split_by_hand(8)[1])},
        ValueError,
        "with validation_split=0.2, the rows to train on all have weight 0",
    ),
}


@BOTH
@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_option_changes_nothing(kind: Any, case: str) -> None:
    options, error, message = REFUSED[case]
    network = make(kind)
    before = network.parameters.copy()
    if kind is reference.Network and case == "no weight at all":
        pytest.skip("the twin does not check weights")
    with pytest.raises(error, match=f"^fit: .*{message}"):
        network.fit(
            X, options.get("y", Y), epochs=1, **{k: v for k, v in options.items() if k != "y"}
        )
    np.testing.assert_array_equal(network.parameters, before)
    assert network.epochs_trained == 0


@pytest.mark.parametrize(
    ("output", "layers", "y", "metric", "message"),
    [
        ("identity", (3, 1), X[:, 0], "accuracy", "accuracy needs probabilities; mae, r2, rmse"),
        ("softmax", (3, 3), CLASSES, "r2", "r2 needs numbers; accuracy, balanced_accuracy"),
        ("sigmoid", (3, 2), np.eye(2)[Y.astype(int)], "balanced_accuracy", "needs one output"),
    ],
)
def test_a_metric_that_the_output_cannot_have_is_refused(
    output: str, layers: Any, y: Any, metric: str, message: str
) -> None:
    with pytest.raises(ValueError, match=f"'{metric}' and the output is '{output}'; .*{message}"):
        make(layers=layers, output=output).fit(X, y, epochs=1, metrics=metric)


def test_a_metric_may_return_a_boolean_of_numpy() -> None:
    def any_right(y: Any, outputs: Any) -> Any:
        return np.any(y == (outputs >= 0.5))

    assert make().fit(X, Y, epochs=1, metrics=any_right).metrics["any_right"] == [1.0]


def test_metrics_get_integers_as_class_numbers_and_all_columns_of_other_targets() -> None:
    seen: list[Any] = []
    for output, y in (("softmax", CLASSES.astype(np.float32)), ("sigmoid", np.eye(3)[CLASSES])):
        make(layers=(3, 3), output=output).fit(
            X, y, epochs=1, metrics=lambda y, p: seen.append(y) or 0
        )
    assert seen[0].dtype == np.int64
    np.testing.assert_array_equal(seen[1], np.eye(3)[CLASSES])


def test_a_metric_must_return_a_number() -> None:
    def shape(y: Any, outputs: Any) -> Any:
        return outputs.shape

    with pytest.raises(TypeError, match=r"the metric shape returned \(40,\); it must return a num"):
        make().fit(X, Y, epochs=1, metrics=shape)


# Weights of classes


@BOTH
@pytest.mark.parametrize("class_weight", ["balanced", {0: 0.5, 1: 3.0}, {1: 2.0}])
@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("output", ["sigmoid", "softmax", "one-hot"])
@pytest.mark.sparse
def test_class_weights_multiply_those_of_the_rows(
    kind: Any, class_weight: Any, weight: Any, output: str
) -> None:
    sk = pytest.importorskip("sklearn.utils.class_weight")
    y = Y.astype(int) if output == "sigmoid" else CLASSES
    own = np.ones(40) if weight is None else weight
    classes = np.unique(y)
    if class_weight == "balanced":
        by_class = sk.compute_class_weight("balanced", classes=classes, y=y, sample_weight=own)
    else:
        by_class = np.array([class_weight.get(c, 1.0) for c in classes.tolist()])
    layers = (3, 1) if output == "sigmoid" else (3, 3)
    options = {"output": "sigmoid" if output == "sigmoid" else "softmax"}
    a, b = make(kind, layers, **options), make(kind, layers, **options)
    targets = np.eye(3)[y] if output == "one-hot" else y
    a.fit(X, targets, epochs=2, class_weight=class_weight, sample_weight=weight)
    b.fit(X, targets, epochs=2, sample_weight=own * by_class[y])
    np.testing.assert_allclose(a.parameters, b.parameters, rtol=1e-5, atol=1e-7)


@BOTH
@pytest.mark.parametrize("class_weight", ["balanced", {1: 3.0}])
def test_class_weights_take_class_numbers_as_a_column(kind: Any, class_weight: Any) -> None:
    a, b = (make(kind, (3, 3), output="softmax") for _ in range(2))
    weight = np.arange(1.0, 41.0)
    a.fit(X, CLASSES, epochs=1, class_weight=class_weight, sample_weight=weight)
    b.fit(X, CLASSES[:, None], epochs=1, class_weight=class_weight, sample_weight=weight)
    np.testing.assert_array_equal(a.parameters, b.parameters)


def test_balanced_classes_have_the_same_total_weight() -> None:
    weight = np.arange(1.0, 41.0)
    totals = np.bincount(CLASSES, weight)
    a, b = (make(layers=(3, 3), output="softmax", dtype="float64") for _ in range(2))
    a.fit(X, CLASSES, epochs=1, class_weight="balanced", sample_weight=weight)
    b.fit(X, CLASSES, epochs=1, sample_weight=weight * (weight.sum() / (3 * totals))[CLASSES])
    np.testing.assert_allclose(a.parameters, b.parameters, rtol=1e-12)


def test_class_weights_leave_the_validation_rows_alone() -> None:
    network = make()
    history = network.fit(X, Y, epochs=1, validation_split=0.2, class_weight={1: 100.0})
    held_out = split_by_hand(8)[1]
    assert history.val_loss == [network.loss(X[held_out], Y[held_out])]


def test_a_class_without_weight_counts_for_nothing() -> None:
    a, b = make(layers=(3, 3), output="softmax"), make(layers=(3, 3), output="softmax")
    weight = np.where(CLASSES == 2, 0.0, 1.0)
    a.fit(X, CLASSES, epochs=2, class_weight="balanced", sample_weight=weight)
    counts = np.bincount(CLASSES[CLASSES != 2])
    by_hand = np.where(CLASSES == 2, 0.0, counts.sum() / (3 * counts[np.minimum(CLASSES, 1)]))
    b.fit(X, CLASSES, epochs=2, sample_weight=by_hand)
    np.testing.assert_array_equal(a.parameters, b.parameters)


@pytest.mark.parametrize(("output", "n_out"), [("sigmoid", 2), ("identity", 1), ("exp", 1)])
def test_class_weights_are_for_one_class_for_each_row(output: str, n_out: int) -> None:
    network = make(layers=(3, n_out), output=output)
    with pytest.raises(
        ValueError, match=r"class_weight is 'balanced' and the network has .*softmax"
    ):
        network.fit(X, np.ones((40, n_out)), epochs=1, class_weight="balanced")


# Lines


@pytest.mark.parametrize(
    ("verbose", "epochs"), [(False, []), (0, []), (True, [*range(1, 12)]), (5, [5, 10, 11])]
)
def test_verbose_prints_plain_lines(capsys: Any, verbose: Any, epochs: list[int]) -> None:
    history = make().fit(X, Y, epochs=11, verbose=verbose, validation_split=0.2, metrics="accuracy")
    lines = capsys.readouterr().out.splitlines()
    assert [int(line.split()[1].split("/")[0]) for line in lines] == epochs
    for line, epoch in zip(lines, epochs, strict=True):
        assert line == (
            f"epoch {epoch:>2}/11  loss {history.loss[epoch - 1]:.4g}  "
            f"val_loss {history.val_loss[epoch - 1]:.4g}  "
            f"val_accuracy {history.metrics['val_accuracy'][epoch - 1]:.4g}"
        )


def test_the_last_epoch_has_a_line_if_training_ends_early(capsys: Any) -> None:
    make().fit(X, Y, epochs=99, verbose=50, callbacks=[lambda n, epoch, logs: epoch == 2])
    assert capsys.readouterr().out.startswith("epoch  3/99  loss ")


# History


def test_the_repr_of_a_history_is_one_line() -> None:
    history = History([0.5, 0.25, 0.3], [0.6, 0.51234567, 0.7], [0.1] * 3, 3, "early_stopping")
    assert repr(history) == (
        "History(epochs=3, loss=0.3, val_loss=0.7, best_epoch=1, best_val_loss=0.5123, "
        "stopped_by='early_stopping')"
    )
    assert repr(History([0.5], [], [0.1], 1)) == (
        "History(epochs=1, loss=0.5, best_epoch=0, best_loss=0.5, stopped_by='epochs')"
    )
    assert repr(History()) == "History(epochs=0, stopped_by='epochs')"


def test_the_best_epoch_has_the_lowest_loss() -> None:
    assert History().best_epoch is None
    assert History([math.nan], [], [0.1], 1).best_epoch is None
    assert History([3.0, 1.0, 1.0]).best_epoch == 1
    assert History([3.0, 1.0, 2.0], [math.nan, 5.0, 4.0]).best_epoch == 2


def test_a_history_becomes_a_frame() -> None:
    pd = pytest.importorskip("pandas")
    history = make().fit(X, Y, epochs=2, validation_split=0.2, metrics="accuracy")
    frame = history.to_frame()
    assert list(frame.columns) == ["loss", "val_loss", "learning_rate", "val_accuracy"]
    assert frame.index.name == "epoch"
    assert frame["val_loss"].tolist() == history.val_loss
    assert list(make().fit(X, Y, epochs=1).to_frame().columns) == ["loss", "learning_rate"]
    assert isinstance(History().to_frame(), pd.DataFrame)


def test_without_pandas_a_history_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"to_frame: it needs pandas, .*pip install pandas"):
        History().to_frame()


def test_a_history_is_drawn_by_the_module_plot(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    module: Any = types.ModuleType("fastmlp.plot")
    module.history = lambda history, ax=None: drawn.append((history, ax)) or "axes"
    monkeypatch.setitem(sys.modules, "fastmlp.plot", module)
    history = History([1.0])
    assert history.plot() == history.plot(ax="mine") == "axes"
    assert drawn == [(history, None), (history, "mine")]


# In passing


@BOTH
def test_the_summary_lists_the_layers(kind: Any) -> None:
    network = make(kind, (30, 64, 32, 2), hidden=["tanh", "relu"], output="softmax")
    text = network.summary()
    assert repr(text) == str(text)
    assert text.splitlines() == [
        "4,130 parameters of float32 in 16.5 kB; 4,032 multiply-adds a row",
        "",
        "layer  units  activation  parameters  multiply-adds",
        "input     30",
        "1         64  tanh             1,984          1,920",
        "2         32  relu             2,080          2,048",
        "3          2  softmax             66             64",
    ]
    assert make(kind, (2, 1)).summary().startswith("3 parameters of float32 in 12 bytes; 2 mult")
    wide = make(kind, (1000, 1000), dtype="float64").summary()
    assert wide.startswith("1,001,000 parameters of float64 in 8.01 MB; 1,000,000")


@BOTH
def test_errors_of_python_name_the_network(kind: Any) -> None:
    network = make(kind)
    with pytest.raises(TypeError, match=r"^Network.fit\(\) got an unexpected .* 'epoch'"):
        network.fit(X, Y, epoch=3)
    with pytest.raises(TypeError, match=r"^Network.fit\(\) missing 1 required .* 'epochs'"):
        network.fit(X, Y)
    with pytest.raises(TypeError, match=r"^Network.predict\(\) missing"):
        network.predict()


def test_methods_are_pickled_by_the_class_that_users_know() -> None:
    for method in (fastmlp.Network.fit, fastmlp.Network.predict, fastmlp.Network.summary):
        assert pickle.loads(pickle.dumps(method)) is method


@BOTH
@pytest.mark.parametrize("output", ["sigmoid", "identity", "exp", "softmax"])
def test_the_prediction_for_one_row_is_a_number(kind: Any, output: str) -> None:
    network = make(kind, (3, 4 if output == "softmax" else 1), output=output)
    value = network.predict(X[0])
    assert isinstance(value, np.generic)
    assert value == network.predict(X[:1])[0]
    if output in ("sigmoid", "softmax"):
        network.classes = list("abcd")[: 4 if output == "softmax" else 2]
        assert isinstance(network.predict(X[0]), str)


def test_save_refuses_an_open_file_and_says_what_to_give(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    make().save(path)
    rule = r"path is <.*; it must be the name of a file: a str, bytes or os.PathLike"
    with path.open("r+b") as opened:
        with pytest.raises(TypeError, match=rf"save: {rule}, such as '.*net.*'; pickle.dumps\(net"):
            make().save(opened)
        with pytest.raises(TypeError, match=rf"load: {rule}, such as '.*net.safetensors'$"):
            fastmlp.Network.load(opened)
    with pytest.raises(TypeError, match=rf"save: {rule}; pickle.dumps\(network\) gives bytes"):
        make().save(io.BytesIO())


def test_numpys_settings_for_errors_do_not_matter():
    """Libraries set them for the whole process: emlearn to raise for everything."""
    X = np.array([[1e-42, 1.0], [1e-310, -1.0], [3.0, 2.0]])
    with np.errstate(all="raise"):
        network = fastmlp.Network([2, 3, 1], output="identity", seed=0)
        history = network.fit(X, [1.0, 1e-42, 2.0], epochs=2, validation_data=(X, X[:, 0]))
        network.fit(X, X[:, 1], epochs=2, loss=lambda Y, y: (0.0, (Y - y).astype(float) * 1e-44))
    assert np.isfinite(history.loss).all()
