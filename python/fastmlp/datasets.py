"""Data sets that come with the package; `data/README.md` has their origin and licence."""

import bz2
import os

import numpy as np
import numpy.typing as npt


def load_breast_cancer() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Load the Breast Cancer Wisconsin (Diagnostic) data.

    Wolberg, Mangasarian, Street and Street, 1993, UCI Machine Learning Repository,
    doi:10.24432/C5DW2B, licence CC BY 4.0.

    Returns
    -------
    X : ndarray of float64, shape (569, 30)
        Measurements of cell nuclei: mean, error and worst of ten quantities.
    y : ndarray of float64, shape (569,)
        1 for malignant (212 rows), 0 for benign (357 rows).

    Examples
    --------
    >>> from fastmlp.datasets import load_breast_cancer
    >>> X, y = load_breast_cancer()
    >>> X.shape, int(y.sum())
    ((569, 30), 212)
    """
    path = os.path.join(os.path.dirname(__file__), "data", "breast_cancer.csv.bz2")
    with bz2.open(path, "rt", encoding="utf-8") as lines:
        table = np.loadtxt(lines, delimiter=",", skiprows=1)
    return table[:, :-1].copy(), table[:, -1].copy()
