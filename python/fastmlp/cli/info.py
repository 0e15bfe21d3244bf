"""`fastmlp info`: versions and settings."""

import click

import fastmlp
from fastmlp.cli.options import as_json
from fastmlp.cli.output import say_json


@click.command
@as_json
def command(as_json: bool) -> int:
    """Print versions and settings, for bug reports."""
    if as_json:
        say_json(fastmlp.show_config("dicts"))
    else:
        fastmlp.show_config()
    return 0
