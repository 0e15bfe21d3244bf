"""Fails every allocation of the public calls in turn, each in a process of its own.

Two kinds of allocations fail: Python's, by CPython's hooks for its own tests, and those of the
native code, malloc and operator new, by failing_malloc.c. A call in which one fails may raise any
exception, or succeed nevertheless. It must not end the process, hang or give other bits, and it
must work when it is repeated. Linux with glibc and a C compiler only.

    python tests/soak/allocations.py                          # all of them: 15 minutes
    python tests/soak/allocations.py --one-in 20 --seed 7     # a random twentieth
    python tests/soak/allocations.py --only "fit adam" --kind python --at 123

Start at `attempt`; OPERATIONS lists the calls.
"""

import argparse
import contextlib
import copy
import ctypes
import importlib.util
import itertools
import operator
import os
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("FASTMLP_MIN_WORK", "0")  # small calls get a team too

import _testcapi

import numpy as np

FOREVER = 2**40
PRELOADED = "FASTMLP_FAILING_MALLOC"
TIMEOUT = 30  # seconds

# The calls. Each function makes what a call needs, and returns the call; its result is compared.


def rows(dtype="float32"):
    return np.linspace(-1, 1, 60, dtype=dtype).reshape(20, 3)


def labels():
    return np.arange(20) % 2


def network(**options):
    import fastmlp

    return fastmlp.Network([3, 4, 1], seed=0, **options)


def method(name, *args, make=network, **kwargs):
    def operation():
        made = make()
        return lambda: getattr(made, name)(*args, **kwargs)

    return operation


def training(name, *args, **kwargs):
    """A call that changes a network; its result is the network."""

    def operation():
        made = network()
        rest = {key: value() if callable(value) else value for key, value in kwargs.items()}

        def call():
            result = getattr(made, name)(*args, **rest)
            return result, made.parameters.copy(), made.gradients.copy(), made.epochs_trained

        return call

    return operation


def fit(optimizer, **options):
    def operation():
        made = network()

        def call():
            trained = made.copy()
            given = optimizer() if callable(optimizer) else optimizer
            more = {key: value() if callable(value) else value for key, value in options.items()}
            history = trained.fit(rows(), labels(), epochs=2, optimizer=given, **more)
            return history.loss, trained.parameters.copy()

        return call

    return operation


def function(module, name, *args, **kwargs):
    def operation():
        called = getattr(importlib.import_module(module), name)
        return lambda: called(*args, **kwargs)

    return operation


def optimizer(kind, **options):
    def make():
        import fastmlp

        made = getattr(fastmlp, kind)(**options)
        network().fit(rows(), labels(), epochs=1, optimizer=made)
        return made

    return make


def pickled(make):
    def operation():
        made = make()
        return lambda: pickle.dumps(made)

    return operation


def unpickled(make):
    def operation():
        data = pickle.dumps(make())
        return lambda: pickle.dumps(pickle.loads(data))

    return operation


def copied(make):
    def operation():
        made = make()
        return lambda: pickle.dumps(copy.deepcopy(made))

    return operation


def saved_and_loaded():
    import fastmlp

    made, folder = network(), tempfile.mkdtemp()
    path = os.path.join(folder, "model.safetensors")

    def call():
        made.save(path)
        return fastmlp.Network.load(path).parameters.copy()

    return call


def of_a_new_class():
    import fastmlp

    def call():
        class Child(fastmlp.Network):
            pass

        return Child([3, 4, 1], seed=0).parameters.copy()

    return call


def csr():
    import scipy.sparse

    return scipy.sparse.csr_matrix(np.where(rows() > 0, rows(), 0))


def estimator(kind, **options):
    def operation():
        import fastmlp.sklearn

        def call():
            made = getattr(fastmlp.sklearn, kind)(
                hidden_layer_sizes=(4,), max_iter=2, random_state=0, **options
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made.fit(rows(), labels())
            return made.predict(rows())

        return call

    return operation


def constructor(kind):
    def operation():
        make = new(kind)
        return lambda: make().__getstate__()

    return operation


def team(inner):
    def operation():
        import fastmlp

        fastmlp.set_num_threads(3)
        return inner()

    return operation


def imported():
    """The import of the native module; a second one after a failed one may be refused."""
    folder = next(path for path in sys.path if Path(path, "fastmlp").is_dir())
    (path,) = Path(folder, "fastmlp").glob("_core*.so")
    spec = importlib.util.spec_from_file_location("fastmlp._core", path)

    def call():
        with contextlib.suppress(ImportError):
            spec.loader.exec_module(importlib.util.module_from_spec(spec))

    return call


def schedule():
    import fastmlp

    return fastmlp.schedules.Cosine(4)


def softmax():
    import fastmlp

    return fastmlp.Network([3, 4], output="softmax", seed=0)


def new(kind, **options):
    """A function that makes an object of fastmlp."""

    def make():
        import fastmlp

        return getattr(fastmlp, kind)(**options)

    return make


def sgd_update():
    import fastmlp

    parameter = Z.copy()

    def call():
        fastmlp.ops.sgd_update(parameter, Z, 0.1)
        return parameter.copy()

    return call


def attributes():
    made = network()
    names = "layers hidden output dtype n_parameters seed epochs_trained weights biases parameters"
    return lambda: [getattr(made, name) for name in names.split()]


def scopes():
    import fastmlp

    made = network()

    def call():
        with made._own(), fastmlp._core.default_float_mode():
            pass

    return call


Z = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
ORDER = np.arange(20)
ARGUMENTS = {  # of the functions in fastmlp.ops
    "matmul": (Z, Z.T),
    "relu": (Z,),
    "relu_backward": (Z, Z),
    "sigmoid": (Z,),
    "sigmoid_backward": (Z, Z),
    "binary_cross_entropy": (Z[0], Z[0] > 0),
}
OBJECTS = {
    "network": network,
    "adam": optimizer("Adam"),
    "lbfgs": optimizer("LBFGS"),
    "objective": new("Objective", alpha=0.1),
}

IMPORT = {"import": imported}  # known to crash: docs/reliability.md, "What is left"
# These run first, before this process imports fastmlp: after the import, a forked child would run
# them on one thread.
FRESH = {
    "forward, a team": team(method("forward", rows())),
    "fit, a team": team(fit("adam")),
}
OPERATIONS = {
    "construct": lambda: lambda: network().parameters.copy(),
    "construct, options": lambda: (
        lambda: network(hidden=["tanh"], output="identity", dtype="float64").parameters.copy()
    ),
    "construct, a new class": of_a_new_class,
    "forward": method("forward", rows()),
    "forward, one row": method("forward", rows()[0]),
    "forward, float16": method("forward", rows("float16")),
    "forward, list": method("forward", rows().tolist()),
    "forward, csr": lambda: method("forward", csr())(),
    "predict": method("predict", rows()),
    "predict, softmax": method("predict", rows(), make=softmax),
    "loss": method("loss", rows(), labels(), sample_weight=np.ones(20)),
    "loss, csr": lambda: method("loss", csr(), labels())(),
    "loss_and_gradients": training(
        "loss_and_gradients", rows(), labels(), objective=OBJECTS["objective"]
    ),
    "accumulate_gradients": training("accumulate_gradients", rows(), labels()),
    "step": training("step", rows(), labels(), 0.1),
    "train_epoch": training(
        "train_epoch", rows(), labels(), ORDER, batch_size=7, optimizer=new("SGD")
    ),
    "train_epoch, dropout": training(
        "train_epoch",
        rows("float64"),
        labels(),
        ORDER,
        batch_size=7,
        optimizer=new("Adam"),
        dropout=0.5,
        seed=1,
    ),
    "train_epoch, own loss": training(
        "train_epoch",
        rows(),
        labels(),
        ORDER,
        batch_size=20,  # a later batch would keep the steps before it
        optimizer=new("SGD"),
        loss=lambda: lambda outputs, y: (0.0, outputs - y),
    ),
    "backward": training("backward", rows(), labels()),
    "input_gradients": method("input_gradients", rows()[0], [1.0]),
    "jacobian": method("jacobian", rows()),
    "activations": method("activations", rows()),
    "apply_gradients": training("apply_gradients", optimizer=new("RMSprop"), scale=0.5),
    "check_gradients": method("check_gradients", rows()[:2], labels()[:2]),
    "attributes": attributes,
    **{f"fit {name}": fit(name) for name in ("sgd", "adam", "adamw", "rmsprop", "lion")},
    "fit lbfgs": fit(new("LBFGS")),
    "fit, everything": fit(
        "adam",
        validation_data=lambda: (rows(), labels()),
        early_stopping=1,
        callbacks=lambda: [lambda *args: None],
        sample_weight=np.ones(20),
        schedule=schedule,
    ),
    "save and load": saved_and_loaded,
    **{f"pickle {name}": pickled(make) for name, make in OBJECTS.items()},
    **{f"unpickle {name}": unpickled(make) for name, make in OBJECTS.items()},
    **{f"copy {name}": copied(make) for name, make in OBJECTS.items()},
    **{f"ops.{name}": function("fastmlp.ops", name, *args) for name, args in ARGUMENTS.items()},
    "ops.sgd_update": sgd_update,
    "random_raw": function("fastmlp._core", "random_raw", 1, (1, 2, 3, 4), 9),
    "permutation": function("fastmlp._core", "permutation", 9, 1, 2),
    "set_num_threads": function("fastmlp", "set_num_threads", 1),
    "set_isa": function("fastmlp", "set_isa", "scalar"),
    "show_config": function("fastmlp", "show_config", mode="dicts"),
    **{
        f"construct {kind}": constructor(kind)
        for kind in ("SGD", "Adam", "AdamW", "RMSprop", "Lion", "LBFGS", "Objective")
    },
    "scopes": scopes,
    "refused: shape": method("forward", np.zeros((2, 5))),
    "refused: no argument": method("forward"),
    "refused: keyword": function("fastmlp.ops", "relu", Z, nothing=0),
    "refused: dtype": method("forward", ["a"]),
    "refused: name": function("fastmlp", "Network", [1, 1], hidden="x"),
    "refused: state": method("_set_state", (1, 2), make=new("Adam")),
}
# For these, only native allocations fail: nearly all Python allocations are scikit-learn's, and
# NumPy ends the process in some of them.
ESTIMATORS = {
    f"{kind} {solver}": estimator(kind, solver=solver)
    for kind in ("MLPClassifier", "MLPRegressor")
    for solver in ("adam", "lbfgs")
}


# What makes allocations fail


class PythonAllocations:
    """The allocations of Python, by number; the first has number 1."""

    def fail(self, first, last):
        _testcapi.set_nomemory(first - 1, last)

    def succeed(self):
        _testcapi.remove_mem_hooks()

    def count(self, call):
        """Return the number of allocations of a call."""
        most = 1 << 20
        left = itertools.repeat(None, most)
        _testcapi.set_nomemory(most, 0)
        with contextlib.suppress(Exception):
            call()
        with contextlib.suppress(MemoryError):
            for _ in left:
                object()
        _testcapi.remove_mem_hooks()
        return 1 + operator.length_hint(left)


class NativeAllocations:
    """Those of the native code: calls of malloc that return into one of these libraries."""

    LIBRARIES = ("/_core.", "/libfastmlp", "/libstdc++")

    def __init__(self):
        self.library = ctypes.CDLL(None)
        self.library.fail_calls.argtypes = [ctypes.c_long] * 2
        self.library.stop_failing.restype = ctypes.c_long
        self.library.add_range.argtypes = [ctypes.c_size_t] * 2
        self.found = False

    def fail(self, first, last):
        if not self.found:  # in each child, because some import fastmlp
            for line in Path("/proc/self/maps").read_text().splitlines():
                addresses, access, *_, path = line.split()
                if "x" in access and any(library in path for library in self.LIBRARIES):
                    self.library.add_range(*(int(word, 16) for word in addresses.split("-")))
            self.found = True
        self.library.fail_calls(first, last)

    def succeed(self):
        self.library.stop_failing()

    def count(self, call):
        """Return the number of allocations of a call."""
        self.fail(FOREVER, FOREVER)
        with contextlib.suppress(Exception):
            call()
        return self.library.stop_failing()


# One attempt


def in_child(work):
    """Return what work() returns in a child process: bytes, or a str that says how it failed."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(TIMEOUT)
            os.write(write, work())
            code = 0
        except BaseException:
            os.write(write, traceback.format_exc().encode())
        finally:
            os._exit(code)
    os.close(write)
    with open(read, "rb") as pipe:
        answer = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return answer if status == 0 else answer.decode()


def bits(result):
    if isinstance(result, np.ndarray):
        return result.dtype.str.encode() + repr(result.shape).encode() + result.tobytes()
    if isinstance(result, list | tuple):
        return b"(" + b",".join(map(bits, result)) + b")"
    return repr(result).encode()


def answer_of(call):
    """The bits of what a call returns or raises."""
    try:
        return bits(call())
    except (TypeError, ValueError) as error:
        return repr(error).encode()


def attempt(make, allocations, first, last, expected):
    """Return the outcome of a call in which these allocations fail, or a str if it is a fault."""

    def work():
        call = make()
        outcome = "succeeded"
        allocations.fail(first, last)
        try:
            result = call()
            allocations.succeed()
        except Exception as error:
            allocations.succeed()
            outcome = type(error).__name__
        assert outcome != "succeeded" or bits(result) in expected, "other bits"
        again = answer_of(call)
        assert again in expected, f"after {outcome}, other bits: {again[:200]}"
        return outcome.encode()

    return in_child(work)


def examine(name, make, kind, allocations, options, draw):
    """Return the number of attempts and of faults."""

    def reference():
        call = make()
        return pickle.dumps((answer_of(call), answer_of(call)))  # some change the network

    expected = pickle.loads(in_child(reference))
    total = int(in_child(lambda: str(allocations.count(make())).encode()))
    outcomes, start = Counter(), time.monotonic()
    for first in [options.at] if options.at else range(1, total + 1):
        if options.at is None and draw.random() * options.one_in >= 1:
            continue
        outcome = attempt(make, allocations, first, first + options.width - 1, expected)
        if isinstance(outcome, str):
            print(f"FAULT {name}: --kind {kind} --at {first}: {outcome}", flush=True)
        outcomes["fault" if isinstance(outcome, str) else outcome.decode()] += 1
    seconds = time.monotonic() - start
    print(f"{name:24} {kind} {total:5} {seconds:5.1f} s  {dict(outcomes)}", flush=True)
    return outcomes.total(), outcomes["fault"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one-in", type=int, default=1, metavar="N", help="a random Nth of all")
    parser.add_argument("--seed", type=int, default=0, help="of --one-in")
    parser.add_argument("--only", action="append", metavar="OPERATION")
    parser.add_argument("--kind", choices=["python", "native"])
    parser.add_argument("--at", type=int, metavar="NUMBER", help="fail only this allocation")
    parser.add_argument("--width", type=int, default=1, help="the number of consecutive failures")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    kinds = {"python": PythonAllocations(), "native": NativeAllocations()}
    attempts = faults = 0
    for name, make in (IMPORT | FRESH | OPERATIONS | ESTIMATORS).items():
        if name not in (options.only or FRESH | OPERATIONS | ESTIMATORS):
            continue
        if name not in IMPORT | FRESH:
            import numpy.random  # noqa: F401 - else NumPy does at its first use, and may crash

            import fastmlp
        if name in ESTIMATORS:
            import fastmlp.sklearn  # noqa: F401
        for kind, allocations in kinds.items():
            if options.kind in (None, kind) and (kind == "native" or name not in ESTIMATORS):
                done, bad = examine(name, make, kind, allocations, options, draw)
                attempts, faults = attempts + done, faults + bad
    print(f"{attempts} attempts, {faults} faults")
    return 1 if faults or not attempts else 0


def start_again():
    """Replace this process by one that has failing_malloc.c preloaded."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "failing_malloc.so")
        source = Path(__file__).with_name("failing_malloc.c")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", source, "-o", library], check=True)
        preloaded = f"{library}:{os.environ.get('LD_PRELOAD', '')}"
        environment = {**os.environ, "LD_PRELOAD": preloaded, "PYTHONHASHSEED": "0", PRELOADED: "1"}
        return subprocess.run([sys.executable, *sys.argv], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main() if os.environ.get(PRELOADED) else start_again())
