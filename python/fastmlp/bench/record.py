"""What a run of the benchmark leaves: times, versions and the machine, kept in a JSON file."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import fastmlp
from fastmlp.bench.measure import Result
from fastmlp.bench.works import READ_GOALS


def processors() -> int:
    """Return how many processors the process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu() -> str:
    """Return the model of the CPU; its architecture where the system does not tell."""
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
        By library; what is wrong with one that did not start.
    machine : dict
        As :func:`machine` returns it.
    """

    results: list[Result] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=machine)

    def peaks(self, dtype: str = "float32") -> dict[int, float]:
        """Return the flops per second that the multiply-adds alone reached, by threads."""
        return self._rates(
            lambda task: task.flops,
            (result for result in self._floors(dtype) if not _reads(result)),
        )

    def bandwidths(self, network: str) -> dict[int, float]:
        """Return the bytes per second at which the network's weights were read, by threads."""
        return self._rates(
            lambda task: task.bytes_read,
            (r for r in self._floors("float32") if _reads(r) and r.task.name == network),
        )

    def _floors(self, dtype: str) -> Iterable[Result]:
        return (r for r in self.results if r.peer == "floor" and r.task.dtype == dtype)

    @staticmethod
    def _rates(amount: Callable[[Any], float], floors: Iterable[Result]) -> dict[int, float]:
        rates: dict[int, float] = {}
        for result in floors:
            rate = amount(result.task) / result.best
            rates[result.threads] = max(rate, rates.get(result.threads, 0.0))
        return dict(sorted(rates.items()))

    def to_json(self) -> dict[str, Any]:
        """Return all of it, and the peak and the bandwidth, for a file."""
        return {
            "machine": self.machine,
            "versions": self.versions,
            "fma_peak_flops_per_second": {
                dtype: self.peaks(dtype) for dtype in ("float32", "float64")
            },
            "read_bytes_per_second": {name: self.bandwidths(name) for name in READ_GOALS},
            "results": [result.to_json() for result in self.results],
        }

    def keeper(self, path: Path | None) -> Callable[[list[Result], dict[str, str]], None]:
        """Return the `keep` of `measure`: it adds to the record and writes the file, if any."""

        def keep(results: list[Result], versions: dict[str, str]) -> None:
            self.results += results
            self.versions |= versions
            if path:
                self.save(path)

        return keep

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Record:
        """Return the record of a file."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        results = [Result.from_json(result) for result in fields["results"]]
        return cls(results, fields["versions"], fields["machine"])


def _reads(result: Result) -> bool:
    """Whether it is the time of reading the weights, not of multiply-adds."""
    return result.task.kind == "predict" and result.task.rows == 1
