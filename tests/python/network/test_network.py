"""Every member of `Network` against the twin in float64, and what holds between the members.

`Case` draws a network and data; its `bounds` say how far the results may be from the twin's
(tolerances.py). The data are arrays of the network's own dtype until "Data as it comes".
"""

import copy
import gc
import threading
import tracemalloc
import weakref
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import arrays
import fastmlp
import tolerances
from fastmlp import _core, reference

pytestmark = pytest.mark.sparse

DTYPES = pytest.mark.parametrize("dtype", arrays.DTYPES)
WIDTHS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33)
ROWS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 65)
WEIGHTS = ("none", "some", "some of them 0", "all of them 0")


@dataclass
class Case:
    """A network, its twin in float64 with the same parameters, and rows of data."""

    native: fastmlp.Network
    twin: reference.Network
    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None = None
    threads: int = 1
    classes: str = "indices"

    @property
    def dtype(self):
        return self.native.dtype

    @property
    def rows(self):
        return len(self.X)

    def bounds(self, y=True, weighted=True, parameter_error=None):
        """Bounds for one pass over all rows with the twin's present parameters."""
        return tolerances.network(
            self.twin,
            self.X.astype(np.float64),
            self.y if y else None,
            self.weight if weighted else None,
            dtype=self.dtype,
            parameter_error=parameter_error,
        )

    def doubles(self, weighted=True):
        """The data for the twin."""
        X, y = self.X.astype(np.float64), self.y.astype(np.float64)
        return (X, y) if self.weight is None or not weighted else (X, y, self.weight)


def make_case(
    layers,
    hidden="relu",
    output="sigmoid",
    *,
    dtype="float64",
    rows=9,
    seed=0,
    weights="none",
    threads=1,
    classes="indices",
    loss=None,
):
    options = {"hidden": hidden, "output": output, "seed": seed, **(loss or {})}
    native = fastmlp.Network(layers, dtype=dtype, **options)
    twin = reference.Network(layers, dtype="float64", **options)
    rng = np.random.default_rng(seed)
    native.parameters[:] += rng.standard_normal(native.n_parameters) / 4  # biases that are not 0
    if output == "exp":
        native.weights[-1][:] /= 8  # or e^z would be out of bounds soon
    twin.parameters[:] = native.parameters
    X = rng.standard_normal((rows, layers[0])).astype(dtype)
    n_targets = 1 if native.loss_name == "pinball" else layers[-1]
    y = targets(rng, rows, n_targets, output, classes).astype(dtype)
    return Case(native, twin, X, y, sample_weight(rng, rows, weights, dtype), threads, classes)


def targets(rng, rows, n_out, output, classes):
    if output == "softmax":
        indices = rng.integers(0, n_out, rows)
        return np.eye(n_out)[indices] if classes == "one-hot" else indices
    y = rng.random((rows, n_out)) if output == "sigmoid" else rng.standard_normal((rows, n_out))
    y = np.abs(y) if output == "exp" else y
    y = np.where(rng.random(y.shape) < 0.5, np.round(np.clip(y, 0, 1)), y)
    return y[:, 0] if n_out == 1 and rng.random() < 0.5 else y


def sample_weight(rng, rows, weights, dtype):
    if weights == "none":
        return None
    weight = rng.random(rows) + 0.125
    if weights == "some of them 0":
        weight[rng.random(rows) < 0.5] = 0
        weight[rng.integers(rows)] = 1
    return weight.astype(dtype) * (0 if weights == "all of them 0" else 1)


def losses(n_out):
    """The arguments for each loss that an identity output can have."""
    quantiles = [(j + 1) / (n_out + 1) for j in range(n_out)]
    return [
        {},
        {"loss": "huber", "delta": 0.5},
        {"loss": "absolute_error"},
        {"loss": "pinball", "quantiles": quantiles},
    ]


@st.composite
def cases(draw, weights=WEIGHTS):
    layers = draw(st.lists(st.sampled_from(WIDTHS), min_size=2, max_size=4))
    output = draw(st.sampled_from(_core.OUTPUTS))
    if output == "softmax":
        layers[-1] += 1
    elif draw(st.booleans()):
        layers[-1] = 1
    n_hidden = len(layers) - 2
    activation = st.sampled_from(_core.ACTIVATIONS)
    return make_case(
        layers,
        draw(activation | st.lists(activation, min_size=n_hidden, max_size=n_hidden)),
        output,
        dtype=draw(st.sampled_from(arrays.DTYPES)),
        rows=draw(st.sampled_from(ROWS)),
        seed=draw(arrays.seeds),
        weights=draw(st.sampled_from(weights)),
        threads=draw(st.sampled_from(arrays.THREADS)),
        classes=draw(st.sampled_from(["indices", "one-hot"])),
        loss=draw(st.sampled_from(losses(layers[-1]))) if output == "identity" else None,
    )


every_case = cases()
unweighted_cases = cases(weights=["none"])
random_test = arrays.examples(120)

# Each kind of output, with and without hidden layers.
OUTPUTS = {
    "one sigmoid": {"layers": [3, 5, 1]},
    "several sigmoids": {"layers": [3, 5, 4]},
    "softmax of indices": {"layers": [3, 5, 4], "output": "softmax"},
    "softmax of one-hot rows": {"layers": [3, 5, 4], "output": "softmax", "classes": "one-hot"},
    "one identity": {"layers": [3, 5, 1], "output": "identity"},
    "several identities": {"layers": [3, 5, 4], "output": "identity"},
    "huber": {"layers": [3, 5, 4], "output": "identity", "loss": {"loss": "huber"}},
    "one absolute error": {
        "layers": [3, 5, 1],
        "output": "identity",
        "loss": {"loss": "absolute_error"},
    },
    "pinball": {
        "layers": [3, 5, 3],
        "output": "identity",
        "loss": {"loss": "pinball", "quantiles": [0.125, 0.5, 0.75]},
    },
    "one exp": {"layers": [3, 5, 1], "output": "exp"},
    "several exps": {"layers": [3, 5, 4], "output": "exp"},
    "sigmoid, no hidden layer": {"layers": [3, 1]},
    "softmax, no hidden layer": {"layers": [3, 4], "output": "softmax"},
    "widths of 1": {"layers": [1, 1, 1, 1], "hidden": ["tanh", "sigmoid"]},
}
KINDS = pytest.mark.parametrize("kind", OUTPUTS)


def state(network):
    return network.parameters.tobytes(), network.gradients.tobytes(), network.epochs_trained


# What it is


@given(every_case)
@random_test
def test_a_network_describes_itself_as_its_twin_does(case):
    native, twin = case.native, case.twin
    structure = ("layers", "hidden", "output", "loss_name", "delta", "quantiles", "n_parameters")
    for name in (*structure, "seed", "epochs_trained"):
        assert getattr(native, name) == getattr(twin, name)
        assert type(getattr(native, name)) is type(getattr(twin, name))
    assert [W.shape for W in native.weights] == [W.shape for W in twin.weights]
    assert [b.shape for b in native.biases] == [b.shape for b in twin.biases]
    assert native.parameters.shape == native.gradients.shape == (native.n_parameters,)


@given(every_case)
@random_test
def test_the_initial_parameters_are_the_twins(case):
    options = {"hidden": case.twin.hidden, "output": case.twin.output, "seed": case.twin.seed}
    native = fastmlp.Network(case.twin.layers, dtype=case.dtype, **options)
    twin = reference.Network(case.twin.layers, dtype=case.dtype, **options)
    np.testing.assert_array_equal(native.parameters, twin.parameters, strict=True)
    assert not native.gradients.any()
    assert native.epochs_trained == 0


# forward, predict


@given(every_case)
@random_test
def test_forward_is_the_twins(case):
    with fastmlp.threads(case.threads):
        outputs = case.native.forward(case.X)
    assert outputs.dtype == case.dtype
    assert outputs.flags.c_contiguous
    expected = case.twin.forward(case.X.astype(np.float64))
    tolerances.assert_within(outputs, expected, case.bounds(y=False).outputs)


@KINDS
@DTYPES
@pytest.mark.parametrize("rows", [511, 512, 513, 1500])
def test_forward_of_many_rows_is_that_of_each(rows, dtype, kind):
    case = make_case(**OUTPUTS[kind], dtype=dtype, rows=rows)
    outputs = arrays.in_every_setting(lambda: case.native.forward(case.X))
    expected = case.twin.forward(case.X.astype(np.float64))
    tolerances.assert_within(outputs, expected, case.bounds(y=False).outputs)
    for row in (0, 1, rows // 2, rows - 1):
        np.testing.assert_array_equal(case.native.forward(case.X[row : row + 1])[0], outputs[row])


@KINDS
@DTYPES
def test_one_row_without_its_axis_gives_outputs_without_it(dtype, kind):
    case = make_case(**OUTPUTS[kind], dtype=dtype)
    whole = case.native.forward(case.X[:1])
    one = case.native.forward(case.X[0])
    assert one.shape == (case.native.layers[-1],)
    np.testing.assert_array_equal(one, whole[0], strict=True)
    out = np.full(one.shape, np.nan, dtype)
    assert case.native.forward(case.X[0], out) is out
    np.testing.assert_array_equal(out, one)


@KINDS
@DTYPES
def test_no_rows_give_no_outputs(dtype, kind):
    case = make_case(**OUTPUTS[kind], dtype=dtype)
    n_out = case.native.layers[-1]
    outputs = case.native.forward(case.X[:0])
    assert outputs.shape == (0, n_out)
    assert outputs.dtype == dtype
    out = np.empty((0, n_out), dtype)
    assert case.native.forward(case.X[:0], out=out) is out
    assert case.native.forward(np.empty((0, case.native.layers[0]), np.float16)).shape == (0, n_out)


def test_one_row_is_converted_as_a_matrix_is():
    network = fastmlp.Network([2, 1], output="identity", seed=0)
    row = np.array([1e300, -1.0])  # infinite in float32, without a warning
    assert network.forward(row).tobytes() == network.forward(row[np.newaxis])[0].tobytes()


@KINDS
@DTYPES
@pytest.mark.parametrize("layout", arrays.WRITABLE)
@pytest.mark.parametrize("rows", [1, 9, 700])
def test_forward_writes_to_out_and_nowhere_else(rows, layout, dtype, kind):
    case = make_case(**OUTPUTS[kind], dtype=dtype, rows=rows)
    expected = case.native.forward(case.X)
    out = arrays.laid_out(np.full(expected.shape, np.nan, dtype), layout)
    outside = arrays.around(out)
    assert case.native.forward(case.X, out=out) is out
    np.testing.assert_array_equal(out, expected)
    assert arrays.around(out) == outside


@given(every_case)
@random_test
def test_predictions_are_the_twins(case):
    expected = case.twin.predict(case.X.astype(np.float64))
    with fastmlp.threads(case.threads):
        labels = case.native.predict(case.X)
    assert labels.shape == expected.shape
    bounds = case.bounds(y=False).outputs
    if case.native.output in ("identity", "exp"):
        tolerances.assert_within(labels, expected, bounds.reshape(expected.shape))
        return
    assert labels.dtype == np.int64
    outputs = case.twin.forward(case.X.astype(np.float64))
    if case.native.output == "softmax":
        two = np.sort(outputs, axis=1)[:, -2:]
        clear = two[:, 1] - two[:, 0] > 2 * bounds.max(axis=1)
    else:
        clear = (np.abs(outputs - 0.5) > bounds).reshape(labels.shape)
    np.testing.assert_array_equal(labels[clear], expected[clear])


def test_nan_in_a_row_gives_nan_in_that_row_alone():
    for kind in OUTPUTS:
        case = make_case(**OUTPUTS[kind], rows=20)
        case.X[7, 0] = np.nan
        outputs = case.native.forward(case.X)
        assert np.isnan(outputs[7]).all(), kind
        assert not np.isnan(np.delete(outputs, 7, axis=0)).any(), kind


def test_many_threads_may_call_forward_at_once():
    case = make_case([8, 32, 16, 3], output="softmax", rows=700)
    expected = case.native.forward(case.X)
    outcomes = []

    def call():
        outcomes.append(all(np.array_equal(case.native.forward(case.X), expected) for _ in "123"))

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert outcomes == [True] * 4


# loss, loss_and_gradients, accumulate_gradients


@given(every_case)
@random_test
def test_the_loss_is_the_twins(case):
    assume(case.weight is None or case.weight.any())
    before = state(case.native)
    with fastmlp.threads(case.threads):
        loss = case.native.loss(case.X, case.y, case.weight)
    assert type(loss) is float
    tolerances.assert_within(loss, case.twin.loss(*case.doubles()), case.bounds().loss, "loss")
    assert state(case.native) == before


@given(every_case)
@random_test
def test_loss_and_gradients_are_the_twins(case):
    case.native.gradients[:] = np.nan  # replaced, not added to
    before = case.native.parameters.tobytes()
    with fastmlp.threads(case.threads):
        loss = case.native.loss_and_gradients(case.X, case.y, sample_weight=case.weight)
    assert type(loss) is float
    bounds = case.bounds()
    expected = case.twin.loss_and_gradients(*case.doubles())
    tolerances.assert_within(loss, expected, bounds.loss, "loss")
    tolerances.assert_within(
        case.native.gradients, case.twin.gradients, bounds.gradients, "gradient"
    )
    assert case.native.parameters.tobytes() == before
    if case.weight is None or case.weight.any():  # `loss` refuses a sum of 0
        assert loss == case.native.loss(case.X, case.y, case.weight)


@given(every_case)
@random_test
def test_accumulated_gradients_are_the_twins_sums(case):
    with fastmlp.threads(case.threads):
        once = case.native.accumulate_gradients(case.X, case.y, case.weight)
        gradients = case.native.gradients.copy()
        case.native.gradients[:] = 1
        again = case.native.accumulate_gradients(case.X, case.y, case.weight)
    loss_sum, weight_sum = once
    S = case.rows if case.weight is None else case.weight.sum(dtype=np.float64)
    bounds = case.bounds()
    mean = case.twin.loss_and_gradients(*case.doubles())
    eps = np.finfo(np.float64).eps
    assert weight_sum == pytest.approx(S, rel=case.rows * eps)
    tolerances.assert_within(loss_sum, mean * S, bounds.loss * S + 2 * eps * mean * S, "loss")
    bound = bounds.gradients * S
    tolerances.assert_within(gradients, case.twin.gradients * S, bound, "gradient")
    assert once == again
    rounding = np.finfo(case.dtype).eps * (np.abs(gradients) + 1)
    tolerances.assert_within(case.native.gradients, gradients.astype(float) + 1, rounding)


@KINDS
@DTYPES
def test_two_halves_accumulate_to_the_whole(dtype, kind):
    case = make_case(**OUTPUTS[kind], dtype=dtype, rows=21, weights="some")
    loss_sum = weight_sum = 0.0
    for part in (slice(0, 8), slice(8, None)):
        sums = case.native.accumulate_gradients(case.X[part], case.y[part], case.weight[part])
        loss_sum, weight_sum = loss_sum + sums[0], weight_sum + sums[1]
    accumulated = case.native.gradients / weight_sum
    bounds = case.bounds()
    mean = case.native.loss_and_gradients(case.X, case.y, case.weight)
    tolerances.assert_within(loss_sum / weight_sum, mean, 2 * bounds.loss, "loss")
    tolerances.assert_within(accumulated, case.native.gradients, 2 * bounds.gradients, "gradient")


@KINDS
def test_weights_of_two_count_rows_twice(kind):
    case = make_case(**OUTPUTS[kind])
    weight = np.array([1, 2, 1, 0, 2, 1, 1, 2, 0])
    twice = np.repeat(np.arange(9), weight)
    loss = case.native.loss_and_gradients(case.X, case.y, weight)
    gradients = case.native.gradients.copy()
    assert loss == pytest.approx(
        case.native.loss_and_gradients(case.X[twice], case.y[twice]), rel=1e-14
    )
    np.testing.assert_allclose(gradients, case.native.gradients, rtol=1e-12, atol=1e-15)


@KINDS
@DTYPES
def test_without_rows_there_is_no_loss_and_no_gradient(dtype, kind):
    case = make_case(**OUTPUTS[kind], dtype=dtype)
    X, y = case.X[:0], case.y[:0]
    before = case.native.parameters.tobytes()
    case.native.gradients[:] = 1
    assert case.native.loss(X, y) == 0
    assert case.native.accumulate_gradients(X, y) == (0, 0)
    assert (case.native.gradients == 1).all()
    assert case.native.loss_and_gradients(X, y) == 0
    assert not case.native.gradients.any()
    assert case.native.step(X, y, 0.5) == 0
    assert case.native.parameters.tobytes() == before


def test_softmax_indices_and_one_hot_rows_are_the_same_bits():
    case = make_case([3, 5, 4], output="softmax")
    one_hot = np.eye(4)[case.y.astype(int)]
    column = case.y[:, np.newaxis]
    losses, gradients = set(), set()
    for y in (case.y, column, one_hot, one_hot.astype(bool)):
        losses.add(case.native.loss_and_gradients(case.X, y))
        gradients.add(case.native.gradients.tobytes())
    assert len(losses) == len(gradients) == 1


@pytest.mark.parametrize("kind", ["one sigmoid", "softmax of indices", "one identity"])
def test_the_loss_does_not_hide_nan(kind):
    case = make_case(**OUTPUTS[kind])
    case.X[4, 1] = np.nan
    assert np.isnan(case.native.loss(case.X, case.y))
    assert np.isnan(case.native.loss_and_gradients(case.X, case.y))
    assert np.isnan(case.native.step(case.X, case.y, 0.1))


# apply_gradients, step, train_epoch


@given(unweighted_cases, st.sampled_from([0.01, 0.5, 2.0]))
@random_test
def test_a_step_is_the_twins(case, learning_rate):
    case.native.gradients[:] = 3
    bounds = case.bounds()
    with fastmlp.threads(case.threads):
        loss = case.native.step(case.X, case.y, learning_rate)
    case.twin.loss_and_gradients(*case.doubles())
    expected = case.twin.step(*case.doubles(), learning_rate)
    assert type(loss) is float
    tolerances.assert_within(loss, expected, bounds.loss, "loss")
    bound = tolerances.updated(case.twin, bounds.gradients, learning_rate, dtype=case.dtype)
    tolerances.assert_within(case.native.parameters, case.twin.parameters, bound, "parameter")
    assert (case.native.gradients == 3).all()
    assert case.native.epochs_trained == 0


@given(unweighted_cases, st.sampled_from([0.01, 0.5, 1 / 3]))
@random_test
def test_a_step_is_loss_and_gradients_and_their_application_to_the_bit(case, learning_rate):
    other = case.native.copy()
    with fastmlp.threads(case.threads):
        loss = case.native.step(case.X, case.y, learning_rate)
    assert other.loss_and_gradients(case.X, case.y) == loss
    other.apply_gradients(fastmlp.SGD(learning_rate))
    assert case.native.parameters.tobytes() == other.parameters.tobytes()


@KINDS
@DTYPES
@pytest.mark.parametrize("rows", [4096, 4097, 8200])
def test_a_batch_of_more_than_4096_rows_is_the_twins_and_one_step_to_the_bit(rows, dtype, kind):
    case = make_case(**OUTPUTS[kind], dtype=dtype, rows=rows)
    bounds, fused = case.bounds(), case.native.copy()
    loss = case.native.loss_and_gradients(case.X, case.y)
    expected = case.twin.loss_and_gradients(*case.doubles())
    tolerances.assert_within(loss, expected, bounds.loss, "loss")
    tolerances.assert_within(
        case.native.gradients, case.twin.gradients, bounds.gradients, "gradient"
    )
    assert case.native.loss(case.X, case.y) == loss
    with fastmlp.threads(2):
        assert fused.step(case.X, case.y, 0.25) == loss
    case.native.apply_gradients(fastmlp.SGD(0.25))
    assert fused.parameters.tobytes() == case.native.parameters.tobytes()


@KINDS
@DTYPES
@pytest.mark.parametrize("rows", [600, 4097, 8200])
def test_many_weighted_rows_are_the_twins(rows, dtype, kind):
    case = make_case(**OUTPUTS[kind], dtype=dtype, rows=rows, weights="some of them 0")
    bounds = case.bounds()
    with fastmlp.threads(2):
        loss = case.native.loss_and_gradients(case.X, case.y, case.weight)
    expected = case.twin.loss_and_gradients(*case.doubles())
    tolerances.assert_within(loss, expected, bounds.loss, "loss")
    tolerances.assert_within(
        case.native.gradients, case.twin.gradients, bounds.gradients, "gradient"
    )
    assert case.native.loss(case.X, case.y, case.weight) == loss


@DTYPES
@pytest.mark.parametrize("output", _core.OUTPUTS)
@pytest.mark.parametrize("hidden", ["tanh", "gelu"])  # whose slope is found from A, and from Z
@pytest.mark.parametrize(
    "layers", [[3, 300, 2], [300, 5, 7], [3, 2, 530], [40, 600, 1], [4100, 6, 3]], ids=repr
)
def test_wide_layers_are_the_twins(layers, hidden, output, dtype):
    layers = [*layers[:2], max(2, layers[2])] if output == "softmax" else layers
    case = make_case(layers, hidden, output, dtype=dtype, rows=17, weights="some")
    bounds = case.bounds()

    def gradients():
        case.native.loss_and_gradients(case.X, case.y, case.weight)
        return case.native.gradients.copy()

    found = arrays.in_every_setting(gradients)
    loss = case.native.loss(case.X, case.y, case.weight)
    expected = case.twin.loss_and_gradients(*case.doubles())
    tolerances.assert_within(loss, expected, bounds.loss, "loss")
    tolerances.assert_within(found, case.twin.gradients, bounds.gradients, "gradient")
    outputs = case.twin.forward(case.X.astype(np.float64))
    tolerances.assert_within(case.native.forward(case.X), outputs, bounds.outputs)


@DTYPES
def test_the_bounds_of_these_tests_are_narrow(dtype):
    """A bound that allows anything would test nothing."""
    for kind in OUTPUTS:
        case = make_case(**OUTPUTS[kind], dtype=dtype)
        bounds, eps = case.bounds(), np.finfo(dtype).eps
        loss = case.native.loss_and_gradients(case.X, case.y)
        assert bounds.outputs.max() < 100 * eps * (1 + np.abs(case.native.forward(case.X)).max())
        assert bounds.loss < 100 * eps * (1 + loss)
        assert bounds.gradients.max() < 500 * eps * (1 + np.abs(case.native.gradients).max())


@DTYPES
@pytest.mark.parametrize("scale", [1.0, 0.5, -2.0, 0.0])
def test_gradients_are_applied_times_scale(scale, dtype):
    case = make_case([3, 5, 1], dtype=dtype)
    case.native.gradients[:] = np.random.default_rng(1).standard_normal(case.native.n_parameters)
    start, gradients = case.native.parameters.astype(float), case.native.gradients.copy()
    case.native.apply_gradients(fastmlp.SGD(learning_rate=0.25), scale=scale)
    bound = tolerances.sgd_update(start, scale * gradients, 0.25, dtype)
    expected = start - 0.25 * scale * gradients.astype(float)
    tolerances.assert_within(case.native.parameters, expected, bound)
    np.testing.assert_array_equal(case.native.gradients, gradients)


def test_accumulated_gradients_are_applied_as_the_mean_by_their_scale():
    case = make_case([3, 5, 1])
    other = case.native.copy()
    _, weight_sum = case.native.accumulate_gradients(case.X, case.y)
    case.native.apply_gradients(fastmlp.SGD(0.5), scale=1 / weight_sum)
    other.step(case.X, case.y, 0.5)
    np.testing.assert_allclose(case.native.parameters, other.parameters, rtol=1e-14, atol=1e-15)


def epoch_bounds(case, order, batch_size, learning_rate):
    """Bounds of an epoch's loss and of the parameters after it, batch by batch."""
    twin, error = copy.deepcopy(case.twin), np.zeros(case.native.n_parameters)
    loss_bound = S_sum = 0.0
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        weight = None if case.weight is None else case.weight[rows]
        batch = Case(case.native, twin, case.X[rows], case.y[rows], weight)
        S = len(rows) if weight is None else weight.sum(dtype=float)
        if S == 0:
            continue
        bounds = batch.bounds(parameter_error=error)
        loss_bound, S_sum = loss_bound + bounds.loss * S, S_sum + S
        twin.loss_and_gradients(*batch.doubles())
        reference.sgd_update(twin.parameters, twin.gradients, learning_rate)
        error = tolerances.updated(
            twin, bounds.gradients, learning_rate, dtype=case.dtype, parameter_error=error
        )
    return loss_bound / (S_sum or 1), error


@given(every_case, st.sampled_from([1, 2, 3, 4, 8, 100]), st.sampled_from([0.0625, 0.1]))
@random_test
def test_an_epoch_is_the_twins(case, batch_size, learning_rate):
    batches = 3  # the bounds grow with every one
    if case.native.output == "exp":
        learning_rate /= 64  # or the steps would, too
    rows = min(case.rows, batches * batch_size - 1)
    order = np.random.default_rng(rows).integers(0, case.rows, rows)
    options = {"batch_size": batch_size, "optimizer": fastmlp.SGD(learning_rate)}
    loss_bound, bound = epoch_bounds(case, order, batch_size, learning_rate)
    with fastmlp.threads(case.threads):
        loss = case.native.train_epoch(case.X, case.y, order, sample_weight=case.weight, **options)
    X, y = case.doubles(weighted=False)
    expected = case.twin.train_epoch(X, y, order, sample_weight=case.weight, **options)
    assert type(loss) is float
    tolerances.assert_within(loss, expected, loss_bound, "loss")
    tolerances.assert_within(case.native.parameters, case.twin.parameters, bound, "parameter")
    assert case.native.epochs_trained == case.twin.epochs_trained == 1


@KINDS
@DTYPES
@pytest.mark.parametrize("batch_size", [1, 4, 11, 12, 2**60])
def test_an_epoch_is_a_step_per_batch_to_the_bit(batch_size, dtype, kind):
    case = make_case(**OUTPUTS[kind], dtype=dtype, rows=11)
    order = np.array([10, 3, 3, 0, 7, 1, 2, 9, 8, 6, 5])
    steps, size = case.native.copy(), min(batch_size, 11)
    loss = case.native.train_epoch(
        case.X, case.y, order, batch_size=batch_size, optimizer=fastmlp.SGD(0.25)
    )
    loss_sum = 0.0
    for start in range(0, 11, size):
        rows = order[start : start + size]
        loss_sum += steps.step(case.X[rows], case.y[rows], 0.25) * len(rows)
    assert case.native.parameters.tobytes() == steps.parameters.tobytes()
    assert loss == pytest.approx(loss_sum / 11, rel=1e-14)


@pytest.mark.parametrize("batch_size", [4097, 10000])
def test_an_epoch_of_batches_of_more_than_4096_rows_is_steps_to_the_bit(batch_size):
    case = make_case([3, 5, 2], output="softmax", dtype="float32", rows=8200)
    order = np.arange(8200)[::-1]
    steps = case.native.copy()
    case.native.train_epoch(
        case.X, case.y, order, batch_size=batch_size, optimizer=fastmlp.SGD(0.25)
    )
    for start in range(0, 8200, batch_size):
        rows = order[start : start + batch_size]
        steps.step(case.X[rows], case.y[rows], 0.25)
    assert case.native.parameters.tobytes() == steps.parameters.tobytes()


@KINDS
@DTYPES
def test_an_epoch_without_rows_is_an_epoch(dtype, kind):
    case = make_case(**OUTPUTS[kind], dtype=dtype)
    before = case.native.parameters.tobytes()
    for order in ([], np.empty(0, np.int64)):
        options = {"batch_size": 4, "optimizer": fastmlp.SGD()}
        assert case.native.train_epoch(case.X, case.y, order, **options) == 0
    assert case.native.parameters.tobytes() == before
    assert case.native.epochs_trained == 2


@KINDS
@DTYPES
def test_a_batch_of_weights_that_are_all_zero_changes_nothing(dtype, kind):
    case = make_case(**OUTPUTS[kind], dtype=dtype, weights="all of them 0")
    data = case.X, case.y, case.weight
    before = case.native.parameters.tobytes()
    case.native.gradients[:] = 1
    assert case.native.accumulate_gradients(*data) == (0, 0)
    assert (case.native.gradients == 1).all()
    assert case.native.loss_and_gradients(*data) == 0
    assert not case.native.gradients.any()
    options = {"batch_size": 4, "optimizer": fastmlp.SGD(0.5), "sample_weight": case.weight}
    assert case.native.train_epoch(case.X, case.y, np.arange(case.rows), **options) == 0
    assert case.native.parameters.tobytes() == before


@KINDS
def test_a_batch_whose_weights_are_all_zero_is_skipped(kind):
    case = make_case(**OUTPUTS[kind], rows=9)
    weight = np.array([1, 2, 1, 0, 0, 0, 1, 1, 0.5])
    rest = np.array([0, 1, 2, 6, 7, 8])
    other = case.native.copy()
    options = {"batch_size": 3, "optimizer": fastmlp.SGD(0.25), "sample_weight": weight}
    loss = case.native.train_epoch(case.X, case.y, np.arange(9), **options)
    assert other.train_epoch(case.X, case.y, rest, **options) == loss
    assert case.native.parameters.tobytes() == other.parameters.tobytes()


def test_epochs_trained_can_be_set():
    network = fastmlp.Network([2, 1])
    network.epochs_trained = 7
    network.train_epoch([[1, 2]], [1], [0], batch_size=1, optimizer=fastmlp.SGD())
    assert network.epochs_trained == 8


# Fitting


@KINDS
@pytest.mark.parametrize("weights", ["none", "some of them 0"])
def test_fit_is_the_twins(weights, kind):
    case = make_case(**OUTPUTS[kind], rows=21, weights=weights)
    X, y = case.doubles(weighted=False)
    options = {"epochs": 3, "batch_size": 4, "sample_weight": case.weight, "learning_rate": 0.1}
    histories = [
        network.fit(X, y, validation_data=(X[:5], y[:5]), **options)
        for network in (case.native, case.twin)
    ]
    # 18 steps multiply the rounding errors of the first by what each does to a difference, about
    # 1 + α times a curvature, which is below 10 here.
    bound = 100 * np.finfo(float).eps * (1 + 10 * 0.1) ** 18
    np.testing.assert_allclose(case.native.parameters, case.twin.parameters, rtol=0, atol=bound)
    np.testing.assert_allclose(histories[0].loss, histories[1].loss, rtol=0, atol=bound)
    np.testing.assert_allclose(histories[0].val_loss, histories[1].val_loss, rtol=0, atol=bound)
    assert case.native.epochs_trained == case.twin.epochs_trained == 3


# Views

VIEWS = ("weights", "biases", "parameters", "gradients")
MEMBERS = (*VIEWS, "layers", "hidden", "output", "dtype", "n_parameters", "seed")


@DTYPES
def test_views_lie_in_the_flat_buffers_in_their_order(dtype):
    network = fastmlp.Network([3, 5, 2], dtype=dtype, seed=1)
    network.parameters[:] = np.arange(network.n_parameters)
    expected = np.arange(3 * 5 + 5 + 5 * 2 + 2)
    W_1, b_1, W_2, b_2 = np.split(expected, np.cumsum([15, 5, 10]))
    np.testing.assert_array_equal(network.weights[0], W_1.reshape(3, 5))
    np.testing.assert_array_equal(network.biases[0], b_1)
    np.testing.assert_array_equal(network.weights[1], W_2.reshape(5, 2))
    np.testing.assert_array_equal(network.biases[1], b_2)
    for view in (*network.weights, *network.biases, network.parameters, network.gradients):
        assert view.dtype == dtype
        assert view.flags.writeable
        assert view.flags.c_contiguous
    for view in (*network.weights, *network.biases):
        assert np.shares_memory(view, network.parameters)
        assert not np.shares_memory(view, network.gradients)
    assert network.parameters.ctypes.data % 64 == network.gradients.ctypes.data % 64 == 0


@DTYPES
@pytest.mark.parametrize("write", ["weights", "biases", "parameters"])
def test_writing_through_a_view_changes_forward(write, dtype):
    case = make_case([3, 5, 1], output="identity", dtype=dtype)
    expected = case.native.forward(case.X)
    if write == "parameters":
        case.native.parameters[-6:] *= 2
    else:
        case.native.weights[1][:] *= 2
        case.native.biases[1][:] *= 2
    np.testing.assert_array_equal(case.native.forward(case.X), 2 * expected)


def test_training_shows_in_views_that_were_taken_before():
    case = make_case([3, 5, 1])
    W, b, flat = case.native.weights[0], case.native.biases[1], case.native.parameters
    gradients = case.native.gradients
    before = flat.copy()
    case.native.loss_and_gradients(case.X, case.y)
    assert gradients.any()
    case.native.step(case.X, case.y, 0.5)
    assert not np.array_equal(flat, before)
    np.testing.assert_array_equal(W, flat[:15].reshape(3, 5))
    np.testing.assert_array_equal(b, flat[-1:])


def test_gradients_can_be_written_and_applied():
    network = fastmlp.Network([2, 1], dtype="float64", seed=0)
    before = network.parameters.copy()
    network.gradients[:] = [1, 2, 3]
    network.apply_gradients(fastmlp.SGD(0.5))
    np.testing.assert_array_equal(network.parameters, before - [0.5, 1, 1.5])


@pytest.mark.parametrize("member", VIEWS)
def test_a_view_outlives_the_name_of_its_network(member):
    network = fastmlp.Network([30, 40, 1], seed=1)
    alive = weakref.ref(network)
    view = getattr(network, member)
    view = view[0] if isinstance(view, tuple) else view
    part = view[1:]
    expected = part.copy()
    del network, view
    gc.collect()
    others = [fastmlp.Network([30, 40, 1], seed=seed) for seed in range(5)]
    assert alive() is None  # the view keeps the memory, not the Python object
    np.testing.assert_array_equal(part, expected)
    part[:] = 1
    for other in others:
        assert not np.shares_memory(part, other.parameters)


def test_a_network_that_keeps_a_view_of_itself_is_collected():
    """NumPy arrays take no part in the garbage collector's search for cycles."""
    network = fastmlp.Network([30, 40, 1], seed=1)
    network.first = network.weights[0]
    alive = weakref.ref(network)
    del network
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("member", ["weights", "biases"])
def test_a_layer_is_not_replaced_by_assignment(member):
    network = fastmlp.Network([3, 2, 1], seed=0)
    before = network.parameters.copy()
    with pytest.raises(TypeError, match="item assignment"):
        getattr(network, member)[0] = np.zeros_like(getattr(network, member)[0])
    np.testing.assert_array_equal(network.parameters, before)


@pytest.mark.parametrize("member", MEMBERS)
def test_what_a_network_is_cannot_be_assigned(member):
    network = fastmlp.Network([3, 2, 1], seed=0)
    with pytest.raises(AttributeError):
        setattr(network, member, getattr(network, member))


# Data as it comes

NUMERIC = [
    "float16",
    "float32",
    "float64",
    "longdouble",
    "int8",
    "int64",
    ">i4",
    ">f2",
    ">f4",
    ">f8",
]
FORMS = {
    **{layout: make for layout, make in arrays.LAYOUTS.items() if "broadcast" not in layout},
    **{name: lambda array, name=name: array.astype(name) for name in NUMERIC},
    "list": lambda array: array.tolist(),
    "misaligned float64": lambda array: arrays.misaligned(array.astype("float64")),
    "misaligned float32": lambda array: arrays.misaligned(array.astype("float32")),
    "odd strides of float64": lambda array: arrays.odd_strides(array.astype("float64")),
    "transposed float64": lambda array: arrays.transposed(array.astype("float64")),
    "backwards float32": lambda array: arrays.backwards(array.astype("float32")),
    "stepped int16": lambda array: arrays.stepped(array.astype("int16")),
    "backwards int32": lambda array: arrays.backwards(array.astype("int32")),
    "read-only transposed": lambda array: arrays.read_only(array.T).T,
    "subclass": lambda array: array.view(type("Own", (np.ndarray,), {})),
}


ORDERS = [
    "int8",
    "int32",
    "uint8",
    ">i8",
    "uint64",
    "list",
    "backwards",
    "stepped",
    "misaligned",
    "read_only",
]


def everything(network, X, y, weight=None, order=None):
    """The bits of all that a network makes of the data."""
    order = np.arange(len(X))[::-1] if order is None else order
    network.gradients[:] = 0
    found = [network.forward(X).tobytes(), network.loss(X, y, weight)]
    found += [network.loss_and_gradients(X, y, weight), network.gradients.tobytes()]
    found += [network.accumulate_gradients(X, y, weight), network.gradients.tobytes()]
    found += [network.step(X, y, 0.125), network.parameters.tobytes()]
    options = {"batch_size": 4, "optimizer": fastmlp.SGD(0.125), "sample_weight": weight}
    found += [network.train_epoch(X, y, order, **options), network.parameters.tobytes()]
    return found


def integer_case(kind, dtype, rows=9):
    """A case whose X, y and weights are small integers, the same in every dtype."""
    case = make_case(**OUTPUTS[kind], dtype=dtype, rows=rows)
    rng = np.random.default_rng(3)
    case.X = arrays.small_integers(rng, case.X.shape, dtype)
    case.y = np.round(case.y)
    case.weight = rng.integers(0, 4, rows).astype(dtype)
    return case


@DTYPES
@pytest.mark.parametrize("kind", list(OUTPUTS)[:5])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_data_gives_the_bits_of_its_plain_copy(form, kind, dtype):
    case = integer_case(kind, dtype)
    make = FORMS[form]
    data = [make(array) for array in (case.X, case.y, case.weight)]
    before = [arrays.bits(array) for array in data]
    expected = everything(case.native.copy(), case.X, case.y, case.weight)
    assert everything(case.native.copy(), *data) == expected
    assert [arrays.bits(array) for array in data] == before


@DTYPES
@pytest.mark.parametrize("form", ["bool", "uint8"])
def test_bool_and_unsigned_data_give_the_bits_of_their_plain_copy(form, dtype):
    for kind in OUTPUTS:
        case = integer_case(kind, dtype)
        one_hot = kind == "softmax of one-hot rows"
        X, weight = case.X > 0, case.weight > 1
        y = case.y if "softmax" in kind and not one_hot else case.y > 0
        plain = [array.astype(dtype) for array in (X, y, weight)]
        given = [array.astype(form) for array in (X, y, weight)]
        given[1] = y.astype("uint8") if "softmax" in kind else given[1]
        assert everything(case.native.copy(), *given) == everything(case.native.copy(), *plain)


@DTYPES
@pytest.mark.parametrize("form", ["float16", "int8", "misaligned", "other_byte_order", "backwards"])
def test_converted_data_of_many_blocks_give_the_bits_of_their_plain_copy(form, dtype):
    for kind in ("one sigmoid", "softmax of one-hot rows"):
        case = integer_case(kind, dtype, rows=4700)
        data = [FORMS[form](array) for array in (case.X, case.y, case.weight)]
        order = np.random.default_rng(0).permutation(4700)
        expected = everything(case.native.copy(), case.X, case.y, case.weight, order)
        assert everything(case.native.copy(), *data, order) == expected


@DTYPES
def test_zero_strides_give_the_bits_of_their_plain_copy(dtype):
    case = make_case([3, 5, 1], dtype=dtype)
    for make in arrays.BROADCAST.values():
        X, y, weight = make(case.X), make(case.y), np.broadcast_to(2.0, 9)
        plain = [arrays.plain(array) for array in (X, y, weight)]
        assert everything(case.native.copy(), X, y, weight) == everything(
            case.native.copy(), *plain
        )


@pytest.mark.parametrize("form", ORDERS)
def test_every_form_of_the_order_is_the_same_order(form):
    case = make_case([3, 5, 1])
    order = np.array([3, 1, 4, 1, 5, 8, 2, 6, 0])
    given = FORMS[form](order) if form in FORMS else order.astype(form)
    expected = everything(case.native.copy(), case.X, case.y, None, order)
    assert everything(case.native.copy(), case.X, case.y, None, given) == expected


@DTYPES
def test_fit_takes_every_form_of_the_data(dtype):
    case = integer_case("softmax of indices", dtype)
    trained = set()
    for make in (np.asarray, *FORMS.values()):
        network = case.native.copy()
        X, y, weight = make(case.X), make(case.y), make(case.weight)
        network.fit(
            X, y, sample_weight=weight, validation_data=(X, y), epochs=2, batch_size=4, seed=1
        )
        trained.add(network.parameters.tobytes())
    assert len(trained) == 1


@pytest.mark.parametrize("member", ["forward", "loss", "loss_and_gradients", "train_epoch", "fit"])
@pytest.mark.parametrize("form", ["plain", "fortran", "float16", "misaligned", "other_byte_order"])
def test_a_data_set_is_never_copied_at_once(form, member):
    rows = 20000
    X = arrays.small_integers(np.random.default_rng(0), (rows, 50), np.float32)
    y = X[:, 0] > 0
    network = fastmlp.Network([50, 2, 1], seed=0)
    order, options = np.arange(1000), {"batch_size": 32, "optimizer": fastmlp.SGD()}
    calls = {
        "forward": lambda: network.forward(given),
        "loss": lambda: network.loss(given, y),
        "loss_and_gradients": lambda: network.loss_and_gradients(given, y),
        "train_epoch": lambda: network.train_epoch(given, y, order, **options),
        "fit": lambda: network.fit(given[:5000], y[:5000], epochs=1),
    }
    given = FORMS[form](X)
    tracemalloc.start()
    try:
        calls[member]()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # A block of 4096 rows may be converted, and fit looks for NaN in blocks of 512 KiB.
    assert peak < 0.4 * X.nbytes
