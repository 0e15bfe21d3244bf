"""The pictures of `fastmlp.plot`: the artists that each draws, and what it refuses."""

import subprocess
import sys
import types

import numpy as np
import pytest

from fastmlp import History, Network, plot, reference
from fastmlp.tabular import TabularRegressor

matplotlib = pytest.importorskip("matplotlib")
pyplot = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    pyplot.close("all")


@pytest.fixture
def ax():
    return pyplot.figure().add_subplot()


def texts(ax):
    """The entries of the legend."""
    return [text.get_text() for text in ax.get_legend().get_texts()]


def line(ax, label):
    """The x and y of the line with this label."""
    (found,) = [line for line in ax.get_lines() if line.get_label() == label]
    return np.asarray(found.get_xdata()), np.asarray(found.get_ydata())


RUN = History(
    loss=[0.9, 0.5, 0.3], val_loss=[0.8, 0.4, 0.6], learning_rate=[0.1, 0.05, 0.01], epochs=3
)
X = np.random.default_rng(0).normal(size=(60, 2)).astype("float32")
SIGNS = (X[:, 0] * X[:, 1] > 0).astype(int)


def trained(layers, output, y, epochs=60):
    net = Network(layers, output=output, seed=0)
    net.fit(X, y, epochs=epochs, optimizer="adam", learning_rate=0.02)
    return net


# matplotlib is wanted only when something is drawn


def test_importing_the_package_does_not_import_matplotlib():
    code = "import sys, fastmlp.plot; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_matplotlib_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # its import then fails
    with pytest.raises(ImportError, match=r"history: .*pip install 'fastmlp\[plot\]'"):
        plot.history(RUN)


CALLS = {
    "history": lambda ax: plot.history(RUN, ax),
    "decision_boundary": lambda ax: plot.decision_boundary(Network([2, 3, 1]), X, SIGNS, ax),
    "weights": lambda ax: plot.weights(Network([4, 3, 1]), 0, ax),
    "roc": lambda ax: plot.roc([0, 1, 1], [0.1, 0.4, 0.9], ax),
    "calibration": lambda ax: plot.calibration([0, 1, 1], [0.1, 0.4, 0.9], ax),
    "residuals": lambda ax: plot.residuals([0.0, 1.0], [0.1, 0.7], ax),
    "dead_units": lambda ax: plot.dead_units(Network([2, 3, 1]), X, ax),
    "permutation_importance": lambda ax: plot.permutation_importance(
        Network([2, 3, 1]), X, SIGNS, ax, n_repeats=1
    ),
}


def test_these_are_all_pictures():
    assert sorted(CALLS) == plot.__all__


@pytest.mark.parametrize("name", CALLS)
def test_each_draws_into_the_given_axes_and_returns_them(name, ax):
    figures = pyplot.get_fignums()
    assert CALLS[name](ax) is ax
    assert pyplot.get_fignums() == figures
    assert ax.get_xlabel()
    ax.figure.canvas.draw()


@pytest.mark.parametrize("name", CALLS)
def test_each_makes_a_figure_of_its_own_if_no_axes_are_given(name, ax):
    other = CALLS[name](None)
    assert other.figure is not ax.figure
    assert not ax.has_data()


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("given", ["figure", [1, 2]])
def test_what_is_no_axes_is_refused_in_words(name, given):
    given = pyplot.figure() if given == "figure" else given
    with pytest.raises(TypeError, match=f"{name}: ax is a .*must be one matplotlib Axes"):
        CALLS[name](given)


# History


def test_history_draws_both_losses_and_marks_the_best_epoch(ax):
    plot.history(RUN, ax)
    assert line(ax, "training")[1].tolist() == RUN.loss
    assert line(ax, "validation")[1].tolist() == RUN.val_loss
    assert [values.tolist() for values in line(ax, "best epoch: 2 of 3")] == [[2], [0.4]]
    assert texts(ax) == ["training", "validation", "best epoch: 2 of 3"]


def test_history_without_validation_has_the_training_loss_alone(ax):
    plot.history(History(loss=[1.0, 0.5], learning_rate=[0.1, 0.1], epochs=2), ax)
    assert texts(ax) == ["training"]


def test_history_draws_the_learning_rate_on_its_own_axis(ax):
    plot.history(RUN, ax, learning_rate=True)
    (right,) = [other for other in ax.figure.axes if other is not ax]
    assert line(right, "learning rate")[1].tolist() == RUN.learning_rate
    assert texts(ax)[-1] == "learning rate"


def test_history_survives_a_validation_loss_that_is_nan(ax):
    nan = float("nan")
    plot.history(History([1.0, 0.9], [nan, 0.7], [0.1, 0.1], 2), ax)
    assert "best epoch: 2 of 2" in texts(ax)
    plot.history(History([1.0], [nan], [0.1], 1))


def test_history_of_one_epoch_can_be_seen(ax):
    plot.history(History([1.0], [], [0.1], 1), ax)
    assert ax.get_lines()[0].get_marker() == "o"


def test_history_refuses_what_fit_does_not_return():
    with pytest.raises(TypeError, match="history is a list; give the History"):
        plot.history([1.0, 0.5])
    model = TabularRegressor(epochs=2, n_members=1, hidden=(2,)).fit([[1.0], [2.0]], [0.0, 1.0])
    with pytest.raises(TypeError, match=r"history is a TabularRegressor; give .* model.history_"):
        plot.history(model)
    assert len(plot.history(model.history_[0]).get_lines()[0].get_xdata()) == 2
    with pytest.raises(ValueError, match="no epochs"):
        plot.history(History())


# Decision boundary


def test_the_plane_has_the_colour_of_the_predicted_class(ax):
    net = trained([2, 16, 1], "sigmoid", SIGNS)
    plot.decision_boundary(net, X, SIGNS, ax, resolution=30, names=["width", "height"])
    (image,) = ax.get_images()
    colors = np.asarray(image.get_array())
    assert colors.shape == (30, 30, 4)
    assert image.origin == "lower"
    x0, x1, y0, y1 = image.get_extent()
    grid = np.stack(np.meshgrid(np.linspace(x0, x1, 30), np.linspace(y0, y1, 30)), axis=-1)
    predicted = net.predict(grid.reshape(-1, 2)).reshape(30, 30)
    expected = np.array([matplotlib.colors.to_rgb(color) for color in plot.COLORS[:2]])
    np.testing.assert_array_equal(colors[..., :3], expected[predicted])
    certainty = 2 * np.abs(net.forward(grid.reshape(-1, 2)).reshape(30, 30) - 0.5)
    np.testing.assert_allclose(colors[..., 3], certainty / 2, atol=1e-6)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("width", "height")


def test_the_dots_are_the_rows_in_the_colour_of_their_class(ax):
    y = np.arange(60) % 3
    plot.decision_boundary(trained([2, 8, 3], "softmax", y), X, y, ax, resolution=20)
    for k in range(3):
        np.testing.assert_array_equal(np.column_stack(line(ax, str(k))), X[y == k])
    assert texts(ax) == ["0", "1", "2"]


def test_ten_classes_differ_in_colour_or_marker(ax):
    y = np.arange(60) % 10
    plot.decision_boundary(Network([2, 8, 10], output="softmax", seed=0), X, y, ax, resolution=9)
    looks = {(dots.get_color() if isinstance(dots.get_color(), str) else tuple(dots.get_color()),
              dots.get_marker()) for dots in ax.get_lines()}  # fmt: skip
    assert len(looks) == 10


def test_a_plane_of_one_class_has_no_line(ax):
    net = Network([2, 3, 1], seed=0)
    net.biases[-1][...] = 50
    plot.decision_boundary(net, X, SIGNS, ax, resolution=10)  # no warning that no line was found


def test_the_boundary_of_an_estimator_has_its_labels(ax):
    class Half:
        classes_ = np.array(["left", "right"])

        def predict_proba(self, X):
            right = (X[:, 0] > 0).astype(float)
            return np.column_stack([1 - right, right])

    plot.decision_boundary(Half(), X, np.where(X[:, 0] > 0, "right", "left"), ax, resolution=10)
    assert texts(ax) == ["left", "right"]


@pytest.mark.parametrize(
    ("error", "message", "network", "rows", "y"),
    [
        (
            ValueError,
            r"X has shape \(60, 3\); the plane",
            "binary",
            np.ones((60, 3)),
            SIGNS,
        ),
        (ValueError, r"X has shape \(2,\)", "binary", np.ones(2), SIGNS),
        (ValueError, "X is not finite at row 0", "binary", np.full((60, 2), np.nan), SIGNS),
        (TypeError, "X has dtype <U1", "binary", np.full((60, 2), "a"), SIGNS),
        (ValueError, r"y has shape \(59,\); .* 60 rows", "binary", X, SIGNS[1:]),
        (ValueError, "y has the class 2; the classes are 0, 1", "binary", X, SIGNS + 1),
        (TypeError, "the network has the output 'identity'", "values", X, SIGNS),
        (TypeError, "network is a list", "list", X, SIGNS),
    ],
)
def test_decision_boundary_refuses_in_words(error, message, network, rows, y):
    models = {
        "binary": Network([2, 3, 1]),
        "values": Network([2, 3, 1], output="identity"),
        "list": [1],
    }
    with pytest.raises(error, match=f"decision_boundary: {message}"):
        plot.decision_boundary(models[network], rows, y)


# Weights


@pytest.mark.parametrize(("layer", "index"), [(0, 0), (1, 1), (2, 2), (-1, 2), (-3, 0)])
def test_weights_shows_the_matrix_between_its_negative_and_its_largest(ax, layer, index):
    net = Network([5, 4, 3, 2], output="softmax", seed=0)
    plot.weights(net, layer, ax)
    (image,) = ax.get_images()
    np.testing.assert_array_equal(image.get_array(), net.weights[index])
    largest = np.abs(net.weights[index]).max()
    assert image.get_clim() == pytest.approx((-largest, largest))
    below = ("input", "unit of hidden layer 1", "unit of hidden layer 2")[index]
    above = ("unit of hidden layer 1", "unit of hidden layer 2", "output")[index]
    assert (ax.get_ylabel(), ax.get_xlabel()) == (below, above)


@pytest.mark.parametrize("layers", [[2, 3, 2], [2, 2]])
def test_weights_are_those_of_scaled_rows(layers):
    net = Network(layers, output="identity", dtype="float64", seed=0)
    before = [W.copy() for W in net.weights]
    net.fold_scaling(input_scale=[100.0, 0.01], output_scale=[5.0, 7.0])
    for layer, W in enumerate(before):
        (image,) = plot.weights(net, layer).get_images()
        np.testing.assert_allclose(image.get_array(), W)


def test_weights_that_are_all_zero_can_be_drawn(ax):
    net = Network([3, 2, 1])
    net.parameters[...] = 0
    plot.weights(net, ax=ax)
    ax.figure.canvas.draw()


@pytest.mark.parametrize("layer", [2, -3, 0.0, True, "0"])
def test_weights_refuses_a_layer_that_is_not_there(layer):
    with pytest.raises(ValueError, match=r"weights: layer is .* from 0 to 1, or from -2 to -1"):
        plot.weights(Network([3, 2, 1]), layer)


def test_weights_of_an_estimator_says_where_the_network_is():
    with pytest.raises(TypeError, match=r"must be a fastmlp\.Network; give its network_"):
        plot.weights(types.SimpleNamespace(network_=None))
    for draw in (plot.weights, plot.dead_units):
        with pytest.raises(TypeError, match="one of its `networks`, which take"):
            draw(types.SimpleNamespace(networks=[]), X)


def test_names_of_features_and_classes_come_from_the_network(ax):
    net = Network([2, 3, 1], seed=0)
    net.feature_names, net.classes = ["width", "height"], ["no", "yes"]
    plot.decision_boundary(net, X, np.where(SIGNS, "yes", "no"), ax, resolution=10)
    assert (ax.get_xlabel(), ax.get_ylabel(), texts(ax)) == ("width", "height", ["no", "yes"])
    shown = plot.weights(net).get_yticklabels()
    assert [label.get_text() for label in shown] == ["width", "height"]
    names, _ = importances(plot.permutation_importance(net, X, SIGNS))
    assert sorted(names) == ["height", "width"]


# Probabilities


def test_roc_has_the_area_that_scikit_learn_computes(ax):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 200)
    p = np.round(np.clip(0.3 * y + rng.random(200) * 0.7, 0, 1), 2)  # with ties
    plot.roc(y, p, ax)
    assert texts(ax) == [f"area {metrics.roc_auc_score(y, p):.3f}", "chance"]
    false, true = line(ax, texts(ax)[0])
    expected = metrics.roc_curve(y, p, drop_intermediate=False)
    np.testing.assert_allclose(false, expected[0])
    np.testing.assert_allclose(true, expected[1])


def test_roc_takes_probabilities_in_each_shape_that_networks_give():
    y, p = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9])
    shapes = (p, p[:, np.newaxis], np.column_stack([1 - p, p]))
    assert [texts(plot.roc(y, given))[0] for given in shapes] == ["area 0.750"] * 3


def test_roc_of_several_classes_has_a_curve_for_each(ax):
    y = np.array(["a", "b", "c", "a"])
    P = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8], [0.5, 0.3, 0.2]])
    plot.roc(y, P, ax, classes=["a", "b", "c"])
    assert texts(ax) == [f"class {name}, area 1.000" for name in "abc"] + ["chance"]


def test_calibration_has_the_mean_and_the_share_of_each_bin(ax):
    p = np.array([0.11, 0.13, 0.19, 0.95, 0.97, 1.0])
    y = np.array([0, 0, 1, 1, 1, 0])
    plot.calibration(y, p, ax)
    error = (abs(0.43 / 3 - 1 / 3) + abs(2.92 / 3 - 2 / 3)) / 2
    mean, share = line(ax, f"calibration error {error:.3f}")
    np.testing.assert_allclose(mean, [0.43 / 3, 2.92 / 3])
    np.testing.assert_allclose(share, [1 / 3, 2 / 3])


def test_calibration_of_several_classes_is_that_of_the_predicted_class(ax):
    P = np.array([[0.6, 0.2, 0.2], [0.2, 0.6, 0.2], [0.1, 0.3, 0.6]])
    plot.calibration([0, 1, 0], P, ax, n_bins=5)
    assert ax.get_ylabel() == "share of right predictions"
    np.testing.assert_allclose(line(ax, "calibration error 0.067")[1], [2 / 3])


@pytest.mark.parametrize("draw", [plot.roc, plot.calibration])
@pytest.mark.parametrize(
    ("message", "y", "p", "classes"),
    [
        ("probabilities has -0.5; a probability", [0, 1], [-0.5, 0.5], None),
        ("probabilities has 2; a probability", [0, 1], [2.0, 0.5], None),
        ("probabilities is not finite at row 1", [0, 1], [0.5, np.nan], None),
        (r"probabilities has shape \(0,\)", [], [], None),
        (r"y has shape \(3,\); .* 2 rows", [0, 1, 1], [0.5, 0.5], None),
        ("y has the class 'a'; the classes are 0, 1; .* classes=", ["a", "b"], [0.5, 0.5], None),
        ("y has the class 'a'; the classes are 'b', 'c'$", ["a", "b"], [0.5, 0.5], ["b", "c"]),
        ("classes has 3 labels and probabilities has 2", [0, 1], [0.5, 0.5], ["a", "b", "c"]),
    ],
)
def test_probabilities_are_refused_in_words(draw, message, y, p, classes):
    with pytest.raises(ValueError, match=f"{draw.__name__}: {message}"):
        draw(y, p, classes=classes)


@pytest.mark.parametrize("y", [[0, 0], [1, 1]])
def test_roc_needs_rows_of_both_classes(y):
    with pytest.raises(ValueError, match=r"roc: y has no .* needs rows of the class and others"):
        plot.roc(y, [0.2, 0.8])


# Residuals, dead units, importance


def test_residuals_are_the_targets_minus_the_predictions(ax):
    y, p = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.5, 2.0], [2.0, 1.0]])
    plot.residuals(y, p, ax, names=["lift", "drag"])
    rms = np.sqrt(((y - p) ** 2).mean(axis=0))
    assert texts(ax) == [f"lift, RMS {rms[0]:.3g}", f"drag, RMS {rms[1]:.3g}"]
    for k, label in enumerate(texts(ax)):
        np.testing.assert_array_equal(line(ax, label), [p[:, k], (y - p)[:, k]])


def test_residuals_take_a_column_for_a_vector():
    assert texts(plot.residuals([1.0, 2.0], [[1.0], [1.0]])) == ["RMS 0.707"]


def test_residuals_refuse_arrays_of_different_shapes():
    with pytest.raises(ValueError, match=r"y has shape \(3,\) and predictions has shape \(2, 1\)"):
        plot.residuals([1.0, 2.0, 3.0], [[1.0], [1.0]])
    with pytest.raises(ValueError, match="names is 'a'; it must have 1 names"):
        plot.residuals([1.0], [1.0], names="a")


def test_residuals_may_be_as_large_as_float64_can_hold():
    assert texts(plot.residuals([1e300, -1e300], [0.0, 0.0])) == ["RMS 1e+300"]
    assert texts(plot.residuals([1.0, 2.0], [1.0, 2.0])) == ["RMS 0"]
    with pytest.raises(ValueError, match=r"residuals: y - predictions is too large .* at row 1"):
        plot.residuals([1.0, 1e308], [1.0, -1e308])


def test_dead_units_counts_the_units_that_are_zero_for_every_row(ax):
    net = Network([2, 8, 4, 1], hidden=["relu", "tanh"], seed=0)
    net.biases[0][:3] = -1e6  # these three never fire
    plot.dead_units(net, X, ax)
    assert [bar.get_height() for bar in ax.patches] == [3 / 8, 0]
    assert [text.get_text() for text in ax.texts] == ["3 of 8", "0 of 4"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_outputs_of_the_hidden_layers_are_the_networks_own(dtype):
    net = Network([2, 6, 5, 1], hidden=["tanh", "gelu"], dtype=dtype, seed=0)
    twin = reference.Network([2, 6, 5, 1], hidden=["tanh", "gelu"], dtype=dtype, seed=0)
    A = X
    for found, (W, b), g in zip(
        plot._hidden_outputs(net, X),
        zip(twin.weights, twin.biases, strict=True),
        ("tanh", "gelu"),
        strict=False,
    ):
        Z = A @ W + b
        A = reference.ops.ACTIVATIONS[g].forward(Z)
        np.testing.assert_allclose(found, A, atol=1e-5)


def test_a_network_without_hidden_layers_has_no_dead_units():
    with pytest.raises(ValueError, match=r"layers \(2, 1\); it has no hidden layer"):
        plot.dead_units(Network([2, 1]), X)


def test_dead_units_needs_rows_of_finite_numbers():
    net = Network([2, 3, 1])
    with pytest.raises(ValueError, match="dead_units: X has no rows"):
        plot.dead_units(net, X[:0])
    unfit = X.copy()
    unfit[5, 1] = np.nan
    with pytest.raises(ValueError, match=r"dead_units: hidden layer 1 .* at row 5"):
        plot.dead_units(net, unfit)


def importances(ax):
    """The names from the top down, and the length of the bars."""
    names = [label.get_text() for label in ax.get_yticklabels()]
    return names[::-1], [bar.get_width() for bar in ax.patches][::-1]


def test_the_column_that_alone_decides_is_the_most_important(ax):
    y = (X[:, 1] > 0).astype(int)
    net = trained([2, 8, 1], "sigmoid", y)
    before = net.loss(X, y)
    plot.permutation_importance(net, X, y, ax, names=["noise", "signal"])
    names, widths = importances(ax)
    assert names == ["signal", "noise"]
    assert widths[0] > 10 * abs(widths[1])
    assert ax.get_xlabel() == "rise of the loss if shuffled"
    assert net.loss(X, y) == before  # X is as it was


def test_the_same_seed_shuffles_alike():
    net = trained([2, 8, 1], "sigmoid", SIGNS)
    widths = [
        importances(plot.permutation_importance(net, X, SIGNS, seed=seed))[1] for seed in (3, 3, 4)
    ]
    assert widths[0] == widths[1] != widths[2]


class Names:
    """A model whose score is the share of rows in which the column `key` has the target."""

    def score(self, X, y):
        return float(np.mean(np.asarray(X["key"]) == np.asarray(y)))


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_importance_works_on_frames_with_texts(ax, library):
    module = pytest.importorskip(library)
    pytest.importorskip("narwhals")
    columns = {"other": [1.0, 2.0, 3.0, 4.0] * 5, "key": ["a", "b", "c", "d"] * 5}
    frame = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "table"}[library]
    plot.permutation_importance(Names(), getattr(module, frame)(columns), columns["key"], ax)
    names, widths = importances(ax)
    assert names == ["key", "other"]
    assert widths[0] > 0.5
    assert widths[1] == 0
    assert ax.get_xlabel() == "fall of the score if shuffled"


@pytest.mark.parametrize("column", [list, tuple, np.array])
def test_importance_works_on_a_dict_of_columns(ax, column):
    columns = {"other": column([1.0, 2.0, 3.0, 4.0] * 5), "key": column(["a", "b", "c", "d"] * 5)}
    plot.permutation_importance(Names(), columns, list(columns["key"]), ax)
    names, widths = importances(ax)
    assert names == ["key", "other"]
    assert widths[0] > 0.5
    assert widths[1] == 0


def test_a_frame_without_narwhals_says_how_to_install_it(monkeypatch):
    pandas = pytest.importorskip("pandas")
    monkeypatch.setitem(sys.modules, "narwhals", None)
    with pytest.raises(ImportError, match=r"needs narwhals.*fastmlp\[tabular\]"):
        plot.permutation_importance(Names(), pandas.DataFrame({"key": [1]}), [1])


def test_only_the_most_important_columns_are_shown(ax):
    rows = np.random.default_rng(0).normal(size=(40, 30))
    net = Network([30, 2, 1], seed=0)
    plot.permutation_importance(net, rows, rows[:, 0] > 0, ax, n_repeats=1)
    assert len(ax.patches) == 20
    names, widths = importances(ax)
    all_names, all_widths = importances(
        plot.permutation_importance(net, rows, rows[:, 0] > 0, n_repeats=1, n_shown=30)
    )
    assert widths == sorted(all_widths, reverse=True)[:20]
    assert names == all_names[:20]


@pytest.mark.parametrize(
    ("error", "message", "options"),
    [
        (ValueError, "n_repeats is 0", {"n_repeats": 0}),
        (ValueError, "n_shown is 1.5", {"n_shown": 1.5}),
        (ValueError, "must have 2 names", {"names": ["a"]}),
        (TypeError, "model is a object; it must have score", {"model": object()}),
        (ValueError, r"X has shape \(60,\)", {"X": X[:, 0]}),
        (ValueError, r"X has 60 rows and y has shape \(59,\)", {"y": SIGNS[1:]}),
        (ValueError, r"X has columns of \[1, 2\] rows", {"X": {"a": [1], "b": [1, 2]}}),
        (ValueError, r"X has columns of \[\] rows", {"X": {}}),
    ],
)
def test_importance_refuses_in_words(error, message, options):
    arguments = {"model": Network([2, 3, 1]), "X": X, "y": SIGNS} | options
    with pytest.raises(error, match=f"permutation_importance: .*{message}"):
        plot.permutation_importance(**arguments)
