"""What a run of the benchmark leaves: times, versions and the machine, kept in a JSON file."""

from __future__ import annotations

import json
import platform
import re
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import fastmlp
from comparison.workloads import Product, Task, flops, parameter_bytes
from fastmlp.bench.command import processors
from fastmlp.bench.measure import Result


def cpu() -> str:
    """Return the model of the CPU, or its architecture if the system does not tell the model."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    model = re.search(r"(?m)^model name\s*:\s*(.+)$", text)
    return model[1].strip() if model else platform.machine()


def machine() -> dict[str, Any]:
    """Return what the times depend on, apart from the libraries.

    Returns
    -------
    dict
        `cpu`, `processors` (those of the process), `date` and `config`, which is
        `fastmlp.show_config("dicts")`.
    """
    return {
        "cpu": cpu(),
        "processors": processors(),
        "date": date.today().isoformat(),
        "config": fastmlp.show_config("dicts"),
    }


@dataclass
class Record:
    """A run.

    Parameters
    ----------
    results : list of Result
    versions : dict of str to str
        By library.
    machine : dict
        As :func:`machine` returns it.
    """

    results: list[Result] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=machine)

    def peaks(self, dtype: str = "float32") -> dict[int, float]:
        """Return the flops per second of multiply-adds in registers, by threads."""
        return self._rates(
            [
                (result, flops(result.task))
                for result in self._rooflines()
                if result.task.dtype == dtype and not _is_row(result.task)
            ]
        )

    def bandwidths(self, network: str) -> dict[int, float]:
        """Return the bytes per second at which the network's weights were read, by threads."""
        return self._rates(
            [
                (result, parameter_bytes(result.task))
                for result in self._rooflines()
                if result.task.name == network and _is_row(result.task)
            ]
        )

    def _rooflines(self) -> list[Result]:
        return [result for result in self.results if result.peer == "roofline"]

    @staticmethod
    def _rates(amounts: list[tuple[Result, float]]) -> dict[int, float]:
        rates: dict[int, float] = {}
        for result, amount in amounts:
            rates[result.threads] = max(amount / result.best, rates.get(result.threads, 0.0))
        return dict(sorted(rates.items()))

    def to_json(self) -> dict[str, Any]:
        """Return all of it, with the peak and the bandwidth, for a file."""
        return {
            "machine": self.machine,
            "versions": self.versions,
            "fma_peak_flops_per_second": {
                dtype: self.peaks(dtype) for dtype in ("float32", "float64")
            },
            "read_bytes_per_second": {name: self.bandwidths(name) for name in ("large", "wide")},
            "results": [
                {**asdict(result), "min": result.best, "median": median(result.seconds)}
                for result in self.results
            ],
        }

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Record:
        """Return the record of a file."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        results = [
            Result(task_of(r["task"]), r["peer"], r["threads"], tuple(r["seconds"]))
            for r in fields["results"]
        ]
        return cls(results, fields["versions"], fields["machine"])


def task_of(fields: dict[str, Any]) -> Task:
    """Return the task whose fields these are."""
    kind = Product if "transposed" in fields else Task
    return kind(**{**fields, "sizes": tuple(fields["sizes"])})


def _is_row(task: Task) -> bool:
    return task.kind == "predict" and task.rows == 1
