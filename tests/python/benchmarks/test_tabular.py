"""The benchmark of tables: how a table is prepared, what a failed fit leaves, ranks and reports."""

import json
import math

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")

import tabular  # noqa: E402  # after the packages that it needs
import tabular_models as models  # noqa: E402
import tabular_report as reports  # noqa: E402
import tabular_tables as tables  # noqa: E402
from comparison import pages  # noqa: E402


def record(table, model, seed=0, **fields):
    """Make a record of one fit."""
    return {"table": table, "seed": seed, "model": model, **fields}


MADE_UP = [
    record("credit", "fastmlp", error=0.2, log_loss=0.4, auc=0.8, fit=2, fit_cpu=4),
    record("credit", "fastmlp", seed=1, error=0.1, log_loss=0.4, auc=0.8, fit=2, fit_cpu=4),
    record("credit", "lightgbm", error=0.2, log_loss=0.5, auc=0.8, fit=1, fit_cpu=2),
    record("credit", "lightgbm", seed=1, error=0.3, log_loss=0.5, auc=0.8, fit=1, fit_cpu=2),
    record("ames", "fastmlp", rmse=3.0, mae=1.0, r2=0.5, fit=1, fit_cpu=1),
    record("ames", "lightgbm", rmse=2.0, mae=1.0, r2=0.7, fit=1, fit_cpu=8),
]


def test_three_tables_are_kept_for_the_end_and_both_tasks_are_in_each_set():
    sets = {use: [t for t in tables.TABLES.values() if t.use == use] for use in ("tune", "check")}
    assert [name for name, t in tables.TABLES.items() if t.use == "end"] == [
        "stops", "abalone", "loans",
    ]  # fmt: skip
    for chosen in sets.values():
        assert {table.task for table in chosen} == {"classification", "regression"}


def test_levels_of_a_category_come_from_the_training_rows():
    train = pd.DataFrame(
        {"city": ["Rome", "Bonn", None], "age": [1, 2, 3], "old": [True, False, True]}
    )
    test = pd.DataFrame(
        {"city": ["Oslo", "Rome", None], "age": [4, 5, 6], "old": [True, True, False]}
    )
    train, test = models.typed(train, test)
    assert list(train.city.cat.categories) == list(test.city.cat.categories) == ["Bonn", "Rome"]
    assert test.city.isna().tolist() == [True, False, True]
    assert train.old.tolist() == [1.0, 0.0, 1.0]
    assert train.age.dtype == test.age.dtype == float


def test_dates_become_numbers():
    frame = pd.DataFrame({"day": pd.to_datetime(["2020-02-29 06:30", None])})
    train, _ = models.typed(frame, frame)
    assert train.iloc[0].tolist() == [18321.0, 2.0, 29.0, 5.0, 6.5]
    assert train.iloc[1].isna().all()


def test_metrics_of_a_perfect_and_of_a_constant_model():
    class Model:
        def predict(self, X):
            return X[:, 0]

        def predict_proba(self, X):
            return np.full((len(X), 2), 0.5)

    X = np.array([[1.0], [2.0], [3.0], [4.0]])
    assert models.metrics("regression", Model(), X, X[:, 0]) == {"rmse": 0, "mae": 0, "r2": 1}
    scores = models.metrics(tables.CLASSES, Model(), X, np.array([0, 0, 1, 1]))
    assert scores == pytest.approx({"error": 0.5, "log_loss": math.log(2), "auc": 0.5})


@pytest.mark.sweep
def test_a_fit_that_fails_leaves_a_record_with_the_reason():
    failed = tabular.measure("digits", 0, "no such model", limit=100)
    assert failed.pop("error_message").startswith("KeyError: 'no such model'")
    assert failed == {"table": "digits", "seed": 0, "model": "no such model"}


def test_ranks_share_a_place_and_leave_out_fits_that_a_model_lacks():
    chosen = ["fastmlp", "lightgbm"]
    assert reports.ranks(MADE_UP, ["credit", "ames"], chosen) == (3, [4.5 / 3, 4.5 / 3])
    assert reports.ranks([], ["credit"], chosen) == (0, [])
    lacking = MADE_UP[:1] + MADE_UP[2:]
    assert reports.ranks(lacking, ["credit"], chosen, "log_loss") == (1, [1, 2])


def test_a_report_has_means_times_and_failures(tmp_path):
    file = tmp_path / "records.jsonl"
    failed = record("ames", "tabm", error_message="stopped after 5 s of CPU time")
    lines = [{"about": {}}, MADE_UP[0] | {"error": 9.0}, *MADE_UP, failed]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = reports.report(reports.read([file]))
    assert "| credit, error | 0.150 | 0.250 | - |" in text
    assert "| credit, error | 0.071 | 0.071 | - |" in text  # the standard deviations
    assert "| ames, RMSE | 3.00 (1) | 2.00 (1) | - |" in text
    assert "| error rate, RMSE | 3 | 1.50 | 1.50 |" in text
    # Error 0.25 / 0.15 and 2 / 3, time 2 / 4 and 8 / 1: geometric means.
    assert "| lightgbm | 1 of 2 | 1.05 | 1 of 1 | 1.25 | 2 |" in text
    assert "- tabm on ames, seed 0: stopped after 5 s of CPU time" in text


def test_numbers_have_no_power_of_ten():
    numbers = (0.00012345, 0.5, 2.094, 57.77, 526.5, 21390.4)
    texts = ["0.000123", "0.500", "2.09", "57.8", "526", "21,390"]
    assert [reports.number(number) for number in numbers] == texts


def test_machines_are_named_once(tmp_path):
    file = tmp_path / "records.jsonl"
    about = {"cpu": "EPYC", "processors": 2, "date": "2026-11-27", "versions": {"numpy": "2.4"}}
    file.write_text(2 * (json.dumps({"about": about}) + "\n"))
    expected = "- EPYC, 2 processors, 2026-11-27\n- numpy 2.4\n"
    assert reports.machines([file]) == expected


def test_the_page_has_a_place_for_the_tables():
    text = tabular.PAGE.read_text(encoding="utf-8")
    assert "PLACE" in pages.replaced(text, "tables", "PLACE")


@pytest.mark.sweep
def test_a_run_continues_where_it_stopped(tmp_path, monkeypatch):
    file = tmp_path / "records.jsonl"
    arguments = [
        "tabular.py",
        "--models",
        "sklearn-mlp",
        "--tables",
        "digits",
        "--records",
        str(file),
    ]
    for seeds in (["0"], ["0", "1"]):
        monkeypatch.setattr("sys.argv", [*arguments, "--seeds", *seeds])
        assert tabular.main() == 0
    fits = [r for r in map(json.loads, file.read_text().splitlines()) if "about" not in r]
    assert [r["seed"] for r in fits] == [0, 1]
    assert all(r["error"] < 0.1 for r in fits)
