"""The tables of what tabular.py has measured. Start at `report`."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable
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


def machines(files: Iterable[Path]) -> str:
    """Return the processors and the versions of the runs, as a list."""
    lines = [line for file in files for line in map(json.loads, file.read_text().splitlines())]
    found = [line["about"] for line in lines if "about" in line]
    versions = {name: version for run in found for name, version in run["versions"].items()}
    texts = [f"- {run['cpu']}, {run['processors']} processors, {run['date']}" for run in found]
    return "\n".join(
        [*dict.fromkeys(texts), "- " + ", ".join(f"{n} {v}" for n, v in versions.items()), ""]
    )


def values(records: list[Record], table: str, model: str, metric: str) -> list[float]:
    """Return a metric of each seed that has one."""
    return [
        r[metric] for r in records if (r["table"], r["model"]) == (table, model) and metric in r
    ]


def number(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits, never as a power of ten."""
    return f"{value:,.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:#.{digits}g}"


def mean(numbers: list[float], seeds: int) -> str:
    """Return the mean; (k) tells that only k seeds were run."""
    if not numbers:
        return "-"
    text = number(statistics.fmean(numbers))
    return text if len(numbers) == seeds else f"{text} ({len(numbers)})"


def spread(numbers: list[float], _seeds: int) -> str:
    """Return the standard deviation over the seeds."""
    return number(statistics.stdev(numbers), 2) if len(numbers) > 1 else "-"


def grid(
    records: list[Record],
    metric: str | None,
    tables: list[str],
    models: list[str],
    cell: Callable[[list[float], int], str] = mean,
) -> str:
    """Return one metric of each table and model; metric None is the main one of the table."""
    seeds = len({r["seed"] for r in records})
    rows = []
    for table in tables:
        name = metric or MAIN[TABLES[table].task]
        cells = [cell(values(records, table, model, name), seeds) for model in models]
        label = f"{table}, {name.upper() if name == 'rmse' else name}" if metric is None else table
        rows.append([label, *cells])
    return markdown(["table", *models], rows)


def ranks(
    records: list[Record], tables: list[str], models: list[str], metric: str | None = None
) -> tuple[int, list[float]]:
    """Return the number of fits that all these models have, and each model's mean rank in them."""
    scores = {(r["table"], r["seed"], r["model"]): r for r in records}
    places = []
    for table in tables:
        name = metric or MAIN[TABLES[table].task]
        for seed in sorted({r["seed"] for r in records}):
            found = [scores.get((table, seed, model), {}).get(name) for model in models]
            if None not in found:
                places.append([place(score, found) for score in found])
    return len(places), [statistics.fmean(column) for column in zip(*places, strict=True)]


def place(score: float, scores: list[float]) -> float:
    """Return the rank of a score, from 1; equal scores share the mean of their ranks."""
    below, same = (sum(s < score for s in scores), sum(s == score for s in scores))
    return below + (same + 1) / 2


def rank_table(records: list[Record], tables: list[str], models: list[str]) -> str:
    """Return mean ranks: of the models that have run most, then with each further group of them.

    A row ranks some models in the fits that all of them have. fastmlp takes part once.
    """
    classes = [table for table in tables if TABLES[table].task == CLASSES]
    models = [model for model in models if model != "fastmlp-1"]
    fits = {model: ranks(records, tables, [model])[0] for model in models}
    rows = []
    for label, chosen, metric in (
        ("error rate, RMSE", tables, None),
        ("log loss", classes, "log_loss"),
    ):
        for least in sorted(set(fits.values()), reverse=True):
            group = [model for model in models if fits[model] >= least]
            count, means = ranks(records, chosen, group, metric)
            if count and len(group) > 1:
                found = dict(zip(group, means, strict=True))
                cells = [f"{found[model]:.2f}" if model in found else "-" for model in models]
                rows.append([label, str(count), *cells])
    return markdown(["mean rank by", "fits", *models], rows) if rows else ""


def pairs(
    records: list[Record], table: str, models: tuple[str, str], metric: str
) -> tuple[float, float] | None:
    """Return the means of two models over the seeds that both have, or None without any."""
    found = [
        {
            r["seed"]: r[metric]
            for r in records
            if (r["table"], r["model"]) == (table, model) and metric in r
        }
        for model in models
    ]
    common = found[0].keys() & found[1].keys()
    if not common:
        return None
    first, second = (statistics.fmean(scores[seed] for seed in common) for scores in found)
    return first, second


def against(records: list[Record], tables: list[str], models: list[str], base: str) -> str:
    """Return how each model compares with `base`, on the seeds that both have."""
    rows = []
    for model in models:
        if model == base:
            continue
        cells = [model]
        for metric in (None, "log_loss", "fit_cpu"):
            both = [
                pairs(records, table, (model, base), metric or MAIN[TABLES[table].task])
                for table in tables
            ]
            found = [pair for pair in both if pair]
            if not found:
                cells += ["-", "-"][: 1 if metric == "fit_cpu" else 2]
                continue
            if metric != "fit_cpu":
                cells.append(f"{sum(ours < theirs for theirs, ours in found)} of {len(found)}")
            cells.append(
                f"{statistics.geometric_mean(theirs / ours for theirs, ours in found):.3g}"
            )
        rows.append(cells)
    header = [
        "model", f"tables with less error of {base}", "its error / ours",
        "tables with less log loss", "its log loss / ours", "its CPU time / ours",
    ]  # fmt: skip
    return markdown(header, rows)


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def report(records: list[Record], tables: list[str] | None = None) -> str:
    """Return the tables: errors, log loss, CPU seconds, ranks, and one line for each opponent."""
    tables = [t for t in tables or TABLES if any(r["table"] == t for r in records)]
    models = [m for m in MODELS if any(r["model"] == m for r in records)]
    classes = [t for t in tables if TABLES[t].task == CLASSES]
    base = "fastmlp" if "fastmlp" in models else models[0]
    failed = [
        f"- {r['model']} on {r['table']}, seed {r['seed']}: {r['error_message']}\n"
        for r in records
        if "error_message" in r and r["table"] in tables
    ]
    parts = {
        "Errors": grid(records, None, tables, models),
        "Standard deviations of the errors": grid(records, None, tables, models, spread),
        "Log loss": grid(records, "log_loss", classes, models),
        "CPU seconds of a fit": grid(records, "fit_cpu", tables, models),
        "Mean ranks": rank_table(records, tables, models),
        "One by one": against(records, tables, models, base),
        "No result": "".join(failed),
    }
    return "\n".join(f"## {title}\n\n{text}" for title, text in parts.items() if text)
