"""`fastmlp demo`: see fastmlp/demo.py."""

import click

from fastmlp.demo import run_demo


@click.command
@click.option(
    "--plot", type=click.Path(), metavar="FILE",
    help="Write the loss curves to FILE as a PNG (needs matplotlib).",
)  # fmt: skip
def command(plot: str | None) -> int:
    """Train on real data and compare with the same network in plain NumPy."""
    return run_demo(plot)
