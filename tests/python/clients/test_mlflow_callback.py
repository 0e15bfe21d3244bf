"""`fastmlp.callbacks.MLflow`, with what MLflow's client reads from its store."""

import math

import pytest

import fastmlp
from fastmlp.callbacks import MLflow, per_member
from fastmlp.tabular import TabularRegressor

pytestmark = pytest.mark.client
mlflow = pytest.importorskip("mlflow")

X, Y = fastmlp.datasets.load_breast_cancer()


@pytest.fixture(autouse=True)
def _store(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri((tmp_path / "store").as_uri())  # which it makes
    yield
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(before)


def logged(run_id, name):
    history = mlflow.MlflowClient().get_metric_history(run_id, name)
    return [metric.value for metric in sorted(history, key=lambda metric: metric.step)]


def fit(*callbacks, **options):
    network = fastmlp.Network([30, 4, 1], seed=0)
    return network.fit(
        X, Y, **{"epochs": 4, "standardize": True, "callbacks": callbacks, **options}
    )


def test_the_active_run_gets_every_epoch():
    with mlflow.start_run() as run:
        history = fit(MLflow(), validation_split=0.2, metrics="accuracy")
    assert logged(run.info.run_id, "loss") == history.loss
    assert logged(run.info.run_id, "val_loss") == history.val_loss
    assert logged(run.info.run_id, "val_accuracy") == history.metrics["val_accuracy"]


def test_a_run_can_be_named():
    with mlflow.start_run() as run:
        pass
    history = fit(MLflow(run.info.run_id, prefix="first."))
    assert logged(run.info.run_id, "first.loss") == history.loss
    assert mlflow.active_run() is None


def test_without_an_active_run_mlflow_starts_one():
    history = fit(MLflow())
    assert logged(mlflow.active_run().info.run_id, "loss") == history.loss


def test_a_value_that_is_not_a_number_is_logged():
    with mlflow.start_run() as run:
        MLflow()(None, 0, {"score": math.nan})
    assert math.isnan(logged(run.info.run_id, "score")[0])


def test_the_networks_of_a_tabular_model_are_told_apart():
    table = {"x": [i % 50 / 10 for i in range(300)]}
    table["y"] = [2 * x + 1 for x in table["x"]]
    model = TabularRegressor(n_members=2, epochs=3)
    log = per_member(lambda member: MLflow(prefix=f"network {member}/"))
    with mlflow.start_run() as run:
        model.fit(table, "y", callbacks=[log])
    for member, history in enumerate(model.history_):
        assert logged(run.info.run_id, f"network {member}/loss") == history.loss


def test_an_error_of_the_store_ends_the_run_and_the_network_keeps_its_epoch():
    network = fastmlp.Network([30, 1], seed=0)
    with pytest.raises(mlflow.exceptions.MlflowException):
        network.fit(X, Y, epochs=5, standardize=True, callbacks=[MLflow("0" * 32)])
    assert network.epochs_trained == 1
