"""The caller's rounding and denormals change no bit of a result, and are left as they are."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import fastmlp
from fastmlp import metrics, ops, schedules
from fastmlp.sklearn import MLPClassifier
from fastmlp.tabular import TabularClassifier, TabularRegressor
from float_modes import MODES, float_mode

pytestmark = [
    pytest.mark.skipif(not MODES, reason="this system's floating-point modes are unknown"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 7))
SINGLE, HALF = X.astype(np.float32), X.astype(np.float16)
LONG = X.astype(np.longdouble) + np.longdouble(1e-19)
SPARSE = scipy.sparse.csr_matrix(X * (RNG.random(X.shape) < 0.4))
Y = (X[:, 0] > 0).astype(float)
WEIGHT = RNG.random(40) + 0.1
CURVE = np.linspace(0, 1, 82) ** 3
SCALING = {"input_mean": X.mean(axis=0), "input_scale": X.std(axis=0)}


def network(dtype: str = "float32") -> fastmlp.Network:
    return fastmlp.Network([7, 9, 1], seed=3, dtype=dtype)


NETWORK, WIDE = network(), network("float64")
THRESHOLD = float(NETWORK.forward(X)[3, 0]) + 1e-12  # rounds to a probability in float32


def fitted(optimizer: Any, dtype: str = "float32", **options: Any) -> list[Any]:
    net = network(dtype)
    history = net.fit(X, Y, epochs=3, optimizer=optimizer, batch_size=16, **options)
    return [net.parameters.copy(), history.loss, history.learning_rate, history.val_loss]


def changed(change: Callable[[fastmlp.Network], object]) -> list[Any]:
    net = network()
    return [change(net), net.parameters.copy(), net.gradients.copy()]


def updated_once(net: fastmlp.Network) -> None:
    net.loss_and_gradients(X, Y)
    net.apply_gradients(fastmlp.Adam(), scale=1 / 3)


def fitted_estimator(solver: str, **options: Any) -> list[Any]:
    estimator = MLPClassifier((9,), solver=solver, random_state=0, max_iter=4, tol=0, **options)
    if solver == "sgd":
        for _ in range(4):
            estimator.partial_fit(X, Y, classes=[0, 1])
    else:
        estimator.fit(X, Y, WEIGHT)
    return [*estimator.coefs_, *estimator.intercepts_, estimator.loss_]


def fitted_table(kind: Any, **options: Any) -> Any:
    model = kind(epochs=2, n_members=2, hidden=(5,), **options)
    return model.fit(X, Y if kind is TabularClassifier else X[:, 0], WEIGHT)


def half_squared_error(outputs: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    return 0.0, (outputs - y) / len(y)


def updated_in_place() -> np.ndarray:
    parameter = SINGLE.copy()
    ops.sgd_update(parameter, X, 0.1)
    return parameter


SLOPE = np.float32(1e-39) * WEIGHT.astype(np.float32)
ESTIMATOR = MLPClassifier((5,), random_state=0, max_iter=5, solver="sgd")
for _ in range(5):
    ESTIMATOR.partial_fit(X, Y, classes=[0, 1])
CLASSIFIER, REGRESSOR = fitted_table(TabularClassifier), fitted_table(TabularRegressor)
PROBABILITIES = CLASSIFIER.predict_proba(X)[:, 1]
LABEL_METRICS = (metrics.accuracy, metrics.balanced_accuracy, metrics.log_loss, metrics.roc_auc)
NUMBER_METRICS = (metrics.mae, metrics.rmse, metrics.r2)
SCHEDULES = (
    schedules.Cosine(7),
    schedules.StepDecay(2, 0.3),
    schedules.OneCycle(9, 0.7),
    schedules.Plateau(0.3, 0, min_delta=0.1),
)
CALLS: dict[str, Callable[[], Any]] = {
    "initial weights": lambda: [network(name).parameters for name in ("float32", "float64")],
    "forward": lambda: [NETWORK.forward(rows) for rows in (X, SPARSE, LONG, HALF, X[0], X * 1e-39)],
    "forward in float64": lambda: [WIDE.forward(rows) for rows in (X, SPARSE, LONG)],
    "predict": lambda: NETWORK.predict(X, threshold=THRESHOLD),
    "loss": lambda: [NETWORK.loss(rows, Y) for rows in (X, SPARSE)],
    "weighted loss": lambda: [NETWORK.loss(X, Y, w) for w in (WEIGHT, np.full(40, 1e-40))],
    "loss_and_gradients": lambda: changed(lambda net: net.loss_and_gradients(X, Y, WEIGHT)),
    "accumulate_gradients": lambda: changed(lambda net: net.accumulate_gradients(X, Y, WEIGHT)),
    "apply_gradients": lambda: changed(updated_once),
    "backward": lambda: changed(lambda net: net.backward(X, WEIGHT[:, np.newaxis] * 1e-30)),
    "input_gradients and jacobian": lambda: [
        NETWORK.input_gradients(X, SLOPE),
        NETWORK.jacobian(X),
        *NETWORK.activations(X),
    ],
    "fit on a loss of the user": lambda: fitted("sgd", loss=half_squared_error),
    "step": lambda: changed(lambda net: net.step(X, Y, 0.1)),
    "_restore": lambda: changed(lambda net: net._restore(CURVE, 1)),
    "check_gradients": lambda: NETWORK.check_gradients(X[:3], Y[:3]),
    "matmul": lambda: [ops.matmul(X, X.T), ops.matmul(SINGLE, HALF.T), ops.matmul(X, LONG.T)],
    "sigmoid": lambda: [ops.sigmoid(X), ops.sigmoid_backward(X, SINGLE)],
    "binary_cross_entropy": lambda: ops.binary_cross_entropy(X[:, 0], Y),
    "sgd_update": updated_in_place,
    "a denormal learning rate": lambda: fastmlp.SGD(1e-310).learning_rate,
    **{
        f"fit by {name}": lambda name=name: fitted(name)
        for name in ("sgd", "adam", "adamw", "rmsprop", "lion", "lbfgs")
    },
    "fold_scaling": lambda: changed(lambda net: net.fold_scaling(**SCALING)),
    "fit on scaled rows": lambda: [
        fitted(name, standardize=True, sample_weight=WEIGHT) for name in ("adam", "lbfgs")
    ],
    "fit with metrics": lambda: (
        network()
        .fit(
            X,
            Y,
            epochs=2,
            metrics=["accuracy", "log_loss", "roc_auc"],
            class_weight="balanced",
            validation_split=0.3,
        )
        .metrics["val_log_loss"]
    ),
    "fit of tables": lambda: [
        [net.parameters for net in fitted_table(kind, **options).networks]
        for kind, options in (
            (TabularClassifier, {"class_weight": "balanced"}),
            (TabularRegressor, {"scaling": "quantile"}),
            (TabularRegressor, {"loss": "huber"}),
        )
    ],
    "predictions of tables": lambda: [CLASSIFIER.predict_proba(X), REGRESSOR.predict(X / 3)],
    "encoded rows of tables": lambda: [model.encode(X / 3) for model in (CLASSIFIER, REGRESSOR)],
    "scores of tables": lambda: [
        CLASSIFIER.score(X, Y, WEIGHT),
        REGRESSOR.score(X, X[:, 1], WEIGHT),
    ],
    "metrics": lambda: (
        [metric(Y, PROBABILITIES) for metric in LABEL_METRICS]
        + [metric(X[:, 0], PROBABILITIES) for metric in NUMBER_METRICS]
    ),
    "fit in float64": lambda: fitted("lbfgs", "float64"),
    "fit with weights and dropout": lambda: fitted("adam", sample_weight=WEIGHT, dropout=0.3),
    "fit with early stopping": lambda: fitted(
        "sgd", validation_data=(X, Y, WEIGHT), early_stopping=fastmlp.EarlyStopping(1, 1e-3)
    ),
    "fit with a user's schedule": lambda: fitted("sgd", schedule=lambda e, rate, _: rate / (e + 3)),
    "estimators": lambda: [
        fitted_estimator("adam", class_weight="balanced", early_stopping=True),
        fitted_estimator("sgd", learning_rate="invscaling"),
        fitted_estimator("lbfgs"),
    ],
    "predictions of an estimator": lambda: (
        [getattr(ESTIMATOR, name)(X) for name in ("predict_proba", "predict_log_proba", "predict")]
        + [ESTIMATOR.score(X, Y)]
    ),
    **{
        type(schedule).__name__: lambda schedule=schedule: [
            schedule(epoch, 0.1, {"loss": 0.5 + epoch % 3 * 0.1}) for epoch in range(9)
        ]
        for schedule in SCHEDULES
    },
}


def flat(result: Any) -> Iterator[bytes]:
    if isinstance(result, list | tuple):
        for part in result:
            yield from flat(part)
    else:
        yield repr(result).encode() if result is None else np.asarray(result).tobytes()


def digest(result: Any) -> str:
    return hashlib.sha256(b"".join(flat(result))).hexdigest()


@pytest.fixture(scope="module")
def expected() -> dict[str, str]:
    return {name: digest(call()) for name, call in CALLS.items()}


@pytest.mark.parametrize("mode", MODES)
def test_no_public_call_depends_on_the_mode_of_its_thread(mode, expected):
    found = {}
    for name, call in CALLS.items():
        with float_mode(mode):
            result = call()
        found[name] = digest(result)
    assert found == expected


ONE, TINY = np.array([1.0]), np.array([1e-40])  # for arithmetic that NumPy does not do in advance


def mode_now() -> tuple[bytes, ...]:
    """What additions and a product give, which differ between all modes."""
    return (
        (ONE + TINY).tobytes(),
        (ONE - TINY).tobytes(),
        (-ONE + TINY).tobytes(),
        (TINY * 1e-270).tobytes(),
    )


@pytest.mark.parametrize("mode", MODES)
def test_calls_leave_the_mode_as_it_is(mode):
    default = mode_now()
    with float_mode(mode):
        before = mode_now()
        for name in ("initial weights", "loss", "fit by lbfgs", "Cosine", "check_gradients"):
            CALLS[name]()
        with pytest.raises(ValueError, match="features"):
            NETWORK.fit(X[:, :2], Y, epochs=1)
        after = mode_now()
    assert after == before != default
    assert mode_now() == default


@pytest.mark.parametrize("optimizer", ["sgd", "lbfgs"])
def test_a_callback_that_changes_the_mode_changes_no_bit(optimizer):
    options = {"validation_data": (X, Y), "early_stopping": fastmlp.EarlyStopping(9, 1e-3)}
    expected = digest(fitted(optimizer, **options))
    with contextlib.ExitStack() as stack:

        def round_up(*_):
            stack.enter_context(float_mode("up"))

        found = fitted(optimizer, callbacks=[round_up], **options)
    assert digest(found) == expected
