"""The end of a process: with threads inside of calls, in `__del__`, and in subinterpreters.

`python tests/python/runtime/test_end_of_process.py 200` ends 200 processes in each way.
"""

import collections
import re
import subprocess
import sys
import textwrap

import pytest

PATIENCE = 60  # seconds after which a process is taken to hang

SETUP = """
import os, tempfile, threading, time
import numpy as np
import fastmlp
network = fastmlp.Network([64, 128, 1])
X, y = np.zeros((2000, 64), "f4"), np.zeros(2000, "f4")
"""

# What a daemon thread does, again and again, while the process ends. Each of them has to take the
# GIL in a place of its own.
ENDLESS = {
    "fit": "network.fit(X, y, epochs=10**7)",
    "fit on float16": "network.fit(X.astype('f2'), y, epochs=10**7)",
    "fit on long double": "network.fit(X.astype('g'), y, epochs=10**7)",
    "fit by L-BFGS": "network.fit(X, y, epochs=10**7, optimizer='lbfgs')",
    "fit on a loss of the user": (
        "network.fit(X, y, epochs=10**7, loss=lambda Y, y: (0.0, Y - y))"
    ),
    "jacobian": "network.jacobian(X)",
    "forward of one row": "network.forward(X[0])",
    "loss with weights of another dtype": "network.loss(X, y, np.ones(2000, 'i2'))",
    "order of another dtype": (
        "network.train_epoch(X, y, np.arange(2000, dtype='i4'), batch_size=8, "
        "optimizer=fastmlp.SGD())"
    ),
    "step": "network.step(X[:32], y[:32], 0.1)",
    "matmul of float16": "fastmlp.ops.matmul(X[:64].astype('f2'), X[:64].astype('f2'))",
    "lists": "fastmlp.ops.relu([[1.0, 2.0]] * 1000)",
    "messages of errors": "try: network.forward([1])\n    except ValueError: pass",
    "constructor": "fastmlp.Network([300, 300, 1])",
    "copy": "network.copy()",
    "save and load": (
        "path = os.path.join(tempfile.gettempdir(), f'fastmlp-{os.getpid()}.safetensors')\n"
        "    network.save(path)\n    fastmlp.Network.load(path)\n    os.remove(path)"
    ),
}


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def end_while_a_daemon_thread_works(work: str, milliseconds: float) -> tuple[int, str]:
    """The exit status and the standard error of a process that ends `milliseconds` later."""
    loop = f"def work():\n  while True:\n    {work}\n"
    start = f"threading.Thread(target=work, daemon=True).start()\ntime.sleep({milliseconds} / 1000)"
    ended = run(SETUP + loop + start)
    return ended.returncode, ended.stderr


@pytest.mark.parametrize(
    "work", ["fit", "fit on float16", "fit on a loss of the user", "forward of one row"]
)
def test_a_process_ends_cleanly_while_a_daemon_thread_is_inside_a_call(work):
    for milliseconds in (40, 43, 47):
        assert end_while_a_daemon_thread_works(ENDLESS[work], milliseconds) == (0, "")


@pytest.mark.sweep
@pytest.mark.parametrize("work", ENDLESS)
def test_a_process_ends_cleanly_while_a_daemon_thread_is_inside_any_call(work):
    for milliseconds in range(40, 50):
        assert end_while_a_daemon_thread_works(ENDLESS[work], milliseconds) == (0, "")


def test_every_call_works_in_a_del_that_runs_while_python_ends():
    """NumPy's and our own modules can no longer be imported then, and the GIL is not released."""
    code = SETUP + textwrap.dedent(
        """
        import copy
        import fastmlp.reference
        X, y = X[:20], np.arange(20) % 2
        twin = fastmlp.reference.Network([64, 8, 1], seed=0)
        adam = fastmlp.Adam()
        path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
        calls = [
            lambda: network.forward(X),
            lambda: network.forward(X.astype("f2").tolist()),
            lambda: network.predict(X),
            lambda: network.loss(X, y, np.ones(20)),
            lambda: network.loss_and_gradients(X, y),
            lambda: network.accumulate_gradients(X, y),
            lambda: network.apply_gradients(adam),
            lambda: network.step(X, y, 0.1),
            lambda: network.fit(X, y, epochs=2),
            lambda: network.fit(X, y, epochs=2, optimizer="lbfgs"),
            lambda: network.fit(X, y, epochs=2, loss=lambda Y, y: (0.0, Y - y)),
            lambda: network.backward(X, y),
            lambda: network.jacobian(X),
            lambda: network.activations(X),
            lambda: network.fit(
                X, y, epochs=2, optimizer="adam", dropout=0.1, validation_data=(X, y),
                early_stopping=2, schedule=fastmlp.schedules.Cosine(5),
            ),
            lambda: fastmlp.Network([2, 2, 1]).check_gradients([[0, 1]], [1]),
            lambda: copy.deepcopy(network.copy()),
            lambda: network.save(path),
            lambda: fastmlp.Network.load(path),
            lambda: repr(network) + repr(adam),
            lambda: fastmlp.ops.matmul(X, X.T, out=np.empty((20, 20), "f4")),
            lambda: fastmlp.ops.binary_cross_entropy([0.0], [1]),
            lambda: fastmlp.datasets.load_breast_cancer(),
            lambda: fastmlp.show_config(mode="dicts"),
            lambda: twin.fit(X, y, epochs=2),
            lambda: twin.predict(X),
        ]

        class Late:
            def __del__(self):
                for call in calls:
                    call()
                os.write(1, b"all work")

        late = Late()
        """
    )
    ended = run(code)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("all work", "", 0)


IN_A_SUBINTERPRETER = """
try:
    from concurrent import interpreters  # Python 3.14
    interpreter = interpreters.create()
    run = lambda code: interpreter.exec(code)
except ImportError:
    try:
        import _interpreters as interpreters  # 3.13
    except ImportError:
        import _xxsubinterpreters as interpreters
    identity = interpreters.create()
    def run(code):
        failed = interpreters.run_string(identity, code)
        if failed is not None:
            raise RuntimeError(str(failed))
try:
    run("import fastmlp")
except Exception as error:
    print(error)
import fastmlp
print(fastmlp.Network([2, 1]).forward([0, 0]))
"""


def test_a_subinterpreter_cannot_import_fastmlp_and_does_no_harm():
    ended = run(IN_A_SUBINTERPRETER)
    # The words are ours, or those of Python 3.13 and newer, which checks this before.
    assert re.search(r"fastmlp.* in(to)? (a )?subinterpreter", ended.stdout), ended.stderr
    assert ended.stdout.endswith("[0.5]\n"), ended.stderr


if __name__ == "__main__":
    runs, unclean = int(sys.argv[1]), 0
    for name, work in ENDLESS.items():
        ends = collections.Counter(
            end_while_a_daemon_thread_works(work, 40 + 37 * i % 13) for i in range(runs)
        )
        unclean += runs - ends[0, ""]
        print(f"{name}: {dict(ends)}", flush=True)
    print(f"{unclean} of {runs * len(ENDLESS)} processes did not end cleanly")
    sys.exit(unclean != 0)
