"""What `TabularClassifier` and `TabularRegressor` take, predict and refuse."""

import math
import re
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastmlp
from fastmlp.datasets import load_breast_cancer
from fastmlp.tabular import TabularClassifier, TabularRegressor
from fastmlp.tabular._target import Amounts
from table_data import features, mixed_table, part

TABLE = mixed_table()
X = features(TABLE)
Y = np.array(TABLE["amount"])
QUICK = {"epochs": 3, "hidden": (8,), "n_members": 2}


@pytest.fixture(scope="module")
def classifier():
    return TabularClassifier(epochs=20, n_members=2).fit(X, TABLE["class"])


@pytest.fixture(scope="module")
def regressor():
    return TabularRegressor(epochs=20, n_members=2).fit(X, TABLE["amount"])


# It learns


def test_classes_are_learned_from_a_mixed_table():
    train, test = part(TABLE, 0, 180), part(TABLE, 180, 240)
    model = TabularClassifier(n_members=2).fit(features(train), train["class"])
    assert model.score(features(test), test["class"]) > 0.75  # 0.4 by the most frequent class
    assert model.classes_.tolist() == ["high", "low", "middle"]


def test_amounts_are_learned_from_a_mixed_table():
    train, test = part(TABLE, 0, 180), part(TABLE, 180, 240)
    model = TabularRegressor(n_members=4).fit(features(train), train["amount"])
    assert model.score(features(test), test["amount"]) > 0.75


def test_a_real_table_is_learned_from_an_array():
    A, y = load_breast_cancer()
    model = TabularClassifier(n_members=2).fit(A[::2], y[::2])
    assert model.score(A[1::2], y[1::2]) > 0.94


def test_counts_are_learned():
    model = TabularRegressor(loss="poisson", n_members=1, epochs=30).fit(X, TABLE["count"])
    assert model.score(X, TABLE["count"]) > 0.1
    assert model.predict(X).min() > 0
    with pytest.raises(ValueError, match="loss='poisson' takes counts"):
        model.fit(X, -np.array(TABLE["count"]))


@pytest.fixture(scope="module")
def quantiles():
    return TabularRegressor(quantiles=[0.1, 0.5, 0.9], n_members=1, epochs=40).fit(X, Y)


def test_quantiles_are_learned(quantiles):
    predicted = quantiles.predict(X)
    assert predicted.shape == (240, 3)
    assert np.all(np.diff(predicted, axis=1) >= 0)
    below = (Y[:, np.newaxis] < predicted).mean(axis=0)
    np.testing.assert_allclose(below, [0.1, 0.5, 0.9], atol=0.12)
    assert quantiles.quantiles_ == (0.1, 0.5, 0.9)


def test_a_single_quantile_is_one_number_for_each_row():
    model = TabularRegressor(**QUICK, quantiles=0.9).fit(X, Y)
    assert model.predict(X).shape == (240,)
    assert model.networks[0].quantiles == (0.9,)
    for given in (np.float32(0.5), np.array(0.5), np.array([0.5]), np.float64(0.5)):
        assert TabularRegressor(**QUICK, quantiles=given).fit(X, Y).quantiles_ == (0.5,)


def test_the_score_of_quantiles_is_that_of_scikit_learn(quantiles):
    metrics = pytest.importorskip("sklearn.metrics")
    weight = np.arange(240.0)
    for given in (None, weight):
        expected = np.mean(
            [
                metrics.d2_pinball_score(Y, column, alpha=quantile, sample_weight=given)
                for column, quantile in zip(quantiles.predict(X).T, (0.1, 0.5, 0.9), strict=True)
            ]
        )
        score = quantiles.score(X, Y, sample_weight=given)
        assert math.isclose(score, expected, rel_tol=1e-3)


def test_quantiles_are_sorted_in_each_row():
    model = TabularRegressor(**QUICK, quantiles=[0.45, 0.5, 0.55], learning_rate=1e-9).fit(X, Y)
    outputs = np.mean([network.forward(model.encode(X)) for network in model.networks], axis=0)
    assert (np.diff(outputs, axis=1) < 0).any()  # so they cross
    assert (np.diff(model.predict(X), axis=1) >= 0).all()


@pytest.mark.parametrize("loss", ["huber", "absolute_error"])
def test_robust_losses_ignore_outliers(loss):
    wrong = Y.copy()
    wrong[::20] = 1e6
    right = np.arange(240) % 20 != 0
    model = TabularRegressor(loss=loss, n_members=1, epochs=40).fit(X, wrong)
    assert np.median(np.abs(model.predict(X) - Y)[right]) < 2
    assert model.networks[0].loss_name == loss


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": "squared"}, "loss is 'squared'; it must be one of"),
        ({"loss": "huber", "delta": 0}, "delta is 0"),
        ({"loss": "huber", "delta": math.inf}, "delta is inf"),
        ({"loss": "huber", "quantiles": [0.5]}, "give one of them"),
        ({"quantiles": [0.5, 0.1]}, "must increase"),
        ({"quantiles": [0.5, 0.5]}, "must increase"),
        ({"quantiles": [0.0, 0.5]}, "quantiles is 0.0"),
        ({"quantiles": []}, "must increase"),
        ({"quantiles": [0.5, 1.0]}, "quantiles is 1.0"),
        ({"quantiles": [0.5, "high"]}, "quantiles is 'high'"),
        ({"quantiles": "0.5"}, "quantiles is '0.5'; it must be a number"),
        ({"quantiles": {0.1, 0.9}}, r"quantiles is \{0.*\}; it must be a number"),
    ],
)
def test_losses_and_quantiles_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TabularRegressor(**QUICK, **arguments).fit(X, Y)


def test_delta_reaches_the_networks():
    model = TabularRegressor(**QUICK, loss="huber", delta=0.25).fit(X, Y)
    assert [network.delta for network in model.networks] == [0.25, 0.25]


# What it takes


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_frames_of_all_libraries_give_the_same_model(library):
    pytest.importorskip("narwhals")
    module = pytest.importorskip(library)
    make = module.table if library == "pyarrow" else module.DataFrame
    kept = {name: TABLE[name] for name in [*X, "class"]}
    model = TabularClassifier(**QUICK).fit(make(kept), "class")
    same = TabularClassifier(**QUICK).fit(kept, "class")
    assert_array_equal(model.predict_proba(make(X)), same.predict_proba(X))
    assert model.score(make(kept)) == same.score(X, TABLE["class"])
    assert model.feature_names_in_.tolist() == list(X)


def test_columns_are_found_by_name(classifier):
    other = {"extra": [1] * 240, **dict(reversed(X.items()))}
    assert_array_equal(classifier.predict_proba(other), classifier.predict_proba(X))
    with pytest.raises(ValueError, match=r"no columns \['color'\]"):
        classifier.predict({name: X[name] for name in ("size", "good", "day")})


def test_a_column_that_was_left_out_may_be_missing():
    with pytest.warns(UserWarning, match="'same': is constant"):
        model = TabularClassifier(**QUICK).fit({**X, "same": [1] * 240}, TABLE["class"])
    model.predict(X)


def test_arrays_are_taken_by_position(classifier):
    A = np.array(list(X.values()), dtype=object).T
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        assert_array_equal(classifier.predict(A), classifier.predict(X))
    with pytest.raises(ValueError, match="X has 3 features, but TabularClassifier is expecting 4"):
        classifier.predict(A[:, :3])


def test_the_target_is_named_or_given():
    kept = {name: TABLE[name] for name in [*X, "class"]}
    named = TabularClassifier(**QUICK).fit(kept, "class")
    given = TabularClassifier(**QUICK).fit(X, TABLE["class"])
    assert_array_equal(named.predict_proba(X), given.predict_proba(X))
    assert named.score(kept) == named.score(X, TABLE["class"]) == named.score(kept, "class")
    with pytest.raises(ValueError, match="give y"):
        given.score(X)
    with pytest.raises(ValueError, match="no column 'class'"):
        named.score(X)


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [
        (["a", "b"], np.str_),
        ([0, 1], np.int64),
        ([0.0, 1.0], np.int64),
        ([-5, 7], np.int64),
        ([True, False], np.bool_),
        (["a", "b", "c"], np.str_),
    ],
)
def test_labels_keep_their_type(labels, dtype):
    y = (labels * 80)[:160]
    x = {"x": [float(labels.index(label)) for label in y]}
    arguments = {"epochs": 40, "batch_size": 16, "learning_rate": 0.03}
    model = TabularClassifier(n_members=1, hidden=(8,), **arguments).fit(x, y)
    assert model.classes_.dtype.type is dtype
    assert model.classes_.tolist() == sorted(labels)
    assert_array_equal(model.predict(x), y)


@pytest.mark.parametrize("first", [2**53, 2**60, -(2**63), 2**63 - 3])
def test_large_integers_are_exact_labels(first, tmp_path):
    labels = [first, first + 1, first + 2]
    x = {"x": [0.0, 1.0, 2.0] * 60}
    given = [labels * 60, np.array(labels * 60), np.array(labels * 60, dtype=object)]
    for y in given:
        model = TabularClassifier(**QUICK).fit(x, y)
        assert model.classes_.tolist() == labels
        assert model.score(x, y) == np.mean(model.predict(x) == np.array(labels * 60))
    model.save(tmp_path / "model.safetensors")
    assert TabularClassifier.load(tmp_path / "model.safetensors").classes_.tolist() == labels


@pytest.mark.parametrize(
    ("fitted", "truth"),
    [
        (["a", "b"], [1, 2]),
        (["True", "False"], [True, False]),
        ([0, 1], ["0", "1"]),
        ([True, False], ["True", "False"]),
    ],
)
def test_a_score_needs_labels_of_the_same_type(fitted, truth):
    x = {"x": [0.0, 1.0] * 80}
    model = TabularClassifier(**QUICK).fit(x, fitted * 80)
    with pytest.raises(ValueError, match=r"score: the target 'y' has .*; give labels of"):
        model.score(x, truth * 80)


def test_a_score_takes_equal_labels_and_names_an_unknown_one():
    x = {"x": [0.0, 1.0] * 80}
    model = TabularClassifier(**QUICK).fit(x, [0, 1] * 80)
    assert model.score(x, [0.0, 1.0] * 80) == model.score(x, [0, 1] * 80)
    assert model.score(x, [False, True] * 80) == model.score(x, [0, 1] * 80)
    with pytest.warns(UserWarning, match="'y' has 7 at row 0, .* counts as wrong") as caught:
        assert model.score(x, [7] * 160) == 0
    assert caught[0].filename == __file__


@pytest.mark.parametrize("missing", [None, math.nan])
def test_missing_truths_are_refused_in_score(classifier, regressor, missing):
    for model, y in ((classifier, TABLE["class"]), (regressor, TABLE["amount"])):
        with pytest.raises(
            ValueError, match=r"score: the target 'y' .* in 2 of 240 rows, .* row 0"
        ):
            model.score(X, [missing, y[1], missing, *y[3:]])
    for y in ([True, None] * 120, [1, None] * 120):
        model = TabularClassifier(**QUICK).fit(X, [y[0], not y[0]] * 120)
        with pytest.raises(ValueError, match=r"score: .* missing in 120 of 240 rows"):
            model.score(X, y)


@pytest.mark.parametrize("function", ["fit", "score"])
def test_a_regression_on_labels_names_the_classifier(regressor, function):
    call = TabularRegressor(**QUICK).fit if function == "fit" else regressor.score
    with pytest.raises(ValueError, match=f"{function}: .*'y' has '.*' at row 0, .*TabularClassif"):
        call(X, TABLE["class"])
    call(X, list(map(str, TABLE["amount"])))


@pytest.mark.parametrize("factor", [2.0**-660, 2.0**-1000, 2.0**300])
def test_the_size_of_the_targets_makes_no_difference(factor):
    y = np.sin(np.arange(240.0)) + 2
    for loss in ("squared_error", "huber", "poisson"):
        plain = TabularRegressor(**QUICK, loss=loss).fit(X, y)
        scaled = TabularRegressor(**QUICK, loss=loss).fit(X, y * factor)
        assert_array_equal(scaled.predict(X), plain.predict(X) * factor)


@pytest.mark.parametrize("value", [1e50, -1e90])
def test_an_extreme_target_moves_no_robust_loss(value):
    wrong = [value, *Y[1:]]
    for arguments in ({"loss": "huber"}, {"loss": "absolute_error"}, {"quantiles": [0.2, 0.9]}):
        model = TabularRegressor(**QUICK, **arguments).fit(X, wrong)
        assert np.abs(model.predict(X)).max() < 1e3
    assert np.isfinite(TabularRegressor(**QUICK).fit(X, wrong).predict(X)).all()


def test_probabilities(classifier):
    probabilities = classifier.predict_proba(X)
    assert probabilities.shape == (240, 3)
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-15)
    assert_array_equal(classifier.classes_[probabilities.argmax(axis=1)], classifier.predict(X))
    assert classifier.predict({name: [] for name in X}).shape == (0,)


def test_a_prediction_is_that_of_its_row_alone(classifier, regressor):
    for predict in (classifier.predict_proba, regressor.predict):
        together = predict(X)
        for row in (0, 7, 239):
            assert_array_equal(predict(part(X, row, row + 1))[0], together[row])


def test_blocks_of_rows_make_no_difference(classifier, monkeypatch):
    together = classifier.predict_proba(X)
    monkeypatch.setattr("fastmlp.tabular._model.BLOCK", 7)
    monkeypatch.setattr("fastmlp.tabular._encoder.BLOCK", 5)
    assert_array_equal(classifier.predict_proba(X), together)


def test_the_networks_are_plain(classifier, regressor):
    inputs = classifier.encode(X)
    outputs = sum(network.forward(inputs).astype(float) for network in classifier.networks)
    np.testing.assert_allclose(outputs / 2, classifier.predict_proba(X), rtol=1e-6)
    assert inputs.dtype == np.float32
    assert all(type(network) is fastmlp.Network for network in classifier.networks)
    with pytest.raises(AttributeError, match="2 networks"):
        classifier.network  # noqa: B018
    one = TabularRegressor(**{**QUICK, "n_members": 1}).fit(X, TABLE["amount"])
    assert one.network is one.networks[0]


def test_predictions_stay_in_the_range_of_the_targets(regressor):
    far = {**X, "size": [1e9] * 240}
    assert regressor.predict(far).max() <= max(TABLE["amount"])
    free = TabularRegressor(epochs=20, n_members=2, clip=False).fit(X, TABLE["amount"])
    table = {**X, "size": [1000.0] * 240, "day": ["2080-01-01"] * 240}
    assert free.predict(table).max() > max(TABLE["amount"])
    with pytest.raises(ValueError, match="clip is 'no'"):
        TabularRegressor(clip="no").fit(X, TABLE["amount"])


def test_what_became_of_the_columns(classifier):
    assert [(one.name, one.kind) for one in classifier.columns()] == [
        ("size", "number"),
        ("color", "category"),
        ("good", "boolean"),
        ("day", "date"),
    ]
    assert sum(one.inputs for one in classifier.columns()) == classifier.networks[0].layers[0]
    text = classifier.summary()
    assert "read from text" in text
    assert "level" in text


def test_verbose_prints_columns_and_networks(capsys):
    TabularClassifier(**QUICK, verbose=True).fit(X, TABLE["class"])
    printed = capsys.readouterr().out
    assert "size" in printed
    assert "network 2: " in printed
    assert "of 3, Brier score 0." in printed
    TabularRegressor(**QUICK, verbose=True).fit(X, TABLE["amount"])
    assert "of 3, loss 0." in capsys.readouterr().out


def test_weights_of_classes_and_rows():
    y = np.array(TABLE["class"])
    rare = y == "low"
    plain = TabularClassifier(**QUICK).fit(X, y)
    balanced = TabularClassifier(**QUICK, class_weight="balanced").fit(X, y)
    weight = np.array([240 / (3 * (y == label).sum()) for label in y])
    by_hand = TabularClassifier(**QUICK).fit(X, y, sample_weight=weight)
    assert_array_equal(balanced.predict_proba(X), by_hand.predict_proba(X))
    heavy = TabularClassifier(**QUICK, class_weight={"low": 50}).fit(X, y)
    assert heavy.predict_proba(X)[:, 1].mean() > 1.3 * plain.predict_proba(X)[:, 1].mean()
    assert not np.array_equal(plain.predict_proba(X), balanced.predict_proba(X))
    assert plain.score(X, y, sample_weight=rare) == np.mean(plain.predict(X)[rare] == "low")


def test_weights_of_classes_multiply_those_of_rows():
    y, weight = np.array(TABLE["class"]), np.linspace(0.5, 2, 240)
    both = TabularClassifier(**QUICK, class_weight={"low": 3}).fit(X, y, sample_weight=weight)
    by_hand = TabularClassifier(**QUICK).fit(
        X, y, sample_weight=weight * np.where(y == "low", 3, 1)
    )
    assert_array_equal(both.predict_proba(X), by_hand.predict_proba(X))


def test_rows_without_weight_are_as_if_they_were_not_there():
    y = np.array(TABLE["amount"])
    weight = np.array([0.0, 1.0, 2.0] * 80)
    kept = np.flatnonzero(weight)
    some = {name: [values[row] for row in kept] for name, values in X.items()}
    model = TabularRegressor(**QUICK).fit(X, y, sample_weight=weight)
    same = TabularRegressor(**QUICK).fit(some, y[kept], sample_weight=weight[kept])
    assert_array_equal(model.predict(X), same.predict(X))


def test_the_score_of_a_regression(regressor):
    y = np.array(TABLE["amount"])
    errors = y - regressor.predict(X)
    expected = 1 - (errors**2).mean() / y.var()
    assert math.isclose(regressor.score(X, y), expected, rel_tol=1e-12)
    weight = np.arange(240)
    sklearn = pytest.importorskip("sklearn.metrics")
    assert math.isclose(
        regressor.score(X, y, sample_weight=weight),
        sklearn.r2_score(y, regressor.predict(X), sample_weight=weight),
        rel_tol=1e-9,
    )


def test_the_score_of_a_constant_target_is_1_or_0():
    some = part(X, 0, 60)
    for arguments in ({}, {"quantiles": 0.5}):
        model = TabularRegressor(**QUICK, **arguments).fit(some, [7.0] * 60)
        model._amounts.scale = 0.0  # it predicts 7
        assert model.score(some, [7.0] * 60) == 1
        assert model.score(some, [8.0] * 60) == 0


@pytest.mark.parametrize("loss", ["huber", "absolute_error", "pinball"])
def test_robust_losses_scale_amounts_by_their_quartiles(loss):
    amounts = Amounts.learn(np.array([4.0, 1.0, 2.0, 3.0, 1e6]), loss)
    assert (amounts.center, amounts.scale) == (3, 2 / 1.349)
    assert (amounts.least, amounts.largest) == (1, 1e6)
    equal = Amounts.learn(np.array([0.0] * 8 + [9.0]), loss)  # the quartiles are equal
    assert (equal.center, equal.scale) == (1, math.sqrt(8))


def test_the_scale_of_amounts():
    amounts = Amounts.learn(np.array([1.0, 3.0]), "squared_error")
    assert (amounts.center, amounts.scale) == (2, 1)
    assert Amounts.learn(np.array([7.0, 7.0]), "squared_error").scale == 1
    counts = Amounts.learn(np.array([0.0, 3.0]), "poisson")
    assert (counts.center, counts.scale) == (0, 1.5)
    with pytest.raises(ValueError, match="not negative and not all 0"):
        Amounts.learn(np.zeros(2), "poisson")


# Refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"n_members": True}, "n_members is True"),
        ({"hidden": (8, 0)}, "hidden is 0"),
        ({"hidden": "88"}, "hidden is '88'"),
        ({"hidden": {8, 4}}, r"hidden is \{"),
        ({"ignore": (name for name in ["size"])}, "ignore is .* type generator, which cannot be"),
        ({"verbose": object()}, "verbose is .* cannot be saved"),
        ({"class_weight": {b"high": 1}}, "class_weight has the label b'high'"),
        ({"activation": "rely"}, "activation is 'rely'; it must be one of"),
        ({"scaling": "minmax"}, "scaling is 'minmax'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"patience": 0}, "patience is 0"),
        ({"max_levels": 0}, "max_levels is 0"),
        ({"learning_rate": -1}, "learning_rate is -1"),
        ({"weight_decay": -1}, "weight_decay is -1"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"n_bins": -1}, "n_bins is -1"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": "x"}, "seed is 'x'"),
        ({"ignore": "size"}, r"\['size'\]"),
        ({"ignore": ["sice"]}, r"ignore names the columns \['sice'\].*it has \['size'"),
        ({"column_types": {"sice": "number"}}, r"column_types names the columns \['sice'\]"),
        ({"column_types": {"size": "float"}}, r"'float' for 'size'; it must be one of \['boolean'"),
        ({"column_types": {"color": "number"}}, "column 'color' has 'red'|'green'|'blue'"),
        ({"class_weight": "even"}, "class_weight is 'even'"),
        ({"class_weight": {"hig": 1}}, "label 'hig', which the target does not have"),
        ({"class_weight": {"high": -1}}, "finite and not negative"),
        ({"class_weight": {"high": "much"}}, "finite and not negative"),
        ({"class_weight": {"high": 0, "low": 0, "middle": 0}}, "weight 0"),
    ],
)
def test_arguments_are_refused_in_fit(arguments, message):
    model = TabularClassifier(**{**QUICK, **arguments})  # the constructor only stores
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(X, TABLE["class"])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        ("klass", "no column 'klass'; it has"),
        (TABLE["class"][:-1], "X has 240 rows and y has 239"),
        (["high"] * 240, "one class, 'high'"),
        (TABLE["amount"], "Unknown label type: continuous"),
        ([None, *TABLE["class"][1:]], "missing in 1 of 240 rows, first in row 0; leave"),
        (np.zeros((240, 2)), "1d array"),
        ([2.0**54, 1] * 120, "integers of 64 bits"),
        ([2**63, 1] * 120, "has 9223372036854775808 at row 0.* integers of 64 bits"),
        (["a", "b\0", "b"] * 80, r"has 'b\\x00' at row 1, .* no NUL"),
        (["a", "b" * 1001] * 120, "a text of 1,001 characters; a label has at most 1,000"),
        ([np.datetime64("2020-01-01")] * 240, "holds dates"),
        ([[1]] * 239 + [2], "'y' holds"),
    ],
)
def test_targets_are_refused(y, message):
    with pytest.raises((ValueError, TypeError), match=message):
        TabularClassifier(**QUICK).fit(X, y)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e200])
def test_amounts_that_are_no_numbers_are_refused(value):
    with pytest.raises(ValueError, match=r"NaN|finite"):
        TabularRegressor(**QUICK).fit(X, [value, *TABLE["amount"][1:]])


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1.0] * 3, r"sample_weight.shape == \(3,\), expected \(240,\)"),
        ([-1.0] * 240, "not negative"),
        ([0.0] * 240, "not all zero"),
        ([math.nan] * 240, "finite"),
    ],
)
def test_weights_are_refused(weight, message):
    with pytest.raises(ValueError, match=message):
        TabularRegressor(**QUICK).fit(X, TABLE["amount"], sample_weight=weight)


def test_a_refused_fit_changes_nothing():
    model = TabularClassifier(**QUICK).fit(X, TABLE["class"])
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="column 'size' has inf"):
        model.fit({**X, "size": [math.inf] * 240}, TABLE["class"])
    model.epochs = 0
    with pytest.raises(ValueError, match="epochs"):
        model.fit(X, TABLE["class"])
    assert_array_equal(model.predict_proba(X), before)


def test_a_model_that_is_not_fitted_says_so():
    for call in ("predict", "predict_proba", "score", "encode"):
        with pytest.raises(ValueError, match=f"^{call}: .* is not fitted yet; call fit first"):
            getattr(TabularClassifier(), call)(X)
    for name in ("summary", "columns"):
        with pytest.raises(ValueError, match="not fitted"):
            getattr(TabularRegressor(), name)()


def test_new_values_are_refused_by_name_and_row(classifier):
    with pytest.raises(ValueError, match=r"column 'size' has 'x' at row 1"):
        classifier.predict({**part(X, 0, 2), "size": ["1", "x"]})


def test_the_row_of_a_wrong_value_is_that_of_the_table(classifier, monkeypatch):
    monkeypatch.setattr("fastmlp.tabular._model.BLOCK", 50)
    monkeypatch.setattr("fastmlp.tabular._encoder.BLOCK", 20)
    for value, message in ((math.inf, "has inf at row 133"), ("x", "has 'x' at row 133")):
        size = [1.0] * 133 + [value] + [1.0] * 106
        with pytest.raises(ValueError, match=message):
            classifier.predict({**X, "size": size if value != "x" else list(map(str, size))})


def test_a_column_that_is_named_is_what_scores_compare_with():
    table = {**X, "amount": Y, "other": Y[::-1]}
    model = TabularRegressor(**QUICK, ignore=["other"]).fit(table, "amount")
    assert model.score(table, "other") == model.score(X, Y[::-1])
    with pytest.raises(ValueError, match="score: X has 240 rows and y has 239 values"):
        model.score(table, Y[1:])


def test_a_fit_to_an_array_forgets_the_names_of_a_table():
    model = TabularRegressor(**QUICK).fit({"a": Y, "b": Y**2}, Y)
    A = np.column_stack([Y, Y**2])
    model.fit(A, Y)
    assert not hasattr(model, "feature_names_in_")
    model.predict(A)  # no warning about names


def test_hidden_may_be_one_number():
    model = TabularRegressor(**{**QUICK, "hidden": 5}).fit(X, Y)
    assert model.networks[0].layers[1:] == (5, 1)


def test_only_numbers_share_the_quantiles():
    wide = {f"n{i}": Y * (i + 1) ** 2 % 7 for i in range(20)}
    flags = {f"f{i}": (np.arange(240) % (i + 2) == 0).tolist() for i in range(20)}
    alone = TabularRegressor(**QUICK).fit(wide, Y)._used_recipe.n_bins
    assert TabularRegressor(**QUICK).fit(wide | flags, Y)._used_recipe.n_bins == alone


def test_parameters_are_set_all_or_none():
    model = TabularClassifier().set_params(epochs=2, n_members=3)
    assert (model.epochs, model.n_members) == (2, 3)
    with pytest.raises(ValueError, match="Invalid parameter 'epoch'"):
        model.set_params(n_members=4, epoch=5)
    assert model.n_members == 3


def test_an_argument_that_has_another_name_elsewhere_is_named():
    with pytest.raises(TypeError, match="'random_state'; it is called 'seed' here"):
        TabularClassifier(random_state=0)
    with pytest.raises(TypeError, match="'max_iter'; it is called 'epochs' here"):
        TabularRegressor(max_iter=5)
    with pytest.raises(TypeError, match="unexpected keyword argument 'layers'"):
        TabularRegressor(layers=5)


def test_a_repr_shows_what_was_chosen():
    assert repr(TabularClassifier()) == "TabularClassifier()"
    assert repr(TabularRegressor(n_members=2, loss="poisson")) == (
        "TabularRegressor(loss='poisson', n_members=2)"
    )


@pytest.mark.parametrize("rows", [2, 3, 10, 49, 50])
def test_small_tables(rows):
    some = part(TABLE, 0, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # columns of so few rows may be constant
        y = ["a", "b"] * rows
        TabularClassifier(**QUICK).fit(features(some), y[:rows]).predict(X)
        TabularRegressor(**QUICK).fit(features(some), some["amount"]).predict(X)
    with pytest.raises(ValueError, match=re.escape("1 sample(s)")):
        TabularRegressor(**QUICK).fit(part(X, 0, 1), [1.0])
