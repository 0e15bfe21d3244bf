"""What the messages of `fit` say about data that a network cannot learn from."""

import warnings
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import _advice, _training_loop

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 4))
CLASSES = np.arange(100) % 10
TEN = r"y holds the class numbers 0 … 9: output='softmax', as in Network\(\[4, 8, 10\], output='so"


def make(units: int = 1, output: str = "sigmoid", **options: Any) -> fastmlp.Network:
    return fastmlp.Network([4, 8, units], output=output, **{"seed": 0, **options})


# Targets for another output: units, output, y, advice.
TARGETS: dict[str, tuple[int, str, Any, str]] = {
    "classes for one sigmoid": (1, "sigmoid", CLASSES, TEN),
    "classes as floats": (1, "sigmoid", CLASSES.astype(np.float32), TEN),
    "classes as a column": (1, "sigmoid", CLASSES[:, None], TEN),
    "classes for ten sigmoids": (10, "sigmoid", CLASSES, TEN),
    "classes for ten identities": (10, "identity", CLASSES, TEN),
    "classes for too small a softmax": (5, "softmax", CLASSES, TEN),
    "classes from 1": (10, "softmax", CLASSES + 1, "class numbers 1 … 10: give y - 1"),
    "classes from 1 for a sigmoid": (1, "sigmoid", CLASSES + 1, r"\[4, 8, 10\].* takes y - 1"),
    "1 and 2": (1, "sigmoid", CLASSES % 2 + 1, "y holds 1 and 2: give y - 1"),
    "-1 and 1": (1, "sigmoid", CLASSES % 2 * 2 - 1, "y holds -1 and 1: give y > 0"),
    "0 and 1 for two sigmoids": (2, "sigmoid", CLASSES % 2, "y holds 0 and 1: .* 1 unit"),
    "amounts for a sigmoid": (1, "sigmoid", CLASSES * 1.5, "output='identity' is for such numbers"),
    "amounts for a softmax": (10, "softmax", CLASSES * 0.3, "output='identity' is for such"),
    "large amounts": (
        1,
        "sigmoid",
        CLASSES * 1000,
        "takes them; for a regression use output='identity'",
    ),
    "very large amounts": (1, "sigmoid", CLASSES * 1e6, "output='identity' is for such numbers"),
    "negative counts": (1, "exp", CLASSES - 3, "output='identity' is for such numbers"),
    "amounts for two identities": (2, "identity", CLASSES * 1.5, "give the last layer 1 unit"),
    "one-hot for one sigmoid": (1, "sigmoid", np.eye(10)[CLASSES], r"one-hot rows: .*\[4, 8, 10\]"),
    "one-hot for a smaller softmax": (5, "softmax", np.eye(10)[CLASSES], "last layer 10 units"),
    "three columns": (2, "identity", X[:, :3], "give the last layer 3 units"),
}


@pytest.mark.parametrize("case", TARGETS)
def test_targets_for_another_output_are_told_it(case: str) -> None:
    units, output, y, advice = TARGETS[case]
    with pytest.raises(ValueError, match=f"^fit: y.*{advice}"):
        make(units, output).fit(X, y, epochs=1)


def test_targets_of_the_validation_data_are_told_it_too() -> None:
    with pytest.raises(ValueError, match=f"^fit: validation_data: y.*{TEN}"):
        make().fit(X, CLASSES % 2, epochs=1, validation_data=(X, CLASSES))


def test_other_errors_get_no_advice_about_targets() -> None:
    with pytest.raises(ValueError, match=r"X has 100 rows and y has 99; .*rows$"):
        make().fit(X, CLASSES[:99], epochs=1)
    with pytest.raises(ValueError, match=r"takes 4 features$"):
        make().fit(X[:, :3], CLASSES, epochs=1)
    with pytest.raises(ValueError, match=r"not negative$"):
        make().fit(X, CLASSES % 2, epochs=1, sample_weight=-np.ones(100))


def test_no_message_calls_a_vector_a_column() -> None:
    for units, output in ((1, "sigmoid"), (10, "sigmoid"), (5, "softmax"), (1, "exp")):
        for y in (CLASSES - 1, CLASSES[:50], CLASSES - 3.5):
            network = make(units, output)
            with pytest.raises(ValueError, match="y") as of_loss:
                network.loss(X, y)
            with pytest.raises(ValueError, match="y") as of_fit:
                network.fit(X, y, epochs=1)
            assert ", 1)" not in str(of_loss.value) + str(of_fit.value)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lbfgs"])
def test_targets_too_large_for_the_dtype_are_named(optimizer: str) -> None:
    message = r"even without training: y, with values of up to 9e\+25, is too large for float32"
    with pytest.raises(FloatingPointError, match=message):
        make(output="identity").fit(X, CLASSES * 1e25, epochs=1, optimizer=optimizer)


UNSCALED = X * [1, 0.5, 1e6, 0]
ABOUT_SCALES = (
    r"column 2 of X has values of up to \d.\d+e\+06 and column 1 of X of up to 1.\d+: "
    r"fit\(..., standardize=True\) scales them"
)


@pytest.mark.parametrize(
    ("output", "units", "y"),
    [("identity", 1, X[:, 0]), ("sigmoid", 1, CLASSES % 2), ("softmax", 10, CLASSES)],
)
def test_columns_of_different_scales_are_named(output: str, units: int, y: Any) -> None:
    warning = f"first epoch is .* 100 times .*; {ABOUT_SCALES}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the first epoch may have a loss, an absurd one
        with pytest.raises(FloatingPointError, match=f"{ABOUT_SCALES}, or a lower learning"):
            make(units, output).fit(UNSCALED, y, epochs=9, learning_rate=100)
    with pytest.warns(UserWarning, match=warning) as seen:
        make(units, output).fit(UNSCALED, y, epochs=1, learning_rate=1e-12)
    assert seen[0].filename == __file__


def test_a_count_has_an_absurd_loss_too() -> None:
    network, data = make(output="exp"), (X, CLASSES)
    given = _advice.Data(*data, None)
    constant = fastmlp.Network([4, 1], output="exp", dtype="float64", seed=0)
    constant.parameters[:] = 0
    constant.biases[0][0] = np.log(CLASSES.mean())
    best = constant.loss(*data)
    assert not _advice.is_absurd(network, 99.9 * best, given)
    assert _advice.is_absurd(network, 100.1 * best, given)


def test_the_best_constant_answer_is_that_of_the_weighted_rows() -> None:
    weight = RNG.uniform(0, 3, 100)
    y = np.stack([X[:, 0], X[:, 1] ** 2], axis=1)
    network = make(2, "identity", dtype="float64")
    constant = fastmlp.Network([4, 2], output="identity", dtype="float64", seed=0)
    constant.parameters[:] = 0
    constant.biases[0][:] = np.average(y, axis=0, weights=weight)
    best = constant.loss(X, y, weight)
    assert not _advice.is_absurd(network, 99.9 * best, _advice.Data(X, y, weight))
    assert _advice.is_absurd(network, 100.1 * best, _advice.Data(X, y, weight))


def test_a_loss_is_absurd_by_what_equal_probabilities_would_cost() -> None:
    data = _advice.Data(X, np.zeros((100, 3)), None)
    for output, best in (("sigmoid", 3 * np.log(2)), ("softmax", np.log(3))):
        assert not _advice.is_absurd(make(3, output), 99.9 * best, data)
        assert _advice.is_absurd(make(3, output), 100.1 * best, data)


def test_a_loss_that_is_not_the_output_s_own_is_never_absurd() -> None:
    network = make(output="identity", loss="huber")
    assert not _advice.is_absurd(network, 1e30, _advice.Data(X, X[:, 0], None))


def test_outputs_too_large_for_the_dtype_are_named() -> None:
    network = make(output="identity")
    message = r"the outputs, with values of up to .*e\+2\d, are too large .*; scale X or the param"
    with pytest.raises(FloatingPointError, match=message):
        network.fit(X * 1e25, X[:, 0], epochs=1)


def test_targets_that_standardize_does_not_scale_are_not_accused() -> None:
    data = _advice.Data(X, CLASSES * 1e6, None)
    assert _advice.about_scales(make(output="exp"), data, None) is None
    assert "y has values" in (_advice.about_scales(make(output="identity"), data, None) or "")


def test_a_few_rows_alone_do_not_make_a_loss_absurd() -> None:
    y = np.zeros(3 * _advice.SAMPLE)
    y[1] = 1e3  # which is not among the rows that are looked at first
    data = _advice.Data(np.zeros((len(y), 4)), y, None)
    assert not _advice.is_absurd(make(output="identity"), 49 * y.var(), data)
    assert _advice.is_absurd(make(output="identity"), 51 * y.var(), data)


def test_names_of_columns_are_used() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(UNSCALED, columns=["age", "rooms", "income", "none"])
    with pytest.warns(UserWarning, match="; column 'income' of X .* and column 'rooms' of X"):
        make(output="identity").fit(frame, X[:, 0], epochs=1, learning_rate=1e-12)


def test_large_targets_are_named_if_training_diverges() -> None:
    message = r"epoch: y has values of up to 9e\+06: fit\(..., stan"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(FloatingPointError, match=message):
            make(output="identity").fit(X, CLASSES * 1e6, epochs=9)


def test_columns_of_one_scale_are_not_accused() -> None:
    with pytest.raises(FloatingPointError, match=r"that epoch: a lower learning rate or smaller"):
        make(output="identity").fit(X, X[:, 0], epochs=3, learning_rate=1e10)
    general = r"answer; fit\(..., standardize=True\), which scales the rows, or a lower learning"
    with pytest.warns(UserWarning, match=general):
        make(output="identity").fit(X * 1e4, X[:, 0], epochs=1, learning_rate=1e-15)


def test_a_regression_on_raw_columns_is_warned() -> None:
    diabetes = pytest.importorskip("sklearn.datasets").load_diabetes(scaled=False)
    network = fastmlp.Network([10, 32, 1], output="identity", seed=0)
    with pytest.warns(UserWarning, match=r"times that of the best constant answer; "):
        network.fit(diabetes.data, diabetes.target, epochs=1)


def test_standardized_rows_are_not_accused() -> None:
    make(output="identity").fit(UNSCALED, X[:, 0], epochs=3, standardize=True)
    with pytest.raises(FloatingPointError, match=r"that epoch: a lower learning rate or smaller"):
        make(output="identity").fit(
            UNSCALED, X[:, 0], epochs=3, standardize=True, learning_rate=1e10
        )


def test_a_scaling_of_other_rows_is_named() -> None:
    network = make(output="identity")
    network.fit(X, X[:, 0] * 1e6, epochs=1, standardize=True)
    with pytest.warns(
        UserWarning,
        match=r"keeps the scaling of its first fit; if that had other rows, train a new",
    ):
        network.fit(X, X[:, 0], epochs=1, standardize=True)
    assert network.scaling["output_scale"][0] > 1e5


def test_scales_are_looked_at_after_an_absurd_first_epoch_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[Any] = []
    monkeypatch.setattr(_training_loop, "about_scales", lambda *args: looked.append(args) or "so")
    make(output="identity").fit(UNSCALED / 1e6, X[:, 0], epochs=3)
    assert not looked
    with pytest.warns(UserWarning, match="answer; so"):
        make(output="identity").fit(UNSCALED, X[:, 0], epochs=3, learning_rate=1e-12)
    assert len(looked) == 1
