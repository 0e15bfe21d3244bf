"""`fastmlp bench`: see fastmlp/bench/."""

import click

from fastmlp.bench.command import processors, run
from fastmlp.bench.workloads import TRAINING
from fastmlp.cli import options

NAMES = [task.name for task in TRAINING]


@click.command(cls=options.ListCommand)
@click.option(
    "--networks",
    type=options.Names(NAMES),
    default=",".join(NAMES),
    metavar="NAME...",
    help=f"Some of {' '.join(NAMES)}.  [default: all]",
)
@click.option(
    "--threads",
    type=click.IntRange(1, processors()),
    default=processors(),
    metavar="N",
    help="Threads of each library.  [default: all processors]",
)
@options.as_json
def command(networks: tuple[str, ...], threads: int, as_json: bool) -> int:
    """Compare the times of a training step and of a prediction with other libraries.

    Libraries that are not installed are left out.
    """  # fmt: skip
    return run(networks, threads, as_json)
