"""`fastmlp export`: a model in another format. To add a format, add an entry to `FORMATS`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import click

from fastmlp.cli import options, output
from fastmlp.cli.errors import CommandError
from fastmlp.cli.models import NetworkFile, load_model, refuse_same_file
from fastmlp.cli.sklearn_files import load_estimator
from fastmlp.formats.c_header import c_header, save_c
from fastmlp.formats.cpp_header import cpp_header, save_cpp


class Format(NamedTuple):
    """An option that names the file to write, and what writes it."""

    metavar: str
    help: str
    # Takes the model, the path and --namespace; returns what the file offers, for the last line.
    save: Callable[[Any, str, str | None], str]
    text: Callable[[Any, str | None], str] | None = None  # the file for standard output, if allowed


def _save_cpp(model: Any, path: str, namespace: str | None) -> str:
    function = "predict" if hasattr(model, "networks") else "forward"
    return f"{save_cpp(model, path, namespace)}::{function}"


def _save_npz(model: Any, path: str, _: str | None) -> str:
    if hasattr(model, "networks"):
        raise CommandError(f"--npz: the model is a {type(model).__name__}; it must be a network")
    model.save_npz(path)
    return "arrays for numpy.load"


def _save_onnx(model: Any, path: str, _: str | None) -> str:
    outputs = [one.name for one in model.to_onnx(path).graph.output]
    return f"ONNX with the outputs {', '.join(outputs)}"


FORMATS = {
    "cpp": Format(
        "HEADER",
        "The C++ header to write, or - for standard output.",
        _save_cpp,
        lambda model, namespace: cpp_header(model, namespace or "model"),
    ),
    "c": Format(
        "HEADER",
        "The C header to write, for a microcontroller; of a network only.",
        lambda model, path, namespace: f"{save_c(model, path, namespace)}_forward",
        lambda model, namespace: c_header(model, namespace or "model"),
    ),
    "onnx": Format("FILE", "The ONNX file to write; needs the extra onnx.", _save_onnx),
    "npz": Format("FILE", "The NumPy file to write; of a network only.", _save_npz),
}


def _formats(command: Callable[..., int]) -> Callable[..., int]:
    """Add an option for each format."""
    for name, one in reversed(FORMATS.items()):
        kind = options.OutputFile(allow_dash=one.text is not None)
        command = click.option(f"--{name}", type=kind, metavar=one.metavar, help=one.help)(command)
    return command


@click.command
@click.argument("model", type=options.MODEL)
@_formats
@click.option(
    "--namespace",
    metavar="NAME",
    help="The C++ namespace, or the beginning of every name in C, is fastmlp_NAME.  "
    "[default: the header's name without its ending]",
)
@click.option(
    "--trust-pickle",
    is_flag=True,
    help="Read MODEL if it is a pickle, which can run any code: only if you trust its source.",
)
def command(model: str, namespace: str | None, trust_pickle: bool, **paths: str | None) -> int:
    """Write MODEL in another format.

    MODEL is a tabular model, a network, or an estimator of scikit-learn that skops or pickle wrote:
    an MLPClassifier or MLPRegressor, also behind scalers in a Pipeline.

    The headers need only the standard library of the language.

    Example: fastmlp export model.safetensors --cpp model.hpp
    """  # fmt: skip
    chosen = [(FORMATS[name], path) for name, path in paths.items() if path is not None]
    if not chosen:
        names = " or ".join(f"'--{name}'" for name in FORMATS)
        raise click.UsageError(f"Missing option {names}.")
    exported = _loaded(model, trust_pickle)
    for one, path in chosen:
        if path == "-" and one.text is not None:
            output.say(one.text(exported, namespace).removesuffix("\n"))
            continue
        refuse_same_file(path, [model])
        offers = one.save(exported, path, namespace)
        output.say(f"{path}: {offers}, {_described(exported)}")
    return 0


def _loaded(path: str, trust_pickle: bool) -> Any:
    network = load_estimator(path, trust_pickle)
    if network is not None:
        return network
    found = load_model(path)
    return found.network if isinstance(found, NetworkFile) else found.model


def _described(model: Any) -> str:
    """Return a model in a few words."""
    if not hasattr(model, "networks"):
        return repr(model)
    return f"{type(model).__name__} of {output.count(len(model.networks), 'network')}"
