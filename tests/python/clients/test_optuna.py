"""optuna searches the settings of an estimator, and prunes a network by a callback."""

import numpy as np
import pytest
from sklearn.model_selection import cross_val_score

import fastmlp
from fastmlp.sklearn import MLPClassifier

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.WARNING)

X = np.random.RandomState(0).normal(size=(80, 4))
y = X[:, 0] > 0


def test_a_search_over_an_estimator() -> None:
    def objective(trial: optuna.Trial) -> float:
        model = MLPClassifier(
            (trial.suggest_int("units", 2, 8),),
            activation=trial.suggest_categorical("activation", ["relu", "gelu"]),
            alpha=trial.suggest_float("alpha", 1e-5, 1e-1, log=True),
            max_iter=20,
            random_state=0,
        )
        return float(cross_val_score(model, X, y, cv=2).mean())

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=6, n_jobs=2)
    assert len(study.trials) == 6
    assert study.best_value > 0.5


def test_a_callback_prunes_a_fit() -> None:
    def objective(trial: optuna.Trial) -> float:
        def report(network: fastmlp.Network, epoch: int, logs: dict[str, float]) -> None:
            trial.report(logs["loss"], epoch)
            if epoch == 2:
                raise optuna.TrialPruned

        network = fastmlp.Network([4, 3, 1], seed=0)
        return network.fit(X, y, epochs=9, callbacks=[report]).loss[-1]

    study = optuna.create_study()
    study.optimize(objective, n_trials=1)
    (trial,) = study.trials
    assert trial.state is optuna.trial.TrialState.PRUNED
    assert list(trial.intermediate_values) == [0, 1, 2]
