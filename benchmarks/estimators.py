#!/usr/bin/env python3
"""fastmlp.sklearn against scikit-learn: fit and predict_proba, same data, same parameters.

Runs in the environment that run.py made (`benchmarks/.venv/bin/python benchmarks/estimators.py`),
or any with both installed. Each library is a process of its own with its number of threads fixed;
they take turns. `--docs` puts the tables into docs/benchmark_results.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
HEADER = ["data, hidden layers, solver", "scikit-learn", "fastmlp", "times faster"]
ROW_GOAL = 5.0  # times faster at one row
MODULES = {"scikit-learn": "sklearn.neural_network", "fastmlp": "fastmlp.sklearn"}
LAYERS = [(100,), (64, 32), (256, 128)]
SOLVERS = ["adam", "sgd"]
EPOCHS = {"breast cancer": 100, "digits": 40, "10^4 x 30": 20, "10^5 x 100": 3}
ROW_CALLS = 200


class Task(NamedTuple):
    """One line of the table."""

    data: str
    layers: tuple[int, ...]
    solver: str

    def goal(self) -> float:
        """How many times faster a fit should be."""
        return 5.0 if max(self.layers) <= 128 else 2.5


def load(name: str) -> Any:
    """Return X and y, standardised."""
    from sklearn.datasets import load_breast_cancer, load_digits, make_classification
    from sklearn.preprocessing import StandardScaler

    if name == "breast cancer":
        X, y = load_breast_cancer(return_X_y=True)
    elif name == "digits":
        X, y = load_digits(return_X_y=True)
    else:
        rows, features = {"10^4 x 30": (10**4, 30), "10^5 x 100": (10**5, 100)}[name]
        X, y = make_classification(rows, features, n_informative=15, random_state=0)
    return StandardScaler().fit_transform(X), y


def work(module: str) -> None:
    """Be the process of one library: a task a line in, its times a line out."""
    import importlib
    import warnings

    warnings.simplefilter("ignore")
    make = importlib.import_module(module).MLPClassifier
    data: dict[str, Any] = {}
    for line in sys.stdin:
        task = Task(*json.loads(line))
        X, y = data.get(task.data) or data.setdefault(task.data, load(task.data))
        epochs = EPOCHS[task.data]
        model = make(
            tuple(task.layers), solver=task.solver, max_iter=epochs, tol=0.0,
            n_iter_no_change=epochs, random_state=0,
        )  # fmt: skip
        start = time.perf_counter()
        model.fit(X, y)
        fit = (time.perf_counter() - start) / epochs
        row = X[:1]
        model.predict_proba(row)
        start = time.perf_counter()
        for _ in range(ROW_CALLS):
            model.predict_proba(row)
        one = (time.perf_counter() - start) / ROW_CALLS
        print(json.dumps([fit, one, float(model.loss_)]), flush=True)


def turns(threads: int, repeats: int) -> Iterator[tuple[Task, dict[str, list[list[float]]]]]:
    """Yield for each task the times of each library, taken in turn."""
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(variables, str(threads))
    workers = {
        name: subprocess.Popen(
            [sys.executable, __file__, "--worker", module],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )
        for name, module in MODULES.items()
    }  # fmt: skip
    for data in EPOCHS:
        for layers in LAYERS:
            for solver in SOLVERS:
                task = Task(data, layers, solver)
                times: dict[str, list[list[float]]] = {name: [] for name in workers}
                for _ in range(repeats):
                    for name, worker in workers.items():
                        assert worker.stdin is not None
                        assert worker.stdout is not None
                        print(json.dumps(task), file=worker.stdin, flush=True)
                        times[name].append(json.loads(worker.stdout.readline()))
                        time.sleep(0.01)  # threads that have just computed spin for a while
                yield task, times
    for worker in workers.values():
        worker.communicate()


def lines_of(task: Task, times: dict[str, list[list[float]]]) -> tuple[list[str], list[str]]:
    """Return the lines of a task in the tables of fits and of single rows."""
    losses = [taken[0][2] for taken in times.values()]
    assert abs(losses[0] - losses[1]) < 1e-6 * abs(losses[0]), (task, losses)
    theirs, ours = ([min(t[i] for t in taken) for i in (0, 1)] for taken in times.values())
    name = f"{task.data}, {task.layers}, {task.solver}"
    fit = [name, f"{theirs[0] * 1e3:.2f}", f"{ours[0] * 1e3:.2f}", f"{theirs[0] / ours[0]:.1f}"]
    row = [name, f"{theirs[1] * 1e6:.0f}", f"{ours[1] * 1e6:.0f}", f"{theirs[1] / ours[1]:.1f}"]
    return (
        [*fit, *held(theirs[0] / ours[0], task.goal())],
        [*row, *held(theirs[1] / ours[1], ROW_GOAL)],
    )


def held(ratio: float, goal: float) -> tuple[str, str]:
    """Return a goal, and whether it is reached."""
    return f"{goal:g}", "reached" if ratio >= goal else "missed"


def about() -> str:
    """Return the machine and the versions, as a list."""
    import sklearn

    from comparison.record import machine

    facts = machine()
    config = facts["config"]
    return (
        f"- {facts['cpu']}, {facts['processors']} processors, {facts['date']}\n"
        f"- fastmlp {config['fastmlp']} ({config['isa']}), scikit-learn {sklearn.__version__}\n\n"
    )


def tables(threads: int, fits: list[list[str]], rows: list[list[str]]) -> str:
    """Return the tables of one number of threads."""
    from fastmlp.bench.table import table

    count = "1 thread" if threads == 1 else f"{threads} threads"
    header = [*HEADER, "goal", "result"]
    return (
        f"Milliseconds per epoch of `fit`, {count}:\n\n{table(header, fits)}\n"
        f"Microseconds per `predict_proba` of one row, {count}:\n\n{table(header, rows)}\n"
    )


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="default: 1 2")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--docs", action="store_true", help="put the tables into docs/benchmark_results.md"
    )
    options = parser.parse_args()
    if options.worker:
        work(options.worker)
        return 0
    text = about()
    for threads in options.threads:
        fits, rows = [], []
        for task, times in turns(threads, options.repeats):
            fit, row = lines_of(task, times)
            print(*fit[:4], "; one row:", *row[1:4], file=sys.stderr, flush=True)
            fits.append(fit)
            rows.append(row)
        text += tables(threads, fits, rows)
    print(text, end="")
    if options.docs:
        from comparison.pages import RESULTS, write

        write(ROOT / RESULTS, "estimators", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
