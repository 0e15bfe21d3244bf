"""The command line, `python -m fastmlp` or `fastmlp`; without a command it runs the demo.

The commands are in the package fastmlp.cli, which needs click. Without click there are `info`,
`demo` and `--version`.
"""

import argparse
import sys
from collections.abc import Sequence

import fastmlp
from fastmlp.cli.errors import UNUSABLE, ended, guarded
from fastmlp.demo import run_demo


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; the default is those of the process.

    Returns
    -------
    int
        Exit status: 0 if all went well, 1 if the run failed or its verdict is no, 2 if the
        arguments or the files cannot be used, 130 after Ctrl-C, 141 if the reader of a pipe has
        gone.

    Examples
    --------
    >>> from fastmlp.__main__ import main
    >>> main(["info"])  # doctest: +ELLIPSIS
           fastmlp  ...
    0
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _run(arguments))


def _run(arguments: list[str]) -> int:
    try:
        from fastmlp.cli import app
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        return _without_click(arguments)
    return app.run(arguments)


def _without_click(arguments: list[str]) -> int:
    """Run `info` or `demo`, which need no other package; for anything else say what to install."""
    parser = argparse.ArgumentParser(
        prog="fastmlp",
        description="Other commands, such as train and predict: pip install 'fastmlp[cli]'",
    )
    parser.add_argument("--version", action="version", version=fastmlp.__version__)
    parser.add_argument("--plot", metavar="FILE", help="the demo writes its loss curves as a PNG")
    parser.add_argument("command", nargs="?", default="demo", metavar="{info,demo}")
    options, others = parser.parse_known_args(arguments)
    if options.command == "info" and not others and options.plot is None:
        fastmlp.show_config()
        return 0
    if options.command == "demo" and not others:
        return run_demo(options.plot)
    return ended(
        "error: without click there are only info, demo [--plot FILE] and --version: "
        "pip install 'fastmlp[cli]'",
        UNUSABLE,
    )


if __name__ == "__main__":
    sys.exit(main())
