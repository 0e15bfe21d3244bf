"""Uses every member of every class of fastmlp on objects made in every way, with odd arguments.

Any exception will do, but the process must live. `python abuse.py ROUNDS SEED` prints the number of
calls; a crash prints the stack. Start at `main`.
"""

import contextlib
import copy
import copyreg
import faulthandler
import gc
import io
import pickle
import random
import sys
import tempfile
import warnings
import weakref

import numpy as np

import fastmlp
import fastmlp.reference
import fastmlp.sklearn
from fastmlp import _core, schedules

X, Y = np.zeros((4, 2)), np.zeros(4)
SCHEDULES = tuple(getattr(schedules, name) for name in schedules.__all__ if name != "Schedule")
PATHS = ["model.safetensors", None, [], b"\0", "no/such/folder"]
ENDLESS = {"max_iter", "max_fun"}  # a fit of 2^62 epochs would take for ever
TAKES_A_PATH = {"save", "load"}  # an integer would be a file descriptor of this process


def network(**options):
    return fastmlp.Network([2, 3, 1], seed=0, **options)


def estimator(kind):
    return kind(hidden_layer_sizes=(3,), max_iter=2).fit(X, [0, 1, 0, 1])


def trained(optimizer):
    network().fit(X, Y, epochs=1, optimizer=optimizer)
    return optimizer


# A whole object of each class.
WHOLE = {
    _core.Network: lambda: _core.Network([2, 3, 1], "relu", "sigmoid", "float32", 0),
    _core.Optimizer: lambda: _core.Optimizer("SGD", "x", fastmlp.SGD()._parameters()),
    _core.Objective: lambda: _core.Objective(alpha=0.5),
    fastmlp.Network: network,
    fastmlp.reference.Network: lambda: fastmlp.reference.Network([2, 3, 1], seed=0),
    **{kind: lambda kind=kind: trained(kind()) for kind in fastmlp.optimizers.KINDS},
    fastmlp.LBFGS: lambda: trained(fastmlp.LBFGS()),
    fastmlp.EarlyStopping: lambda: fastmlp.EarlyStopping(3),
    fastmlp.History: lambda: network().fit(X, Y, epochs=1),
    schedules.Constant: schedules.Constant,
    schedules.StepDecay: lambda: schedules.StepDecay(2),
    schedules.Cosine: lambda: schedules.Cosine(4),
    schedules.OneCycle: lambda: schedules.OneCycle(6, 1.0),
    schedules.Plateau: schedules.Plateau,
    fastmlp.sklearn.MLPClassifier: lambda: estimator(fastmlp.sklearn.MLPClassifier),
    fastmlp.sklearn.MLPRegressor: lambda: estimator(fastmlp.sklearn.MLPRegressor),
}


def without_init(kind):
    return type("Child", (kind,), {"__init__": lambda self, *args: None})()


def half_made(kind):
    made = kind.__new__(kind)
    with contextlib.suppress(Exception):
        made.__init__(object())
    return made


def with_two_inits(kind):
    made = WHOLE[kind]()
    views = getattr(made, "weights", None)
    with contextlib.suppress(Exception):
        made.__init__([3, 3, 1])
    with contextlib.suppress(Exception):
        made.__init__()
    del views
    return made


def with_an_init_inside_init(kind):
    """Return an object whose __init__ read a sequence that called __init__."""

    class Layers(list):
        def __iter__(self):
            with contextlib.suppress(Exception):
                kind.__init__(made, [2, 1])
            return super().__iter__()

        def __getitem__(self, index):
            with contextlib.suppress(Exception):
                kind.__init__(made, [2, 1])
            return super().__getitem__(index)

    made = kind.__new__(kind)
    with contextlib.suppress(Exception):
        made.__init__(Layers([2, 3, 1]))
    return made


def of_another_class(kind):
    made = WHOLE[kind]()
    for other in (*WHOLE, type("Child", (kind,), {})):
        with contextlib.suppress(Exception):
            made.__class__ = other
    return made


def with_two_native_bases(kind):
    if not issubclass(kind, _core.Network | _core.Optimizer | _core.Objective):
        return None
    other = _core.Optimizer if issubclass(kind, _core.Network) else _core.Network
    made = type("Both", (kind, other), {})
    return made.__new__(made)


def without_state(kind):
    function, arguments = object.__reduce_ex__(WHOLE[kind](), 2)[:2]
    return function(*arguments)


def with_odd_state(kind):
    made = kind.__new__(kind)
    for state in (*ODD, *({name: odd} for name in STATE_NAMES for odd in ODD)):
        with contextlib.suppress(Exception):
            made.__setstate__(state)
    return made


WAYS = [
    lambda kind: WHOLE[kind](),
    lambda kind: kind.__new__(kind),
    lambda kind: copyreg.__newobj__(kind),
    without_init,
    half_made,
    with_two_inits,
    with_an_init_inside_init,
    of_another_class,
    with_two_native_bases,
    without_state,
    with_odd_state,
]


class Raises:
    """An object whose every conversion fails."""

    def fail(self, *args, **kwargs):
        raise ZeroDivisionError

    __len__ = __getitem__ = __iter__ = __float__ = __index__ = __array__ = __bool__ = fail
    __eq__ = __str__ = __repr__ = fail
    __hash__ = None


STATE_NAMES = ["parameters", "layers", "state", "attributes", "alpha", "_memory"]
HUGE = np.lib.stride_tricks.as_strided(np.zeros(1), (2**45,), (0,))  # 281 TB, of one number
ODD = [
    None,
    True,
    -1,
    3,
    2**62,
    2**200,
    0.5,
    float("nan"),
    "relu",
    "\ud800",
    b"\0",
    (),
    [],
    {},
    [2, 1],
    [2**62, 2**62],
    Raises(),
    object(),
    int,
    X,
    Y,
    X.astype("f4"),
    Y.astype("f2"),
    np.arange(4),
    np.array(["a"]),
    np.array([None]),
    np.float64(1),
    HUGE,
    lambda *args: None,
    fastmlp.Network.__new__(fastmlp.Network),
    fastmlp.Adam.__new__(fastmlp.Adam),
    _core.Objective.__new__(_core.Objective),
    network(),
    network().parameters,
    fastmlp.Lion(),
    (1, 0.9, 0.9, (Y,)),
    (1, 0.9, 0.9, [Y, Y]),
    (1, 0.9, 0.9, (HUGE, HUGE)),
    (2**63 - 1, float("nan"), -1.0, ()),
    (1, 0.9, 0.9, (Y, X)),
    (Y, 3),
    ((((),),),),
]
FINITE = [odd for odd in ODD if odd is not HUGE]  # for Python code, which would read it to its end

OPERATIONS = [
    repr,
    str,
    hash,
    bool,
    dir,
    vars,
    len,
    iter,
    sys.getsizeof,
    copy.copy,
    copy.deepcopy,
    weakref.ref,
    gc.get_referents,
    lambda x: x == x,
    lambda x: x < x,
    lambda x: format(x, "d"),
    lambda x: x + x,
    lambda x: object.__reduce_ex__(x, 0),
    lambda x: object.__reduce_ex__(x, 2),
    lambda x: network().apply_gradients(x),
    lambda x: network().fit(X, Y, epochs=1, optimizer=x),
    lambda x: network().train_epoch(X, Y, [0, 1], batch_size=1, optimizer=x),
    lambda x: network().loss_and_gradients(X, Y, objective=x),
    *(
        lambda x, protocol=protocol: pickle.loads(pickle.dumps(x, protocol))
        for protocol in range(6)
    ),
]


class Counter:
    """Counts calls, and swallows their exceptions."""

    def __init__(self):
        self.calls = 0

    def __call__(self, function, *args, **kwargs):
        self.calls += 1
        with contextlib.suppress(Exception):
            return function(*args, **kwargs)
        return None


def abuse(made, draw, attempt, rounds):
    """Use every operation and every member of an object."""
    is_python = not isinstance(made, _core.Network | _core.Optimizer | _core.Objective)
    for operation in OPERATIONS:
        attempt(operation, made)
    for name in attempt(dir, made) or ():  # dir() of scikit-learn fails on odd attributes
        member = attempt(getattr, made, name)
        attempt(delattr, made, name)
        if name != "__class__" and name not in ENDLESS:
            attempt(setattr, made, name, draw.choice(ODD))
        # A schedule multiplies once for each epoch, so that an epoch of 2^62 takes for ever.
        if not callable(member) or (name == "__call__" and isinstance(made, SCHEDULES)):
            continue
        odd = PATHS if name in TAKES_A_PATH else FINITE if is_python else ODD
        for _ in range(rounds):
            arguments = draw.choices(odd, k=draw.randrange(5))
            attempt(member, *arguments)
            attempt(member, *arguments, **{draw.choice(("epochs", "out", "seed", "state")): 1})


def abuse_functions(draw, attempt, rounds):
    """Call the module's functions, and make and use what pybind11 keeps a function in."""
    for name, function in vars(_core).items():
        if callable(function) and not name.startswith("__"):
            odd = FINITE if name == "binary_cross_entropy" else ODD  # which would sum 2^45 terms
            for _ in range(10 * rounds):
                attempt(function, *draw.choices(odd, k=draw.randrange(5)))
    record = _core.Network.forward.__func__.__self__
    for use in (type(record), lambda: copyreg.__newobj__(type(record)), record.__init__):
        attempt(use)
    for operation in OPERATIONS:
        attempt(operation, record)
        attempt(operation, _core.isa)


def main(rounds, seed):
    faulthandler.enable(sys.__stderr__)
    warnings.simplefilter("ignore")
    draw, attempt = random.Random(seed), Counter()
    for kind in WHOLE:
        for way in WAYS:
            made = attempt(way, kind)
            if made is not None:
                abuse(made, draw, attempt, rounds)
            del made
    abuse_functions(draw, attempt, rounds)
    gc.collect()
    return attempt.calls


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        calls = main(int(sys.argv[1]), int(sys.argv[2]))
    print(calls)
