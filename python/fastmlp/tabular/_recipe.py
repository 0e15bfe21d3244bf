"""The settings of a fit, as a function of the table: the one place for all defaults.

The published settings that they follow are those of RealMLP (Holzmüller et al., 2024,
arXiv:2407.04491) and TabM (Gorishniy et al., 2024, arXiv:2410.24210).
"""

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """How columns are encoded and networks trained."""

    # encoding
    scaling: str  # of numbers: "robust" or "quantile"
    n_bins: int  # of the piecewise linear code of a number; 0 for none
    min_count: int  # the number of rows that a level needs for an input of its own
    max_levels: int
    # networks
    hidden: tuple[int, ...]
    activation: str
    n_members: int
    # training
    epochs: int
    batch_size: int
    learning_rate: float
    beta_2: float  # of AdamW
    weight_decay: float
    dropout: float
    patience: int  # epochs without a lower loss on the held-out rows, after which a member ends
    holdout: int  # one row of so many is held out; 0 for none
    # prediction
    temperature: bool  # whether probabilities are scaled by the held-out rows
    clip: bool  # whether predictions stay in the range of the training targets

    def settings(self) -> dict[str, Any]:
        """Return all of it by name."""
        return dataclasses.asdict(self)


def default_recipe(rows: int, is_classifier: bool, loss: str) -> Recipe:
    """Return the recipe for a table of so many rows."""
    holdout = 5 if rows >= 50 else 0
    trained = rows - rows // holdout if holdout else rows
    batch_size = (
        32 if trained <= 512 else 64 if trained <= 1024 else 128 if trained <= 8192 else 256
    )
    steps = max(1, trained // batch_size)  # in an epoch
    epochs = min(100, max(20, 400_000 // trained))
    if trained <= 1024:  # so few steps need more epochs
        epochs = min(200, max(epochs, 1600 // steps))
    return Recipe(
        scaling="robust",
        n_bins=16,
        min_count=10 if rows >= 1000 else 3,
        max_levels=500,
        hidden=(128, 128),
        activation="mish",
        n_members=4,
        epochs=epochs,
        batch_size=batch_size if trained <= 30_000 else 512,
        learning_rate=0.0025 if is_classifier else 0.004,
        beta_2=0.95,
        weight_decay=0.1 if is_classifier else 0.01,
        dropout=0.1 if is_classifier else 0.0,
        patience=max(16, 400 // steps),
        holdout=holdout,
        temperature=is_classifier,
        clip=loss == "squared_error",
    )
