"""`shap_values` against the explainers of the package `shap`."""

import numpy as np
import pytest

import fastmlp
from fastmlp.explain import shap_values
from fastmlp.sklearn import MLPClassifier

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
shap = pytest.importorskip("shap")


@pytest.fixture(scope="module")
def trained():
    X, y = fastmlp.datasets.load_breast_cancer()
    network = fastmlp.Network([30, 16, 1], hidden="tanh", seed=0)
    network.fit(X, y, epochs=20, learning_rate=0.05, standardize=True)
    return network, X[:30].astype(float), X[60:62].astype(float)


def test_they_are_expected_gradients(trained):
    """`shap` samples at random, so that its error falls with the square root of the samples."""
    torch = pytest.importorskip("torch")
    network, background, X = trained
    (W_1, W_2), (b_1, b_2) = network.weights, network.biases
    module = torch.nn.Sequential(
        torch.nn.Linear(30, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1), torch.nn.Sigmoid()
    )
    with torch.no_grad():
        for layer, W, b in ((0, W_1, b_1), (2, W_2, b_2)):
            module[layer].weight[:] = torch.tensor(W.T.copy())
            module[layer].bias[:] = torch.tensor(b.copy())
    explainer = shap.GradientExplainer(module, torch.tensor(background, dtype=torch.float32))
    theirs = explainer.shap_values(torch.tensor(X, dtype=torch.float32), nsamples=20000, rseed=0)
    ours = shap_values(network, X, background)
    assert np.abs(theirs.reshape(ours.shape) - ours).max() < 0.03 * np.abs(ours).max()


def test_kernel_explainer_gives_similar_values(trained):
    """Shapley's values and expected gradients are not the same; here they are similar."""
    network, background, X = trained
    explainer = shap.KernelExplainer(lambda rows: network.forward(rows)[:, 0], background)
    theirs = explainer.shap_values(X, nsamples=10000, silent=True, l1_reg=0)
    ours = shap_values(network, X, background)
    for a, b in zip(theirs, ours, strict=True):
        assert np.corrcoef(a, b)[0, 1] > 0.9


def test_a_linear_network_has_the_values_of_the_linear_explainer():
    network = fastmlp.Network([6, 1], output="identity", dtype="float64", seed=0)
    rng = np.random.default_rng(0)
    background, X = rng.normal(size=(50, 6)), rng.normal(size=(7, 6))
    masker = shap.maskers.Independent(background)
    model = network.weights[0][:, 0], float(network.biases[0][0])
    theirs = shap.LinearExplainer(model, masker).shap_values(X)
    np.testing.assert_allclose(shap_values(network, X, background), theirs, atol=1e-12)


def test_the_plots_of_shap_take_them(trained):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    network, background, X = trained
    values = shap_values(network, X, background)
    mean = float(network.forward(background).mean())
    explanation = shap.Explanation(values, np.full(len(X), mean), X)
    shap.plots.waterfall(explanation[0], show=False)
    shap.plots.beeswarm(explanation, show=False)


def test_it_explains_an_estimator():
    X = np.random.RandomState(0).normal(size=(60, 3)).astype(np.float32)
    model = MLPClassifier((5,), max_iter=20, random_state=0).fit(X, X[:, 0] > 0)
    values = shap.Explainer(model.predict_proba, X[:20])(X[20:23])
    sums = values.values.sum(axis=1) + values.base_values
    np.testing.assert_allclose(sums, model.predict_proba(X[20:23]), atol=1e-5)
