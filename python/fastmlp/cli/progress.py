"""Live bars on standard error, by tqdm; quiet if that is no terminal."""

import sys
from typing import Any

from fastmlp import runtime
from fastmlp.cli import output

TRAINING = "{desc} |{bar}| {percentage:3.0f}% {rate_fmt}, {remaining} left"
NARROW = "{desc}, {percentage:.0f}%, {remaining} left"
NARROW_WIDTH = 60  # a terminal with fewer columns has no room for more


def _bar(**options: Any) -> Any:
    from tqdm import tqdm  # here: it takes a while, and --help needs none

    # A terminal that does not know its size has no rows, and tqdm would show nothing.
    settings = {"disable": None, "leave": False, "unit": " rows", "unit_scale": True}
    width = output.width(sys.stderr)
    return tqdm(file=sys.stderr, ncols=width, nrows=20, **(settings | options))


def predicted_rows(path: str) -> Any:
    """Return a bar that counts rows, unless the predictions themselves go to a terminal."""
    is_hidden = path == "-" and sys.stdout.isatty()
    return _bar(bar_format="{n_fmt} rows, {rate_fmt}", disable=is_hidden or None)


class Training:
    """A bar for the training of several networks; it is a callback of `fit`."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.done: dict[int, int] = {}  # rows, by member; the one that reported last is the last

    def __call__(self, progress: Any) -> None:
        """Show one more epoch of one network."""
        before = self.done.pop(progress.member, 0)
        self.done[progress.member] = progress.epoch * progress.rows
        is_narrow = output.width(sys.stderr) < NARROW_WIDTH
        losses = f"loss {progress.loss:.4g}"
        if progress.val_error is not None and not is_narrow:
            losses += f", held out {progress.val_error:.4g}"
        if self.bar is None:
            self.bar = _bar(bar_format=NARROW if is_narrow else TRAINING, desc=losses)
        self.bar.total = self._total(progress)
        self.bar.set_description_str(losses, refresh=False)
        self.bar.update(self.done[progress.member] - before)

    def _total(self, progress: Any) -> int:
        """Return how many rows there will be if no network that is being trained ends early."""
        whole = progress.epochs * progress.rows
        at_once = min(progress.members, runtime.get_num_threads())
        ended = list(self.done.values())[:-at_once]
        return sum(ended) + (progress.members - len(ended)) * whole

    def close(self) -> None:
        """Remove the bar."""
        if self.bar is not None:
            self.bar.close()
