"""Scaling: `fold_scaling`, and `fit(standardize=True)`."""

import copy
import pickle

import numpy as np
import pytest

import fastmlp
from fastmlp import reference

RNG = np.random.default_rng(14)
MEANS, SCALES = np.array([0.0, 5e4, 1.0, -3.0]), np.array([1.0, 1e3, 1e-3, 50.0])
X = RNG.normal(size=(200, 4)) * SCALES + MEANS
Y = {
    "identity": (X - MEANS) / SCALES @ np.ones((4, 3)) * [1.0, 1e4, 1e-3] + [0.0, 1e5, 7.0],
    "softmax": np.abs(X - MEANS).argmax(axis=1) % 3,
    "sigmoid": (X[:, :3] > MEANS[:3]) * 1.0,
    "exp": np.abs(X[:, :3]) / 1e4,
}
DTYPES = ("float32", "float64")


def make(output="identity", dtype="float32", kind=fastmlp.Network, seed=3):
    return kind([4, 8, 3], hidden="tanh", output=output, dtype=dtype, seed=seed)


def fit(network, output="identity", epochs=4, **options):
    options = {"standardize": True, "learning_rate": 0.05, **options}
    return network.fit(X, Y[output], epochs=epochs, **options)


# fold_scaling


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("output", Y)
def test_a_folded_network_gives_on_raw_rows_what_it_gave_on_scaled_ones(output, dtype):
    network = make(output, dtype)
    scaled = network.forward((X - MEANS) / SCALES).astype(float)
    targets = {"output_mean": [1.0, 2e4, -3.0], "output_scale": [2.0, 300.0, 1e-4]}
    network.fold_scaling(
        input_mean=MEANS, input_scale=SCALES, **targets if output == "identity" else {}
    )
    found = network.forward(X)
    size = np.ones(3)
    if output == "identity":
        scaled = scaled * targets["output_scale"] + targets["output_mean"]
        size = np.abs(targets["output_mean"]) + targets["output_scale"]
    # |mean| / scale is 1000 in a column: that many units of rounding.
    bound = 20 * np.finfo(dtype).eps * (1 + np.max(np.abs(MEANS) / SCALES)) * size
    assert (np.abs(found - scaled) <= bound).all()


def test_a_network_without_hidden_layers_folds_both_sides_into_its_one_layer():
    network = fastmlp.Network([1, 1], output="identity", dtype="float64", seed=0)
    network.weights[0][:], network.biases[0][:] = 2.0, 1.0  # 2 x + 1
    network.fold_scaling(
        input_mean=[3.0], input_scale=[4.0], output_mean=[10.0], output_scale=[5.0]
    )
    # 5 (2 (x - 3) / 4 + 1) + 10
    assert network.forward([[3.0], [7.0]]).tolist() == [[15.0], [25.0]]


def test_folding_twice_combines_both_scalings():
    network, outer = (
        make(dtype="float64"),
        {"output_mean": [1.0, 2, 3], "output_scale": [4.0, 5, 6]},
    )
    inner = {"output_mean": [7.0, 8, 9], "output_scale": [0.5, 0.25, 2]}
    scaled = network.forward(((X - MEANS) / SCALES - 0.5) / 10)
    network.fold_scaling(input_mean=[0.5] * 4, input_scale=[10.0] * 4, **inner)
    network.fold_scaling(input_mean=MEANS, input_scale=SCALES, **outer)
    expected = (scaled * inner["output_scale"] + inner["output_mean"]) * outer[
        "output_scale"
    ] + outer["output_mean"]
    np.testing.assert_allclose(network.forward(X), expected, rtol=1e-9)
    np.testing.assert_allclose(network.scaling["input_mean"], MEANS + 0.5 * SCALES)
    np.testing.assert_allclose(network.scaling["input_scale"], SCALES * 10)
    np.testing.assert_allclose(network.scaling["output_mean"], [29.0, 42.0, 57.0])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"input_scale": [1.0, 0.0, 1.0, 1.0]}, "input_scale has 0 for column 1"),
        ({"input_scale": [1.0, -1.0, 1.0, 1.0]}, "positive and finite"),
        ({"input_mean": [np.nan, 0.0, 0.0, 0.0]}, "input_mean has nan for column 0"),
        ({"input_mean": [1.0]}, r"input_mean has shape \(1,\)"),
        ({"output_scale": [np.inf, 1.0, 1.0]}, "output_scale has inf for column 0"),
        ({"input_mean": [0.0, 7e4, 0.0, 0.0]}, r"column 1 has mean 70000 and scale 1; \|mean\|"),
        ({"input_mean": [0.0, -7e4, 0.0, 0.0]}, "column 1 has mean -70000 and scale 1"),
        ({"output_mean": [0.0, 0.0, 1e9]}, "output 2 has mean"),
        ({"input_scale": [1e-40, 1.0, 1.0, 1.0]}, "a weight or a bias is too large for float32"),
        ({"output_scale": [1.0, 1.0, 1e39]}, "a weight or a bias is too large for float32"),
    ],
)
def test_a_scaling_that_does_not_fit_is_refused_and_changes_nothing(wrong, message):
    network = make()
    before = network.parameters.copy()
    with pytest.raises(ValueError, match=message):
        network.fold_scaling(**wrong)
    assert network.scaling is None
    assert np.array_equal(network.parameters, before)


def test_targets_are_scaled_for_the_output_identity_only():
    with pytest.raises(
        ValueError, match="output_mean and output_scale are for the output identity"
    ):
        make("softmax").fold_scaling(output_mean=[0.0, 0.0, 0.0])


def test_float64_takes_a_mean_of_any_size():
    network = make(dtype="float64")
    network.fold_scaling(input_mean=[1e9, 0.0, 0.0, 0.0])
    assert network.scaling["input_mean"][0] == 1e9


# standardize


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("output", Y)
def test_two_fits_of_2_epochs_equal_one_of_4(output, dtype, optimizer):
    whole, parts = make(output, dtype), make(output, dtype)
    made = {"lbfgs": fastmlp.LBFGS, "adam": fastmlp.Adam, "sgd": fastmlp.SGD}[optimizer]
    for network, epochs in ((whole, (4,)), (parts, (2, 2))):
        how = {"optimizer": made(), "learning_rate": None}
        for n in epochs:
            fit(network, output, n, **how)
    assert np.array_equal(whole.parameters, parts.parameters)


def test_the_second_fit_does_not_measure_again():
    network = make()
    fit(network)
    scaling = network.scaling
    network.fit(X * 2, Y["identity"], epochs=1, standardize=True)
    for name, values in scaling.items():
        np.testing.assert_array_equal(network.scaling[name], values)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("output", Y)
def test_the_twin_agrees(output, dtype):
    options = {"sample_weight": np.arange(len(X)) % 3, "validation_data": (X, Y[output])}
    network, twin = make(output, dtype), make(output, dtype, reference.Network)
    history, expected = (fit(n, output, **options) for n in (network, twin))
    close = 1e-4 if dtype == "float32" else 1e-10
    np.testing.assert_allclose(history.loss, expected.loss, rtol=close)
    np.testing.assert_allclose(history.val_loss, expected.val_loss, rtol=close)
    for name, values in twin.scaling.items():
        np.testing.assert_allclose(network.scaling[name], values, rtol=1e-12)
    size = np.abs(twin.forward(X)).max(axis=0)
    assert (np.abs(network.forward(X) - twin.forward(X)) <= 10 * close * size).all()


@pytest.mark.parametrize("output", Y)
def test_it_equals_training_on_rows_that_the_user_scaled(output):
    network, by_hand = make(output, "float64"), make(output, "float64")
    fit(network, output)
    scaling = network.scaling
    rows = (X - scaling["input_mean"]) / scaling["input_scale"]
    y = Y[output]
    if output == "identity":
        y = (y - scaling["output_mean"]) / scaling["output_scale"]
    by_hand.fit(rows, y, epochs=4, learning_rate=0.05)
    by_hand.fold_scaling(**scaling)
    np.testing.assert_allclose(network.forward(X), by_hand.forward(X), rtol=1e-9)


def test_means_and_deviations_are_those_of_the_training_rows():
    network = make(dtype="float64")
    fit(network)
    np.testing.assert_allclose(network.scaling["input_mean"], X.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(network.scaling["input_scale"], X.std(axis=0), rtol=1e-13)
    np.testing.assert_allclose(network.scaling["output_scale"], Y["identity"].std(axis=0))


def test_a_row_of_weight_2_counts_as_two_rows_and_one_of_weight_0_as_none():
    weights = np.arange(len(X)) % 3
    weighted, repeated = make(dtype="float64"), make(dtype="float64")
    fit(weighted, sample_weight=weights)
    repeated.fit(
        np.repeat(X, weights, axis=0),
        np.repeat(Y["identity"], weights, axis=0),
        epochs=1,
        standardize=True,
    )
    for name, values in weighted.scaling.items():
        np.testing.assert_allclose(values, repeated.scaling[name], rtol=1e-12)


@pytest.mark.parametrize("constant", [0.0, 7.0, 0.1, 65536.0, -1e-30])
def test_a_constant_column_has_the_scale_1(constant):
    rows = X.copy()
    rows[:, 2] = constant
    network = make()
    network.fit(rows, Y["identity"], epochs=1, standardize=True)
    assert network.scaling["input_scale"][2] == 1.0
    assert network.scaling["input_mean"][2] == np.float32(constant)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_deviations_do_not_overflow_or_vanish(size):
    network = fastmlp.Network([1, 1], output="identity", dtype="float64", seed=0)
    network.fit([[size], [3 * size]], [0.0, 1.0], epochs=1, standardize=True)
    np.testing.assert_allclose(network.scaling["input_scale"], [size])


def test_losses_are_those_of_raw_targets():
    seen = []
    network = make(dtype="float64")
    history = fit(
        network,
        learning_rate=1e-12,
        validation_data=(X, Y["identity"]),
        callbacks=[lambda net, epoch, logs: seen.append(net.loss(X, Y["identity"]))],
    )
    assert history.val_loss == seen
    np.testing.assert_allclose(history.loss, history.val_loss, rtol=1e-6)


def test_a_network_that_was_trained_on_raw_rows_goes_on_from_there():
    network = make(dtype="float64")
    rows = RNG.normal(size=(50, 4))
    network.fit(rows, rows[:, :3], epochs=1, learning_rate=0.1)
    before = network.forward(rows)
    network.fit(rows, rows[:, :3], epochs=1, learning_rate=1e-12, standardize=True)
    np.testing.assert_allclose(network.forward(rows), before, rtol=1e-8)


def test_a_column_that_float32_cannot_resolve_is_refused_by_name():
    rows, network = X.copy(), make()
    rows[:, 3] += 1e7
    network.feature_names = ["a", "b", "c", "year in seconds"]
    before = network.parameters.copy()
    with pytest.raises(ValueError, match=r"column 'year in seconds' of X has mean 9\.99"):
        network.fit(rows, Y["identity"], epochs=1, standardize=True)
    assert network.scaling is None
    assert np.array_equal(network.parameters, before)
    make(dtype="float64").fit(rows, Y["identity"], epochs=1, standardize=True)


def test_a_column_far_below_0_is_refused_by_its_name_in_the_frame():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X - [0, 1e9, 0, 0], columns=["a", "depth", "c", "d"])
    with pytest.raises(ValueError, match="fit: column 'depth' of X has mean -9"):
        make().fit(frame, Y["identity"], epochs=1, standardize=True)


def test_a_column_of_y_too():
    with pytest.raises(ValueError, match="column 1 of y has mean"):
        make().fit(X, Y["identity"] + [0, 1e12, 0], epochs=1, standardize=True)


@pytest.mark.parametrize("kind", [fastmlp.Network, reference.Network])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_exception_leaves_a_network_for_raw_rows(error, kind):
    def stop(network, epoch, logs):
        raise error

    stopped, whole = make(kind=kind), make(kind=kind)
    with pytest.raises(error):
        fit(stopped, callbacks=[stop])
    fit(whole, epochs=1)
    assert np.array_equal(stopped.forward(X), whole.forward(X))


def test_an_error_inside_an_epoch_puts_the_scaling_back(monkeypatch):
    network = make()
    fit(network, epochs=1)
    expected = network.forward(X)

    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(fastmlp.Network, "train_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(network, epochs=1)
    np.testing.assert_allclose(network.forward(X), expected, rtol=1e-4)
    assert not np.array_equal(network.parameters, 0)


@pytest.mark.parametrize("epochs", [0, 1])
@pytest.mark.parametrize("kind", [fastmlp.Network, reference.Network])
def test_a_fit_that_diverges_in_its_first_epoch_changes_nothing(kind, epochs):
    network = make(kind=kind, dtype="float64")
    if epochs:
        network.fit(np.zeros_like(X), np.zeros((len(X), 3)), epochs=epochs)
    before = network.parameters.copy()
    with (
        pytest.raises(FloatingPointError, match="the network is as before that epoch"),
        np.errstate(all="ignore"),
    ):
        fit(network, learning_rate=1e300)
    assert network.scaling is None
    assert np.array_equal(network.parameters, before)


def test_a_constant_column_may_have_any_size():
    rows = X.copy()
    rows[:, 1] = 3e9
    networks = make(), make(kind=reference.Network)
    for network in networks:
        network.fit(rows, np.full((len(X), 3), 3e6), epochs=2, standardize=True)
    assert networks[0].scaling["input_scale"][1] == networks[1].scaling["input_scale"][1] == 3e9
    np.testing.assert_allclose(*(network.forward(rows) for network in networks), rtol=1e-4)


def test_without_its_scaling_a_network_measures_again():
    network = make(dtype="float64")
    fit(network, epochs=1)
    before, network.scaling = network.forward(X), None
    assert np.array_equal(network.forward(X), before)
    network.fit(X * 2, Y["identity"], epochs=1, standardize=True)
    np.testing.assert_allclose(network.scaling["input_scale"], 2 * X.std(axis=0))


def test_what_is_set_as_the_scaling_is_checked():
    network = make()
    with pytest.raises(TypeError, match="scaling: it is 3; it must be None or a dict"):
        network.scaling = 3
    with pytest.raises(ValueError, match=r"input_mean has shape \(1,\)"):
        network.scaling = {"input_mean": [1.0]}
    assert network.scaling is None


def test_while_unfolded_every_call_gives_the_same_results():
    network, y = make(dtype="float64"), Y["identity"]
    fit(network)
    folded = network.forward(X), network.forward(X[0]), network.loss(X, y)
    network._unfold_scaling()
    unfolded = network.forward(X), network.forward(X[0]), network.loss(X, y)
    network._refold_scaling()
    for a, b in zip(folded, unfolded, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_the_gradient_while_unfolded_is_that_of_scaled_rows():
    network = make(dtype="float64")
    fit(network)
    scaling = network.scaling
    network._unfold_scaling()
    network.loss_and_gradients(X, Y["identity"])
    found, scaled = network.gradients.copy(), network.copy()
    network._refold_scaling()
    scaled.scaling = None
    scaled.loss_and_gradients(
        (X - scaling["input_mean"]) / scaling["input_scale"],
        (Y["identity"] - scaling["output_mean"]) / scaling["output_scale"],
    )
    np.testing.assert_allclose(found, scaled.gradients, rtol=1e-10, atol=1e-14)


# What carries a scaling


@pytest.mark.parametrize(
    "carried",
    [
        copy.copy,
        copy.deepcopy,
        fastmlp.Network.copy,
        lambda network: pickle.loads(pickle.dumps(network)),
    ],
)
def test_copies_and_pickles_go_on_to_the_same_bits(carried):
    network = make()
    fit(network)
    twin = carried(network)
    for other in (network, twin):
        fit(other, epochs=2)
    assert np.array_equal(network.parameters, twin.parameters)


def test_a_file_goes_on_to_the_same_bits(tmp_path):
    for output in Y:
        network = make(output)
        fit(network, output)
        network.save(tmp_path / "model")
        loaded = fastmlp.Network.load(tmp_path / "model")
        for other in (network, loaded):
            fit(other, output, 2)
        assert np.array_equal(network.parameters, loaded.parameters)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_run_resumes_to_the_same_bits(tmp_path, optimizer):
    path, whole, resumed = tmp_path / "run", make(), make(seed=99)
    how = {"optimizer": optimizer, "learning_rate": None}
    fit(whole, epochs=4, **how)
    fit(make(), epochs=2, checkpoint=path, **how)
    fit(resumed, epochs=4, resume=path, **how)
    assert np.array_equal(whole.parameters, resumed.parameters)
    with pytest.raises(ValueError, match="standardize is False here and True in the checkpoint"):
        fit(make(), epochs=4, resume=path, standardize=False, **how)
