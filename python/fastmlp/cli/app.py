"""The commands as click sees them. Start at `run`."""

import os
import re
import warnings
from typing import Any, cast

import click

import fastmlp
from fastmlp.cli.errors import UNUSABLE, ended, note

# A command is imported when it is called, so that --help and completion stay fast.
COMMANDS = {
    "train": "Train a model on a table.",
    "predict": "Predict the rows of a table.",
    "evaluate": "Compare a model with a table whose target is known.",
    "inspect": "Show what is in a model.",
    "export": "Write a model in another format.",
    "info": "Print versions and settings, for bug reports.",
    "bench": "Compare the speed with other libraries.",
    "demo": "Train on real data and check the result (the default).",
}


class Commands(click.Group):
    """The commands, in the order in which they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name not in COMMANDS:
            return None
        import importlib

        command = importlib.import_module(f"fastmlp.cli.{name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 79},
    epilog="fastmlp COMMAND --help lists the options of a command.",
)
@click.version_option(fastmlp.__version__, prog_name="fastmlp", message="%(version)s")
@click.option("--plot", type=click.Path(), metavar="FILE", help="The same as demo --plot FILE.")
@click.pass_context
def group(ctx: click.Context, plot: str | None) -> Any:
    """Predict from tables with fully connected neural networks on the CPU."""
    if ctx.invoked_subcommand is None:
        return ctx.invoke(group.get_command(ctx, "demo"), plot=plot)
    if plot is not None:
        if ctx.invoked_subcommand != "demo":
            raise click.UsageError(
                f"--plot before the command is for demo; {ctx.invoked_subcommand} would ignore it"
            )
        ctx.default_map = {"demo": {"plot": plot}}
    return None


def run(arguments: list[str]) -> int:
    """Run a command and return its exit status."""
    if "_FASTMLP_COMPLETE" in os.environ:  # a shell asks what could come next
        group.main(arguments, prog_name="fastmlp")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = cast(Any, _show_warning)
            # Not `group.main`, which handles Ctrl-C and closed pipes itself, in several lines.
            with group.make_context("fastmlp", list(arguments)) as context:
                return int(group.invoke(context) or 0)
    except click.exceptions.Exit as exit_:  # --help and --version
        return exit_.exit_code
    except click.ClickException as error:
        command = getattr(getattr(error, "ctx", None), "command_path", "fastmlp")
        return ended(f"error: {error.format_message()} ({command} --help)", UNUSABLE)


def _show_warning(message: Any, *_: Any) -> None:
    text = re.sub(r"column_types=\{('.*?'): '(\w+)'\}", r"--type \1=\2", str(message))
    text = re.sub(r"ignore=\[('.*?')\]", r"--ignore \1", text)
    note(f"warning: {text.removeprefix('fit: ')}")
