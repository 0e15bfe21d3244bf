"""Every operation of `fastmlp.ops` against its twin in float64, whatever the arrays look like.

Each result is taken on every instruction set and for teams of 1, 2 and 4 threads; all have to have
the same bits (`arrays.in_every_setting`). Tolerances: tolerances.py.
"""

import inspect
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import arrays
import fastmlp
import tolerances
from fastmlp import _core, ops, reference

pytestmark = pytest.mark.sparse

DTYPES = pytest.mark.parametrize("dtype", arrays.DTYPES)
UNARY = ("relu", "sigmoid")
BACKWARD = ("relu_backward", "sigmoid_backward")

# Of operands: one is float32, or float64, or each is another.
operand_dtypes = st.sampled_from([("float32",) * 2, ("float64",) * 2, ("float32", "float64")])
shapes = st.lists(arrays.sizes, min_size=1, max_size=2).map(tuple)
deep_shapes = st.sampled_from([(), (2, 3, 4), (1, 0, 5), (3, 1, 2, 2)])


def expected_of(op, *operands):
    """What the twin gives in float64."""
    with np.errstate(all="ignore"):
        return np.asarray(getattr(reference, op)(*(arrays.plain(x, np.float64) for x in operands)))


def out_for(shape, dtype, layout):
    """An array to write to, full of NaN, and the memory around it."""
    return arrays.WRITABLE[layout](np.full(shape, np.nan, dtype))


def with_out(op, *operands, layout, dtype, shape):
    """op(*operands, out=...): what was written, after checks of what was not."""
    out = out_for(shape, dtype, layout)
    outside = arrays.around(out)
    before = [arrays.bits(operand) for operand in operands]
    assert op(*operands, out=out) is out
    assert arrays.around(out) == outside
    assert [arrays.bits(operand) for operand in operands] == before
    return out


# Every operation


def test_every_operation_has_a_twin_with_the_same_arguments():
    tested = {"matmul", "binary_cross_entropy", "sgd_update", *UNARY, *BACKWARD}
    assert set(ops.__all__) == tested
    for name in ops.__all__:
        signature = getattr(ops, name).__doc__.partition("->")[0]
        for parameter in inspect.signature(getattr(reference, name)).parameters:
            assert f"{parameter}:" in signature


def test_teams_have_the_size_that_the_tests_ask_for():
    A = np.ones((64, 64))
    for n in arrays.THREADS if _core.has_openmp() else (1,):
        with fastmlp.threads(n):
            ops.matmul(A, A)
        assert _core._last_team_size() == n


# matmul


@arrays.examples(300)
@given(
    seed=arrays.seeds,
    sizes=st.tuples(arrays.sizes, arrays.sizes, arrays.sizes),
    dtypes=operand_dtypes,
    layouts=st.tuples(arrays.layouts, arrays.layouts),
    out=st.none() | st.sampled_from(sorted(arrays.WRITABLE)),
)
def test_matmul_is_the_twins(seed, sizes, dtypes, layouts, out):
    rng = np.random.default_rng(seed)
    m, k, n = sizes
    A = arrays.laid_out(arrays.numbers(rng, (m, k), dtypes[0]), layouts[0])
    B = arrays.laid_out(arrays.numbers(rng, (k, n), dtypes[1]), layouts[1])
    dtype = np.result_type(*dtypes)

    def product():
        if out is None:
            return ops.matmul(A, B)
        return with_out(ops.matmul, A, B, layout=out, dtype=dtype, shape=(m, n))

    C = arrays.in_every_setting(product)
    assert C.dtype == dtype
    assert C.shape == (m, n)
    assert arrays.bits(C) == arrays.bits(ops.matmul(arrays.plain(A), arrays.plain(B)))
    tolerances.assert_within(C, expected_of("matmul", A, B), tolerances.matmul(A, B, dtype))


@DTYPES
@pytest.mark.parametrize("n", [1, 2, 17])
@pytest.mark.parametrize("m", [1, 2, 33])
@pytest.mark.parametrize("k", [4095, 4096, 4097, 8193])
def test_long_sums_are_the_twins(k, m, n, dtype):
    rng = np.random.default_rng(k + m + n)
    A, B = arrays.numbers(rng, (m, k), dtype), arrays.numbers(rng, (k, n), dtype)
    C = arrays.in_every_setting(lambda: ops.matmul(A, B))
    tolerances.assert_within(C, expected_of("matmul", A, B), tolerances.matmul(A, B, dtype))
    for layout in ("fortran", "stepped", "backwards"):
        other = ops.matmul(arrays.laid_out(A, layout), arrays.laid_out(B, layout))
        assert arrays.bits(other) == arrays.bits(C)


@DTYPES
@pytest.mark.parametrize("shape", [(300, 3, 2), (2, 3, 600), (257, 5, 1), (1, 5, 257)])
def test_long_sides_are_the_twins(shape, dtype):
    m, k, n = shape
    rng = np.random.default_rng(sum(shape))
    A, B = arrays.numbers(rng, (m, k), dtype), arrays.numbers(rng, (k, n), dtype)
    C = arrays.in_every_setting(lambda: ops.matmul(A, B))
    tolerances.assert_within(C, expected_of("matmul", A, B), tolerances.matmul(A, B, dtype))


@DTYPES
@pytest.mark.parametrize("shape", [(5, 4200, 7), (40, 4200, 1), (31, 9, 33)])
def test_matmul_of_small_integers_is_exact(shape, dtype):
    m, k, n = shape
    rng = np.random.default_rng(0)
    A, B = arrays.small_integers(rng, (m, k), dtype), arrays.small_integers(rng, (k, n), dtype)
    np.testing.assert_array_equal(
        ops.matmul(A, B), A.astype(np.int64) @ B.astype(np.int64), strict=False
    )


@DTYPES
@pytest.mark.parametrize("n", [1, 3])
def test_matmul_keeps_nan_and_infinity_in_their_rows(n, dtype):
    A, B = np.ones((5, 40), dtype), np.ones((40, n), dtype)
    A[1, 39], A[2, 0], A[3, 7] = np.nan, np.inf, -np.inf
    C = arrays.in_every_setting(lambda: ops.matmul(A, B))
    expected = np.repeat([[40], [np.nan], [np.inf], [-np.inf], [40]], n, axis=1)
    np.testing.assert_array_equal(C, expected)


@DTYPES
def test_a_product_over_nothing_is_zero(dtype):
    for n in (1, 3):
        A, B = np.empty((4, 0), dtype), np.empty((0, n), dtype)
        out = np.full((4, n), np.nan, dtype)
        assert not ops.matmul(A, B, out=out).any()
        assert not ops.matmul(A, B).any()


def test_a_transposed_view_multiplies_itself():
    A = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(ops.matmul(A.T, A), A.T @ A)


# relu, sigmoid


@pytest.mark.parametrize("op", UNARY)
@arrays.examples(150)
@given(
    seed=arrays.seeds,
    shape=shapes,
    dtype=st.sampled_from(arrays.DTYPES),
    layout=arrays.layouts,
    out=st.none() | st.sampled_from(sorted(arrays.WRITABLE)),
    special=st.booleans(),
)
def test_activations_are_the_twins(op, seed, shape, dtype, layout, out, special):
    make = arrays.special_numbers if special else arrays.numbers
    Z = arrays.laid_out(make(np.random.default_rng(seed), shape, dtype), layout)
    native = getattr(ops, op)

    def activated():
        if out is None:
            return native(Z)
        return with_out(native, Z, layout=out, dtype=dtype, shape=shape)

    A = arrays.in_every_setting(activated)
    assert A.dtype == dtype
    assert arrays.bits(A) == arrays.bits(native(arrays.plain(Z)))
    expected = expected_of(op, Z)
    bound = 0 if op == "relu" else tolerances.elementary(expected, dtype)
    tolerances.assert_within(A, expected, bound)


@DTYPES
@pytest.mark.parametrize("op", UNARY)
def test_activations_of_every_length_are_the_twins(op, dtype):
    for n in (*range(70), 255, 256, 257, 1023, 1025):
        Z = arrays.numbers(np.random.default_rng(n), n, dtype)
        expected = expected_of(op, Z)
        bound = 0 if op == "relu" else tolerances.elementary(expected, dtype)
        tolerances.assert_within(getattr(ops, op)(Z), expected, bound)


@DTYPES
def test_relu_is_zero_up_to_zero_and_keeps_nan_and_infinity(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    Z = np.array([-np.inf, -1, -tiny, -0.0, 0.0, tiny, 1, np.inf, np.nan], dtype)
    expected = np.array([0, 0, 0, 0, 0, tiny, 1, np.inf, np.nan], dtype)
    A = arrays.in_every_setting(lambda: ops.relu(Z))
    assert arrays.bits(A) == arrays.bits(expected)  # +0, not -0


@DTYPES
def test_sigmoid_has_its_limits_and_keeps_nan(dtype):
    largest = np.finfo(dtype).max
    Z = np.array([-np.inf, -largest, -0.0, 0.0, largest, np.inf, np.nan], dtype)
    A = arrays.in_every_setting(lambda: ops.sigmoid(Z))
    np.testing.assert_array_equal(A, np.array([0, 0, 0.5, 0.5, 1, 1, np.nan], dtype))


@DTYPES
def test_sigmoid_stays_between_zero_and_one_and_is_symmetric(dtype):
    Z = np.linspace(-100, 100, 2001, dtype=dtype)
    A, mirrored = ops.sigmoid(Z), ops.sigmoid(-Z)
    assert (A >= 0).all()
    assert (A <= 1).all()
    np.testing.assert_allclose(A + mirrored, 1, rtol=4 * np.finfo(dtype).eps)


# relu_backward, sigmoid_backward


@pytest.mark.parametrize("op", BACKWARD)
@arrays.examples(150)
@given(
    seed=arrays.seeds,
    shape=shapes,
    dtypes=operand_dtypes,
    layouts=st.tuples(arrays.layouts, arrays.layouts),
    out=st.none() | st.sampled_from(sorted(arrays.WRITABLE)),
)
def test_backward_passes_are_the_twins(op, seed, shape, dtypes, layouts, out):
    rng = np.random.default_rng(seed)
    dA = arrays.laid_out(arrays.numbers(rng, shape, dtypes[0]), layouts[0])
    Z = arrays.numbers(rng, shape, dtypes[1])
    A = arrays.laid_out(ops.sigmoid(Z) if op == "sigmoid_backward" else Z, layouts[1])
    dtype = np.result_type(*dtypes)
    native = getattr(ops, op)

    def backward():
        if out is None:
            return native(dA, A)
        return with_out(native, dA, A, layout=out, dtype=dtype, shape=shape)

    dZ = arrays.in_every_setting(backward)
    assert dZ.dtype == dtype
    assert arrays.bits(dZ) == arrays.bits(native(arrays.plain(dA), arrays.plain(A)))
    expected = expected_of(op, dA, A)
    tolerances.assert_within(dZ, expected, tolerances.elementary(expected, dtype))


@DTYPES
def test_relu_backward_is_zero_where_z_is_zero(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    Z = np.array([-np.inf, -1, -tiny, -0.0, 0.0, tiny, 1, np.inf], dtype)
    dZ = arrays.in_every_setting(lambda: ops.relu_backward(np.full(8, 3, dtype), Z))
    np.testing.assert_array_equal(dZ, np.array([0, 0, 0, 0, 0, 3, 3, 3], dtype))


@pytest.mark.parametrize(("forward", "backward"), [*zip(UNARY, BACKWARD, strict=True)])
def test_backward_passes_are_derivatives(forward, backward):
    Z = np.array([-3.0, -0.5, 0.25, 1.0, 4.0])
    h = np.finfo(float).eps ** (1 / 3)
    slope = (getattr(ops, forward)(Z + h) - getattr(ops, forward)(Z - h)) / (2 * h)
    stored = Z if forward == "relu" else ops.sigmoid(Z)
    dZ = getattr(ops, backward)(np.full(5, 2.0), stored)
    np.testing.assert_allclose(dZ, 2 * slope, atol=10 * h**2)


# binary_cross_entropy


@arrays.examples(200)
@given(
    seed=arrays.seeds,
    shape=shapes,
    dtypes=operand_dtypes,
    layouts=st.tuples(arrays.layouts, arrays.layouts),
    soft=st.booleans(),
)
def test_binary_cross_entropy_is_the_twins(seed, shape, dtypes, layouts, soft):
    rng = np.random.default_rng(seed)
    dtype = dtypes[0]  # that of Z decides
    Z = arrays.laid_out(arrays.numbers(rng, shape, dtype), layouts[0])
    y = rng.random(shape) if soft else rng.integers(0, 2, shape)
    y = arrays.laid_out(y.astype(dtype).astype(dtypes[1]), layouts[1])
    loss = arrays.in_every_setting(lambda: ops.binary_cross_entropy(Z, y))
    assert type(ops.binary_cross_entropy(Z, y)) is float
    assert loss == ops.binary_cross_entropy(arrays.plain(Z), arrays.plain(y))
    bound = tolerances.binary_cross_entropy(Z, dtype)
    tolerances.assert_within(loss, expected_of("binary_cross_entropy", Z, y), bound)


@DTYPES
@pytest.mark.parametrize("shape", [(511,), (513, 1), (257, 3), (2, 600)])
def test_binary_cross_entropy_of_many_is_the_twins(shape, dtype):
    rng = np.random.default_rng(1)
    Z, y = arrays.numbers(rng, shape, dtype), rng.integers(0, 2, shape)
    loss = arrays.in_every_setting(lambda: ops.binary_cross_entropy(Z, y))
    bound = tolerances.binary_cross_entropy(Z, dtype)
    tolerances.assert_within(loss, expected_of("binary_cross_entropy", Z, y), bound)


def test_binary_cross_entropy_is_what_its_name_says():
    Z, y = np.array([[-2.0, 0.5], [3.0, 0.0]]), np.array([[0.0, 1.0], [0.25, 0.5]])
    p = 1 / (1 + np.exp(-Z))
    expected = -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum(axis=1).mean()
    assert ops.binary_cross_entropy(Z, y) == pytest.approx(expected, rel=1e-14)


@DTYPES
def test_binary_cross_entropy_is_finite_for_every_finite_logit(dtype):
    large = np.array([-1e30, -1e4, 1e4, 1e30], dtype)
    wrong, right = (large < 0).astype(dtype), (large > 0).astype(dtype)
    assert ops.binary_cross_entropy(large, right) == 0
    expected = np.abs(large.astype(np.float64)).mean()
    assert ops.binary_cross_entropy(large, wrong) == pytest.approx(expected, rel=1e-15)


@DTYPES
def test_binary_cross_entropy_does_not_hide_nan(dtype):
    Z, y = np.zeros(40, dtype), np.zeros(40, dtype)
    for place in (0, 17, 39):
        spoiled = Z.copy()
        spoiled[place] = np.nan
        assert math.isnan(ops.binary_cross_entropy(spoiled, y))
        assert math.isnan(ops.binary_cross_entropy(Z, spoiled))


# sgd_update


@arrays.examples(200)
@given(
    seed=arrays.seeds,
    shape=shapes,
    dtypes=operand_dtypes,
    layout=st.sampled_from(sorted(arrays.WRITABLE)),
    gradient_layout=arrays.layouts,
    learning_rate=st.sampled_from([1e-3, 0.1, 0.5, 1.0, 3.0]),
)
def test_sgd_update_is_the_twins(seed, shape, dtypes, layout, gradient_layout, learning_rate):
    rng = np.random.default_rng(seed)
    dtype = dtypes[0]  # that of the parameter decides
    start = arrays.numbers(rng, shape, dtype)
    gradient = arrays.numbers(rng, shape, dtype).astype(dtypes[1])
    gradient = arrays.laid_out(gradient, gradient_layout)

    def update():
        parameter = arrays.laid_out(start, layout)
        outside = arrays.around(parameter)
        assert ops.sgd_update(parameter, gradient, learning_rate) is None
        assert arrays.around(parameter) == outside
        return parameter

    parameter = arrays.in_every_setting(update)
    expected = start.astype(np.float64)
    reference.sgd_update(expected, arrays.plain(gradient, np.float64), learning_rate)
    bound = tolerances.sgd_update(start, gradient, learning_rate, dtype)
    tolerances.assert_within(parameter, expected, bound)


@pytest.mark.parametrize(("dtype", "bit"), [("float32", 12), ("float64", 27)])
def test_sgd_update_rounds_once(dtype, bit):
    near_one = 1 + 2.0**-bit  # whose square needs one bit more than there is
    parameter = np.ones(100, dtype)
    ops.sgd_update(parameter, np.full(100, near_one, dtype), near_one)
    np.testing.assert_array_equal(parameter, np.full(100, -(2.0 ** (1 - bit)) - 4.0**-bit, dtype))


# Shapes and dtypes


@pytest.mark.parametrize("op", UNARY + BACKWARD)
@given(shape=deep_shapes, dtype=st.sampled_from(arrays.DTYPES), seed=arrays.seeds)
@arrays.examples(30)
def test_elementwise_operations_take_any_number_of_dimensions(op, shape, dtype, seed):
    rng = np.random.default_rng(seed)
    operands = [arrays.numbers(rng, shape, dtype) for _ in range(1 if op in UNARY else 2)]
    result = getattr(ops, op)(*operands)
    assert result.shape == shape
    expected = expected_of(op, *operands)
    tolerances.assert_within(result, expected, tolerances.elementary(expected, dtype))
    turned = [operand.T for operand in operands]
    np.testing.assert_array_equal(getattr(ops, op)(*turned), result.T)
    out = np.full(shape, np.nan, dtype)
    assert getattr(ops, op)(*operands, out=out) is out
    np.testing.assert_array_equal(out, result)


def calls(first, second):
    """Each operation that makes an array, on operands of these dtypes; B is square and small."""
    A, B = np.ones((2, 2), first), np.ones((2, 2), second)
    return {
        "matmul": lambda: ops.matmul(A, B),
        "relu_backward": lambda: ops.relu_backward(A, B),
        "sigmoid_backward": lambda: ops.sigmoid_backward(A, B),
    }


@pytest.mark.parametrize(
    ("first", "second", "result"),
    [
        ("float32", "float32", "float32"),
        ("float16", "float32", "float32"),
        ("float16", "float16", "float32"),
        (">f4", "<f4", "float32"),
        ("float64", "float64", "float64"),
        ("float32", "float64", "float64"),
        ("float32", "int8", "float64"),
        ("float32", "bool", "float64"),
        ("int64", "uint8", "float64"),
        ("longdouble", "float32", "float64"),
    ],
)
def test_two_operands_give_float32_only_where_both_are(first, second, result):
    for pair in ((first, second), (second, first)):
        for name, call in calls(*pair).items():
            assert call().dtype == result, name


@pytest.mark.parametrize("op", UNARY)
@pytest.mark.parametrize(
    ("dtype", "result"),
    [
        ("float16", "float32"),
        ("float32", "float32"),
        (">f4", "float32"),
        ("float64", "float64"),
        (">f8", "float64"),
        ("int32", "float64"),
        ("uint8", "float64"),
        ("bool", "float64"),
    ],
)
def test_one_operand_decides_the_dtype_of_the_result(op, dtype, result):
    Z = np.array([0, 1, 1, 0, 1], dtype)
    A = getattr(ops, op)(Z)
    assert A.dtype == result
    np.testing.assert_array_equal(A, getattr(ops, op)(Z.astype(result)))


def test_lists_and_scalars_are_float64():
    assert ops.matmul([[1, 2]], [[3], [4]]).tolist() == [[11.0]]
    assert ops.relu([-1, 0, 2]).tolist() == [0.0, 0.0, 2.0]
    assert ops.relu(3).shape == ()
    assert ops.sigmoid([0]).dtype == np.float64
    assert ops.binary_cross_entropy([0, 0], [True, False]) == pytest.approx(math.log(2), rel=1e-15)
    parameter = np.ones(2, np.float32)
    ops.sgd_update(parameter, [1, -1], 0.5)
    assert parameter.tolist() == [0.5, 1.5]


def test_views_that_interleave_without_sharing_are_no_overlap():
    memory = np.arange(20.0)
    ops.relu(memory[::2], out=memory[1::2])
    np.testing.assert_array_equal(memory[1::2], memory[::2])
    ops.sgd_update(memory[::2], memory[1::2], 1.0)
    assert not memory[::2].any()
