"""`fastmlp inspect`: what is in a model."""

from dataclasses import asdict
from typing import Any

import click

from fastmlp._summary import summary
from fastmlp.cli import options, output
from fastmlp.cli.models import NetworkFile, TabularFile, load_model
from fastmlp.network import Network

HIDDEN_KEYS = ("classes", "feature_names")  # of the metadata; shown by themselves


@click.command
@click.argument("model", type=options.MODEL)
@options.as_json
def command(model: str, as_json: bool) -> int:
    """Show the columns, the layers and the training of MODEL, a tabular model or a network."""
    found = load_model(model)
    shown = described_table(found) if isinstance(found, TabularFile) else described_network(found)
    if as_json:
        output.say_json(shown)
    elif isinstance(found, TabularFile):
        show_table(found, shown)
    else:
        show_network(found, shown)
    return 0


def _layers(network: Network) -> dict[str, Any]:
    return {
        "layers": list(network.layers),
        "hidden": list(network.hidden),
        "output": network.output,
        "dtype": str(network.dtype),
        "parameters": network.n_parameters,
        "seed": network.seed,
        "epochs_trained": network.epochs_trained,
    }


def described_table(file: TabularFile) -> dict[str, Any]:
    """Return what a tabular model is, for JSON."""
    model = file.model
    return {
        "kind": type(model).__name__,
        "task": "regression" if file.classes is None else "classification",
        "target": file.target,
        "classes": file.classes,
        "quantiles": list(file.quantiles) or None,
        "columns": [asdict(one) for one in model.columns()],
        "networks": [
            _layers(network) | {"training": history}
            for network, history in zip(model.networks, model.histories, strict=True)
        ],
        "measures": model._measures(),
        "settings": model._used_recipe.settings(),
        "seed": model.seed_,
    }


def show_table(file: TabularFile, shown: dict[str, Any]) -> None:
    """Print what a tabular model is."""
    labels = ", ".join(output.clipped(str(label)) for label in file.classes or ())
    network, settings = file.model.networks[0], shown["settings"]
    facts = [
        ("file", file.path),
        ("holds", shown["kind"]),
        ("target", f"{file.target or 'not named'}: {labels or 'numbers'}"),
    ]
    if file.quantiles:
        facts.append(("quantiles", ", ".join(map(str, file.quantiles))))
    n = len(shown["networks"])
    facts += [
        (
            "networks",
            f"{n} of {'-'.join(map(str, network.layers))} units, {settings['activation']}, "
            f"{network.n_parameters:,} parameters" + (" each" if n > 1 else ""),
        ),
        (
            "training",
            f"AdamW, batches of {settings['batch_size']}, learning rate "
            f"{settings['learning_rate']:g}, weight decay {settings['weight_decay']:g}, dropout "
            f"{settings['dropout']:g}, seed {shown['seed']}",
        ),
    ]
    output.say(*output.facts(facts), "")
    columns = [
        [one["name"], one["kind"], str(one["inputs"]), one["description"].partition(": ")[2]]
        for one in shown["columns"]
    ]
    output.say(*output.table(["column", "is", "inputs", "which are"], columns), "")
    rows = []
    for number, one in enumerate(shown["networks"], start=1):
        training = one["training"]
        held = training["val_error"]
        rows.append(
            [
                str(number),
                str(training["epochs"]),
                str(training["best_epoch"]),
                f"{training['loss']:.4g}",
                "-" if held is None else f"{held:.4g}",
            ]
        )
    measures = ["training loss", "held-out loss"]
    if file.classes is not None:
        measures = ["training cross-entropy", "held-out Brier score"]
    output.say(*output.table(["network", "epochs", "best epoch", *measures], rows))


def described_network(file: NetworkFile) -> dict[str, Any]:
    """Return what a network is, for JSON."""
    network = file.network
    names = network.feature_names
    return {
        "kind": "Network",
        **_layers(network),
        "feature_names": None if names is None else list(names),
        "classes": file.classes if network.classes is not None else None,
        "standardized": network.scaling is not None,
        "metadata": {k: v for k, v in network.metadata.items() if k not in HIDDEN_KEYS},
    }


def show_network(file: NetworkFile, shown: dict[str, Any]) -> None:
    """Print what a network is."""
    facts = [
        ("file", file.path),
        ("holds", f"Network of {shown['dtype']}"),
        ("training", f"{output.count(shown['epochs_trained'], 'epoch')}, seed {shown['seed']}"),
    ]
    for key, name in (("feature_names", "inputs"), ("classes", "classes")):
        if shown[key]:
            facts.append((name, ", ".join(output.clipped(str(one)) for one in shown[key])))
    if shown["standardized"]:
        facts.append(("scaling", "folded into the first and the last layer: it takes raw values"))
    facts += [(output.clipped(key), text) for key, text in shown["metadata"].items()]
    output.say(*output.facts(facts), "", *summary(file.network).splitlines())
