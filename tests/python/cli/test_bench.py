"""The benchmark: what it counts, how it asks the libraries, and that a loss is reported as one."""

import importlib.util
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import fastmlp
from fastmlp.__main__ import main
from fastmlp.bench import command, measure, report, works
from fastmlp.bench.document import product_summary, readme_text, report_text
from fastmlp.bench.measure import Result, Worker
from fastmlp.bench.peers import OURS, PEERS, environment
from fastmlp.bench.peers.base import initial
from fastmlp.bench.record import Record
from fastmlp.bench.works import Task
from fastmlp.reference import Network as Reference

ROOT = Path(__file__).resolve().parents[3]
INSTALLED = [name for name, peer in PEERS.items() if peer.is_installed()]
QUICK = {"repeats": 2, "seconds": 0.001}
TINY = works.training(["tiny"])[0]
PRODUCTS = works.products(["float64"], [8], [], works.TRANSPOSES)


def no_say(line):
    raise AssertionError(line)


def made_up(task, threads=1, **seconds):
    """A result for each library, of two repeats."""
    return [Result(task, peer, threads, (time, 1.5 * time)) for peer, time in seconds.items()]


# What is counted


def test_flops_of_a_step_are_two_products_for_the_first_layer_and_three_for_the_others():
    by_hand = 32 * 2 * (2 * 30 * 16 + 3 * 16 * 8 + 3 * 8 * 1)
    assert TINY.flops == by_hand == 87552


def test_flops_and_bytes_of_a_prediction_and_a_product():
    row, bulk = (works.prediction(["tiny"], rows)[0] for rows in (1, 4096))
    assert row.flops == bulk.flops == 2 * (30 * 16 + 16 * 8 + 8)
    assert row.bytes_read == 4 * (31 * 16 + 17 * 8 + 9)
    product = Task("tall", "matmul", (5, 3, 7), dtype="float64")
    assert product.flops == 2 * 5 * 3 * 7
    assert product.bytes_read == 8 * (5 * 7 + 7 * 3)


def test_a_call_is_all_steps_of_an_epoch_or_all_rows():
    assert TINY.units == 2048 / 32
    assert works.prediction(["tiny"], 4096)[0].units == 4096
    assert PRODUCTS[0].units == 1


def test_every_network_has_goals():
    assert list(works.GOALS) == list(works.NETWORKS) == list(works.BULK_GOALS)
    assert sorted({**works.ROW_GOALS, **works.READ_GOALS}) == sorted(works.NETWORKS)


@pytest.mark.parametrize("task", [TINY, *PRODUCTS[1:2]], ids=lambda task: task.kind)
def test_a_result_survives_json(task):
    result = Result(task, "numpy", 2, (2e-6, 1e-6, 4e-6))
    assert Result.from_json(json.loads(json.dumps(result.to_json()))) == result
    assert (result.best, result.median) == (1e-6, 2e-6)


# The libraries


# Prints what a library makes of a product under each transpose, and of a prediction. In a process
# of its own: some libraries start threads when they are imported, after which `fork` is not safe.
CALLS = """
import json, sys
import numpy as np
from fastmlp.bench.peers import PEERS

peer, rng, results = PEERS[sys.argv[1]](1), np.random.default_rng(0), {}
if hasattr(peer, "matmul"):
    for transposed in ("", "A", "B", "AB"):
        A = rng.standard_normal((4, 3)).T if "A" in transposed else rng.standard_normal((3, 4))
        B = rng.standard_normal((5, 4)).T if "B" in transposed else rng.standard_normal((4, 5))
        C = peer.matmul(A, B)()
        results["product " + transposed] = [np.asarray(C).tolist(), (A @ B).tolist()]
X = np.random.default_rng(0).standard_normal((6, 5)).astype("float32")
results["shape"] = np.asarray(peer.predict((5, 4, 3, 1), X)()).shape
results["predicted"] = np.asarray(peer.predict((5, 4, 3, 1), X)()).tolist()
print(json.dumps(results))
"""


@pytest.mark.parametrize("name", [name for name in INSTALLED if name != "floor"])
def test_a_library_does_what_is_asked_of_it(name):
    done = subprocess.run(
        [sys.executable, "-c", CALLS, name],
        env=environment(PEERS[name], 1), capture_output=True, text=True, check=True,
    )  # fmt: skip
    results = json.loads(done.stdout)
    products = [value for key, value in results.items() if key.startswith("product")]
    assert len(products) == (4 if hasattr(PEERS[name], "matmul") else 0)
    for got, expected in products:
        np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-14)
    assert results["shape"] in ([6, 1], [6, 2])  # scikit-learn has a column for each class
    if name in ("numpy", "skylakex", "jax", "onnxruntime"):  # which start with given weights
        X = np.random.default_rng(0).standard_normal((6, 5)).astype("float32")
        expected = twin((5, 4, 3, 1)).forward(X)
        np.testing.assert_allclose(results["predicted"], expected, rtol=1e-5, atol=1e-6)


def test_numpy_trains_as_the_twin_does(monkeypatch):
    # One batch of all rows, so that their order only changes the order of sums.
    shown = {}
    weights, biases = initial((5, 4, 1), np.dtype("float64"))
    monkeypatch.setattr(
        "fastmlp.bench.peers.numpy.initial", lambda *_: shown.setdefault("state", (weights, biases))
    )
    net = twin((5, 4, 1), "float64")
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((8, 5)), rng.integers(0, 2, (8, 1)).astype("float64")
    PEERS["numpy"](1).train((5, 4, 1), X, y, 8)(3)
    net.fit(X, y, epochs=3, batch_size=8, learning_rate=0.01)
    for W, b, own_W, own_b in zip(weights, biases, net.weights, net.biases, strict=True):
        np.testing.assert_allclose(W, own_W, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(b, own_b, rtol=1e-12, atol=1e-14)


def twin(layers, dtype="float32"):
    net = Reference(layers, seed=0, dtype=dtype)
    for own, given in zip(
        [*net.weights, *net.biases], itertools.chain(*initial(layers, np.dtype(dtype))), strict=True
    ):
        own[...] = given
    return net


def test_a_library_gets_its_threads_and_nothing_that_tunes_it(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "1")
    monkeypatch.setenv("FASTMLP_MIN_WORK", "0")
    monkeypatch.setenv("FASTMLP_ISA", "scalar")
    given = environment(PEERS["numpy"], 3)
    assert given["OMP_NUM_THREADS"] == given["OPENBLAS_NUM_THREADS"] == "3"
    assert given["FASTMLP_ISA"] == "scalar"
    assert not {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "FASTMLP_MIN_WORK"} & set(given)
    assert environment(PEERS["skylakex"], 1)["OPENBLAS_CORETYPE"] == "SkylakeX"


# Taking turns


@pytest.fixture(scope="module")
def run():
    tasks = [TINY, *works.prediction(["tiny"], 1), *works.prediction(["tiny"], 64), *PRODUCTS]
    record = Record()
    said = []
    results, versions = measure.measure(
        tasks,
        ["floor", "fastmlp", "numpy"],
        [1],
        say=said.append,
        keep=record.keeper(None),
        **QUICK,
    )
    return tasks, results, versions, record, said


def test_every_library_times_every_task(run):
    tasks, results, versions, record, said = run
    assert [(r.task, r.peer) for r in results] == list(
        itertools.product(tasks, ["floor", "fastmlp", "numpy"])
    )
    assert all(len(r.seconds) == QUICK["repeats"] and min(r.seconds) > 0 for r in results)
    assert record.results == results
    assert versions == record.versions
    assert versions["numpy"] == np.__version__
    assert len(said) == len(tasks)


def test_a_record_survives_its_file(run, tmp_path):
    run[3].save(tmp_path / "run.json")
    read = Record.load(tmp_path / "run.json")
    assert read == run[3]
    assert os.listdir(tmp_path) == ["run.json"]
    assert report_text(read) == report_text(run[3])
    written = json.loads((tmp_path / "run.json").read_text())
    assert written["fma_peak_flops_per_second"]["float32"]["1"] > 0
    assert written["machine"]["config"]["fastmlp"] == fastmlp.__version__


def test_a_task_that_fails_is_reported_and_the_next_one_runs():
    said = []
    broken = Task("odd", "train", (3, 2, 1), rows=0, epoch_rows=4)  # batches of no rows
    with Worker("fastmlp", 1) as worker:
        assert "version" in worker.receive()
        assert measure.measure_task(broken, [worker], 1, 0.001, said.append) == []
        assert len(measure.measure_task(PRODUCTS[0], [worker], 1, 0.001, no_say)) == 1
    assert len(said) == 1
    assert said[0].startswith("fastmlp, threads 1, fails: ")
    assert "batch" in said[0]


class Scripted:
    """A worker that gives the answers it was made with."""

    over, threads = "", 1

    def __init__(self, peer, *answers):
        self.peer, self.answers = peer, list(answers)

    def ask(self, **request):
        return self.answers.pop(0)


def test_times_are_those_of_a_step_and_libraries_take_turns():
    workers = [
        Scripted("fastmlp", {"offered": True}, {"seconds": 0.64}, {"seconds": 1.28}),
        Scripted("onnxruntime", {"offered": False}),
        Scripted("numpy", {"offered": True}, {"seconds": 6.4}, {"error": "full"}),
    ]
    said = []
    results = measure.measure_task(TINY, workers, 2, 0.1, said.append)
    assert [(r.peer, r.seconds) for r in results] == [("fastmlp", (0.01, 0.02))]
    assert said == ["numpy, threads 1, fails: full"]
    assert not any(worker.answers for worker in workers)


def test_a_process_that_dies_is_reported_once_and_the_others_go_on():
    said = []
    with Worker("fastmlp", 1) as dying, Worker("floor", 1) as other:
        workers = [dying, other]
        assert all("version" in worker.receive() for worker in workers)
        os.kill(dying.process.pid, signal.SIGKILL)
        for task in PRODUCTS[:2]:
            taken = measure.measure_task(task, workers, 1, 0.001, said.append)
            assert [result.peer for result in taken] == ["floor"]
    assert said == ["fastmlp, threads 1, fails: the process has ended, status -9"]


def test_a_library_that_cannot_start_is_reported(monkeypatch):
    said = []
    monkeypatch.setitem(PEERS, "absent", PEERS["numpy"])  # here, but not in its process
    results, versions = measure.measure(
        PRODUCTS[:1], ["absent", "floor"], [1], say=said.append, **QUICK
    )
    assert [result.peer for result in results] == ["floor"]
    assert versions["absent"] == "KeyError('absent')"
    assert said[0] == "absent does not start: KeyError('absent')"


# Reports


LOSING = [
    *made_up(TINY, floor=1e-6, fastmlp=7e-6, numpy=30e-6, jax=6.3e-6),
    *made_up(TINY, threads=2, floor=1e-6, fastmlp=3e-6, numpy=30e-6, jax=6.3e-6),
]


def test_a_table_shows_who_is_faster_and_by_how_much():
    lines = report.training_table(Record(LOSING)).splitlines()
    assert lines[0].startswith("| network | threads | FMAs alone | fastmlp | NumPy | JAX |")
    assert lines[2] == (
        "| tiny | 1 | 1.00 (1.25) | 7.00 (8.75) | 30.0 (37.5) | 6.30 (7.88) "
        "| 0.90 / 5 ✗, JAX | 0.14 |"
    )
    assert "(" not in report.training_table(Record(LOSING), medians=False)


def test_a_loss_is_listed_and_a_win_is_not():
    text = report_text(Record(LOSING))
    assert text.endswith(
        "## Where a peer is faster\n\n"
        "- training step tiny, 1 thread: JAX 6.30 us, fastmlp 7.00 us (0.900)\n"
    )
    assert report_text(Record(LOSING[4:])).endswith("- none\n")
    assert "in 0 of the products and in 1 of the other tasks" in readme_text(
        Record(LOSING), "x.png"
    )


def test_two_threads_are_compared_with_one():
    lines = report.speedup_table(Record(LOSING)).splitlines()
    assert lines[2:] == ["| tiny | 2 | 1.00 | 2.33 / 0.97 | 1.00 | 1.00 |"]
    assert report.speedup_table(Record(LOSING[:4])) == ""


def test_a_goal_is_held_against_the_right_side():
    assert report.held(0.95, 0.95) == "0.95 / 0.95"
    assert report.held(0.94, 0.95) == "0.94 / 0.95 ✗"
    assert report.held(1.4, 1.3, at_most=True) == "1.40 / 1.3 ✗"
    row = works.prediction(["wide"], 1)[0]
    table = report.row_table(Record(made_up(row, floor=1e-3, fastmlp=1.2e-3, onnxruntime=2e-3)))
    assert "| 1.67, ONNX Runtime | 1.20 / 1.3 |" in table


def test_products_are_shares_of_the_peak_and_a_loss_is_marked():
    square, small = works.products(["float64"], [512, 64], [], ["A"])
    record = Record(
        [
            *made_up(square, floor=1e-3, fastmlp=1.25e-3, numpy=1.6e-3, torch=1e-2),
            *made_up(small, floor=1e-6, fastmlp=2e-6, numpy=1.6e-6),
        ]
    )
    lines = report.product_table(record).splitlines()
    assert lines[2] == (
        "| float64 | 512x512x512 | A | 1 | 1250 | 0.80 / 0.95 ✗ | 0.62 | 1.28, NumPy |"
    )
    assert lines[3] == "| float64 | 64x64x64 | A | 1 | 2.00 | 0.50 | 0.62 | 0.80 ✗, NumPy |"
    assert "fastest in 1; at worst it is 0.80 times" in product_summary(record)
    assert report.losses(record) == [
        "product 64x64x64 float64, A transposed, 1 thread: NumPy 1.60 us, fastmlp 2.00 us (0.800)"
    ]


def test_the_peak_and_the_bandwidth_come_from_the_floor():
    row = works.prediction(["wide"], 1)[0]
    record = Record([*made_up(TINY, floor=1e-6, fastmlp=1e-9), *made_up(row, floor=1e-3)])
    assert record.peaks() == {1: pytest.approx(TINY.flops * 1e6)}
    assert record.peaks("float64") == {}
    assert record.bandwidths("wide") == {1: pytest.approx(row.bytes_read * 1e3)}


def test_numbers_have_three_digits():
    values = (0.0123456, 0.999, 1.5, 12.34, 123.4, 22600)
    shown = ["0.0123", "0.999", "1.50", "12.3", "123", "22600"]
    assert [report.number(value) for value in values] == shown


# The command


def test_the_command_measures_and_prints_and_writes(tmp_path, capsys):
    arguments = "bench --networks tiny --peers floor,fastmlp,numpy --repeats 1 --seconds 0.001"
    path = tmp_path / "run.json"
    assert main([*arguments.split(), "--threads", "1", "--json", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "## Training" in shown
    assert "## One row" in shown
    assert "## In bulk" not in shown
    assert {result.peer for result in Record.load(path).results} == {"floor", "fastmlp", "numpy"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--networks tinny", "'tinny' is none of tiny, small, medium, large, wide"),
        ("--peers lisp", "'lisp' is none of floor, fastmlp, numpy"),
        ("--only training", "'training' is none of train, row, bulk, matmul"),
        ("--threads 0", "'0' is not a list of numbers from 1 to"),
        ("--threads 1,many", "'1,many' is not a list of numbers"),
        ("--repeats 0", "'0' is not a positive number"),
        ("--seconds nan", "'nan' is not a positive number"),
        ("--json /none/x.json", "'/none/x.json' cannot be written"),
    ],
)
def test_what_is_not_allowed_is_refused_with_what_is(arguments, message, capsys):
    with pytest.raises(SystemExit) as raised:
        main(["bench", *arguments.split()])
    assert raised.value.code == 2
    assert message in capsys.readouterr().err


def test_what_is_missing_is_named_with_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setattr(PEERS["torch"], "module", "no_such_module")
    assert "PyTorch" in command.missing()
    assert "torch" in command.missing().split("pip install ")[1]
    with pytest.raises(SystemExit):
        main(["bench", "--peers", "torch"])
    assert "'torch' cannot be used: pip install torch" in capsys.readouterr().err


# SIGINT is ignored where a shell has started the tests in the background.
INTERRUPTIBLE = """
import signal, sys
from fastmlp.__main__ import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main(sys.argv[1:]))
"""


def test_ctrl_c_keeps_what_there_is_and_ends_the_processes(tmp_path):
    path = tmp_path / "run.json"
    arguments = "bench --networks tiny --peers fastmlp --seconds 0.2 --threads 1 --only row,train"
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *arguments.split(), "--json", str(path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == command.INTERRUPTED
    assert "interrupted" in err
    assert "Traceback" not in err
    assert "## One row" in out
    assert [result.task.kind for result in Record.load(path).results] == ["predict"]
    assert len(children) == 1
    assert not Path(f"/proc/{children[0]}").exists()


def test_the_package_does_not_load_the_benchmark():
    code = "import sys, fastmlp; print([name for name in sys.modules if 'bench' in name])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


# benchmarks/run.py


@pytest.fixture
def script(monkeypatch, tmp_path):
    path = ROOT / "benchmarks" / "run.py"
    spec = importlib.util.spec_from_file_location("benchmarks_run", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "README", tmp_path / "README.md")
    return module


def test_the_readme_has_a_place_for_the_tables(script):
    before, text, after = script.split((ROOT / "README.md").read_text(encoding="utf-8"))
    assert before.endswith(script.MARKS[0])
    assert "\n## " not in text
    assert after.startswith(script.MARKS[1])


def test_a_readme_without_a_place_is_refused(script):
    with pytest.raises(SystemExit, match="benchmark: begin"):
        script.split("# fastmlp\n")


def test_ours_are_no_peers():
    assert set(OURS) < set(PEERS)
    rows = report.rows(made_up(TINY, floor=1.0, fastmlp=2.0))
    assert rows[0].rival is None
    assert rows[0].ratio is None
