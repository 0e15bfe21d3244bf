"""The losses that an identity output can have instead of its own: "huber" and so on.

test_network.py compares them with the twin, test_gradients.py with differences, and test_bits.py
has their golden digests.
"""

import copy
import pickle

import numpy as np
import pytest
from scipy import sparse

import arrays
import fastmlp
from fastmlp import reference

QUANTILES = [0.125, 0.5, 0.75]
LOSSES = {
    "huber": {"loss": "huber", "delta": 0.5},
    "absolute_error": {"loss": "absolute_error"},
    "pinball": {"loss": "pinball", "quantiles": QUANTILES},
}
EVERY_LOSS = pytest.mark.parametrize("loss", LOSSES)
DTYPES = pytest.mark.parametrize("dtype", arrays.DTYPES)
CLASSES = pytest.mark.parametrize("network_class", [fastmlp.Network, reference.Network])


def make(name, network_class=fastmlp.Network, layers=(4, 6, 3), **options):
    options = {"hidden": "tanh", "output": "identity", "seed": 0, **options}
    return network_class(list(layers), **options, **(LOSSES[name] if name else {}))


def data(loss, rows=40):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((rows, 4))
    return X, rng.standard_normal(rows) if loss == "pinball" else rng.standard_normal((rows, 3))


def described(network):
    return network.loss_name, network.delta, network.quantiles


# What it is


def test_every_loss_of_the_library_is_tested():
    assert tuple(LOSSES) == fastmlp.LOSSES


@CLASSES
def test_a_network_says_which_loss_it_has(network_class):
    assert described(make(None, network_class)) == (None, 1.0, ())
    assert described(make("huber", network_class)) == ("huber", 0.5, ())
    assert described(make("absolute_error", network_class)) == ("absolute_error", 1.0, ())
    assert described(make("pinball", network_class)) == ("pinball", 1.0, tuple(QUANTILES))


def test_the_loss_is_shown_only_if_it_is_not_the_outputs_own():
    start = "Network([4, 6, 3], hidden='tanh', output='identity', dtype='float32', seed=0"
    assert repr(make(None)) == f"{start})"
    assert repr(make("huber")) == f"{start}, loss='huber', delta=0.5)"
    assert repr(make("absolute_error")) == f"{start}, loss='absolute_error')"
    assert repr(make("pinball")) == f"{start}, loss='pinball', quantiles=[0.125, 0.5, 0.75])"


@EVERY_LOSS
def test_what_is_shown_makes_the_same_network(loss):
    network = make(loss)
    again = eval(f"fastmlp.{network!r}")
    assert described(again) == described(network)
    assert again.parameters.tobytes() == network.parameters.tobytes()


@pytest.mark.parametrize("form", [tuple, np.array, lambda q: np.array(q, np.float32)])
def test_quantiles_are_any_sequence_of_numbers(form):
    network = fastmlp.Network(
        [4, 3], output="identity", loss="pinball", quantiles=form(QUANTILES), delta=np.float32(1)
    )
    assert described(network) == ("pinball", 1.0, tuple(QUANTILES))


@EVERY_LOSS
@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, fastmlp.Network.copy], ids=repr)
def test_copies_have_the_loss(clone, loss):
    network = make(loss)
    twin = clone(network)
    X, y = data(loss)
    assert described(twin) == described(network)
    assert twin.loss(X, y) == network.loss(X, y)


@EVERY_LOSS
def test_pickles_have_the_loss(loss):
    network = make(loss, dtype="float64")
    X, y = data(loss)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(network, protocol))
        assert described(again) == described(network)
        assert again.loss(X, y) == network.loss(X, y)


def test_a_pickle_from_before_there_were_losses_has_the_outputs_own():
    network = make(None)
    state = network.__getstate__()
    del state["loss"]
    again = fastmlp.Network.__new__(fastmlp.Network)
    again.__setstate__(state)
    assert described(again) == (None, 1.0, ())


# What is refused

REFUSED = {
    "unknown": (
        {"loss": "hinge"},
        r"unknown loss 'hinge'; allowed: huber, absolute_error, pinball, and None for the loss",
    ),
    "no name": ({"loss": 3}, r"unknown loss '3'"),
    "other output": (
        {"output": "sigmoid", "loss": "huber"},
        r"loss is huber and output is sigmoid; only an identity output takes a loss",
    ),
    "no delta": ({"loss": "huber", "delta": 0}, "delta is 0; in float32 it must be positive"),
    "NaN": ({"loss": "huber", "delta": np.nan}, "delta is nan; in float32 it must be positive"),
    "infinite": ({"loss": "huber", "delta": 1e39}, r"delta is 1e\+39; in float32"),
    "text": ({"loss": "huber", "delta": "big"}, "delta is 'big'; it must be a number"),
    "None": ({"loss": "huber", "delta": None}, "delta is None; it must be a number"),
    "useless delta": ({"loss": "absolute_error", "delta": 2.0}, "only huber takes a delta"),
    "delta alone": ({"delta": 2.0}, "loss is the output's own; only huber takes a delta"),
    "useless quantiles": ({"loss": "huber", "quantiles": [0.5]}, "only pinball takes them"),
    "quantiles alone": ({"quantiles": QUANTILES}, "only pinball takes them"),
    "no quantiles": ({"loss": "pinball"}, "quantiles has 0 entries and the network 3 outputs"),
    "too few": ({"loss": "pinball", "quantiles": [0.5]}, "a quantile for each output"),
    "no sequence": (
        {"loss": "pinball", "quantiles": 0.5},
        "quantiles is 0.5; it must be a sequence",
    ),
    "no numbers": ({"loss": "pinball", "quantiles": "abc"}, "quantiles is 'abc'; it must be a seq"),
    "zero": ({"loss": "pinball", "quantiles": [0, 0.5, 0.75]}, r"quantiles\[0\] is 0; in float32"),
    "one": ({"loss": "pinball", "quantiles": [0.25, 0.5, 1]}, r"quantiles\[2\] is 1; in float32"),
    "not rising": (
        {"loss": "pinball", "quantiles": [0.25, 0.75, 0.5]},
        r"quantiles\[2\] is 0.5, after 0.75; in float32 quantiles must increase",
    ),
    "equal in float32": (
        {"loss": "pinball", "quantiles": [0.25, 0.5, 0.5 + 1e-12]},
        "in float32 quantiles must increase",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_another_loss_is_refused_with_the_rule(case):
    options, message = REFUSED[case]
    with pytest.raises(ValueError, match=f"Network: .*{message}"):
        fastmlp.Network([4, 3], **{"output": "identity", **options})


def test_pinball_takes_one_target_for_each_row():
    network, (X, y) = make("pinball"), data("pinball")
    assert network.loss(X, y) == network.loss(X, y[:, np.newaxis])
    wide = np.repeat(y[:, np.newaxis], 3, axis=1)
    calls = {
        "loss": lambda: network.loss(X, wide),
        "loss_and_gradients": lambda: network.loss_and_gradients(X, wide),
        "step": lambda: network.step(X, wide, 0.1),
        "fit": lambda: network.fit(X, wide, epochs=1),
        "check_gradients": lambda: network.check_gradients(X, wide),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match=rf"^{name}: .*y has shape \(40, 3\).* one target"):
            call()


# What it computes


@DTYPES
def test_the_slope_is_right_at_the_corners_and_between_them(dtype):
    # Without weights the outputs are the biases, and the gradient of a bias is the slope.
    errors = {
        "huber": [(-3, -0.5), (-0.5, -0.5), (-0.25, -0.25), (0, 0), (0.5, 0.5), (0.75, 0.5)],
        "absolute_error": [(-3, -1), (-0.25, -1), (0, 0), (0.25, 1), (7, 1)],
        "pinball": [(-3, -0.75), (-0.25, -0.75), (0, 0), (0.25, 0.25), (7, 0.25)],
    }
    for loss, pairs in errors.items():
        options = LOSSES[loss] | ({"quantiles": [0.75]} if loss == "pinball" else {})
        for error, slope in pairs:

            def gradient(options=options, error=error):
                network = fastmlp.Network([1, 1], output="identity", dtype=dtype, **options)
                network.parameters[:] = 0, 2 + error
                network.loss_and_gradients([[0.0]], [2.0])
                return network.gradients[1:].copy()

            assert arrays.in_every_setting(gradient).tolist() == [slope], (loss, error)


@DTYPES
def test_each_output_of_pinball_has_its_own_quantile(dtype):
    network = make("pinball", layers=(1, 3), hidden=(), dtype=dtype)
    network.parameters[:] = [0, 0, 0, 1, 2, 4]  # outputs 1, 2 and 4, and the target 3
    loss = network.loss_and_gradients([[0.0]], [3.0])
    assert loss == 2 * 0.125 + 1 * 0.5 + 1 * 0.25
    assert network.gradients[3:].tolist() == [-0.125, -0.5, 0.25]


@EVERY_LOSS
@DTYPES
def test_a_nan_shows_in_the_loss(loss, dtype):
    network, (X, y) = make(loss, dtype=dtype), data(loss)
    y[7] = np.nan
    assert np.isnan(network.loss_and_gradients(X, y))
    assert np.isnan(network.gradients[-3:]).all()


def test_huber_with_a_large_delta_is_the_squared_error():
    X, y = data("huber")
    squared, huber = make(None), make(None, loss="huber", delta=1e6)
    assert huber.step(X, y, 0.1) == squared.step(X, y, 0.1)
    assert huber.parameters.tobytes() == squared.parameters.tobytes()


@CLASSES
@EVERY_LOSS
def test_check_gradients_finds_no_error(loss, network_class):
    network, (X, y) = make(loss, network_class), data(loss, rows=6)
    assert fastmlp.gradient_check.check_gradients(network, X, y) < 1e-6


@EVERY_LOSS
def test_sparse_rows_give_the_bits_of_dense_ones(loss):
    network, (X, y) = make(loss), data(loss)
    X[np.abs(X) < 0.8] = 0
    assert network.loss(sparse.csr_matrix(X), y) == network.loss(X, y)


# Training


def constant(loss, y, **options):
    """The outputs of a network that sees no features, trained on y."""
    network = fastmlp.Network(
        [1, len(options.get("quantiles", "1"))],
        output="identity",
        dtype="float64",
        seed=0,
        loss=loss,
        **options,
    )
    schedule = fastmlp.schedules.Cosine(300)
    network.fit(
        np.zeros((len(y), 1)),
        y,
        epochs=300,
        batch_size=len(y),
        optimizer=fastmlp.Adam(0.2),
        schedule=schedule,
    )
    return network.predict([[0.0]])[0]


def test_pinball_finds_quantiles_and_the_absolute_error_the_median():
    y = np.sort(np.random.default_rng(3).exponential(size=201))
    found = constant("pinball", y, quantiles=[0.1, 0.5, 0.9])
    np.testing.assert_allclose(found, np.quantile(y, [0.1, 0.5, 0.9]), atol=0.03)
    assert constant("absolute_error", y) == pytest.approx(np.median(y), abs=0.03)


def test_an_outlier_counts_with_huber_as_if_it_were_delta_away():
    y = np.append(np.linspace(0, 1, 100), 50)
    # The slopes of the others add up to 100 (1/2 - constant), which balances that of the outlier.
    assert constant("huber", y, delta=1.0) == pytest.approx(0.5 + 1 / 100, abs=2e-3)
    assert constant("huber", y, delta=100.0) == pytest.approx(y.mean(), abs=2e-3)


@EVERY_LOSS
def test_early_stopping_uses_the_loss(loss):
    network, (X, y) = make(loss), data(loss)
    history = network.fit(
        X[:30],
        y[:30],
        epochs=60,
        learning_rate=0.1,
        validation_data=(X[30:], y[30:]),
        early_stopping=fastmlp.EarlyStopping(5),
    )
    assert min(history.val_loss) == network.loss(X[30:], y[30:])


@EVERY_LOSS
def test_lbfgs_lowers_the_loss(loss):
    network, (X, y) = make(loss, dtype="float64"), data(loss)
    before = network.loss(X, y)
    network.fit(X, y, epochs=20, optimizer="lbfgs")
    assert network.loss(X, y) < 0.9 * before


@EVERY_LOSS
def test_5_and_5_epochs_are_10(loss):
    X, y = data(loss)
    whole, halves = make(loss), make(loss)
    whole.fit(X, y, epochs=10, learning_rate=0.1)
    for _ in range(2):
        halves.fit(X, y, epochs=5, learning_rate=0.1)
    assert whole.parameters.tobytes() == halves.parameters.tobytes()


@EVERY_LOSS
def test_standardizing_scales_delta_with_the_targets(loss):
    # By a power of two, which rounds nothing.
    X, y = data(loss)
    X, y = 3 + 5 * X, 7 + 2 * y
    power = 2 if loss == "huber" else 1
    networks = [make(loss), make(loss)]
    if loss == "huber":
        networks[1] = make(None, loss="huber", delta=0.5 * 64)
    histories = [
        network.fit(X, factor * y, epochs=4, learning_rate=0.1, standardize=True)
        for network, factor in zip(networks, (1, 64), strict=True)
    ]
    assert [64**power * value for value in histories[0].loss] == histories[1].loss
    assert (64 * networks[0].forward(X)).tobytes() == networks[1].forward(X).tobytes()
    assert networks[1].loss(X, 64 * y) == 64**power * networks[0].loss(X, y)


@EVERY_LOSS
def test_a_standardized_fit_is_the_twins(loss):
    X, y = data(loss)
    X, y = 3 + 5 * X, 7 + 20 * y
    networks = [make(loss, kind, dtype="float64") for kind in (fastmlp.Network, reference.Network)]
    histories = [
        network.fit(X, y, epochs=3, learning_rate=0.1, standardize=True) for network in networks
    ]
    np.testing.assert_allclose(histories[0].loss, histories[1].loss, rtol=1e-10)
    np.testing.assert_allclose(networks[0].parameters, networks[1].parameters, rtol=1e-9)


def test_the_outputs_of_pinball_are_scaled_alike():
    network, (X, y) = make("pinball"), data("pinball")
    with pytest.raises(ValueError, match="pinball all outputs have the same target"):
        network.fold_scaling(output_mean=[0.0, 1.0, 0.0])
    network.fit(X, y, epochs=1, standardize=True)
    assert len(set(network.scaling["output_mean"].tolist())) == 1
    network.fold_scaling(output_mean=[3.0] * 3, output_scale=[2.0] * 3)
    assert network.scaling["output_scale"].shape == (3,)


# Files


@EVERY_LOSS
@DTYPES
def test_a_file_has_the_loss(loss, dtype, tmp_path):
    network, (X, y) = make(loss, dtype=dtype), data(loss)
    network.fit(X, y, epochs=2, standardize=True)
    network.save(tmp_path / "net.safetensors")
    again = fastmlp.Network.load(tmp_path / "net.safetensors")
    assert described(again) == described(network)
    assert again.loss(X, y) == network.loss(X, y)
    again.save(tmp_path / "again.safetensors")
    saved = [(tmp_path / f"{name}.safetensors").read_bytes() for name in ("net", "again")]
    assert saved[0] == saved[1]


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("loss", [None, *LOSSES])
def test_a_run_resumes_with_its_loss(loss, optimizer, tmp_path):
    path = tmp_path / "run.safetensors"
    X, y = data(loss)
    whole, part, resumed = make(loss), make(loss), make(loss)
    whole.fit(X, y, epochs=6, optimizer=optimizer)
    part.fit(X, y, epochs=3, optimizer=optimizer, checkpoint=path)
    resumed.fit(X, y, epochs=6, optimizer=optimizer, resume=path)
    assert resumed.parameters.tobytes() == whole.parameters.tobytes()


def test_a_run_does_not_resume_with_another_loss(tmp_path):
    path = tmp_path / "run.safetensors"
    X, y = data("huber")
    make("huber").fit(X, y, epochs=1, checkpoint=path)
    for network, message in (
        (make(None), "loss is None here and huber in the checkpoint"),
        (make("absolute_error"), "loss is absolute_error here and huber in the checkpoint"),
        (make(None, loss="huber"), "delta is 1.0 here and 0.5 in the checkpoint"),
    ):
        with pytest.raises(ValueError, match=f"^fit: {message}"):
            network.fit(X, y, epochs=2, resume=path)


def test_predict_gives_the_outputs():
    network, (X, _) = make("pinball"), data("pinball")
    assert network.predict(X).tobytes() == network.forward(X).tobytes()
    one = fastmlp.Network([4, 1], output="identity", loss="absolute_error", seed=0)
    assert one.predict(X).shape == (40,)
