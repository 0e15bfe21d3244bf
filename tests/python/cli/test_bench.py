"""`fastmlp bench`: how it asks the libraries, how they take turns, and what it prints."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import fastmlp
from fastmlp.__main__ import main
from fastmlp.bench import command, measure
from fastmlp.bench.measure import Result, Worker, environment, measure_task
from fastmlp.bench.peers import PEERS, initial
from fastmlp.bench.table import compared, number, table
from fastmlp.bench.workloads import TRAINING, Task, prediction
from fastmlp.reference import Network as Reference

TINY = TRAINING[0]
ROW = prediction(TRAINING)[0]
INSTALLED = [name for name, peer in PEERS.items() if peer.is_installed()]


def made_up(task, **seconds):
    """A result for each library."""
    return [Result(task, peer, 1, (time, 1.5 * time)) for peer, time in seconds.items()]


# The libraries


def twin(layers, dtype="float32"):
    net = Reference(layers, seed=0, dtype=dtype)
    weights, biases = initial(layers, np.dtype(dtype))
    for own, given in zip([*net.weights, *net.biases], weights + biases, strict=True):
        own[...] = given
    return net


# Prints a prediction. In a process of its own: some libraries start threads when they are imported,
# after which `fork` is not safe.
PREDICT = """
import sys, numpy as np
from fastmlp.bench.peers import PEERS
X = np.random.default_rng(0).standard_normal((6, 5)).astype("float32")
np.save(sys.stdout.buffer, PEERS[sys.argv[1]](1).predict((5, 4, 3, 1), X)())
"""


@pytest.mark.parametrize("name", [n for n in INSTALLED if n not in ("fastmlp", "numpy")])
def test_a_library_predicts(name, tmp_path):
    with open(tmp_path / "predicted.npy", "wb") as file:
        subprocess.run(
            [sys.executable, "-c", PREDICT, name],
            env=environment(PEERS[name], 1), stdout=file, check=True,
        )  # fmt: skip
    predicted = np.load(tmp_path / "predicted.npy")
    assert predicted.shape in ((6, 1), (6, 2))  # scikit-learn has a column for each class
    if name in ("jax", "onnxruntime"):  # which start with given weights
        X = np.random.default_rng(0).standard_normal((6, 5)).astype("float32")
        np.testing.assert_allclose(predicted, twin((5, 4, 3, 1)).forward(X), rtol=1e-5, atol=1e-6)


def test_numpy_predicts_and_trains_as_the_twin_does(monkeypatch):
    # One batch of all rows, so that their order only changes the order of sums.
    weights, biases = initial((5, 4, 1), np.dtype("float64"))
    monkeypatch.setattr("fastmlp.bench.peers.initial", lambda *_: (weights, biases))
    net = twin((5, 4, 1), "float64")
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((8, 5)), rng.integers(0, 2, (8, 1)).astype("float64")
    predicted = PEERS["numpy"](1).predict((5, 4, 1), X)()
    np.testing.assert_allclose(predicted, net.forward(X), rtol=1e-12)
    PEERS["numpy"](1).train((5, 4, 1), X, y, 8)(3)
    net.fit(X, y, epochs=3, batch_size=8, learning_rate=0.01)
    for own, expected in zip(weights + biases, [*net.weights, *net.biases], strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-12, atol=1e-14)


def test_a_library_gets_its_threads_and_nothing_that_tunes_it(monkeypatch):
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "FASTMLP_MIN_WORK"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("FASTMLP_ISA", "scalar")
    given = environment(PEERS["jax"], 3)
    assert given["OMP_NUM_THREADS"] == given["OPENBLAS_NUM_THREADS"] == "3"
    assert given["FASTMLP_ISA"] == "scalar"
    assert given["JAX_PLATFORMS"] == "cpu"
    assert not {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "FASTMLP_MIN_WORK"} & set(given)


# Taking turns


class Scripted:
    """A worker that gives the answers it was made with."""

    over, threads = "", 1

    def __init__(self, name, *answers):
        self.name, self.answers = name, list(answers)

    def ask(self, *request):
        return self.answers.pop(0)


def test_times_are_those_of_a_step_and_libraries_take_turns():
    workers = [
        Scripted("fastmlp", {"offered": True}, {"seconds": 0.64}, {"seconds": 1.28}),
        Scripted("onnxruntime", {"offered": False}),
        Scripted("numpy", {"offered": True}, {"seconds": 6.4}, {"error": "full"}),
    ]
    results = measure_task(TINY, workers, 2, 0.1)
    assert [(r.peer, r.seconds) for r in results] == [("fastmlp", (0.01, 0.02))]
    assert not any(worker.answers for worker in workers)


def test_what_fails_is_reported_and_the_rest_goes_on(capsys):
    broken = Task("odd", "train", (3, 2, 1), rows=0, epoch_rows=4)  # batches of no rows
    with (
        Worker("fastmlp", PEERS["fastmlp"], 1) as first,
        Worker("numpy", PEERS["numpy"], 1) as other,
    ):
        for worker in (first, other):
            assert worker.ask(PEERS[worker.name], 1) == {"offered": False}
        assert measure_task(broken, [first], 1, 0.001) == []
        message = capsys.readouterr().err
        assert message.startswith("fastmlp, threads 1, fails: ")
        assert "batch" in message
        assert [r.peer for r in measure_task(ROW, [first, other], 1, 0.001)] == ["fastmlp", "numpy"]
        os.kill(first.process.pid, signal.SIGTERM)
        for _ in range(2):
            assert [r.peer for r in measure_task(ROW, [first, other], 1, 0.001)] == ["numpy"]
    message = capsys.readouterr().err
    assert message == "fastmlp, threads 1, fails: the process has ended, status -15\n"


class Absent(PEERS["numpy"]):
    """Importable here, but not in its process."""


def test_a_library_that_does_not_start_is_reported(capsys, monkeypatch):
    monkeypatch.setattr(Absent, "__module__", "fastmlp.bench.peers")
    monkeypatch.setattr("fastmlp.bench.peers.Absent", Absent, raising=False)
    peers = {"absent": Absent, "numpy": PEERS["numpy"]}
    ((result,),) = measure.measure([ROW], peers, [1], 2, 0.001)
    assert (result.task, result.peer, len(result.seconds)) == (ROW, "numpy", 2)
    assert 0 < result.best < 1
    assert "absent, threads 1, fails: AttributeError" in capsys.readouterr().err


# The table


def test_a_line_names_the_best_peer_and_how_many_times_faster_this_library_is():
    results = made_up(TINY, fastmlp=7e-6, numpy=30e-6, jax=6.3e-6)
    assert compared(results, PEERS) == ["7.00", "6.30, JAX", "0.90"]
    assert compared(results[:1], PEERS) == ["7.00", "-", "-"]
    assert compared(results[1:2], PEERS) == ["-", "30.0, NumPy", "-"]


def test_numbers_are_aligned_to_the_right():
    text = table(["name", "us"], [["tiny", "2.0"], ["small", "-"]])
    assert text == "| name | us |\n| --- | ---: |\n| tiny | 2.0 |\n| small | - |\n"


def test_numbers_have_three_digits():
    values = (0.0123456, 0.999, 1.5, 12.34, 123.4, 22600)
    shown = ["0.0123", "0.999", "1.50", "12.3", "123", "22600"]
    assert [number(value) for value in values] == shown


# The command


@pytest.fixture
def two_libraries(monkeypatch):
    absent = type("Lisp", (PEERS["numpy"],), {"title": "Lisp", "modules": ("no_such_module",)})
    for name in list(PEERS):
        if name not in ("fastmlp", "numpy"):
            monkeypatch.delitem(PEERS, name)
    monkeypatch.setitem(PEERS, "lisp", absent)


def test_the_command_prints_one_table(two_libraries, capsys, monkeypatch):
    monkeypatch.setattr(command, "REPEATS", 1)
    assert main(["bench", "--networks", "tiny", "--threads", "1"]) == 0
    out, err = capsys.readouterr()
    assert "not installed: Lisp (pip install numpy)" in err
    about, _, header, step, row, _, verdict, versions = out.splitlines()
    assert about.startswith("Microseconds in float32, the least of 1; 1 thread; ratio: other / ")
    assert header.split() == ["network", "rows", "fastmlp", "best", "other", "which", "is", "ratio"]
    assert step.split()[:4] == ["train", "tiny", "30-16-8-1", "32"]
    assert row.split()[:4] == ["predict", "tiny", "30-16-8-1", "1"]
    assert row.split()[-2] == "NumPy"
    assert re.fullmatch(r"verdict   fastmlp is the fastest in \d of 2 tasks.*", verdict)
    assert versions.startswith(f"versions  fastmlp {fastmlp.__version__}, NumPy ")
    assert max(map(len, out.splitlines())) < 80
    assert out.isascii()


def test_the_command_prints_json(two_libraries, capsys, monkeypatch):
    monkeypatch.setattr(command, "REPEATS", 1)
    assert main(["bench", "--networks", "tiny", "--threads", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["threads"] == 1
    assert [(one["kind"], one["library"]) for one in found["results"]] == [
        ("train", "fastmlp"),
        ("train", "numpy"),
        ("predict", "fastmlp"),
        ("predict", "numpy"),
    ]


def test_the_verdict_says_where_another_library_is_faster():
    results = [made_up(TINY, fastmlp=7e-6, numpy=3.5e-6), made_up(ROW, fastmlp=1e-6, jax=2e-6), []]
    assert command.verdict(results, PEERS) == (
        "fastmlp is the fastest in 1 of 2 tasks; it is not in train tiny (NumPy is 2.00 times as "
        "fast)"
    )
    assert command.verdict([made_up(TINY, fastmlp=1e-6)], PEERS) == "no other library was measured"


def test_the_widest_table_fits_a_terminal_of_80_columns():
    tasks = [*TRAINING, *prediction(TRAINING)]
    results = [made_up(task, fastmlp=0.12345, onnxruntime=0.98765) for task in tasks]
    lines = command.output.table(command.HEADER, command.lines(results, PEERS))
    assert max(map(len, lines)) < 80


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--networks tinny", "'tinny' is not one of tiny, small, medium, large"),
        ("--threads 0", "0 is not in the range 1<=x<="),
        ("--threads many", "'many' is not a valid integer range"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_allowed(arguments, message, capsys):
    assert main(["bench", *arguments.split()]) == 2
    assert message in capsys.readouterr().err


# SIGINT is ignored where a shell has started the tests in the background.
INTERRUPTIBLE = """
import signal, sys
import fastmlp
from fastmlp.__main__ import main
from fastmlp.bench.peers import PEERS
for name in list(PEERS)[1:]: del PEERS[name]
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main(sys.argv[1:]))
"""


def test_ctrl_c_shows_what_there_is_and_ends_the_processes():
    arguments = ["bench", "--networks", "tiny", "small", "--threads", "1"]
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not process.stderr.readline().startswith("2/4"):
        assert process.poll() is None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert re.search("^train +tiny ", out, re.MULTILINE)
    assert len(children) == 1
    until = time.monotonic() + 10
    while Path(f"/proc/{children[0]}").exists():
        assert time.monotonic() < until


def test_the_package_does_not_load_the_benchmark():
    code = "import sys, fastmlp; print([name for name in sys.modules if 'bench' in name])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
