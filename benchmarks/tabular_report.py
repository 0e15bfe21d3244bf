"""The tables of what tabular.py has measured. Start at `report`."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tabular_models import MODELS
from tabular_tables import CLASSES, TABLES

Record = dict[str, Any]
MAIN = {CLASSES: "error", "regression": "rmse"}


def read(files: Iterable[Path]) -> list[Record]:
    """Return the records of some files; a later record replaces one of the same fit."""
    found: dict[Any, Record] = {}
    for file in files:
        for record in map(json.loads, file.read_text().splitlines()):
            if "about" not in record:
                found[record["table"], record["seed"], record["model"]] = record
    return list(found.values())


def values(records: list[Record], table: str, model: str, metric: str) -> list[float]:
    """Return a metric of each seed that has one."""
    return [
        r[metric] for r in records if (r["table"], r["model"]) == (table, model) and metric in r
    ]


def cell(numbers: list[float], seeds: int) -> str:
    """Return mean ± standard deviation; (k) tells that only k seeds were run."""
    if not numbers:
        return "-"
    text = f"{statistics.fmean(numbers):.4g}"
    if len(numbers) > 1:
        text += f" ± {statistics.stdev(numbers):.2g}"
    return text if len(numbers) == seeds else f"{text} ({len(numbers)})"


def grid(records: list[Record], metric: str | None, tables: list[str], models: list[str]) -> str:
    """Return one metric of each table and model; metric None is the main one of the table."""
    seeds = len({r["seed"] for r in records})
    rows = []
    for table in tables:
        name = metric or MAIN[TABLES[table].task]
        cells = [cell(values(records, table, model, name), seeds) for model in models]
        rows.append([f"{table}, {name.replace('_', ' ')}", *cells])
    return markdown(["table", *models], rows)


def ranks(records: list[Record], tables: list[str], models: list[str], metric: str | None) -> Any:
    """Return each model's mean rank over the tables and seeds that all these models have."""
    places: dict[str, list[float]] = {model: [] for model in models}
    scores = {(r["table"], r["seed"], r["model"]): r for r in records if "error_message" not in r}
    for table in tables:
        name = metric or MAIN[TABLES[table].task]
        for seed in sorted({r["seed"] for r in records}):
            found = [scores.get((table, seed, model), {}).get(name) for model in models]
            if None in found:
                continue
            for model, score in zip(models, found, strict=True):
                below, same = (sum(f < score for f in found), sum(f == score for f in found))
                places[model].append(below + (same + 1) / 2)
    return {model: statistics.fmean(p) if p else math.nan for model, p in places.items()}


def times(records: list[Record], tables: list[str], models: list[str], base: str) -> list[str]:
    """Return how many times the CPU time of `base` each model takes: the geometric mean."""
    cells = []
    for model in models:
        ratios = []
        for table in tables:
            theirs, ours = (values(records, table, m, "fit_cpu") for m in (model, base))
            if theirs and ours:
                ratios.append(statistics.fmean(theirs) / statistics.fmean(ours))
        cells.append(f"{statistics.geometric_mean(ratios):.2g}" if ratios else "-")
    return cells


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def report(records: list[Record], tables: list[str] | None = None) -> str:
    """Return the tables: errors, log loss, CPU seconds, then mean ranks."""
    tables = [t for t in tables or TABLES if any(r["table"] == t for r in records)]
    models = [m for m in MODELS if any(r["model"] == m for r in records)]
    classes = [t for t in tables if TABLES[t].task == CLASSES]
    wide = [m for m in models if all(values(records, t, m, "fit") for t in tables)]
    base = "fastmlp" if "fastmlp" in models else models[0]
    rows = [
        ["error rate, RMSE", *(f"{r:.2f}" for r in ranks(records, tables, wide, None).values())],
        ["log loss", *(f"{r:.2f}" for r in ranks(records, classes, wide, "log_loss").values())],
        [f"CPU time / {base}'s", *times(records, tables, wide, base)],
    ]
    failed = [
        f"- {r['model']} on {r['table']}, seed {r['seed']}: {r['error_message']}\n"
        for r in records
        if "error_message" in r and r["table"] in tables
    ]
    return (
        f"## Errors\n\n{grid(records, None, tables, models)}\n"
        f"## Log loss\n\n{grid(records, 'log_loss', classes, models)}\n"
        f"## CPU seconds of a fit\n\n{grid(records, 'fit_cpu', tables, models)}\n"
        f"## Mean ranks\n\n{markdown(['', *wide], rows)}\n"
        + (f"## No result\n\n{''.join(failed)}" if failed else "")
    )
