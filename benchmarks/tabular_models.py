"""The models that are compared, each with its default settings and two threads.

fastmlp gets each table as it comes. The others get dates as numbers and texts as pandas categories;
this work of their user is not in their times. Start at `MODELS`.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from tabular_tables import CLASSES

THREADS = 2
HIST_GB_LEVELS = 255  # scikit-learn refuses a category with more levels than bins


def typed(X_train: pd.DataFrame, X_test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return frames of numbers and categories only; the levels are those of the training rows."""
    train, test = X_train.copy(), X_test.copy()
    for name in X_train:
        if pd.api.types.is_datetime64_any_dtype(X_train[name]):
            for frame in (train, test):
                time = frame.pop(name).dt
                frame[f"{name} time"] = (time.normalize() - pd.Timestamp(0)).dt.days.astype(float)
                for part in ("month", "day", "day_of_week"):
                    frame[f"{name} {part}"] = getattr(time, part).astype(float)
                frame[f"{name} hour"] = time.hour + time.minute / 60
        elif pd.api.types.is_numeric_dtype(X_train[name]):
            train[name], test[name] = (frame[name].astype(float) for frame in (train, test))
        else:
            texts = [
                frame[name].astype(object).map(str, na_action="ignore") for frame in (train, test)
            ]
            levels = sorted(texts[0].dropna().unique())
            for frame, text in zip((train, test), texts, strict=True):
                frame[name] = pd.Categorical(text.where(text.isin(levels)), levels)
    return train, test


def columns(kind: str) -> Any:
    """Return a selector of the "category" columns or of the numbers."""
    if kind == "category":
        return make_column_selector(dtype_include="category")
    return make_column_selector(dtype_exclude="category")


def sklearn_mlp(task: str, seed: int) -> Any:
    """Return scikit-learn's network in the pipeline that its guides show."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    encode = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), columns("number")),
        (OneHotEncoder(handle_unknown="ignore"), columns("category")),
    )
    if task == CLASSES:
        return make_pipeline(encode, MLPClassifier(early_stopping=True, random_state=seed))
    network = MLPRegressor(early_stopping=True, random_state=seed)
    return TransformedTargetRegressor(make_pipeline(encode, network), transformer=StandardScaler())


def hist_gb(task: str, seed: int) -> Any:
    """Return scikit-learn's boosted trees; columns with too many levels become level numbers."""
    from sklearn import ensemble

    kind = (
        ensemble.HistGradientBoostingClassifier
        if task == CLASSES
        else ensemble.HistGradientBoostingRegressor
    )

    def few_levels(X: pd.DataFrame) -> pd.DataFrame:
        many = [
            name
            for name in X.select_dtypes("category")
            if len(X[name].cat.categories) > HIST_GB_LEVELS
        ]
        return X.assign(**{name: X[name].cat.codes.astype(float) for name in many})

    return make_pipeline(FunctionTransformer(few_levels), kind(random_state=seed))


def lightgbm(task: str, seed: int) -> Any:
    """Return LightGBM."""
    import lightgbm

    kind = lightgbm.LGBMClassifier if task == CLASSES else lightgbm.LGBMRegressor
    return kind(n_jobs=THREADS, random_state=seed, verbose=-1)


def xgboost(task: str, seed: int) -> Any:
    """Return XGBoost."""
    import xgboost

    kind = xgboost.XGBClassifier if task == CLASSES else xgboost.XGBRegressor
    return kind(n_jobs=THREADS, random_state=seed, enable_categorical=True)


class CatBoost:
    """CatBoost, told which columns are categories; it wants them as texts without NaN."""

    def __init__(self, task: str, seed: int) -> None:
        import catboost

        kind = catboost.CatBoostClassifier if task == CLASSES else catboost.CatBoostRegressor
        self.model = kind(
            thread_count=THREADS, random_seed=seed, verbose=0, allow_writing_files=False
        )

    @staticmethod
    def texts(X: pd.DataFrame) -> pd.DataFrame:
        """Return the frame with texts for categories."""
        names = X.select_dtypes("category").columns
        return X.assign(**{name: X[name].astype(object).fillna("missing") for name in names})

    def fit(self, X: pd.DataFrame, y: Any) -> None:
        """Train."""
        self.model.fit(self.texts(X), y, cat_features=list(X.select_dtypes("category")))

    def predict(self, X: pd.DataFrame) -> Any:
        """Return numbers."""
        return self.model.predict(self.texts(X))

    def predict_proba(self, X: pd.DataFrame) -> Any:
        """Return probabilities."""
        return self.model.predict_proba(self.texts(X))


def pytabkit(name: str, task: str, seed: int, **settings: Any) -> Any:
    """Return a network of pytabkit, after the imputation of numbers that it needs."""
    import pytabkit
    import torch

    for logger in (
        "pytorch_lightning", "pytorch_lightning.utilities.rank_zero", "lightning.pytorch",
    ):  # fmt: skip
        logging.getLogger(logger).setLevel(logging.ERROR)
    torch.set_num_threads(THREADS)
    kind = getattr(pytabkit, f"{name}_{'Classifier' if task == CLASSES else 'Regressor'}")
    impute = make_column_transformer(
        (SimpleImputer(strategy="median", add_indicator=True), columns("number")),
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    return make_pipeline(
        impute, kind(device="cpu", random_state=seed, n_threads=THREADS, verbosity=0, **settings)
    )


def fastmlp(task: str, seed: int, **settings: Any) -> Any:
    """Return this library's model."""
    from fastmlp import tabular

    kind = tabular.TabularClassifier if task == CLASSES else tabular.TabularRegressor
    return kind(seed=seed, **settings)


# What makes an unfitted model from a task and a seed. Only fastmlp gets the table as it comes.
MODELS: dict[str, Any] = {
    "fastmlp": fastmlp,
    "fastmlp-1": lambda task, seed: fastmlp(task, seed, n_members=1),
    "sklearn-mlp": sklearn_mlp,
    "hist-gb": hist_gb,
    "lightgbm": lightgbm,
    "xgboost": xgboost,
    "catboost": CatBoost,
    "realmlp-td-s": lambda task, seed: pytabkit("RealMLP_TD_S", task, seed),
    "realmlp-td": lambda task, seed: pytabkit("RealMLP_TD", task, seed),
    "tabm": lambda task, seed: pytabkit("TabM_D", task, seed, num_emb_type="pwl"),
}
TAKES_TABLES_AS_THEY_COME = ("fastmlp", "fastmlp-1")


def frames(model: str, X_train: pd.DataFrame, X_test: pd.DataFrame) -> tuple[Any, Any]:
    """Return the frames that a model takes."""
    return (X_train, X_test) if model in TAKES_TABLES_AS_THEY_COME else typed(X_train, X_test)


def metrics(task: str, model: Any, X: Any, y: Any) -> dict[str, float]:
    """Return what a fitted model scores on rows that it has not seen."""
    from sklearn import metrics as m

    if task != CLASSES:
        predicted = np.asarray(model.predict(X), float).reshape(-1)
        return {
            "rmse": float(m.root_mean_squared_error(y, predicted)),
            "mae": float(m.mean_absolute_error(y, predicted)),
            "r2": float(m.r2_score(y, predicted)),
        }
    p = np.asarray(model.predict_proba(X), float)
    p /= p.sum(axis=1, keepdims=True)  # float32 sums to 1 only to seven digits
    scores = p[:, 1] if p.shape[1] == 2 else p
    return {
        "error": float(1.0 - m.accuracy_score(y, p.argmax(axis=1))),
        "log_loss": float(m.log_loss(y, p)),
        "auc": float(m.roc_auc_score(y, scores, multi_class="ovr")),
    }
