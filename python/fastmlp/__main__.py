"""The command line, `python -m fastmlp` or `fastmlp`; without a command it runs the demo."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

import fastmlp
from fastmlp.bench import command
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
        Exit status, 0 if all went well. The demo returns 1 if the networks disagree or are not
        accurate enough; the benchmark 130 after Ctrl-C; the export 2 if nothing could be written.

    Examples
    --------
    >>> from fastmlp.__main__ import main
    >>> main(["info"])  # doctest: +ELLIPSIS
           fastmlp  ...
    0
    """
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "info":
            fastmlp.show_config()
            return 0
        if arguments.command == "bench":
            return command.run(arguments)
        if arguments.command == "export":
            return _export(arguments)
        return run_demo(arguments.plot)
    except BrokenPipeError:  # the reader has gone, as in `fastmlp | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    # `fastmlp --plot FILE demo` and `fastmlp demo --plot FILE` both work. The option of the command
    # has the default SUPPRESS; None would overwrite the FILE given before the command.
    plot: dict[str, Any] = {
        "metavar": "FILE",
        "help": "write the loss curves to FILE as a PNG (needs matplotlib)",
    }
    parser = argparse.ArgumentParser(
        prog="fastmlp", description="Train fully connected networks on the CPU."
    )
    parser.add_argument("--version", action="version", version=fastmlp.__version__)
    parser.add_argument("--plot", **plot)
    commands = parser.add_subparsers(dest="command", metavar="{demo,info,bench,export}")
    demo = commands.add_parser(
        "demo", help="compare the native network with its NumPy twin on real data (the default)"
    )
    demo.add_argument("--plot", default=argparse.SUPPRESS, **plot)
    commands.add_parser("info", help="print versions and settings, for bug reports")
    bench = commands.add_parser(
        "bench",
        help="compare with other libraries that are installed: how long do a training step and a "
        "prediction take",
    )
    command.add_options(bench)
    export = commands.add_parser("export", help="write a model as a C++ header")
    export.add_argument("model", metavar="FILE", help="a network or a tabular model that was saved")
    export.add_argument("--cpp", metavar="HEADER", required=True, help="the header to write")
    export.add_argument(
        "--namespace",
        metavar="NAME",
        help="the C++ namespace is fastmlp_NAME; the default is the header's name without its "
        "ending",
    )
    return parser


def _export(arguments: argparse.Namespace) -> int:
    from fastmlp.formats.cpp_header import load_model, save_cpp

    try:
        model = load_model(arguments.model)
        if os.path.exists(arguments.cpp) and os.path.samefile(arguments.model, arguments.cpp):
            raise ValueError(
                f"{arguments.cpp} is the model's own file; give another name for the header"
            )
        namespace = save_cpp(model, arguments.cpp, arguments.namespace)
    except (OSError, ValueError) as error:
        print(f"fastmlp export: {error}", file=sys.stderr)
        return 2
    name = arguments.cpp.encode(errors="backslashreplace").decode()  # a name that is not UTF-8
    function = "forward" if isinstance(model, fastmlp.Network) else "predict"
    print(f"{name}: {namespace}::{function}, {model!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
