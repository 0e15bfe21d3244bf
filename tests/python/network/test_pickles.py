"""Pickles name nothing but classes, old ones load, and equal objects have equal joblib hashes."""

import copy
import hashlib
import io
import json
import pickle
import pickletools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastmlp
import fastmlp.reference
from fastmlp import schedules
from fastmlp.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore")  # a few epochs do not converge

OLD = Path(__file__).parents[2] / "data" / "pickles"
X = np.random.default_rng(0).normal(size=(20, 3))
Y = (X[:, 0] > 0).astype(int)


class Child(fastmlp.Network):
    """A user's class."""


def trained(optimizer):
    network = fastmlp.Network([3, 4, 1], dtype="float64", seed=0)
    network.fit(X, Y, epochs=2, optimizer=optimizer)
    return optimizer


def estimator(kind=MLPClassifier, **options):
    options = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0, **options}
    return kind(**options).fit(X, Y)


OBJECTS = {
    "Network": lambda: fastmlp.Network([3, 4, 1], seed=0),
    "Child": lambda: Child([3, 1], seed=0),
    "twin": lambda: fastmlp.reference.Network([3, 1], seed=0),
    "Objective": lambda: fastmlp.Objective(alpha=0.5),
    **{k.__name__: lambda k=k: trained(k()) for k in (*fastmlp.optimizers.KINDS, fastmlp.LBFGS)},
    "momentum": lambda: trained(fastmlp.SGD(momentum=0.9)),
    "History": lambda: fastmlp.Network([3, 1], seed=0).fit(X, Y, epochs=1),
    "EarlyStopping": lambda: fastmlp.EarlyStopping(3),
    "Constant": schedules.Constant,
    "StepDecay": lambda: schedules.StepDecay(2),
    "Cosine": lambda: schedules.Cosine(4),
    "OneCycle": lambda: schedules.OneCycle(6, 1.0),
    "Plateau": schedules.Plateau,
    **{
        f"{kind.__name__} {solver}": lambda kind=kind, solver=solver: estimator(kind, solver=solver)
        for kind in (MLPClassifier, MLPRegressor)
        for solver in ("sgd", "adam", "lbfgs")
    },
    "early stopping": lambda: estimator(early_stopping=True, warm_start=True),
}
EVERY_OBJECT = pytest.mark.parametrize("name", OBJECTS)
OURS = (__name__.split(".")[0], "fastmlp", "numpy", "sklearn", "collections")
# What Python and NumPy write under old protocols.
BELOW_PROTOCOL_3 = {("_codecs", "encode")}
BELOW_PROTOCOL_2 = {
    ("copy_reg", "__newobj__"),
    ("copy_reg", "_reconstructor"),
    ("__builtin__", "object"),
}


def globals_of(data):
    """The (module, name) of every global of a pickle."""
    found, pushed, memo = set(), [], {}
    for op, argument, _ in pickletools.genops(data):
        if op.name in ("GLOBAL", "INST"):
            found.add(tuple(argument.split(" ", 1)))
        elif op.name == "STACK_GLOBAL":
            found.add((pushed[-2], pushed[-1]))
        if op.name == "MEMOIZE":
            memo[len(memo)] = pushed[-1]
        elif op.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[argument] = pushed[-1]
        elif op.name in ("GET", "BINGET", "LONG_BINGET"):
            pushed.append(memo[argument])
        elif op.stack_after:
            pushed.append(argument)
    return found


@EVERY_OBJECT
def test_a_pickle_names_nothing_of_builtins(name):
    made = OBJECTS[name]()
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        allowed = (BELOW_PROTOCOL_3 if protocol < 3 else set()) | (
            BELOW_PROTOCOL_2 if protocol < 2 else set()
        )
        found = globals_of(pickle.dumps(made, protocol)) - allowed
        assert {module for module, _ in found if module.split(".")[0] not in OURS} == set()


@pytest.mark.parametrize(
    "name", [name for name in OBJECTS if "MLP" not in name and name != "early stopping"]
)
def test_an_unpickler_that_allows_only_fastmlp_and_numpy_loads_it(name):
    class Restricted(pickle.Unpickler):
        def find_class(self, module, name):
            if module.split(".")[0] not in ("fastmlp", "numpy", __name__.split(".")[0]):
                raise pickle.UnpicklingError(f"{module}.{name}")
            return super().find_class(module, name)

    made = OBJECTS[name]()
    assert type(Restricted(io.BytesIO(pickle.dumps(made))).load()) is type(made)


FUNCTIONS = [
    f"{module.__name__}.{name}"
    for module in (fastmlp, fastmlp.ops, fastmlp._core, fastmlp.reference, fastmlp.datasets)
    for name, member in vars(module).items()
    if callable(member) and (member.__module__ or "").startswith("fastmlp") and name[0] != "_"
]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_or_class_is_pickled_by_its_name(name):
    module, _, attribute = name.rpartition(".")
    made = getattr(sys.modules[module], attribute)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps(made, protocol)
        ((where, called),) = globals_of(data)
        assert (where.split(".")[0], called) == ("fastmlp", made.__name__)
        assert pickle.loads(data) is made


# Refused states


def bad_states(made):
    """States that are refused: each lacks a value, or has one of a wrong kind."""
    state = made.__getstate__()
    for name in state:
        yield {key: value for key, value in state.items() if key != name}
        for odd in (None, "no", [1.0, 2.0, 3.0], object()):
            yield {**state, name: odd}


def bits_of(made):
    try:
        return pickle.dumps(made.__getstate__())
    except (RuntimeError, AttributeError):  # an object without __init__
        return None


@pytest.mark.parametrize(
    "name", ["Network", "Objective", "Adam", "momentum", "LBFGS", "RMSprop", "Lion", "AdamW"]
)
def test_a_refused_state_changes_nothing(name):
    whole = OBJECTS[name]()
    refused = 0
    for state in bad_states(whole):
        for make in (OBJECTS[name], lambda: type(whole).__new__(type(whole))):
            made = make()
            before = bits_of(made)
            try:
                made.__setstate__(state)
            except Exception:
                refused += 1
                assert bits_of(made) == before
    assert refused > 4


def test_a_state_with_parameters_of_another_size_leaves_no_zeros():
    network, state = OBJECTS["Network"](), OBJECTS["Network"]().__getstate__()
    half_made = fastmlp.Network.__new__(fastmlp.Network)
    for parameters in (state["parameters"][1:], "no", None, state["parameters"].astype(complex)):
        with pytest.raises((TypeError, ValueError)):
            half_made.__setstate__({**state, "parameters": parameters})
        with pytest.raises(RuntimeError, match="__init__ has not been called"):
            half_made.parameters  # noqa: B018
    half_made.__setstate__({**state, "parameters": state["parameters"] * np.nan})
    assert np.isnan(half_made.parameters).all()
    with pytest.raises(RuntimeError, match="has been called before"):
        network.__setstate__(state)


@pytest.mark.parametrize(
    "pair", [(1, 2, 1.0, 1.0), (X[0], X[0][1:], 1.0, 1.0), (X, X, 1.0, 1.0), (X[0], X[0], "a", 1.0)]
)
def test_lbfgs_refuses_a_pair_that_is_none(pair):
    optimizer = OBJECTS["LBFGS"]()
    before = bits_of(optimizer)
    with pytest.raises((TypeError, ValueError)):
        optimizer.__setstate__({**optimizer.__getstate__(), "_memory": [pair]})
    assert bits_of(optimizer) == before


# Old pickles


def digest(*arrays):
    joined = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    return hashlib.sha256(joined).hexdigest()[:16]


def description(made):
    """What expected.json holds of an object."""
    if isinstance(made, tuple):
        return description(made[0]) | description(made[1])
    if isinstance(made, fastmlp.Network):
        parameters = digest(made.parameters)
        return {
            "network": repr(made),
            "parameters": parameters,
            "epochs_trained": made.epochs_trained,
        }
    if isinstance(made, fastmlp.LBFGS):
        vectors = digest(*(v for pair in made._state() for v in pair[:2]))
        return {"repr": repr(made), "vectors": vectors, "pairs": len(made._state())}
    if isinstance(made, fastmlp.optimizers.Optimizer):
        steps, *powers, vectors = made._state()
        return {"repr": repr(made), "steps": steps, "powers": powers, "vectors": digest(*vectors)}
    if isinstance(made, MLPRegressor):
        own = {"parameters": digest(made.network_.parameters)}
        return own | description(made._optimizer.native)
    return {"repr": repr(made), "lowest": made._lowest}


@pytest.mark.parametrize("name", sorted(path.name for path in OLD.glob("*.pickle")))
def test_an_old_pickle_loads(name):
    expected = json.loads((OLD / "expected.json").read_text())[name]
    made = pickle.loads((OLD / name).read_bytes())
    assert description(made) == expected
    assert description(pickle.loads(pickle.dumps(made))) == expected
    if isinstance(made, MLPRegressor):
        made.partial_fit(X, X[:, 1])


# Other libraries


@EVERY_OBJECT
def test_equal_objects_have_equal_hashes(name):
    joblib = pytest.importorskip("joblib")
    made = OBJECTS[name]()
    others = (OBJECTS[name](), pickle.loads(pickle.dumps(made)), copy.deepcopy(made))
    assert {joblib.hash(other) for other in others} == {joblib.hash(made)}


def test_different_objects_have_different_hashes():
    joblib = pytest.importorskip("joblib")
    made = [OBJECTS[name]() for name in OBJECTS if name not in ("Child", "twin")]
    other = fastmlp.Network([3, 4, 1], seed=0)
    other.parameters[0] += 1
    fresh = fastmlp.Adam()
    assert len({joblib.hash(each) for each in (*made, other, fresh)}) == len(made) + 2


def test_a_hash_is_the_same_in_another_process():
    joblib = pytest.importorskip("joblib")
    code = "import fastmlp, joblib; print(joblib.hash(fastmlp.Network([3, 4, 1], seed=0)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == joblib.hash(OBJECTS["Network"]())


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_skops_loads_an_estimator_that_trains_on(solver):
    skops = pytest.importorskip("skops.io")
    made = estimator(solver=solver)
    data = skops.dumps(made)
    untrusted = skops.get_untrusted_types(data=data)
    assert untrusted == ["fastmlp.sklearn.estimators.MLPClassifier"]
    loaded = skops.loads(data, trusted=untrusted)
    if solver != "lbfgs":
        for each in (made, loaded):
            each.partial_fit(X, Y)
    assert loaded.network_.parameters.tobytes() == made.network_.parameters.tobytes()


@pytest.mark.parametrize("name", ["Network", "momentum", "Adam", "LBFGS"])
def test_jsonpickle_and_skops_restore(name):
    jsonpickle, skops = pytest.importorskip("jsonpickle"), pytest.importorskip("skops.io")
    joblib = pytest.importorskip("joblib")
    made = OBJECTS[name]()
    data = skops.dumps(made)
    again = skops.loads(data, trusted=skops.get_untrusted_types(data=data))
    assert joblib.hash(again) == joblib.hash(made)
    assert type(jsonpickle.decode(jsonpickle.encode(made))) is type(made)
