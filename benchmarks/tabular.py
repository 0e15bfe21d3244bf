#!/usr/bin/env python3
"""fastmlp.tabular against boosted trees and other networks, on twelve real tables.

    pip install -r benchmarks/tabular_requirements.txt
    python benchmarks/tabular.py --models fastmlp lightgbm --seeds 0 1 2 3 4 --records records.jsonl
    python benchmarks/tabular.py --report records.jsonl

Each fit is a process of its own, one at a time, so that a crash or a hang costs one record, which
is one line of JSON. Fits whose record is in the file are not repeated, so a run can be interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks_tabular.md"
PACKAGES = [
    "numpy", "pandas", "scikit-learn", "lightgbm", "xgboost", "xgboost-cpu", "catboost",
    "pytabkit", "torch",
]  # fmt: skip


def used() -> float:
    """Return the CPU seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def work(name: str, seed: int, model_name: str) -> dict[str, Any]:
    """Fit one model to one table and return its record; imports and loading are not timed."""
    from tabular_models import MODELS, frames, metrics
    from tabular_tables import TABLES, split

    warnings.simplefilter("ignore")
    X_train, X_test, y_train, y_test = split(name, seed)
    X_train, X_test = frames(model_name, X_train, X_test)
    model = MODELS[model_name](TABLES[name].task, seed)
    start, cpu = time.perf_counter(), used()
    model.fit(X_train, y_train)
    fit, fit_cpu = time.perf_counter() - start, used() - cpu
    start = time.perf_counter()
    scores = metrics(TABLES[name].task, model, X_test, y_test)
    return {
        "fit": round(fit, 3),
        "fit_cpu": round(fit_cpu, 3),
        "predict": round(time.perf_counter() - start, 3),
        **{key: float(f"{value:.6g}") for key, value in scores.items()},
    }


def measure(name: str, seed: int, model: str, limit: float) -> dict[str, Any]:
    """Run `work` in a process and return the record, or the reason why there is none."""
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    command = [sys.executable, __file__, "--work", name, str(seed), model]

    def cap() -> None:  # a limit of CPU time is the same on a busy machine
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit)))

    record: dict[str, Any] = {"table": name, "seed": seed, "model": model}
    try:
        done = subprocess.run(
            command, env=os.environ | dict.fromkeys(variables, "2"), preexec_fn=cap,
            capture_output=True, text=True, timeout=10 * limit,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return record | {"error_message": f"no result after {10 * limit:g} s"}
    if done.returncode in (-9, -24):  # SIGKILL and SIGXCPU
        return record | {"error_message": f"stopped after {limit:g} s of CPU time"}
    if done.returncode != 0:
        return record | {"error_message": (done.stderr.strip().splitlines() or ["?"])[-1][:200]}
    return record | json.loads(done.stdout.splitlines()[-1])


def about() -> dict[str, Any]:
    """Return the machine and the versions."""
    import importlib.metadata
    import platform

    import fastmlp
    from comparison.record import cpu

    versions = {"fastmlp": fastmlp.__version__}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return {
        "about": {
            "cpu": cpu(), "processors": os.cpu_count(), "python": platform.python_version(),
            "date": time.strftime("%Y-%m-%d"), "versions": versions,
        }
    }  # fmt: skip


def main() -> int:
    """Measure, or print the tables of what has been measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["fastmlp"])
    parser.add_argument("--tables", nargs="+", help="default: all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--records", type=Path, default=Path("tabular.jsonl"))
    parser.add_argument("--limit", type=float, default=2400, help="CPU seconds of a fit")
    parser.add_argument("--report", nargs="+", type=Path, metavar="FILE", help="print tables")
    parser.add_argument("--docs", action="store_true", help="put the tables into the docs instead")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        name, seed, model = options.work
        print(json.dumps(work(name, int(seed), model)))
        return 0
    if options.report:
        from tabular_report import machines, read, report

        text = report(read(options.report), options.tables)
        if options.docs:
            from comparison.pages import write

            write(PAGE, "tables", f"{machines(options.report)}\n{text}")
        else:
            print(text, end="")
        return 0
    from tabular_tables import TABLES

    file = options.records
    lines = file.read_text().splitlines() if file.exists() else []
    done = {(r.get("table"), r.get("seed"), r.get("model")) for r in map(json.loads, lines)}
    with file.open("a") as out:
        print(json.dumps(about()), file=out, flush=True)
        for model in options.models:
            for seed in options.seeds:
                for name in options.tables or TABLES:
                    if (name, seed, model) not in done:
                        record = measure(name, seed, model, options.limit)
                        print(json.dumps(record), file=out, flush=True)
                        print(*record.values(), file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
