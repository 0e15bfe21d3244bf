"""`fastmlp export`: a model as a C++ header."""

from typing import Any

import click

from fastmlp.cli import options, output
from fastmlp.cli.models import NetworkFile, load_model, refuse_same_file
from fastmlp.formats.cpp_header import cpp_header, save_cpp


@click.command
@click.argument("model", type=options.MODEL)
@click.option(
    "--cpp",
    required=True,
    type=options.OutputFile(allow_dash=True),
    metavar="HEADER",
    help="The header to write, or - for standard output.",
)
@click.option(
    "--namespace",
    metavar="NAME",
    help="The C++ namespace is fastmlp_NAME.  [default: the header's name without its ending]",
)
def command(model: str, cpp: str, namespace: str | None) -> int:
    """Write MODEL, a tabular model or a network, as a C++ header.

    The header needs only the standard library.

    Example: fastmlp export model.safetensors --cpp model.hpp
    """  # fmt: skip
    found = load_model(model)
    exported: Any = found.network if isinstance(found, NetworkFile) else found.model
    if cpp == "-":
        output.say(cpp_header(exported, namespace or "model").removesuffix("\n"))
        return 0
    refuse_same_file(cpp, [model])
    written = save_cpp(exported, cpp, namespace)
    if isinstance(found, NetworkFile):
        function, what = "forward", repr(exported)
    else:
        n = output.count(len(exported.networks), "network")
        function, what = "predict", f"{type(exported).__name__} of {n}"
    output.say(f"{cpp}: {written}::{function}, {what}")
    return 0
