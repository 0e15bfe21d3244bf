"""Bad input gets an error of the right kind that says what was given, and changes nothing.

A message opens with the name of the function; every test names what else has to be in it. What
only `fit` refuses is in test_training.py, dtypes and seeds of networks also in
test_network_python.py.
"""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import arrays
import fastmlp
from fastmlp import ops

pytestmark = pytest.mark.sparse

ROWS = 6
NOT_REAL = {
    "object": lambda array: array.astype(object),
    "str": lambda array: array.astype(str),
    "bytes": lambda array: array.astype(bytes),
    "complex": lambda array: array.astype(complex),
    "datetime": lambda array: array.astype("datetime64[s]"),
    "timedelta": lambda array: array.astype("timedelta64[s]"),
    "void": lambda array: array.astype(np.float64).view("V8").reshape(array.shape),
    "strings in a list": lambda array: array.astype(str).tolist(),
}
CONVERTED_NAMES = {"void": r"(\|V8|void)", "strings in a list": "<U"}

# Each member that takes X and y.
MEMBERS = {
    "loss": lambda network, X, y: network.loss(X, y),
    "loss_and_gradients": lambda network, X, y: network.loss_and_gradients(X, y),
    "accumulate_gradients": lambda network, X, y: network.accumulate_gradients(X, y),
    "step": lambda network, X, y: network.step(X, y, 0.1),
    "train_epoch": lambda network, X, y: network.train_epoch(
        X, y, np.arange(3), batch_size=2, optimizer=fastmlp.SGD()
    ),
    "fit": lambda network, X, y: network.fit(X, y, epochs=1),
    "check_gradients": lambda network, X, y: network.check_gradients(X, y),
}
EVERY_MEMBER = pytest.mark.parametrize("member", MEMBERS)

# Members that take weights of the rows.
WEIGHTED = {
    "loss": lambda network, *data: network.loss(*data),
    "loss_and_gradients": lambda network, *data: network.loss_and_gradients(*data),
    "accumulate_gradients": lambda network, *data: network.accumulate_gradients(*data),
    "train_epoch": lambda network, X, y, weight: network.train_epoch(
        X, y, np.arange(3), batch_size=2, optimizer=fastmlp.SGD(), sample_weight=weight
    ),
    "fit": lambda network, X, y, weight: network.fit(X, y, epochs=1, sample_weight=weight),
}


def make(layers=(3, 4, 1), output="sigmoid", dtype="float32"):
    network = fastmlp.Network(list(layers), output=output, dtype=dtype, seed=5)
    network.gradients[:] = np.arange(network.n_parameters)
    network.epochs_trained = 3
    return network


def good(network, rows=ROWS):
    """X and y that the network takes."""
    rng = np.random.default_rng(1)
    X = arrays.small_integers(rng, (rows, network.layers[0]), network.dtype)
    n_out = network.layers[-1]
    y = rng.integers(0, n_out, rows) if network.output == "softmax" else np.ones((rows, n_out))
    return X, y.astype(network.dtype)


def refused(network, call, error, *message):
    """`call()` raises this error with all of the message, and leaves the network as it was."""
    before = network.parameters.tobytes(), network.gradients.tobytes(), network.epochs_trained
    with pytest.raises(error) as raised:
        call()
    after = network.parameters.tobytes(), network.gradients.tobytes(), network.epochs_trained
    assert after == before
    assert_says(raised, *message)


def assert_says(raised, function, *parts):
    assert type(raised.value) in (ValueError, TypeError)
    text = str(raised.value)
    assert text.startswith(f"{function}: ")
    for part in parts:
        assert re.search(part, text), f"{part!r} is not in {text!r}"


# Shapes of X and y


@EVERY_MEMBER
@pytest.mark.parametrize("columns", [0, 2, 4])
def test_another_number_of_features(columns, member):
    network = make()
    X, y = np.zeros((ROWS, columns)), good(network)[1]
    refused(
        network,
        lambda: MEMBERS[member](network, X, y),
        ValueError,
        member,
        rf"X has shape \({ROWS}, {columns}\)",
        "3 features",
    )


@pytest.mark.parametrize("member", ["forward", "predict"])
@pytest.mark.parametrize("shape", [(5, 2), (0, 4), (2,), (4,), (0,), (1, 0)])
def test_another_number_of_features_to_forward(shape, member):
    network = make()
    refused(
        network,
        lambda: getattr(network, member)(np.zeros(shape)),
        ValueError,
        "forward",
        rf"X has shape \(\d, {shape[-1]}\)",
        "3 features",
    )


@pytest.mark.parametrize("shape", [(), (2, 3, 1), (1, 1, 1, 3)])
def test_forward_takes_one_or_two_dimensions(shape):
    network = make()
    refused(
        network,
        lambda: network.forward(np.zeros(shape)),
        ValueError,
        "forward",
        re.escape(f"X has shape {shape}"),
        "dimensions",
    )


@EVERY_MEMBER
@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 1)])
def test_x_has_two_dimensions(shape, member):
    network = make()
    refused(
        network,
        lambda: MEMBERS[member](network, np.zeros(shape), good(network)[1]),
        ValueError,
        member,
        re.escape(f"X has shape {shape}"),
        "two dimensions",
    )


@EVERY_MEMBER
@pytest.mark.parametrize("rows", [0, 1, 5, 7])
def test_x_and_y_of_different_rows(rows, member):
    network = make()
    X, y = good(network)
    y = np.ones(rows)
    refused(
        network,
        lambda: MEMBERS[member](network, X, y),
        ValueError,
        member,
        f"X has {ROWS} rows and y has {rows};",
        "same number of rows",
    )


@EVERY_MEMBER
@pytest.mark.parametrize(
    ("layers", "output", "shape"),
    [
        ((3, 1), "sigmoid", (ROWS, 2)),
        ((3, 1), "identity", (ROWS, 2)),
        ((3, 1), "sigmoid", (ROWS, 0)),
        ((3, 2), "sigmoid", (ROWS,)),
        ((3, 2), "sigmoid", (ROWS, 1)),
        ((3, 2), "identity", (ROWS, 3)),
        ((3, 4), "softmax", (ROWS, 3)),
        ((3, 4), "softmax", (ROWS, 5)),
        ((3, 1), "sigmoid", (1, ROWS)),
    ],
)
def test_y_of_another_shape(layers, output, shape, member):
    network = make(layers, output)
    X, _ = good(network)
    given = f"{shape[1]} values" if shape[1:] not in ((), (1,)) else "one value"
    refused(
        network,
        lambda: MEMBERS[member](network, X, np.zeros(shape)),
        ValueError,
        member,
        f"y has {given} for each row" if shape[0] == ROWS else f"X has {ROWS} rows and y has 1;",
    )


@EVERY_MEMBER
@pytest.mark.parametrize("shape", [(), (ROWS, 1, 1)])
def test_y_has_one_or_two_dimensions(shape, member):
    network = make()
    refused(
        network,
        lambda: MEMBERS[member](network, good(network)[0], np.zeros(shape)),
        ValueError,
        member,
        re.escape(f"y has shape {shape}"),
        "dimensions",
    )


# Values of y


@EVERY_MEMBER
@pytest.mark.parametrize("value", [-0.5, 1.5, -1, 2, 300])
@pytest.mark.parametrize("n_out", [1, 2])
def test_sigmoid_targets_lie_between_zero_and_one(n_out, value, member):
    network = make((3, n_out))
    X, y = good(network)
    y[4, n_out - 1] = value
    y[5, 0] = -7  # the first one is named
    refused(
        network,
        lambda: MEMBERS[member](network, X, y),
        ValueError,
        member,
        rf"y\[4{', 1' if n_out == 2 else ''}\] is {re.escape(f'{value:g}')};",
        r"\[0, 1\]",
    )


@EVERY_MEMBER
@pytest.mark.parametrize("value", [-1.0, -0.125, -np.inf, np.inf])
@pytest.mark.parametrize("form", ["plain", "stepped"])
def test_counts_are_finite_and_not_negative(form, value, member):
    network = make((3, 4, 2), "exp")
    X, y = good(network)
    y[4, 1] = value
    y[5, 0] = -7  # the first one is named
    refused(
        network,
        lambda: MEMBERS[member](network, X, arrays.laid_out(y, form)),
        ValueError,
        member,
        # fit takes no infinity for any output
        "y has -?inf at row 4"
        if member == "fit" and np.isinf(value)
        else rf"y\[4, 1\] is {value:g};",
        "finite",
    )


@EVERY_MEMBER
@pytest.mark.parametrize("dtype", ["float32", "int64"])
@pytest.mark.parametrize("value", [4, -1, 1000])
def test_class_indices_are_those_of_the_outputs(value, dtype, member):
    network = make((3, 4), "softmax")
    X, y = good(network)
    y = y.astype(dtype)
    y[4] = value
    refused(
        network,
        lambda: MEMBERS[member](network, X, y),
        ValueError,
        member,
        rf"y\[4\] is {value};",
        "from 0 to 3",
    )


@EVERY_MEMBER
def test_class_indices_are_integers(member):
    network = make((3, 4), "softmax")
    X, y = good(network)
    y[2] = 1.5
    refused(
        network,
        lambda: MEMBERS[member](network, X, y),
        ValueError,
        member,
        r"y\[2\] is 1.5;",
        "integer from 0 to 3",
    )


@EVERY_MEMBER
@pytest.mark.parametrize(
    ("row", "given"),
    [
        ([0, 0, 0, 0], r"y\[2\] is all 0"),
        ([0, 1, 1, 0], r"y\[2, 2\] is 1"),
        ([0, 0.5, 0.5, 0], r"y\[2, 1\] is 0.5"),
        ([1, 0, 0, -1], r"y\[2, 3\] is -1"),
    ],
)
def test_one_hot_rows_have_a_single_one(row, given, member):
    network = make((3, 4), "softmax")
    X, y = good(network)
    y = np.eye(4)[y.astype(int)]
    y[2] = row
    refused(network, lambda: MEMBERS[member](network, X, y), ValueError, member, given, "single 1")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_class_index_that_is_not_finite(value):
    network = make((3, 4), "softmax")
    X, y = good(network)
    y[1] = value
    for member in ("loss", "loss_and_gradients", "accumulate_gradients", "step", "train_epoch"):
        refused(
            network, lambda m=member: MEMBERS[m](network, X, y), ValueError, member, r"y\[1\] is "
        )


@pytest.mark.parametrize("form", ["plain", "int16", "float16", "misaligned", "stepped"])
def test_a_bad_target_far_down_is_named_by_its_row(form):
    network = make((3, 4), "softmax")
    X, y = good(network, rows=1500)
    y[[1031, 1400]] = 9
    y = arrays.laid_out(y, form) if form in arrays.LAYOUTS else y.astype(form)
    for member, call in MEMBERS.items():
        if member != "check_gradients":
            refused(
                network,
                lambda call=call: call(network, X, y),
                ValueError,
                member,
                r"y\[1031\] is 9",
            )


def test_a_bad_target_in_a_row_that_is_not_in_the_order_is_refused():
    network = make()
    X, y = good(network)
    y[5] = 2
    options = {"batch_size": 2, "optimizer": fastmlp.SGD()}
    refused(
        network,
        lambda: network.train_epoch(X, y, [0, 1], **options),
        ValueError,
        "train_epoch",
        r"y\[5\] is 2",
    )


# Dtypes that are not real numbers


@EVERY_MEMBER
@pytest.mark.parametrize("kind", NOT_REAL)
@pytest.mark.parametrize("name", ["X", "y"])
def test_data_that_are_not_real_numbers(name, kind, member):
    network = make()
    data = dict(zip("Xy", good(network), strict=True))
    data[name] = NOT_REAL[kind](data[name])
    refused(
        network,
        lambda: MEMBERS[member](network, data["X"], data["y"]),
        TypeError,
        member,
        rf"{name} has dtype {CONVERTED_NAMES.get(kind, '')}",
        "real numbers",
    )


@pytest.mark.parametrize("kind", NOT_REAL)
@pytest.mark.parametrize("member", ["forward", "predict"])
def test_rows_to_forward_that_are_not_real_numbers(member, kind):
    network = make()
    X = NOT_REAL[kind](good(network)[0])
    refused(
        network,
        lambda: getattr(network, member)(X),
        TypeError,
        "forward",
        "X has dtype",
        "real numbers",
    )


@pytest.mark.parametrize("kind", NOT_REAL)
@pytest.mark.parametrize("member", WEIGHTED)
def test_weights_that_are_not_real_numbers(member, kind):
    network = make()
    weight = NOT_REAL[kind](np.ones(ROWS))
    refused(
        network,
        lambda: WEIGHTED[member](network, *good(network), weight),
        TypeError,
        member,
        "sample_weight has dtype",
        "real numbers",
    )


@pytest.mark.parametrize("nothing", [None, {}, object(), "abc", [None]])
def test_things_that_are_no_arrays(nothing):
    network = make()
    X, y = good(network)
    refused(network, lambda: network.forward(nothing), TypeError, "forward", "X has dtype")
    refused(network, lambda: network.loss(nothing, y), TypeError, "loss", "X has dtype")
    refused(network, lambda: network.loss(X, nothing), TypeError, "loss", "y has dtype")


def test_ragged_lists_are_an_error_of_numpy():
    network = make()
    before = network.parameters.tobytes()
    with pytest.raises(ValueError, match="inhomogeneous"):
        network.loss([[1, 2, 3], [4]], [0, 1])
    assert network.parameters.tobytes() == before


# Weights


@pytest.mark.parametrize("member", WEIGHTED)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (5,), (7,), (ROWS, 1), (1, ROWS)])
def test_weights_of_another_shape(shape, member):
    network = make()
    refused(
        network,
        lambda: WEIGHTED[member](network, *good(network), np.ones(shape)),
        ValueError,
        member,
        re.escape(f"sample_weight has shape {shape}"),
        rf"\({ROWS},\)",
    )


@pytest.mark.parametrize("member", WEIGHTED)
@pytest.mark.parametrize("value", [-0.5, -1e-30, np.nan, np.inf, -np.inf])
def test_weights_are_finite_and_not_negative(value, member):
    network = make()
    weight = np.ones(ROWS)
    weight[[2, 5]] = value
    refused(
        network,
        lambda: WEIGHTED[member](network, *good(network), weight),
        ValueError,
        member,
        rf"sample_weight(\[2\] is| has) {re.escape(f'{value:g}')}",
        "finite",
    )


@pytest.mark.parametrize(
    ("weight", "what"), [(0.0, "the sum 0;"), (1e-320, "the sum "), (1e308, "an infinite sum")]
)
@pytest.mark.parametrize("optimizer", ["sgd", "lbfgs"])
def test_a_sum_of_weights_that_a_loss_cannot_be_divided_by(optimizer, weight, what):
    network = make()
    X, y = good(network)
    fine, bad = np.ones(ROWS), np.full(ROWS, weight)
    options = {"epochs": 1, "optimizer": optimizer}
    for function, call in {
        "loss": lambda: network.loss(X, y, bad),
        "fit": lambda: network.fit(X, y, sample_weight=bad, **options),
        "fit: validation_data": lambda: network.fit(X, y, validation_data=(X, y, bad), **options),
    }.items():
        refused(network, call, ValueError, function, f"sample_weight has {what}")
    assert network.fit(X, y, sample_weight=fine * 1e-300, **options).epochs == 1


@pytest.mark.parametrize("value", [1e-50, 1e-40, 1e39])
def test_weights_that_float32_cannot_multiply_gradients_by(value):
    network = make()
    weight = np.ones(ROWS)
    weight[2] = value
    refused(
        network,
        lambda: network.accumulate_gradients(*good(network), weight),
        ValueError,
        "accumulate_gradients",
        re.escape(f"sample_weight[2] is {value:g}"),
        "in float32 a weight must be 0 or from",
    )
    assert network.loss_and_gradients(*good(network), weight) > 0
    in_double = make(dtype="float64")
    assert in_double.accumulate_gradients(*good(in_double), weight)[1] == weight.sum()


# Order, batch size, learning rate, scale


def epoch(network, order=(0, 1), batch_size=2, optimizer=None):
    return network.train_epoch(
        *good(network), order, batch_size=batch_size, optimizer=optimizer or fastmlp.SGD()
    )


@pytest.mark.parametrize("row", [-1, ROWS, 2**40, -(2**63)])
def test_an_order_of_rows_that_are_not_there(row):
    network = make()
    refused(
        network,
        lambda: epoch(network, np.array([0, 1, row, row])),
        ValueError,
        "train_epoch",
        rf"order\[2\] is {row};",
        "rows 0 to 5",
    )


def test_an_order_beyond_int64():
    network = make()
    order = np.array([0, 2**64 - 1], np.uint64)
    refused(network, lambda: epoch(network, order), ValueError, "train_epoch", r"order\[1\] is ")


@pytest.mark.parametrize("order", [3, [[0, 1]], np.zeros((2, 2), int), np.zeros((0, 2), int)])
def test_an_order_has_one_dimension(order):
    network = make()
    refused(
        network,
        lambda: epoch(network, order),
        ValueError,
        "train_epoch",
        re.escape(f"order has shape {np.shape(order)}"),
        "one dimension",
    )


@pytest.mark.parametrize(
    "order", [[0.0, 1.0], [True, False], np.ones(2, complex), ["0"], [None], np.ones(2, ">f4")]
)
def test_an_order_holds_integers(order):
    network = make()
    refused(network, lambda: epoch(network, order), TypeError, "train_epoch", "order has dtype")


@pytest.mark.parametrize("batch_size", [0, -1, -(2**62)])
def test_a_batch_size_is_positive(batch_size):
    network = make()
    refused(
        network,
        lambda: epoch(network, batch_size=batch_size),
        ValueError,
        "train_epoch",
        f"batch_size is {batch_size};",
        "at least 1",
    )


NOT_A_RATE = [0.0, -0.0, -1.0, np.nan, np.inf, -np.inf, 0]


@pytest.mark.parametrize("rate", NOT_A_RATE)
def test_a_learning_rate_is_positive_and_finite(rate):
    network = make()
    rules = f"learning_rate is {rate:g};", "positive and finite"
    X, y = good(network)
    refused(network, lambda: network.step(X, y, rate), ValueError, "step", *rules)
    with pytest.raises(ValueError, match="learning_rate") as raised:
        fastmlp.SGD(rate)
    assert_says(raised, "SGD", *rules)
    refused(
        network, lambda: network.fit(X, y, epochs=1, learning_rate=rate), ValueError, "SGD", *rules
    )
    parameter = np.ones(3)
    with pytest.raises(ValueError, match="learning_rate") as raised:
        ops.sgd_update(parameter, np.ones(3), rate)
    assert_says(raised, "sgd_update", *rules)
    assert (parameter == 1).all()


@pytest.mark.parametrize("scale", [np.nan, np.inf, -np.inf])
def test_a_scale_is_finite(scale):
    network = make()
    refused(
        network,
        lambda: network.apply_gradients(fastmlp.SGD(), scale),
        ValueError,
        "apply_gradients",
        f"scale is {scale:g};",
        "finite",
    )


def unchanged(network, call, error):
    """As `refused`, for arguments whose type is the binding's to refuse, in its own words."""
    before = network.parameters.tobytes(), network.gradients.tobytes(), network.epochs_trained
    with pytest.raises(error):
        call()
    after = network.parameters.tobytes(), network.gradients.tobytes(), network.epochs_trained
    assert after == before


@pytest.mark.parametrize("wrong", [None, "8", 1.5, [2]])
def test_numbers_of_another_type(wrong):
    network = make()
    X, y = good(network)
    unchanged(network, lambda: epoch(network, batch_size=wrong), TypeError)
    if not isinstance(wrong, float):
        unchanged(network, lambda: network.step(X, y, wrong), TypeError)
        unchanged(network, lambda: fastmlp.SGD(wrong), TypeError)
        unchanged(network, lambda: network.apply_gradients(fastmlp.SGD(), wrong), TypeError)


@pytest.mark.parametrize("wrong", [0.1, "sgd", fastmlp.SGD, object()])
def test_an_optimizer_of_another_type(wrong):
    network = make()
    unchanged(network, lambda: epoch(network, optimizer=wrong), TypeError)
    unchanged(network, lambda: network.apply_gradients(wrong), TypeError)


def test_missing_arguments():
    network = make()
    X, y = good(network)
    for call in (
        lambda: network.forward(),
        lambda: network.loss(X),
        lambda: network.step(X, y),
        lambda: network.train_epoch(X, y, [0]),
        lambda: network.train_epoch(X, y, [0], 2, fastmlp.SGD()),
        lambda: network.apply_gradients(),
        lambda: network.fit(X, y),
    ):
        unchanged(network, call, TypeError)


def test_epochs_trained_is_not_negative():
    network = make()
    with pytest.raises(ValueError, match="epochs_trained: -1 given; it must be at least 0"):
        network.epochs_trained = -1
    for wrong in (1.5, "1", None):
        with pytest.raises(TypeError):
            network.epochs_trained = wrong
    assert network.epochs_trained == 3


# out= of forward


def refused_out(network, X, out, error, *message):
    """As `refused` for `forward` with this out, to which nothing is written."""
    before = arrays.bits(out), arrays.bits(X)
    refused(network, lambda: network.forward(X, out=out), error, "forward", *message)
    assert (arrays.bits(out), arrays.bits(X)) == before


@pytest.mark.parametrize("shape", [(), (ROWS,), (ROWS, 2), (5, 1), (7, 1), (1, ROWS), (ROWS, 1, 1)])
def test_out_of_another_shape(shape):
    network = make()
    out = np.full(shape, 7, np.float32)
    given = re.escape(f"out has shape {shape}")
    refused_out(network, good(network)[0], out, ValueError, given, rf"\({ROWS}, 1\)")


def test_out_of_one_row_has_no_axis_for_rows():
    network = make()
    X, out = good(network)[0][0], np.full((1, 1), 7, np.float32)
    refused_out(network, X, out, ValueError, r"out has shape \(1, 1\)", r"\(1,\)")


@pytest.mark.parametrize("dtype", ["float64", "float16", "int32", ">f4", "complex64"])
def test_out_of_another_dtype(dtype):
    network = make()
    out = np.full((ROWS, 1), 7, dtype)
    refused_out(
        network, good(network)[0], out, TypeError, f"out has dtype {np.dtype(dtype)}", "float32"
    )


def test_out_that_is_read_only():
    network = make()
    out = arrays.read_only(np.full((ROWS, 1), 7, np.float32))
    refused_out(network, good(network)[0], out, ValueError, "out is read-only", "writable")


@pytest.mark.parametrize("form", ["misaligned", "odd_strides"])
def test_out_that_is_not_aligned(form):
    network = make((3, 2))
    out = arrays.laid_out(np.full((ROWS, 2), 7, np.float32), form)
    refused_out(network, good(network)[0], out, ValueError, "out is not aligned")


@pytest.mark.parametrize("out", [[0.0] * ROWS, "out", 5, memoryview(np.zeros((ROWS, 1), "f4"))])
def test_out_that_is_no_array(out):
    network = make()
    refused(
        network,
        lambda: network.forward(good(network)[0], out=out),
        TypeError,
        "forward",
        f"out is a {type(out).__name__}",
        "numpy.ndarray",
    )


def test_out_that_overlaps_x():
    network = make((3, 3))
    memory = np.arange(40, dtype=np.float32)
    X = memory[:18].reshape(ROWS, 3)
    for out in (
        X,
        memory[17:35].reshape(ROWS, 3),
        memory[17:35].reshape(ROWS, 3)[::-1],
        X[::-1],
        memory[:36].reshape(ROWS, 6)[:, ::2],
    ):
        refused_out(network, X, out, ValueError, "out shares memory with")
    refused_out(network, X[0], memory[2:5], ValueError, "out shares memory with")


def test_out_that_overlaps_x_of_another_dtype():
    network = make((3, 3))
    memory = np.zeros(64, np.float64)
    X, out = memory[:18].reshape(ROWS, 3), memory.view(np.float32)[:18].reshape(ROWS, 3)
    refused_out(network, X, out, ValueError, "out shares memory with")


def test_out_beside_x_in_the_same_memory_is_fine():
    network = make((3, 3))
    memory = np.arange(36, dtype=np.float32).reshape(ROWS, 6)
    X, out = memory[:, ::2], memory[:, 1::2]
    expected = network.forward(X.copy())
    assert network.forward(X, out=out) is out
    np.testing.assert_array_equal(out, expected)


# Networks


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [5],
        [0, 1],
        [3, 0, 1],
        [-1, 1],
        [3, -(10**30)],
        [30.0, 1],
        [3, "1"],
        [3, None],
        [True, 1],
        [np.float64(3), 1],
        [[3], [1]],
        "abc",
        "31",
        5,
        None,
        [10**30, 1],
        [2**40, 2**40],
        [3, 2**62, 1],
    ],
    ids=repr,
)
def test_layers_that_make_no_network(layers):
    with pytest.raises(ValueError, match="layers") as raised:
        fastmlp.Network(layers)
    assert_says(raised, "Network", r"positive|at least|must|would not fit")


@pytest.mark.parametrize(
    ("layers", "given"),
    [
        ([3, -2, 1], r"layers\[1\] is -2"),
        ([0, 1], r"layers\[0\] is 0"),
        ([30.0, 1], r"\[30\.0, 1\]"),
        ([True, 1], r"\[True, 1\]"),
        ("abc", "'abc'"),
        (5, "layers is 5"),
        ([5], "1 entries"),
        ([10**30, 1], r"layers\[[01]\] is \d+"),
    ],
)
def test_bad_layers_are_named(layers, given):
    with pytest.raises(ValueError, match="layers") as raised:
        fastmlp.Network(layers)
    assert_says(raised, "Network", given)


@pytest.mark.parametrize("layers", [(3, 2, 1), np.array([3, 2, 1]), range(3, 0, -1)])
def test_layers_are_any_sequence_of_integers(layers):
    assert fastmlp.Network(layers).layers == (3, 2, 1)


@pytest.mark.parametrize("hidden", ["step", "ReLU", "", 5, None, ["relu", "step"], ["relu", 3]])
def test_an_unknown_activation_is_refused_with_those_that_are_known(hidden):
    with pytest.raises((ValueError, TypeError), match=r"activation|hidden") as raised:
        fastmlp.Network([3, 4, 4, 1], hidden=hidden)
    for name in fastmlp._core.ACTIVATIONS:
        assert name in str(raised.value)
    bad = hidden[-1] if isinstance(hidden, list) else hidden
    assert str(bad) in str(raised.value)


@pytest.mark.parametrize("output", ["relu", "Softmax", "", "linear"])
def test_an_unknown_output_is_refused_with_those_that_are_known(output):
    with pytest.raises(ValueError, match="output") as raised:
        fastmlp.Network([3, 4, 1], output=output)
    for name in fastmlp._core.OUTPUTS:
        assert name in str(raised.value)
    assert repr(output) in str(raised.value)


@pytest.mark.parametrize("hidden", [[], ["relu"], ["relu"] * 3])
def test_as_many_activations_as_hidden_layers(hidden):
    with pytest.raises(ValueError, match="hidden") as raised:
        fastmlp.Network([3, 4, 4, 1], hidden=hidden)
    assert_says(raised, "Network", "2 hidden layers")


def test_softmax_of_one_output_is_refused():
    with pytest.raises(ValueError, match="softmax") as raised:
        fastmlp.Network([3, 1], output="softmax")
    assert_says(raised, "Network", "at least 2")


@pytest.mark.parametrize("seed", [-1, 2**64, 10**30])
def test_a_seed_outside_64_bits(seed):
    with pytest.raises(ValueError, match="seed") as raised:
        fastmlp.Network([2, 1], seed=seed)
    assert_says(raised, "Network", f"seed is {seed};", re.escape("[0, 2**64)"))


@pytest.mark.parametrize("seed", [1.0, "1", True, [1], np.random.RandomState])
def test_a_seed_of_another_type(seed):
    with pytest.raises(TypeError, match="seed") as raised:
        fastmlp.Network([2, 1], seed=seed)
    assert_says(raised, "Network", f"seed is {re.escape(repr(seed))};", "Generator")


# Operations

A, B = np.ones((3, 4)), np.ones((4, 2))
Z = np.linspace(-1, 1, 12).reshape(3, 4)

# For each operation that makes an array good operands and the shape of its result.
OPERATIONS = {
    "matmul": ((A, B), (3, 2)),
    "relu": ((Z,), (3, 4)),
    "sigmoid": ((Z,), (3, 4)),
    "relu_backward": ((A, Z), (3, 4)),
    "sigmoid_backward": ((A, Z), (3, 4)),
}
EVERY_OPERATION = pytest.mark.parametrize("op", OPERATIONS)
ALL = {
    **{op: operands for op, (operands, _) in OPERATIONS.items()},
    "binary_cross_entropy": (Z, np.abs(Z)),
    "sgd_update": (Z, A, 0.1),
}


def refused_op(op, operands, error, *message, **options):
    """The operation raises this error, and changes no array among its arguments."""
    touched = [x for x in (*operands, options.get("out")) if isinstance(x, np.ndarray)]
    before = [x.tobytes() for x in touched]
    with pytest.raises(error) as raised:
        getattr(ops, op)(*operands, **options)
    assert [x.tobytes() for x in touched] == before
    assert_says(raised, op, *message)


@pytest.mark.parametrize(
    ("a", "b"), [((3, 4), (5, 2)), ((3, 4), (3, 4)), ((0, 4), (0, 4)), ((1, 1), (0, 1))]
)
def test_matmul_of_shapes_that_do_not_fit(a, b):
    shapes = re.escape(f"A is {a} and B is {b}")
    refused_op("matmul", (np.ones(a), np.ones(b)), ValueError, shapes, "A's columns", "B's rows")


@pytest.mark.parametrize("shape", [(), (4,), (1, 4, 4)])
def test_matmul_of_matrices_only(shape):
    X = np.ones(shape)
    given = re.escape(f"has shape {shape}")
    refused_op("matmul", (X, B), ValueError, f"A {given}", "two dimensions")
    refused_op("matmul", (A, X), ValueError, f"B {given}", "two dimensions")


@pytest.mark.parametrize("op", ["relu_backward", "sigmoid_backward", "binary_cross_entropy"])
@pytest.mark.parametrize("shape", [(4, 3), (12,), (3, 1), (3, 4, 1), ()])
def test_operands_have_the_same_shape(shape, op):
    given = re.escape("(3, 4)"), re.escape(str(shape)), "same shape"
    refused_op(op, (A, np.ones(shape)), ValueError, *given)
    refused_op(op, (np.ones(shape), A), ValueError, *given)


@pytest.mark.parametrize("shape", [(), (2, 3, 1)])
def test_binary_cross_entropy_of_rows_only(shape):
    operands = np.zeros(shape), np.zeros(shape)
    given = re.escape(f"Z has shape {shape}")
    refused_op("binary_cross_entropy", operands, ValueError, given, "dimensions")


@pytest.mark.parametrize("value", [-0.25, 1.25, np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(700,), (350, 2)])
def test_binary_cross_entropy_of_targets_between_zero_and_one(shape, value):
    y = np.zeros(shape)
    y.reshape(-1)[[601, 650]] = value
    place = "601" if len(shape) == 1 else "300, 1"
    refused_op(
        "binary_cross_entropy",
        (np.zeros(shape), y),
        ValueError,
        rf"y\[{place}\] is {re.escape(f'{value:g}')};",
        r"\[0, 1\]",
    )


@pytest.mark.parametrize("kind", NOT_REAL)
@pytest.mark.parametrize("op", ALL)
def test_operands_that_are_not_real_numbers(op, kind):
    for place, operand in enumerate(ALL[op]):
        if isinstance(operand, float) or (op == "sgd_update" and place == 0):
            continue  # what sgd_update takes for a parameter is tested below
        operands = list(ALL[op])
        operands[place] = NOT_REAL[kind](np.round(operand))
        refused_op(op, operands, TypeError, "has dtype", "real numbers")


@EVERY_OPERATION
def test_out_of_an_operation_of_another_shape(op):
    operands, shape = OPERATIONS[op]
    for wrong in ((), (6,), shape[::-1], (*shape, 1), (0, 0)):
        out = np.full(wrong, 7.0)
        given = re.escape(f"out has shape {wrong}"), re.escape(str(shape))
        refused_op(op, operands, ValueError, *given, out=out)


@EVERY_OPERATION
@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", ">f8", "complex128", "object"])
def test_out_of_an_operation_of_another_dtype(dtype, op):
    operands, shape = OPERATIONS[op]
    given = f"out has dtype {np.dtype(dtype)}", "float64"
    refused_op(op, operands, TypeError, *given, out=np.full(shape, 7, dtype))


@EVERY_OPERATION
def test_out_of_an_operation_on_float32_is_float32(op):
    operands, shape = OPERATIONS[op]
    operands = [operand.astype(np.float32) for operand in operands]
    refused_op(op, operands, TypeError, "float64", "must be float32", out=np.full(shape, 7.0))


@EVERY_OPERATION
def test_out_of_an_operation_that_cannot_be_written(op):
    operands, shape = OPERATIONS[op]
    full = np.full(shape, 7.0)
    refused_op(op, operands, ValueError, "out is read-only", out=arrays.read_only(full))
    for form in ("misaligned", "odd_strides"):
        out = arrays.laid_out(full, form)
        refused_op(op, operands, ValueError, "out is not aligned", out=out)
    for out in ([[0.0] * 4] * 3, "out", 5.0):
        refused_op(op, operands, TypeError, f"out is a {type(out).__name__}", out=out)


@pytest.mark.parametrize("op", [op for op in OPERATIONS if op != "matmul"])
def test_out_of_an_operation_that_overlaps_an_operand(op):
    operands, _ = OPERATIONS[op]
    for place in range(len(operands)):
        memory = np.arange(40) / 40
        mine = memory[:12].reshape(3, 4)
        given = [mine if other == place else operand for other, operand in enumerate(operands)]
        for out in (
            mine,
            memory[11:23].reshape(3, 4),
            mine[::-1],
            memory[11:23].reshape(3, 4)[::-1],
            memory[1:25].reshape(3, 8)[:, ::2],
        ):
            refused_op(op, given, ValueError, "out shares memory with", out=out)


def test_out_of_matmul_that_overlaps_an_operand():
    memory = np.arange(40.0)
    mine = memory[:16].reshape(4, 4)
    after = memory[15:31].reshape(4, 4)
    for out in (mine, mine.T, after, after[::-1], after[:, ::-1]):
        refused_op("matmul", (mine, np.eye(4)), ValueError, "out shares memory with", out=out)
        refused_op("matmul", (np.eye(4), mine), ValueError, "out shares memory with", out=out)


@pytest.mark.parametrize(
    ("shape", "out"), [((2, 3, 4), arrays.fortran), ((2, 3, 4), arrays.backwards)]
)
def test_out_of_many_dimensions_is_contiguous(shape, out):
    for op in ("relu", "sigmoid", "relu_backward", "sigmoid_backward"):
        operands = [np.ones(shape) for _ in OPERATIONS[op][0]]
        refused_op(op, operands, ValueError, "contiguous", out=out(np.full(shape, 7.0)))


@pytest.mark.parametrize("shape", [(4, 3), (12,), (3, 4, 1), (1, 4), ()])
def test_sgd_update_of_different_shapes(shape):
    given = re.escape("(3, 4)"), re.escape(str(shape)), "same shape"
    refused_op("sgd_update", (np.ones((3, 4)), np.ones(shape), 0.1), ValueError, *given)


@pytest.mark.parametrize("dtype", ["float16", "int64", "bool", ">f8", "complex128", "object"])
def test_sgd_update_of_another_dtype(dtype):
    parameter = np.ones(3, dtype)
    given = f"parameter has dtype {np.dtype(dtype)}", "float32 or float64"
    refused_op("sgd_update", (parameter, np.ones(3), 0.1), TypeError, *given)


def test_sgd_update_of_what_cannot_be_written():
    gradient = np.ones(3)
    for parameter, error, given in (
        (arrays.read_only(gradient), ValueError, "parameter is read-only"),
        (arrays.misaligned(gradient), ValueError, "parameter is not aligned"),
        ([1.0, 1.0, 1.0], TypeError, "parameter is a list"),
        (1.0, TypeError, "parameter is a float"),
        (np.float64(1), TypeError, "parameter is a float64"),
    ):
        refused_op("sgd_update", (parameter, gradient, 0.1), error, given)


def test_sgd_update_of_a_parameter_that_overlaps_its_gradient():
    memory = np.arange(10.0)
    for gradient in (memory[:5], memory[4:9], memory[4::-1], memory[::2]):
        operands = memory[:5], gradient, 0.1
        refused_op("sgd_update", operands, ValueError, "parameter shares memory with")


# Settings


@pytest.mark.parametrize("n", [0, -1, 1025, 2**31 - 1, -(2**31)])
def test_a_number_of_threads_out_of_range(n):
    before = fastmlp.get_num_threads()
    with pytest.raises(ValueError, match="set_num_threads") as raised:
        fastmlp.set_num_threads(n)
    assert_says(raised, "set_num_threads", f"n is {n};", "at least 1 and at most 1024")
    with pytest.raises(ValueError, match=f"n is {n};"), fastmlp.threads(n):
        raise AssertionError("the block must not run")
    assert fastmlp.get_num_threads() == before


@pytest.mark.parametrize("n", [1.5, "2", None, [2], 10**30])
def test_a_number_of_threads_of_another_type(n):
    before = fastmlp.get_num_threads()
    with pytest.raises((TypeError, ValueError)):
        fastmlp.set_num_threads(n)
    assert fastmlp.get_num_threads() == before


def test_the_number_of_threads_returns_after_an_error():
    before = fastmlp.get_num_threads()
    with pytest.raises(ValueError, match="inside"), fastmlp.threads(before + 1):
        raise ValueError(f"inside with {fastmlp.get_num_threads()}")
    assert fastmlp.get_num_threads() == before


@pytest.mark.parametrize("name", ["mmx", "", "AVX2", "scalar ", "avx2,scalar"])
def test_an_unknown_instruction_set_is_refused_with_those_there_are(name):
    before = fastmlp.isa()
    with pytest.raises(ValueError, match="set_isa") as raised:
        fastmlp.set_isa(name)
    assert_says(raised, "set_isa", f"'{name}'", ", ".join(fastmlp.available_isas()))
    with pytest.raises(TypeError):
        fastmlp.set_isa(None)
    assert fastmlp.isa() == before


def test_an_unknown_mode_of_show_config(capsys):
    with pytest.raises(
        ValueError, match=r"show_config: mode is 'yaml'; allowed: 'stdout', 'dicts'"
    ):
        fastmlp.show_config(mode="yaml")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("FASTMLP_ISA", "mmx", "FASTMLP_ISA: .*'mmx'.*scalar"),
        ("FASTMLP_MIN_WORK", "many", "FASTMLP_MIN_WORK: 'many' given; .*number"),
        ("FASTMLP_MIN_WORK", "-1", "FASTMLP_MIN_WORK: '-1' given; .*at least 0"),
    ],
)
def test_a_bad_environment_is_a_clear_error(variable, value, message):
    program = "import fastmlp; fastmlp.ops.relu([1.0])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, variable: value},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert re.search(f"Error: {message}", done.stderr)


@pytest.mark.parametrize("argument", ["hidden", "output"])
def test_a_name_that_is_no_text_is_an_unknown_name(argument):
    """Half of a surrogate pair has no UTF-8, and so no name in C++."""
    with pytest.raises(ValueError, match=r"unknown .*allowed"):
        fastmlp.Network([3, 2, 1], **{argument: "r\ud800"})
