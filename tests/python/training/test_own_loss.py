"""`fit(loss=...)` and `train_epoch(loss=...)`: training on a loss of the user's own."""

import os
import signal

import numpy as np
import pytest

import fastmlp
from fastmlp import reference

KINDS = pytest.mark.parametrize("kind", [fastmlp.Network, reference.Network])
RNG = np.random.default_rng(16)
X = RNG.standard_normal((90, 4))
Y = np.sin(X[:, :1]) + X[:, 1:3]  # (90, 2)


def make(kind=fastmlp.Network, n_out=1, output="identity", dtype="float64", **options):
    return kind([4, 8, n_out], hidden="tanh", output=output, dtype=dtype, seed=1, **options)


def half_squared_error(Y, y):
    error = Y - y
    return 0.5 * np.mean(np.sum(np.atleast_2d(error.T).T ** 2, axis=1)), error / len(y)


def test_half_the_squared_error_trains_as_the_library_does():
    for options in ({}, {"optimizer": "adam"}, {"dropout": 0.4}, {"batch_size": 7}):
        ours, own = make(n_out=2), make(n_out=2)
        data = {"epochs": 4, "validation_data": (X[:9], Y[:9]), **options}
        expected = ours.fit(X, Y, **data)
        history = own.fit(X, Y, loss=half_squared_error, **data)
        np.testing.assert_allclose(own.parameters, ours.parameters, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-12)
        np.testing.assert_allclose(history.val_loss, expected.val_loss, rtol=1e-12)


def test_cross_entropy_from_probabilities_trains_as_the_library_does():
    def cross_entropy(P, y):
        value = -np.mean(y * np.log(P) + (1 - y) * np.log1p(-P))
        return value, (P - y) / (P * (1 - P)) / len(y)

    ours, own = make(output="sigmoid"), make(output="sigmoid")
    y = (X[:, 0] > 0).astype(int)
    expected = ours.fit(X, y, epochs=5, optimizer="lbfgs")
    history = own.fit(X, y, epochs=5, optimizer="lbfgs", loss=cross_entropy)
    np.testing.assert_allclose(own.parameters, ours.parameters, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-8)


@pytest.mark.parametrize("rows", [1, 4096, 9000])
@pytest.mark.parametrize(
    ("output", "dropout"), [("identity", 0.0), ("softmax", 0.0), ("softmax", 0.5), ("exp", 0.0)]
)
def test_the_twin_agrees_also_in_batches_of_several_blocks(rows, dropout, output):
    data = RNG.standard_normal((rows, 4)), RNG.standard_normal((rows, 3))
    networks = [make(kind, 3, output) for kind in (fastmlp.Network, reference.Network)]
    for network in networks:
        network.fit(*data, epochs=2, batch_size=5000, dropout=dropout, loss=half_squared_error)
    native, twin = networks
    np.testing.assert_allclose(native.parameters, twin.parameters, rtol=0, atol=1e-12)


@KINDS
def test_one_output_is_given_as_vectors(kind):
    seen = []

    def loss(Y, y):
        seen.append((Y.shape, y.shape))
        return half_squared_error(Y, y)

    y = X[:, 0]
    for targets in (y, y[:, np.newaxis]):
        make(kind).fit(X, targets, epochs=1, batch_size=60, loss=loss)
    assert seen == [((60,), (60,)), ((30,), (30,))] * 2


@KINDS
def test_y_is_any_array_with_a_row_for_each_row(kind):
    """NaN as a mark, whole numbers, text, several axes: `fit` does not look at them."""
    masked = np.where(RNG.random((90, 2)) < 0.3, np.nan, Y)

    def of_known(Y, y):
        known = ~np.isnan(y)
        error = np.where(known, Y - y, 0.0)
        return np.sum(error**2) / 2, error

    network = make(kind, 2)
    history = network.fit(X, masked, epochs=30, learning_rate=1e-3, loss=of_known)
    assert history.loss[-1] < history.loss[0] / 2

    seen = []
    for y in (np.arange(90), np.array(["a", "b", "c"] * 30), np.zeros((90, 2, 3)), [None] * 90):

        def loss(Y, y):
            seen.append(y)
            return 0.0, np.zeros_like(Y)

        make(kind).fit(X, y, epochs=1, batch_size=90, shuffle=False, loss=loss)
        assert np.array_equal(seen[-1], np.asarray(y))
        assert seen[-1].dtype == np.asarray(y).dtype


@KINDS
def test_the_loss_may_depend_on_the_whole_batch(kind):
    """The correlation of outputs and targets, which is no sum over rows."""

    def minus_correlation(Y, y):
        a, b = Y - Y.mean(), y - y.mean()
        norm = np.sqrt(a @ a) * np.sqrt(b @ b)
        r = a @ b / norm
        return -r, -(b / norm - r * a / (a @ a))

    network = make(kind)
    history = network.fit(
        X, Y[:, 0], epochs=200, batch_size=90, learning_rate=0.3, loss=minus_correlation
    )
    assert history.loss[-1] < -0.95
    assert np.corrcoef(network.forward(X)[:, 0], Y[:, 0])[0, 1] > 0.95


@KINDS
def test_early_stopping_and_validation_use_it(kind):
    network = make(kind)
    losses = iter([3.0, 2.0, 5.0, 6.0])

    def loss(Y, y):
        return next(losses) if len(Y) == 10 else 0.0, np.zeros_like(Y)

    history = network.fit(
        X, Y[:, 0], epochs=9, loss=loss, early_stopping=2, validation_data=(X[:10], Y[:10, 0])
    )
    assert history.val_loss == [3.0, 2.0, 5.0, 6.0]
    assert history.stopped_by == "early_stopping"
    assert network.epochs_trained == 2


@KINDS
def test_standardize_leaves_the_targets_alone(kind):
    network = make(kind)
    history = network.fit(
        1000 * X + 5, 50 * Y[:, 0], epochs=3, loss=half_squared_error, standardize=True
    )
    assert np.isfinite(history.loss).all()
    assert sorted(network.scaling)[:2] == ["input_mean", "input_scale"]
    np.testing.assert_allclose(network.scaling["input_mean"], (1000 * X + 5).mean(axis=0))
    scale = network.scaling.get("output_scale", 1.0)
    assert np.all(np.asarray(scale) == 1)


def test_the_outputs_of_scaled_targets_are_raw_ones():
    networks = [make(kind) for kind in (fastmlp.Network, reference.Network)]
    scaling = {"output_mean": [70.0], "output_scale": [9.0]}
    for network in networks:
        network.fold_scaling(input_mean=X.mean(axis=0), input_scale=X.std(axis=0), **scaling)
        seen = []

        def loss(Y, y, seen=seen):
            seen.append(Y)
            return half_squared_error(Y, y)

        before = network.forward(X)[:, 0]
        network.fit(
            X, 9 * Y[:, 0] + 70, epochs=4, standardize=True, learning_rate=1e-4, batch_size=90,
            shuffle=False, loss=loss,
        )  # fmt: skip
        np.testing.assert_allclose(seen[0], before, rtol=1e-12)
    np.testing.assert_allclose(networks[0].parameters, networks[1].parameters, rtol=1e-9)


@KINDS
@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (1.0, TypeError, r"loss: it returned 1\.0; it must return \(value, dY\)"),
        (None, TypeError, "loss: it returned None"),
        ((1.0, 2.0, 3.0), TypeError, "it must return"),
        (("a", np.zeros(90)), TypeError, "it must return"),
        ((1.0, np.zeros((90, 90))), ValueError, r"dY of shape \(90, 90\).*the shape of Y, \(90,\)"),
        ((1.0, np.zeros(89)), ValueError, r"dY of shape \(89,\)"),
        ((1.0, 0.0), ValueError, r"dY of shape \(\)"),
        ((1.0, np.zeros(90, complex)), TypeError, "dtype complex128; it must be real"),
        ((1.0, ["a"] * 90), TypeError, "dtype <U1"),
    ],
)
def test_wrong_answers_are_refused(kind, answer, error, message):
    network = make(kind)
    before = network.parameters.copy()
    with pytest.raises(error, match=message):
        network.fit(X, Y[:, 0], epochs=1, batch_size=90, loss=lambda Y, y: answer)
    assert network.parameters.tobytes() == before.tobytes()
    assert network.epochs_trained == 0


@KINDS
def test_answers_may_be_lists_and_columns(kind):
    networks = [make(kind) for _ in range(3)]
    forms = (
        lambda v, g: (v, g),
        lambda v, g: [np.float32(v), g.tolist()],
        lambda v, g: (np.array(v), g[:, np.newaxis]),
    )
    for network, form in zip(networks, forms, strict=True):
        network.fit(
            X, Y[:, 0], epochs=2, loss=lambda Y, y, form=form: form(*half_squared_error(Y, y))
        )
    assert len({network.parameters.tobytes() for network in networks}) == 1


@KINDS
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"loss": "huber"}, TypeError, r"loss is 'huber'; .*Network\(\.\.\., loss='huber'\)"),
        ({"sample_weight": np.ones(90)}, ValueError, "sample_weight and class_weight are for"),
        ({"class_weight": "balanced"}, ValueError, "sample_weight and class_weight are for"),
        ({"validation_data": (X, Y, np.ones(90))}, ValueError, "validation_data has a sample_w"),
        ({"validation_data": (X, Y[:5])}, ValueError, r"validation_data: y has shape \(5, 2\)"),
        ({"y": Y[:80]}, ValueError, r"fit: y has shape \(80, 2\); it must have 90 rows"),
        ({"y": 3.0}, ValueError, r"fit: y has shape \(\)"),
        ({"X": np.where(X > 2, np.nan, X)}, ValueError, "X has nan"),
    ],
)
def test_what_does_not_fit_is_refused(kind, options, error, message):
    network = make(kind, 2)
    with pytest.raises(error, match=message):
        network.fit(**{"X": X, "y": Y, "epochs": 1, "loss": half_squared_error, **options})
    assert network.epochs_trained == 0


def test_other_features_are_refused():
    with pytest.raises(ValueError, match=r"X has shape \(90, 3\); this network takes 4 features"):
        make().fit(X[:, :3], Y[:, 0], epochs=1, loss=half_squared_error)


@KINDS
def test_an_exception_ends_the_training_at_that_batch(kind):
    network, calls = make(kind), []

    def loss(Y, y):
        calls.append(network.parameters.copy())
        if len(calls) == 3:
            raise KeyError("mine")
        return half_squared_error(Y, y)

    with pytest.raises(KeyError, match="mine"):
        network.fit(X, Y[:, 0], epochs=4, batch_size=30, loss=loss)
    assert network.parameters.tobytes() == calls[-1].tobytes() != calls[0].tobytes()
    assert network.epochs_trained == 0
    network.fit(X, Y[:, 0], epochs=1, loss=half_squared_error)  # the network can be used again


def test_a_signal_during_the_loss_ends_the_training():
    network = make()

    def loss(Y, y):
        os.kill(os.getpid(), signal.SIGINT)
        return half_squared_error(Y, y)

    with pytest.raises(KeyboardInterrupt):
        network.fit(X, Y[:, 0], epochs=10**6, loss=loss)
    network.fit(X, Y[:, 0], epochs=1)


@KINDS
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # of the twin
def test_a_loss_that_is_not_finite_undoes_the_epoch(kind):
    network = make(kind)
    before = network.parameters.copy()
    for value, slope in ((np.nan, 0.0), (np.inf, 0.0), (1.0, np.inf)):
        with pytest.raises(FloatingPointError, match="epoch 0 at learning rate"):
            network.fit(
                X, Y[:, 0], epochs=1, loss=lambda Y, y, v=value, s=slope: (v, np.full_like(Y, s))
            )
        assert network.parameters.tobytes() == before.tobytes()


def test_the_network_cannot_be_changed_by_its_loss():
    network = make()

    def loss(Y, y):
        with pytest.raises(RuntimeError, match="in use by another call"):
            network.step(X, X[:, 0], 0.1)
        return half_squared_error(Y, y)

    network.fit(X, Y[:, 0], epochs=1, batch_size=90, loss=loss)


def test_the_loss_may_use_other_networks_and_keep_its_arrays():
    network, other, kept = make(), make(), []

    def loss(Y, y):
        kept.append((Y, Y.copy(), y, y.copy()))
        other.fit(X, y_all, epochs=1)
        return half_squared_error(Y, y)

    y_all = Y[:, 0]
    network.fit(X, y_all, epochs=2, loss=loss)
    assert other.epochs_trained == 2 * 3
    for Y_kept, Y_then, y_kept, y_then in kept:
        assert np.array_equal(Y_kept, Y_then)
        assert np.array_equal(y_kept, y_then)


def test_a_resumed_run_ends_with_the_same_bits(tmp_path):
    data = {"loss": half_squared_error, "dropout": 0.2, "validation_data": (X[:9], Y[:9])}
    whole, part, rest = (make(n_out=2) for _ in range(3))
    whole.fit(X, Y, epochs=5, optimizer="adam", **data)
    part.fit(X, Y, epochs=2, optimizer="adam", checkpoint=tmp_path / "state", **data)
    history = rest.fit(X, Y, epochs=5, optimizer="adam", resume=tmp_path / "state", **data)
    assert rest.parameters.tobytes() == whole.parameters.tobytes()
    assert history.epochs == 5


def test_train_epoch_takes_it_too():
    network, fitted = make(n_out=2), make(n_out=2)
    order = np.arange(90)
    losses = np.empty(3)
    for _ in range(2):
        mean = network.train_epoch(
            X, Y, order, batch_size=40, optimizer=fastmlp.SGD(), loss=half_squared_error,
            batch_losses=losses,
        )  # fmt: skip
    history = fitted.fit(X, Y, epochs=2, batch_size=40, shuffle=False, loss=half_squared_error)
    assert network.parameters.tobytes() == fitted.parameters.tobytes()
    assert mean == history.loss[-1] == pytest.approx(losses @ [40, 40, 10] / 90)
    for wrong in ({"sample_weight": np.ones(90)}, {"objective": fastmlp.Objective()}):
        with pytest.raises(ValueError, match="sample_weight and objective are for the losses"):
            network.train_epoch(
                X, Y, order, batch_size=40, optimizer=fastmlp.SGD(), loss=half_squared_error,
                **wrong,
            )  # fmt: skip
    with pytest.raises(ValueError, match=r"train_epoch: y has shape \(89, 2\); it must have 90"):
        network.train_epoch(
            X, Y[1:], order, batch_size=9, optimizer=fastmlp.SGD(), loss=half_squared_error
        )


def test_a_traceback_may_read_what_the_loss_was_given():
    """Debuggers and reports of errors read the variables of its frames, when the call is over."""

    def loss(Y, y):
        raise KeyError("mine")

    network = fastmlp.Network([4, 200, 3], output="identity", seed=0)
    rows = np.repeat(X, 1000, axis=0)
    with pytest.raises(KeyError) as caught:
        network.fit(rows, rows[:, :3], epochs=1, batch_size=len(rows), loss=loss)
    expected = np.sort(fastmlp.Network([4, 200, 3], output="identity", seed=0).forward(rows)[:, 0])
    traceback, seen = caught.tb, 0
    while traceback is not None:
        given = traceback.tb_frame.f_locals.get("Y")
        if isinstance(given, np.ndarray) and given.shape == (len(rows), 3):
            assert np.array_equal(np.sort(given[:, 0]), expected)
            seen += 1
        traceback = traceback.tb_next
    assert seen >= 2


@KINDS
@pytest.mark.parametrize("optimizer", ["sgd", "lbfgs"])
def test_a_loss_may_change_its_targets(kind, optimizer):
    def filling(Y, y):
        missing = np.isnan(y)
        y[missing] = Y[missing]
        return half_squared_error(Y, y)

    y = np.where(RNG.random(90) < 0.3, np.nan, Y[:, 0])
    data, validation = y.copy(), y[:30].copy()
    network = make(kind)
    history = network.fit(
        X, data, epochs=3, optimizer=optimizer, loss=filling, validation_data=(X[:30], validation)
    )
    assert np.array_equal(data, y, equal_nan=True)
    assert np.array_equal(validation, y[:30], equal_nan=True)
    known = ~np.isnan(y[:30])
    error = (network.forward(X[:30])[:, 0] - y[:30])[known]
    assert history.val_loss[-1] == pytest.approx(np.sum(error**2) / 2 / 30)


@KINDS
def test_masked_values_are_refused(kind):
    masked = np.ma.masked_less(Y[:, 0], 0)
    with pytest.raises(ValueError, match="fit: y has masked values"):
        make(kind).fit(X, masked, epochs=1, loss=half_squared_error)
    with pytest.raises(ValueError, match="validation_data: y has masked values"):
        make(kind).fit(X, Y[:, 0], epochs=1, loss=half_squared_error, validation_data=(X, masked))
    with pytest.raises(ValueError, match="a dY with masked values"):
        make(kind).fit(X, Y[:, 0], epochs=1, loss=lambda Y, y: (0.0, np.ma.masked_less(Y - y, 0)))


@KINDS
def test_a_loss_that_fails_in_the_first_scaled_epoch_leaves_no_scaling_behind(kind):
    network, fresh = make(kind), make(kind)
    with pytest.raises(TypeError, match="it must return"):
        network.fit(X, Y[:, 0], epochs=1, standardize=True, loss=lambda Y, y: None)
    assert network.scaling is None
    assert network.parameters.tobytes() == fresh.parameters.tobytes()
    for each in (network, fresh):
        each.fit(X, 1000 * Y[:, 0], epochs=2, standardize=True)
    assert network.parameters.tobytes() == fresh.parameters.tobytes()


def test_a_resumed_run_has_a_loss_of_its_own_if_the_run_had(tmp_path):
    path = tmp_path / "state"
    for had, has, message in (
        ({"loss": half_squared_error}, {}, "loss is not given here and given in the checkpoint"),
        ({}, {"loss": half_squared_error}, "loss is given here and not given in the checkpoint"),
    ):
        make().fit(X, Y[:, 0], epochs=2, checkpoint=path, **had)
        with pytest.raises(ValueError, match=message):
            make().fit(X, Y[:, 0], epochs=3, resume=path, **has)
        assert fastmlp.Network.load(path).epochs_trained == 2


@KINDS
@pytest.mark.filterwarnings("ignore:(invalid value|overflow):RuntimeWarning")  # of the twin
def test_the_advice_after_divergence_does_not_look_at_the_targets(kind):
    def diverging(Y, y):
        return 1.0, np.full_like(Y, 1e300)

    for y in (np.array(["a", "b", "c"] * 30), [None] * 90, 1e9 * Y, np.arange(90)):
        with pytest.raises(FloatingPointError, match="a lower learning rate") as caught:
            make(kind, dtype="float32").fit(X, y, epochs=1, loss=diverging)
        assert "standardize" not in str(caught.value)


def test_train_epoch_names_a_loss_that_cannot_be_called():
    with pytest.raises(TypeError, match="train_epoch: loss is 'huber'; it must be callable"):
        make().train_epoch(
            X, Y[:, 0], np.arange(9), batch_size=3, optimizer=fastmlp.SGD(), loss="huber"
        )
