"""The tasks that are timed: training steps and predictions of networks from tiny to large."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """One thing to time."""

    name: str  # of the network
    kind: str  # "train": time per SGD step; "predict": time per row; benchmarks/ adds "matmul"
    sizes: tuple[int, ...]  # the layers: inputs, hidden units, outputs
    rows: int = 1  # in a batch, or predicted at a time
    epoch_rows: int = 0  # in an epoch, a multiple of those in a batch; 0 for a prediction
    dtype: str = "float32"

    @property
    def units(self) -> float:
        """The number of steps, or of rows, in one call of the library."""
        return self.epoch_rows / self.rows if self.kind == "train" else self.rows


TRAINING = [
    Task("tiny", "train", (30, 16, 8, 1), rows=32, epoch_rows=2048),
    Task("small", "train", (30, 64, 32, 1), rows=32, epoch_rows=2048),
    Task("medium", "train", (784, 256, 128, 1), rows=128, epoch_rows=2048),
    Task("large", "train", (1024, 1024, 1024, 1), rows=256, epoch_rows=2048),
]


def prediction(training: Iterable[Task], rows: int = 1) -> list[Task]:
    """Return the tasks to predict with the same networks, this number of rows at a time."""
    return [Task(task.name, "predict", task.sizes, rows) for task in training]
