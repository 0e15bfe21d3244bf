"""`shap_values`: sums, exact cases, and the definition by an integral computed in another way.

tests/python/clients/test_shap.py compares it with the package `shap`.
"""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad

import fastmlp
from fastmlp.explain import shap_values
from fastmlp.sklearn import MLPClassifier, MLPRegressor
from fastmlp.tabular import TabularClassifier, TabularRegressor

RNG = np.random.default_rng(17)
X, BACKGROUND = RNG.standard_normal((5, 4)), RNG.standard_normal((30, 4))


def make(n_out=1, hidden="tanh", output="identity", **options):
    options = {"dtype": "float64", **options}
    network = fastmlp.Network([4, 9, n_out], hidden=hidden, output=output, seed=3, **options)
    network.parameters[:] = RNG.standard_normal(network.n_parameters) / 2
    return network


@pytest.mark.parametrize("output", fastmlp.OUTPUTS)
@pytest.mark.parametrize("n_out", [2, 1])
def test_contributions_add_up_to_the_difference_from_the_mean(output, n_out):
    if output == "softmax" and n_out == 1:
        n_out = 3
    network = make(n_out, output=output)
    values = shap_values(network, X, BACKGROUND)
    difference = network.forward(X) - network.forward(BACKGROUND).mean(axis=0)
    assert values.shape == ((5, 4, n_out) if n_out > 1 else (5, 4))
    np.testing.assert_allclose(values.sum(axis=1).reshape(5, n_out), difference, atol=1e-9)


def test_it_is_the_integral_of_the_definition():
    network = make(2, hidden="silu", output="softmax")
    x, base = X[0], BACKGROUND[:3]
    for j in range(2):
        for k in (0, 3):
            integrals = [
                quad(lambda a, b, j, k: network.jacobian(b + a * (x - b))[j, k], 0, 1, (b, j, k))[0]
                for b in base
            ]
            expected = np.mean((x[k] - base[:, k]) * integrals)
            found = shap_values(network, X[:1], base)[0, k, j]
            assert found == pytest.approx(expected, abs=1e-10)


def test_an_additive_network_has_the_shapley_values_themselves():
    """Each hidden unit sees one feature, so the order in which features join does not matter."""
    network = make()
    network.weights[0][:] = 0
    for unit in range(9):
        network.weights[0][unit % 4, unit] = RNG.standard_normal()
    values = shap_values(network, X, BACKGROUND)
    for k in range(4):
        swapped = np.repeat(BACKGROUND[np.newaxis], 5, axis=0)
        swapped[:, :, k] = X[:, [k]]
        alone = network.forward(swapped.reshape(-1, 4)).reshape(5, -1).mean(axis=1)
        expected = alone - network.forward(BACKGROUND).mean()
        np.testing.assert_allclose(values[:, k], expected, atol=1e-9)


def test_relu_networks_converge_with_the_points():
    network = make(hidden="relu")
    difference = network.forward(X)[:, 0] - network.forward(BACKGROUND).mean()
    errors = [
        np.abs(shap_values(network, X, BACKGROUND, points=n).sum(axis=1) - difference).max()
        for n in (4, 400)
    ]
    assert errors[1] < errors[0] / 10
    assert errors[1] < 2e-3


def test_a_large_background_is_cut_into_blocks():
    network = make(2)
    base = RNG.standard_normal((3000, 4))
    parts = [shap_values(network, X, base[i::3], points=8) for i in range(3)]
    np.testing.assert_allclose(shap_values(network, X, base, points=8), np.mean(parts, axis=0))


def test_estimators_and_frames():
    names = ["a", "b", "c", "d"]
    frame, base = pd.DataFrame(X, columns=names), pd.DataFrame(BACKGROUND, columns=names)
    labels = (BACKGROUND[:, 0] > 0).astype(int)
    classifier = MLPClassifier((6,), max_iter=5, random_state=0, early_stopping=False)
    with pytest.warns(UserWarning, match="iterations"):
        classifier.fit(base, labels)
    values = shap_values(classifier, frame, base)
    assert values.tobytes() == shap_values(classifier.network_, X, BACKGROUND).tobytes()
    difference = classifier.predict_proba(frame)[:, 1]
    difference -= classifier.predict_proba(base)[:, 1].mean()
    np.testing.assert_allclose(values.sum(axis=1), difference, atol=1e-2)
    regressor = MLPRegressor(hidden_layer_sizes=(6,), solver="lbfgs", random_state=0)
    regressor.fit(BACKGROUND, BACKGROUND[:, :2])
    assert shap_values(regressor, X, BACKGROUND).shape == (5, 4, 2)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((None, X, BACKGROUND), TypeError, "model is a NoneType; it must be a Network"),
        ((make(), X[:, :3], BACKGROUND), ValueError, r"X has shape \(5, 3\).*takes 4 features"),
        ((make(), X[0], BACKGROUND), ValueError, r"X has shape \(4,\)"),
        ((make(), X, BACKGROUND[:, :2]), ValueError, r"background has shape \(30, 2\)"),
        ((make(), X, BACKGROUND[:0]), ValueError, "background has no rows"),
        ((make(), X.astype(str), BACKGROUND), TypeError, "shap_values: X"),
        ((make(), X + 1j, BACKGROUND), TypeError, "shap_values: X"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        shap_values(*arguments)


def test_the_number_of_points_is_checked():
    for points in (0, -1, 2.5, "many"):
        with pytest.raises(ValueError, match="shap_values: points"):
            shap_values(make(), X, BACKGROUND, points=points)
    assert shap_values(make(), X[:0], BACKGROUND).shape == (0, 4)


def table(rows, seed):
    rng = np.random.default_rng(seed)
    size = rng.normal(size=rows)
    size[rng.random(rows) < 0.1] = np.nan
    kind = rng.choice(["oak", "ash", "elm"], rows)
    frame = pd.DataFrame({"kind": kind, "same": 1, "size": size, "noise": rng.normal(size=rows)})
    return frame, np.nan_to_num(size) * 3 + (kind == "oak") * 10


@pytest.mark.filterwarnings("ignore:.*'same':UserWarning")
def test_tables_have_the_contributions_of_their_columns():
    frame, y = table(300, 0)
    rows, _ = table(8, 1)
    base = frame[:40]
    regressor = TabularRegressor(epochs=60, n_members=2, hidden=(16,), seed=0, clip=False)
    regressor.fit(frame, y)
    values = shap_values(regressor, rows, base)
    assert values.shape == (8, 4)
    difference = regressor.predict(rows) - regressor.predict(base).mean()
    np.testing.assert_allclose(values.sum(axis=1), difference, atol=0.02 * np.abs(difference).max())
    assert (values[:, 1] == 0).all()  # a constant column was left out
    assert np.abs(values[:, 3]).max() < np.abs(values[:, [0, 2]]).max() / 4

    classifier = TabularClassifier(epochs=10, n_members=2, hidden=(16,), seed=0)
    classifier.fit(frame, np.where(y > 8, "high", "low"))
    values = shap_values(classifier, rows, base)
    assert values.shape == (8, 4, 2)
    difference = classifier.predict_proba(rows) - classifier.predict_proba(base).mean(axis=0)
    np.testing.assert_allclose(values.sum(axis=1), difference, atol=0.02)


def test_masked_values_are_refused():
    for rows, base in (
        (np.ma.masked_less(X, 0), BACKGROUND),
        (X, np.ma.masked_less(BACKGROUND, 0)),
    ):
        with pytest.raises(ValueError, match=r"shap_values: .* has masked values"):
            shap_values(make(), rows, base)


def test_many_points_are_cut_into_parts():
    network = make(output="sigmoid")
    exact = shap_values(network, X, BACKGROUND)
    np.testing.assert_allclose(shap_values(network, X, BACKGROUND, points=200), exact, atol=1e-10)
    np.testing.assert_allclose(shap_values(network, X[:1], BACKGROUND, points=5000), exact[:1])
