"""`fastmlp.jax.function`: a network as a function of JAX, beside the same function in jax.numpy."""

import doctest
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastmlp

jax = pytest.importorskip("jax")
jnp = jax.numpy

import fastmlp.jax  # noqa: E402

pytestmark = pytest.mark.client

# float32 needs no setting of JAX, float64 does.
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
TOLERANCES = {"float32": 1e-5, "float64": 1e-13}
HIDDEN = {
    "tanh": jnp.tanh,
    "gelu": lambda Z: jax.nn.gelu(Z, approximate=False),
    "silu": jax.nn.silu,
}
OUTPUTS = {
    "identity": lambda Z: Z,
    "sigmoid": jax.nn.sigmoid,
    "softmax": lambda Z: jax.nn.softmax(Z, axis=-1),
    "exp": jnp.exp,
}


@pytest.fixture(autouse=True)
def precision(request):
    if "dtype" not in request.fixturenames:
        yield
        return
    with jax.enable_x64(request.getfixturevalue("dtype") == "float64"):
        yield


def make(dtype="float32", output="identity", hidden=("tanh", "gelu")):
    return fastmlp.Network([3, 5, 4, 2], hidden=hidden, output=output, dtype=dtype, seed=0)


def in_jax(network):
    """The function of a network in jax.numpy."""
    activations = [*(HIDDEN[name] for name in network.hidden), OUTPUTS[network.output]]

    def apply(weights, X):
        for layer, activation in enumerate(activations):
            X = activation(X @ weights[2 * layer] + weights[2 * layer + 1])
        return X

    return apply


def pair(dtype, **options):
    """A function of ours, the same one in jax.numpy, and weights for them."""
    network = make(dtype, **options)
    return fastmlp.jax.function(network), in_jax(network), network.get_weights()


def rows(dtype, *shape):
    return jnp.asarray(np.random.default_rng(1).standard_normal(shape), dtype)


def assert_same(ours, theirs, dtype):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for our, their in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert (our.shape, our.dtype) == (their.shape, their.dtype)
        atol = TOLERANCES[dtype] * max(1, float(jnp.abs(their).max(initial=0)))
        np.testing.assert_allclose(our, their, rtol=0, atol=atol)


@DTYPES
@pytest.mark.parametrize("output", OUTPUTS)
def test_outputs_are_those_of_jax(output, dtype):
    ours, theirs, weights = pair(dtype, output=output)
    for shape in [(6, 3), (3,), (2, 4, 3), (0, 3)]:
        X = rows(dtype, *shape)
        assert_same(ours(weights, X), theirs(weights, X), dtype)
        assert_same(jax.jit(ours)(weights, X), theirs(weights, X), dtype)


@DTYPES
@pytest.mark.parametrize("jit", [jax.jit, lambda function: function])
@pytest.mark.parametrize("of", [0, 1, (0, 1)])
@pytest.mark.parametrize("output", ["identity", "softmax"])
def test_gradients_are_those_of_jax(output, of, jit, dtype):
    ours, theirs, weights = pair(dtype, output=output)
    X = rows(dtype, 6, 3)
    found = [
        jit(jax.grad(lambda W, X, f=f: (f(W, X) ** 3).sum(), of))(weights, X)
        for f in (ours, theirs)
    ]
    assert_same(*found, dtype)


BATCHES = {
    "of rows": lambda f, W, E, X: jax.vmap(f, (None, 0))(W, X),
    "of rows in jit": lambda f, W, E, X: jax.jit(jax.vmap(f, (None, 0)))(W, X),
    "of rows along the last axis": lambda f, W, E, X: jax.vmap(f, (None, 1))(W, X.T),
    "of weights": lambda f, W, E, X: jax.vmap(f, (0, None))(E, X),
    "of some of the weights": lambda f, W, E, X: jax.vmap(
        lambda b, X: f([W[0], b, *W[2:]], X), (0, None)
    )(E[1], X),
    "of both": lambda f, W, E, X: jax.vmap(f)(E, X[:3]),
    "nested": lambda f, W, E, X: jax.vmap(jax.vmap(f, (None, 0)), (0, None))(E, X),
    "nested the other way": lambda f, W, E, X: jax.vmap(jax.vmap(f, (0, None)), (None, 0))(E, X),
    "Jacobian of a row": lambda f, W, E, X: jax.jacrev(f, 1)(W, X[0]),
    "Jacobian of weights": lambda f, W, E, X: jax.jacrev(f)(W, X[0]),
    "gradients of each row": lambda f, W, E, X: jax.vmap(
        jax.grad(lambda W, X: f(W, X).prod(), (0, 1)), (None, 0)
    )(W, X),
    "gradients of rows alone": lambda f, W, E, X: jax.jit(
        jax.vmap(jax.grad(lambda W, X: f(W, X).prod(), 1), (None, 0))
    )(W, X),
    "gradients of an ensemble": lambda f, W, E, X: jax.jit(
        jax.vmap(jax.grad(lambda W, X: f(W, X).prod(1).sum(), (0, 1)), (0, None))
    )(E, X),
    "outputs that are not used": lambda f, W, E, X: jax.grad(
        lambda W: jax.jit(lambda W: (f(W, X).sum(), W[0].sum()))(W)[1]
    )(W),
    "the gradient of a sum over rows": lambda f, W, E, X: jax.grad(
        lambda W: jax.vmap(lambda X: f(W, X).prod())(X).sum()
    )(W),
}


@pytest.mark.parametrize("dtype", ["float64"])
@pytest.mark.parametrize("name", BATCHES)
def test_vmap_is_that_of_jax(name, dtype):
    ours, theirs, weights = pair(dtype)
    ensemble = [jnp.stack([w, w + 1, w * 2]) for w in weights]
    X = rows(dtype, 6, 3)
    found = [BATCHES[name](f, weights, ensemble, X) for f in (ours, theirs)]
    assert_same(*found, dtype)


@DTYPES
def test_loops_and_the_gradient_through_them(dtype):
    ours, theirs, weights = pair(dtype)

    def last(f):
        def step(X, _):
            return X + jnp.pad(f(weights, X), ((0, 0), (0, 1))), None

        return lambda X: jax.lax.scan(step, X, None, length=5)[0].sum()

    X = rows(dtype, 6, 3)
    found = [jax.jit(jax.value_and_grad(last(f)))(X) for f in (ours, theirs)]
    assert_same(*found, dtype)


@DTYPES
def test_a_larger_model_trains_as_it_does_in_jax(dtype):
    ours, theirs, weights = pair(dtype)
    X = rows(dtype, 40, 6)
    y = X[:, :1] * X[:, 1:2]
    rng = np.random.default_rng(2)
    before, after = rng.standard_normal((6, 3)) / 3, rng.standard_normal((5, 1)) / 2
    start = {
        "before": jnp.asarray(before, dtype),
        "inner": [jnp.asarray(w) for w in weights],
        "after": jnp.asarray(after, dtype),
    }

    def train(f):
        def loss(model):
            A = jnp.tanh(X @ model["before"])
            return (
                (jnp.concatenate([A, f(model["inner"], A)], 1) @ model["after"] - y) ** 2
            ).mean()

        @jax.jit
        def step(model):
            value, gradient = jax.value_and_grad(loss)(model)
            return value, jax.tree.map(lambda p, g: p - 0.1 * g, model, gradient)

        model, curve = start, []
        for _ in range(50):
            value, model = step(model)
            curve.append(value)
        return jnp.stack(curve), model

    found = [train(f) for f in (ours, theirs)]
    assert found[0][0][-1] < 0.9 * found[0][0][0]
    assert_same(*found, dtype)
    network = make(dtype)
    trained = found[0][1]["inner"]
    network.set_weights(trained)
    A = rows(dtype, 4, 3)
    np.testing.assert_array_equal(network.forward(A), ours(trained, A))


def test_fifty_steps_of_lion_are_those_of_optax():
    optax = pytest.importorskip("optax")
    network = make("float64")
    X = np.random.default_rng(1).standard_normal((40, 3))
    Y = np.sin(2 * X[:, :2])
    with jax.enable_x64(True):
        apply, weights = in_jax(network), [jnp.asarray(w) for w in network.get_weights()]
        lion = optax.lion(0.003, b1=0.9, b2=0.99, weight_decay=0)
        state, curve = lion.init(weights), []
        loss = jax.jit(jax.value_and_grad(lambda W: ((apply(W, X) - Y) ** 2).sum(1).mean() / 2))
        for _ in range(50):
            value, gradients = loss(weights)
            updates, state = lion.update(gradients, state, weights)
            weights = optax.apply_updates(weights, updates)
            curve.append(float(value))
        found = [np.asarray(w) for w in weights]
    history = network.fit(
        X, Y, epochs=50, batch_size=40, optimizer=fastmlp.Lion(0.003), shuffle=False
    )
    np.testing.assert_allclose(history.loss, curve, rtol=1e-10)
    for our, their in zip(network.get_weights(), found, strict=True):
        np.testing.assert_allclose(our, their, rtol=0, atol=1e-10)


def test_the_network_and_its_later_changes_do_not_matter():
    network = make()
    apply, weights = fastmlp.jax.function(network), network.get_weights()
    X = rows("float32", 6, 3)
    with ThreadPoolExecutor(1) as another_thread:
        found = []
        network.fit(  # other threads may not read the network meanwhile
            np.ones((4, 3)),
            np.ones((4, 2)),
            epochs=1,
            callbacks=[lambda *_: found.append(another_thread.submit(apply, weights, X).result())],
        )
    assert_same(found[0], in_jax(network)(weights, X), "float32")
    network.gradients[:] = 7
    jax.grad(lambda W: apply(W, X).sum())(weights)
    assert (network.gradients == 7).all()


def test_calls_at_the_same_time_do_not_mix():
    network = fastmlp.Network([200, 300, 200], output="identity", seed=0)
    apply, X = fastmlp.jax.function(network), rows("float32", 100, 200)
    several = [[w * k for w in network.get_weights()] for k in range(8)]
    value_and_grad = jax.jit(jax.value_and_grad(lambda W: apply(W, X).sum()))
    expected = [jax.block_until_ready(value_and_grad(weights)) for weights in several]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            for found, right in zip(pool.map(value_and_grad, several), expected, strict=True):
                assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), found, right))


def test_types_are_converted_and_gradients_come_back_in_them():
    apply, weights = fastmlp.jax.function(make()), make().get_weights()
    X = rows("float32", 6, 3)
    half = X.astype(jnp.bfloat16)
    assert apply(weights, half).dtype == jnp.float32
    assert jax.grad(lambda X: apply(weights, X).sum())(half).dtype == jnp.bfloat16
    apply(weights, np.ones((2, 3), int))


def test_weights_of_jax_are_set_in_any_type():
    network = make()
    halves = [jnp.asarray(w, jnp.bfloat16) for w in network.get_weights()]
    other = make()
    other.set_weights(halves)
    expected = [np.asarray(half, np.float32) for half in halves]
    for found, right in zip(other.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("cpus", [1, 2])
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no way to leave out CPUs")
def test_large_arrays_never_wait_for_themselves(cpus):
    """With jax.pure_callback this hung on one CPU (jax-ml/jax issue 24255)."""
    code = f"""
import os
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:{cpus}])
import fastmlp, fastmlp.jax, jax, jax.numpy as jnp
network = fastmlp.Network([500, 800, 500], output="identity", seed=0)
apply, weights = fastmlp.jax.function(network), network.get_weights()
X = jnp.ones((1000, 500))
loss = lambda weights: (apply(weights, X) ** 2).mean()
for _ in range(3):
    gradients = jax.grad(loss)(weights)
    compiled = jax.jit(jax.grad(loss))(weights)
both = jax.jit(lambda X: sum(apply(weights, X + i).sum() for i in range(4)))(X)
jax.block_until_ready((gradients, compiled, both))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


def test_second_derivatives_and_forward_mode_are_refused():
    apply, weights = fastmlp.jax.function(make()), make().get_weights()
    X = rows("float32", 3)

    def slope(of):
        return lambda x: jax.grad(lambda X, W: apply(W, X)[0], of)(x, weights)[0].sum()

    for of in (0, 1):
        with pytest.raises(NotImplementedError, match="second derivatives are not available"):
            jax.grad(slope(of))(X)
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(lambda X: apply(weights, X), (X,), (X,))


def test_what_does_not_fit_is_refused():
    apply, weights = fastmlp.jax.function(make()), make().get_weights()
    with pytest.raises(ValueError, match=r"X has shape \(6, 4\); this network takes 3 features"):
        apply(weights, rows("float32", 6, 4))
    with pytest.raises(ValueError, match=r"X has shape \(\); this network takes 3 features"):
        apply(weights, 1.0)
    with pytest.raises(ValueError, match=r"weights has the shapes .* those of this network are"):
        jax.jit(apply)(weights[:2], rows("float32", 6, 3))
    with pytest.raises(TypeError, match=r"it must be a fastmlp\.Network"):
        fastmlp.jax.function(apply)
    double = make("float64")
    with pytest.raises(ValueError, match="jax_enable_x64"):
        fastmlp.jax.function(double)(double.get_weights(), rows("float32", 6, 3))


def test_the_docstrings():
    assert doctest.testmod(fastmlp.jax).failed == 0
