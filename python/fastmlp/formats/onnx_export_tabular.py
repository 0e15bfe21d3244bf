"""Models of fastmlp.tabular as ONNX graphs: from the values of a table to the predictions.

The graph has an input for each column, as the graphs of skl2onnx have. The arithmetic is that of
fastmlp/tabular/_columns.py, in float64. Start at `tabular_model`.
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from fastmlp.formats.network_file import TABULAR_KEY
from fastmlp.formats.onnx_export import ML, Graph, add_labels, add_network
from fastmlp.formats.onnx_file import onnx
from fastmlp.formats.safetensors import FORMAT
from fastmlp.tabular._columns import (
    LARGEST_SCALED,
    ROOT_OF_3,
    Boolean,
    Category,
    Date,
    Kind,
    Number,
    Quantile,
    Robust,
)
from fastmlp.tabular._table import DAY

DOUBLE, FLOAT, INT64 = (onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64)


def tabular_model(model: Any) -> Any:
    """Return a tabular model as a ModelProto; see `to_onnx` of the models."""
    model._require_fitted("to_onnx")
    networks, kinds = model.networks, model._encoder.kinds
    graph = Graph("float64")
    names = {
        name: graph.input(name or "column", object if isinstance(kind, Category) else np.float64, 1)
        for name, kind in kinds.items()
    }
    encoded = [
        part
        for name, kind in kinds.items()
        for part in WRITERS[type(kind)](graph, kind, names[name])
    ]
    x = graph("Cast", graph("Concat", *encoded, axis=1), to=FLOAT)
    outputs = [
        graph("Cast", add_network(graph, one, x, f"networks.{index}."), to=DOUBLE)
        for index, one in enumerate(networks)
    ]
    graph.dtype = np.dtype(np.float64)
    mean = graph("Div", graph("Sum", *outputs), float(len(outputs)))
    n_out = networks[0].layers[-1]
    settings = {"format": FORMAT, "model": model._MODEL, "target": model._target_name}
    if model._is_classifier():
        y = graph("Div", mean, graph("ReduceSum", mean, np.array([1])))
        add_labels(graph, graph("ArgMax", y, axis=1, keepdims=0), model.classes_)
        graph.output(y, "probabilities", np.float64, n_out)
    else:
        graph.output(_amounts(graph, model, mean), "output", np.float64, n_out)
        settings["quantiles"] = model.quantiles_
    settings["seed"] = model.seed_
    return graph.model({TABULAR_KEY: json.dumps(settings, sort_keys=True)})


def _amounts(graph: Graph, model: Any, outputs: str) -> str:
    amounts = model._amounts
    y = graph("Add", graph("Mul", outputs, amounts.scale), amounts.center)
    if model._used_recipe.clip:
        y = graph("Clip", y, amounts.least, amounts.largest)
    return _sorted(graph, y, model.networks[0].layers[-1])


def _sorted(graph: Graph, y: str, count: int) -> str:
    """Sort the quantiles of each row. TopK of ONNX Runtime 1.16 crashes if there are no rows."""
    columns = [graph("Gather", y, np.array([k]), axis=1) for k in range(count)]
    for j in range(1, count):
        for k in range(j, 0, -1):
            pair = columns[k - 1 : k + 1]
            columns[k - 1 : k + 1] = graph("Min", *pair), graph("Max", *pair)
    return graph("Concat", *columns, axis=1)


# Columns, (rows, 1), to inputs of the networks, (rows, width)


def _number(graph: Graph, kind: Number, x: str) -> list[str]:
    missing = graph("IsNaN", x)
    x = graph("Where", missing, kind.center, x)
    parts = []
    if kind.scaling is not None:
        parts.append(SCALINGS[type(kind.scaling)](graph, kind.scaling, x))
    if kind.bins:
        low, high = kind.edges[:-1], kind.edges[1:]
        place = graph("Clip", graph("Div", graph("Sub", x, low), high - low), 0.0, 1.0)
        parts.append(graph("Sub", place, kind.means))
    if kind.has_missing:
        parts.append(graph("Cast", missing, to=DOUBLE))
    return parts


def _robust(graph: Graph, scaling: Robust, x: str) -> str:
    z = graph("Mul", graph("Sub", x, scaling.center), scaling.factor)
    z = graph("Clip", z, -LARGEST_SCALED, LARGEST_SCALED)
    third = graph("Div", z, 3.0)
    return graph("Div", z, graph("Sqrt", graph("Add", graph("Mul", third, third), 1.0)))


def _quantile(graph: Graph, scaling: Quantile, x: str) -> str:
    quantiles, shares = scaling.quantiles, scaling.shares
    if len(quantiles) > 2:
        is_reached = graph("Cast", graph("GreaterOrEqual", x, quantiles[1:-1]), to=INT64)
        low = graph("ReduceSum", is_reached, np.array([1]))
    else:
        low = graph.constant(np.array([0]))
    begin = graph("Gather", quantiles[:-1], low)
    width = graph("Gather", quantiles[1:] - quantiles[:-1], low)
    part = graph("Clip", graph("Div", graph("Sub", x, begin), width), 0.0, 1.0)
    rise = graph("Mul", part, graph("Gather", shares[1:] - shares[:-1], low))
    share = graph("Add", graph("Gather", shares[:-1], low), rise)
    return graph("Mul", graph("Sub", graph("Mul", share, 2.0), 1.0), ROOT_OF_3)


def _boolean(graph: Graph, kind: Boolean, x: str) -> list[str]:
    sign = graph("Sub", graph("Mul", x, 2.0), 1.0)
    return [graph("Where", graph("IsNaN", x), 0.0, sign)]


def _category(graph: Graph, kind: Category, x: str) -> list[str]:
    texts = [*kind.levels, ""]
    places = [_place(kind, text or None) for text in texts]
    place = graph(
        "LabelEncoder",
        x,
        domain=ML,
        keys_strings=texts,
        values_int64s=places,
        default_int64=_place(kind, "\0"),
    )
    return [_level(graph, kind, place)]


def _place(kind: Category, text: str | None) -> int:
    """Return the row of `Category.rows` for a text; None is a missing one."""
    if text is None:
        return kind.places - 1 if kind.has_missing else kind.places
    rare = len(kind.levels) if kind.has_rare else kind.places
    return kind.place_of.get(text, rare)


def _level(graph: Graph, kind: Category, place: str) -> str:
    return graph("Squeeze", graph("Gather", kind.rows(), place), np.array([1]))


def _date(graph: Graph, kind: Date, x: str) -> list[str]:
    """Compute what `_date_parts` computes, whose integers are exact in float64."""

    def floor_div(a: str, b: float) -> str:
        return graph("Floor", graph("Div", a, b))

    def mod(a: str, b: float) -> str:
        return graph("Sub", a, graph("Mul", floor_div(a, b), b))

    missing = graph("IsNaN", x)
    here = graph("Where", missing, 0.0, x)
    days = floor_div(here, DAY)
    of_era = mod(graph("Add", days, 719468.0), 146097.0)
    years = graph(
        "Add", graph("Sub", of_era, floor_div(of_era, 1460.0)), floor_div(of_era, 36524.0)
    )
    of_years = floor_div(graph("Sub", years, floor_div(of_era, 146096.0)), 365.0)
    leaps = graph("Sub", floor_div(of_years, 4.0), floor_div(of_years, 100.0))
    of_year = graph("Sub", of_era, graph("Add", graph("Mul", of_years, 365.0), leaps))
    from_march = floor_div(graph("Add", graph("Mul", of_year, 5.0), 2.0), 153.0)
    values = {
        "day": graph("Div", x, DAY),
        "month": graph("Add", mod(graph("Add", from_march, 2.0), 12.0), 1.0),
        "weekday": graph("Add", mod(graph("Add", days, 3.0), 7.0), 1.0),
        "hour": floor_div(graph("Sub", here, graph("Mul", days, DAY)), 3600.0),
    }
    parts = []
    for name, part in kind.parts.items():
        if isinstance(part, Number):
            parts += _number(graph, part, values[name])
        elif isinstance(part, Category):
            places = np.array([_place(part, str(value)) for value in range(24)])
            place = graph("Gather", places, graph("Cast", values[name], to=INT64))
            absent = np.array(_place(part, None))
            parts.append(_level(graph, part, graph("Where", missing, absent, place)))
    return parts


WRITERS: dict[type[Kind], Callable[..., list[str]]] = {
    Number: _number,
    Boolean: _boolean,
    Category: _category,
    Date: _date,
}
SCALINGS: dict[type, Callable[..., str]] = {Robust: _robust, Quantile: _quantile}
