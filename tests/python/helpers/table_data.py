"""Small tables with what real ones have: texts, dates, missing values, columns without use."""

import math

import numpy as np


def mixed_table(rows=240, seed=0):
    """A dict of columns; `class` (texts), `amount` and `count` depend on the others."""
    draw = np.random.RandomState(seed)
    size = draw.normal(50, 20, rows)
    color = draw.choice(["red", "green", "blue"], rows)
    good = draw.rand(rows) < 0.5
    days = draw.randint(0, 700, rows)
    amount = size / 10 + 3.0 * (color == "red") - 2.0 * good + days / 200
    return {
        "size": np.where(draw.rand(rows) < 0.1, math.nan, size).tolist(),
        "color": [None if draw.rand() < 0.1 else str(name) for name in color],
        "good": good.tolist(),
        "day": [str(np.datetime64("2020-01-01") + day) for day in days],
        "amount": amount.tolist(),
        "count": draw.poisson(np.exp(amount / 8)).tolist(),
        "class": np.array(["low", "middle", "high"])[np.digitize(amount, [6, 9])].tolist(),
    }


def features(table):
    """The table without its targets."""
    return {name: table[name] for name in ("size", "color", "good", "day")}


def part(table, begin, end):
    """Some of the rows."""
    return {name: values[begin:end] for name, values in table.items()}
