"""`train`, `predict`, `evaluate`, `inspect` and `export`, on real tables and on a mixed one."""

import csv
import datetime
import gzip
import importlib
import io
import json
import math
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("click")

import fastmlp
from cli_tables import mixed, refused, run, write_csv
from fastmlp.cli import output, progress, readers, report, scores, train
from fastmlp.cli.errors import CommandError, guarded
from fastmlp.cli.models import load_model
from fastmlp.cli.target import guess
from fastmlp.tabular import TabularClassifier, TabularRegressor, _members, load
from fastmlp.tabular._members import Progress
from fastmlp.tabular._table import Table, read_column

QUICK = ("--epochs", 20, "--members", 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def table(folder):
    return write_csv(folder / "mixed.csv", *mixed())


@pytest.fixture(scope="module")
def model(folder, table):
    path = folder / "mixed.safetensors"
    done = run("train", table, "--target", "kind", "-o", path, *QUICK)
    assert done.status == 0, done
    return str(path)


@pytest.fixture(scope="module")
def regression(folder, table):
    path = folder / "size.safetensors"
    done = run("train", table, "-t", "size", "-o", path, *QUICK)
    assert done.status == 0, done
    return str(path), done


def rows_of(text):
    return list(csv.reader(io.StringIO(text)))


def lines_of(text):
    """The lines with runs of spaces as one."""
    return [" ".join(line.split()) for line in text.splitlines()]


# Real tables


def test_two_commands_make_predictions(folder):
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    data = sklearn_datasets.load_breast_cancer()
    names = data.target_names[data.target]
    rows = [[*map(repr, x), name] for x, name in zip(data.data.tolist(), names, strict=True)]
    header = [*data.feature_names, "diagnosis"]
    train_file = write_csv(folder / "train.csv", header, rows[:400])
    test_file = write_csv(folder / "test.csv", header, rows[400:])
    model, predictions = folder / "cancer.safetensors", folder / "cancer.csv"
    done = run("train", train_file, "--target", "diagnosis", "-o", model, *QUICK)
    assert done.status == 0
    assert done.err == ""
    shown = lines_of(done.out)
    assert shown[0] == "task classification: benign (227), malignant (173)"
    assert shown[1] == "because 'diagnosis' holds text"
    assert shown[2] == "data 400 rows, 30 columns"
    assert any(line.startswith("mean radius number ") for line in shown)
    assert any(line.startswith("model 2 networks of ") for line in shown)
    assert any(line.startswith("accuracy 0.9") for line in shown)
    assert shown[-1] == f"next: fastmlp predict {model} NEW.csv -o predictions.csv"
    assert max(len(line) for line in done.out.splitlines() if str(folder) not in line) < 80
    done = run("predict", model, test_file, "-o", predictions)
    assert done.out == f"{predictions}: 169 rows\n"
    found = rows_of(predictions.read_text())
    assert found[0] == ["prediction"]
    right = [row == [name] for row, name in zip(found[1:], names[400:], strict=True)]
    assert np.mean(right) > 0.93
    scored = json.loads(run("evaluate", model, test_file, "--json").out)
    assert scored["accuracy"] == np.mean(right)
    assert scored["most_frequent"] == {"label": "benign", "accuracy": 130 / 169}


def test_digits_are_ten_classes(folder):
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    digits = sklearn_datasets.load_digits()
    array = np.column_stack([digits.data, digits.target])[:600]
    np.save(folder / "digits.npy", array)
    model = folder / "digits.safetensors"
    done = run(
        "train", folder / "digits.npy", "-t", "x64", "-o", model, "--epochs", 8, "--members", 1
    )
    shown = lines_of(done.out)
    assert shown[0] == (
        "task classification: 0 (63), 3 (62), 2 (61), 5 (61), 1 (60), 6 (60) and 4 more"
    )
    assert shown[1] == "because 'x64' has 10 different values, all whole; add --task regression"
    assert any(line == "x0 left out 0 is constant" for line in shown)
    done = run("evaluate", model, folder / "digits.npy")
    shown = lines_of(done.out)
    assert shown[0] == "600 rows"
    assert "true \\ predicted 0 1 2 3 4 5 6 7 8 9" in shown
    assert max(map(len, done.out.splitlines())) < 80
    assert run("predict", model, folder / "digits.npy").out.splitlines()[1].isdigit()


# train


def test_training_says_what_became_of_each_column(folder, table):
    done = run(
        "train", table, "-t", "kind", "-o", folder / "m.st", *QUICK, "--ignore", "sold, fully"
    )
    shown = lines_of(done.out)
    for begin in (
        "size number",
        "color category",
        "day date",
        "sold, fully left out 0 is ignored",
    ):
        assert any(line.startswith(begin) for line in shown), begin


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b"], "classification"),
        (["true", "False"], "classification"),
        (["1", "0"], "classification"),
        (["1.0", "2.0"], "classification"),
        ([str(i % 20) for i in range(60)], "classification"),
        ([str(i % 21) for i in range(60)], "regression"),
        (["1.5", "0"], "regression"),
        ([f"text {i % 30}" for i in range(60)], "classification"),
    ],
)
def test_the_task_is_guessed(folder, values, task):
    rows = [[i * 7 % 10, values[i % len(values)]] for i in range(60)]
    path = write_csv(folder / "guess.csv", ["x", "y"], rows)
    done = run("train", path, "-t", "y", "-o", folder / "m.st", "--epochs", 1, "--members", 1)
    assert lines_of(done.out)[0].startswith(f"task {task}")


def test_the_task_can_be_named(folder):
    path = write_csv(folder / "guess.csv", ["x", "y"], [[i * 7 % 10, i % 2] for i in range(60)])
    train = ("train", path, "-t", "y", "-o", folder / "m.st", "--epochs", 1, "--members", 1)
    done = run(*train, "--task", "regression", "--json")
    assert json.loads(done.out)["task"] == "regression"
    assert isinstance(load(folder / "m.st"), TabularRegressor)
    for task in ("regression", "classification"):
        shown = lines_of(run(*train, "--task", task).out)
        assert shown[0].startswith(f"task {task}")
        assert shown[1] == f"because --task {task} was given"
    assert "add --task regression to" in run(*train).out
    other = refused(*train, "--task", "classification", "--loss", "huber")
    assert other.endswith("classification, because --task classification was given")


def test_many_texts_are_classes_if_the_user_says_so():
    column = read_column("y", [f"text {i}" for i in range(40)])
    with pytest.raises(CommandError, match="there are 40 different texts in 40 rows"):
        guess(column, None, str)
    assert guess(column, "classification", str).task == "classification"


def test_rows_without_a_target_are_left_out(folder, regression):
    path, done = regression
    assert "data 181 rows, 4 columns; 19 rows without a target left out" in lines_of(done.out)
    done = run("evaluate", path, folder / "mixed.csv")
    assert done.out.startswith("181 rows; 19 rows without a target left out\n")


def test_blocks_without_a_target_are_left_out(folder, regression, monkeypatch):
    monkeypatch.setattr(readers, "BLOCK", 1)
    path = folder / "mixed.csv"
    done = run("evaluate", regression[0], path)
    assert done.out.startswith("181 rows; 19 rows without a target left out\n")


def test_options_reach_the_model(folder, table):
    options = {
        "--hidden": "8,4", "--epochs": 3, "--members": 2, "--batch-size": 50, "--dropout": 0.25,
        "--learning-rate": 0.01, "--weight-decay": 0.5, "--seed": 7, "--class-weight": "balanced",
        "--type": "size=category",
    }  # fmt: skip
    words = [word for option in options.items() for word in option]
    done = run("train", table, "-t", "kind", "-o", folder / "m.st", *words)
    assert done.status == 0, done
    given = load(folder / "m.st").get_params()
    expected = {
        "hidden": (8, 4), "epochs": 3, "n_members": 2, "batch_size": 50, "dropout": 0.25,
        "learning_rate": 0.01, "weight_decay": 0.5, "seed": 7, "class_weight": "balanced",
        "column_types": {"size": "category"},
    }  # fmt: skip
    assert {name: given[name] for name in expected} == expected


@pytest.mark.parametrize("words", ["--hidden 8 4", "--hidden 8,4", "--hidden 8, 4", "--hidden=8,4"])
@pytest.mark.parametrize("first", [True, False])
def test_sizes_are_words_or_a_list(folder, table, words, first):
    words = words.split()
    order = [*words, table] if first else [table, *words]
    done = run("train", *order, "-t", "kind", "-o", folder / "m.st", "--epochs", 1, "--members", 1)
    assert done.status == 0, done
    assert load(folder / "m.st").networks[0].layers[1:3] == (8, 4)


def test_quantiles(folder, table):
    path = folder / "quantiles.st"
    done = run("train", table, "-t", "size", "-o", path, *QUICK, "--quantiles", 0.1, 0.9)
    assert done.status == 0, done
    assert "quantile rows below it pinball loss" in lines_of(done.out)
    found = rows_of(run("predict", path, table).out)
    assert found[0] == ["quantile_0.1", "quantile_0.9"]
    assert all(float(low) <= float(high) for low, high in found[1:])
    scored = json.loads(run("evaluate", path, table, "--json").out)
    assert [one["quantile"] for one in scored["quantiles"]] == [0.1, 0.9]
    assert scored["quantiles"][0]["below"] < scored["quantiles"][1]["below"]


def test_the_report_as_json(folder, table):
    done = run("train", table, "-t", "kind", "-o", folder / "m.st", *QUICK, "--json")
    report = json.loads(done.out)
    assert report["classes"] == ["large", "small"]
    assert [one["name"] for one in report["columns"]] == ["size", "color", "day", "sold, fully"]
    kinds = [one["kind"] for one in report["columns"]]
    assert kinds == ["number", "category", "date", "boolean"]
    assert report["file"] == str(folder / "m.st")
    assert 0.5 < report["held_out"]["accuracy"] <= 1


def test_scores_are_those_of_networks_that_did_not_train_on_the_rows(folder, table):
    # Noise cannot be learned, so a score on rows that a network has trained on would be too good.
    noise = [[i * 7919 % 1000 / 1000, i * 104729 % 7 % 2] for i in range(300)]
    path = write_csv(folder / "noise.csv", ["x", "y"], noise)
    done = run(
        "train", path, "-t", "y", "-o", folder / "m.st", "--members", 5, "--epochs", 2, "--json"
    )
    held = json.loads(done.out)["held_out"]
    assert held["rows"] == 300
    model = load(folder / "m.st")
    rows = {"x": np.array([x for x, _ in noise])}
    of_all = model.predict_proba(rows)[:, 1]
    assert held["log_loss"] != fastmlp.metrics.log_loss([y for _, y in noise], of_all)


def test_the_rows_that_are_scored_are_those_that_fit_has_held_out(folder, table, monkeypatch):
    seen = {"fit": set(), "score": set()}

    def spy(name, original):
        def held_out(task, member):
            found = original(task, member)
            seen[name].add((member, found.tobytes()))
            return found

        return held_out

    monkeypatch.setattr(_members, "held_out", spy("fit", _members.held_out))
    monkeypatch.setattr(train, "held_out", spy("score", train.held_out))
    done = run("train", table, "-t", "kind", "-o", folder / "m.st", "--epochs", 1, "--members", 2)
    assert done.status == 0, done
    assert len(seen["fit"]) == 2
    assert seen["score"] == seen["fit"]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (5, "scores of 200 held-out rows, each by a network that did not train on it:"),
        (1, "scores of 40 held-out rows, by the network, which did not train on them:"),
    ],
)
def test_the_report_says_what_its_scores_are_worth(folder, table, members, said):
    path = folder / "m.st"
    shown = run("train", table, "-t", "kind", "-o", path, "--members", members, "--epochs", 1).out
    assert said in shown.splitlines()
    assert "trained 1 epoch, " in " ".join(shown.split())
    assert "too good" in shown
    assert "fastmlp evaluate" in shown


def test_few_rows_are_trained_on_but_not_scored(folder):
    path = write_csv(folder / "few.csv", ["x", "y"], [[i, i % 2] for i in (3, 1, 4, 1, 5, 9, 2, 6)])
    done = run("train", path, "-t", "y", "-o", folder / "m.st", "--epochs", 1)
    assert "no rows were held out, because there are few" in done.out


def test_the_file_is_that_of_python(folder, table):
    pandas = pytest.importorskip("pandas")
    path, twin = folder / "m.st", folder / "twin.st"
    run("train", table, "-t", "kind", "-o", path, *QUICK)
    model = TabularClassifier(epochs=20, n_members=2, seed=0)
    model.fit(pandas.read_csv(table), "kind")
    model.save(twin)
    expected = model.predict_proba(pandas.read_csv(table))
    found = load(path).predict_proba(pandas.read_csv(table))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train {table} -o {new}", "Missing option '--target' / '-t'. (fastmlp train --help)"),
        ("train {table} -t kind", "Missing option '--output' / '-o'. (fastmlp train --help)"),
        ("train no.csv -t kind -o {new}", "no.csv: No such file or directory"),
        ("train {table} -t kid -o {new}", "--target: {table} has no column 'kid'; did you mean "),
        ("train {table} -t xyz -o {new}", "--target: {table} has no column 'xyz'; it has 'size'"),
        ("train {table} -t kind --ignore siz -o {new}", "--ignore: {table} has no column 'siz';"),
        ("train {table} -t kind --ignore kind -o {new}", "--ignore: 'kind' is the target"),
        ("train {table} -t day -o {new}", "--target: 'day' holds dates, which cannot be predict"),
        ("train {table} -t kind --task regression -o {new}", "{table}: row 1 (line 2), column '"),
        ("train {table} -t kind --loss huber -o {new}", "--loss is for regression; the task is "),
        ("train {table} -t kind --type size=text -o {new}", "Invalid value for '--type': 'size="),
        ("train {table} -t kind --type day=number -o {new}", "{table}: row 1 (line 2), column '"),
        ("train {table} -t kind --hidden 1.5 -o {new}", "Invalid value for '--hidden': '1.5' is"),
        ("train {table} -t kind --hidden 0 -o {new}", "Invalid value for '--hidden': '0' is not "),
        ("train {table} -t kind --learning-rate inf -o {new}", "Invalid value for '--learning-ra"),
        ("train {table} -t kind --learning-rate nan -o {new}", "Invalid value for '--learning-ra"),
        ("train {table} -t kind --weight-decay inf -o {new}", "Invalid value for '--weight-decay"),
        ("train {table} -t kind --dropout nan -o {new}", "Invalid value for '--dropout': 'nan' "),
        ("train {table} -t kind --epochs 9223372036854775808 -o {new}", "Invalid value for '--ep"),
        ("train {table} -t size --quantiles nan -o {new}", "Invalid value for '--quantiles'"),
        ("train {table} -t size --quantiles 0.9 0.1 -o {new}", "Invalid value for '--quantiles'"),
        ("train {table} -t kind --encoding klingon -o {new}", "Invalid value for '--encoding': "),
        ("train {table} -t kind --encoding rot13 -o {new}", "Invalid value for '--encoding': 'rot"),
        ("train {table} -t kind --delimiter ab -o {new}", "Invalid value for '--delimiter': 'ab"),
        ("train {table} -t kind -o -", "Invalid value for '--output' / '-o': '-' is not possib"),
        ("train {table} -t kind --delimiter \" -o {new}", "Invalid value for '--delimiter': '\"'"),
        ("train {table} -t size --quantiles 0 0.5 -o {new}", "Invalid value for '--quantiles': '0"),
        ("train {table} -t size --quantiles 0.5 1 -o {new}", "Invalid value for '--quantiles': '0"),
        ("train {table} -t size --quantiles 0.5 0.5 -o {new}", "Invalid value for '--quantiles':"),
        ("train {table} -t kind -o {folder}/no/m.st", "Invalid value for '--output' / '-o': "),
        ("train {table} -t kind -o {folder}", "Invalid value for '--output' / '-o': "),
        ("train {table} -t kind -o {table}", "{table} is the file that is read; give another na"),
        ("train {table} -t kind -o {new} --type kind=category", "--type: 'kind' is the target; -"),
        ("predict {table} {table}", "{table} is not a model: it is damaged or not a saf"),
        ("predict {model} {table} -o {table}", "{table} is the file that is read; give another "),
        ("predict {model} {table} -o {model}", "{model} is the file that is read; give another "),
        ("predict {model} {table} -o {folder}/x.parquet", "-o {folder}/x.parquet: predictions a"),
        ("predict {size} {table} --proba", "--proba: {size} is a regression, which has no pro"),
        ("evaluate {model} {table} -t color", "{table}: row 2 (line 3), column 'color': 'green'"),
        ("evaluate {model} {table} -t kid", "--target: {table} has no column 'kid'; did you mean"),
        ("evaluate {model} {bare}", "{bare} has no column 'kind', which {model} predicts; name th"),
        ("evaluate {model} {table} --plot x.doc", "--plot: 'x.doc' must end in one of .png, .pd"),
        ("export {model}", "Missing option '--cpp'"),
        ("inspect no.st", "no.st: No such file or directory"),
        ("info --plot x.png", "No such option '--plot'. (fastmlp info --help)"),
        ("--plot x.png info", "--plot before the command is for demo; info would ignore it ("),
        ("fly", "No such command 'fly'. (fastmlp --help)"),
        ("trian", "No such command 'trian'. "),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused_in_a_line(
    folder, table, model, regression, arguments, message
):
    names = {"folder": folder, "table": table, "model": model, "size": regression[0]}
    names["new"] = folder / "never.st"
    names["bare"] = write_csv(folder / "bare.csv", ["size", "color", "day", "sold, fully"], [])
    words = [word.format(**names) for word in arguments.split()]
    assert refused(*words).startswith(message.format(**names))
    assert not (folder / "never.st").exists()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "FILE has names of columns but no rows"),
        ([["1", ""], ["2", "NA"]], "--target: 'y' is empty in every row of FILE"),
        (
            [[str(i), f"1,{i}"] for i in range(30)],
            "FILE: row 1 (line 2), column 'y': '1,0' is not a number, and there are 30 different "
            "texts in 30 rows; ",
        ),
        ([["1", "a"], ["2", "a"]], "the target 'y' has one class, 'a'"),
        ([["1", "a"], ["1", "b"]], "none of the 1 columns can be used: 'x' is constant"),
    ],
)
def test_tables_that_cannot_be_learned(folder, rows, message):
    path = write_csv(folder / "odd.csv", ["x", "y"], rows)
    line = refused("train", path, "-t", "y", "-o", folder / "never.st").replace(path, "FILE")
    assert line.startswith(message)


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        (["1", "2", "3.5"], "classification", "'y': 3.5 is not a whole number, and --task cl"),
        (["1", "1e20", "2"], "classification", "row 2 (line 4), column 'y': 1e+20 is not a whole"),
        (["1", "2.5", "n.a."], "regression", "row 3 (line 5), column 'y': 'n.a.' is not a number"),
        (["?", "2.5", "x"], "regression", "row 3 (line 5), column 'y': 'x' is not a number"),
        (["?", "?"], "regression", "row 1 (line 2), column 'y': '?' is not a number"),
        (["false", "true"], "regression", "row 1 (line 2), column 'y': 'false' is not a number"),
    ],
)
def test_a_target_that_does_not_suit_the_task_is_named_with_its_place(
    folder, values, task, message
):
    path = folder / "unfit.csv"
    lines = [f"{i},{value}" for i, value in enumerate(values)]
    path.write_text("\n".join(["x,y", lines[0], "", *lines[1:]]))
    line = refused("train", path, "-t", "y", "-o", folder / "never.st", "--task", task)
    assert line.startswith(f"{path}: row ")
    assert message in line
    assert f"--task {task}" in line
    assert "Tabular" not in line


def test_a_model_that_cannot_be_written_is_kept(folder, table, monkeypatch):
    kept = []

    def save(model, path):
        if not kept and not str(path).startswith(str(folder)):
            kept.append(path)
            return original(model, path)
        raise OSError(28, "No space left on device")

    original = TabularClassifier.save
    monkeypatch.setattr(TabularClassifier, "save", save)
    done = run(
        "train", table, "-t", "kind", "-o", folder / "full.st", "--epochs", 1, "--members", 1
    )
    assert done.status == 1
    assert done.err == (
        f"fastmlp: error: {folder}/full.st: No space left on device; the model is in {kept[0]} "
        "instead\n"
    )
    load(kept[0])


def test_training_that_diverges_is_a_failure(folder, table):
    done = run("train", table, "-t", "size", "-o", folder / "no.st", "--learning-rate", "1e30")
    assert done.status == 1
    assert done.err.startswith("fastmlp: error: ")
    assert not (folder / "no.st").exists()


# predict

# What other programs would change: zeros at the front, spaces, text for missing values, quotes.
IDS = ["007", " x ", "NA", "", "1e3", 'a "b", c', "2\n3", "9007199254740993"]


def test_columns_can_be_kept(folder, model, table, monkeypatch):
    monkeypatch.setattr(readers, "BLOCK", 64)
    header, rows = mixed()
    ids = [[IDS[i % len(IDS)]] for i in range(len(rows))]
    path = write_csv(folder / "ids.csv", ["id", *header], map(list.__add__, ids, rows))
    without = rows_of(run("predict", model, path, "--proba").out)
    found = rows_of(run("predict", model, path, "--proba", "--keep", "kind", "--keep", "id").out)
    assert found[0] == ["kind", "id", *without[0]]
    assert found[1:] == [
        [row[-1], *i, *p] for row, i, p in zip(rows, ids, without[1:], strict=True)
    ]
    assert run("predict", model, path, "--keep", "kind,id,kind").out.startswith("kind,id,pred")
    lines = run("predict", model, path, "--keep", "id", "--json").out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [one for (one,) in ids]
    line = refused("predict", model, path, "--keep", "colour")
    assert line == f"--keep: {path} has no column 'colour'; did you mean 'color'?"


def test_a_kept_column_may_not_be_called_as_the_result(folder, model):
    header, rows = mixed(3)
    path = write_csv(folder / "again.csv", ["prediction", *header], [["x", *row] for row in rows])
    line = refused("predict", model, path, "--keep", "prediction")
    assert line == "--keep: 'prediction' is a column that predict writes itself"
    assert run("predict", model, path, "--keep", "prediction", "--proba").status == 0


@pytest.mark.parametrize("kind", ["parquet", "arrow", "npy"])
def test_kept_columns_of_other_formats(folder, model, kind, monkeypatch):
    monkeypatch.setattr(readers, "BLOCK", 2)
    header, rows = mixed(3)
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    columns["id"] = [2**60 + 1, -3, 0]
    columns["part"] = [0.1, math.nan, 2.5]
    path = folder / f"kept.{kind}"
    if kind == "npy":
        dtype = [(name, np.array(column).dtype) for name, column in columns.items()]
        np.save(path, np.array(list(zip(*columns.values(), strict=True)), dtype))
    else:
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("narwhals")
        feather, parquet = (importlib.import_module(f"pyarrow.{x}") for x in ("feather", "parquet"))
        columns["day"] = [datetime.date(2024, 1, 2), None, datetime.date(2024, 1, 3)]
        table = pyarrow.table(columns)
        (parquet.write_table if kind == "parquet" else feather.write_feather)(table, str(path))
    keep = ("--keep", "id,part,day")
    found = rows_of(run("predict", model, path, *keep).out)
    days = ["2024-01-02", "", "2024-01-03"] if kind != "npy" else [row[2] for row in rows]
    assert [row[:-1] for row in found] == [
        ["id", "part", "day"],
        [str(2**60 + 1), "0.1", days[0]],
        ["-3", "nan", days[1]],
        ["0", "2.5", days[2]],
    ]
    lines = map(json.loads, run("predict", model, path, *keep, "--json").out.splitlines())
    assert [(one["id"], one["part"]) for one in lines] == [(2**60 + 1, 0.1), (-3, None), (0, 2.5)]


def test_predictions_are_those_of_python_in_the_order_of_the_rows(
    folder, table, model, monkeypatch
):
    monkeypatch.setattr(readers, "BLOCK", 7)
    header, rows = mixed()
    columns = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    columns["color"] = [None if color == "NA" else color for color in columns["color"]]
    expected = load(model).predict(columns)
    assert rows_of(run("predict", model, table).out) == [["prediction"], *([p] for p in expected)]
    found = rows_of(run("predict", model, table, "--proba").out)
    assert found[0] == ["probability_large", "probability_small"]
    floats = np.array(found[1:], dtype=float)
    np.testing.assert_array_equal(floats, load(model).predict_proba(columns))  # all digits


def test_columns_in_another_order_and_others_besides_make_no_difference(folder, table, model):
    header, rows = mixed()
    other = [[row[4], "?", *row[3::-1]] for row in rows]
    path = write_csv(folder / "other.csv", ["kind", "new", *header[3::-1]], other, delimiter=";")
    assert run("predict", model, path).out == run("predict", model, table).out


def test_a_table_without_rows_gives_a_header(folder, model):
    path = write_csv(folder / "empty.csv", mixed()[0], [])
    assert run("predict", model, path).out == "prediction\n"


def test_json_lines(table, model):
    lines = run("predict", model, table, "--json").out.splitlines()
    assert len(lines) == 200
    assert json.loads(lines[0]).keys() == {"prediction"}


def test_a_compressed_result(folder, table, model):
    path = folder / "p.csv.gz"
    assert run("predict", model, table, "-o", path).status == 0
    assert gzip.decompress(path.read_bytes()).decode() == run("predict", model, table).out
    assert path.read_bytes()[4:8] == bytes(4)  # no time, so that the same input gives the same file


def test_labels_are_written_in_utf_8_whatever_the_terminal_shows(folder, monkeypatch):
    rows = [[i * 7 % 10, "größer" if i * 7 % 10 > 4 else "kleiner"] for i in range(60)]
    path = write_csv(folder / "labels.csv", ["x", "y"], rows)
    run("train", path, "-t", "y", "-o", folder / "labels.st", *QUICK)
    stdout = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", stdout)
    assert fastmlp.__main__.main(["predict", str(folder / "labels.st"), path]) == 0
    assert "größer" in stdout.buffer.getvalue().decode()


def test_a_value_that_cannot_be_read_has_a_place_and_no_file_is_left(folder, model, monkeypatch):
    monkeypatch.setattr(readers, "BLOCK", 4)
    header, rows = mixed(20)
    rows[9][0] = "12,5"
    path, result = write_csv(folder / "bad.csv", header, rows), folder / "result.csv"
    result.write_text("old")
    line = refused("predict", model, path, "-o", result)
    assert line == f"{path}: row 10 (line 11), column 'size': '12,5' is not a finite number"
    assert result.read_text() == "old"
    assert not [name for name in os.listdir(folder) if name.endswith(".tmp")]


def test_a_missing_column_is_named_before_anything_is_written(folder, model):
    path = write_csv(folder / "less.csv", ["color", "day"], [["red", "2024-01-01"]])
    done = run("predict", model, path)
    assert done.out == ""
    assert f"{path} has no column 'size', 'sold, fully', which {model} needs; it has" in done.err


# evaluate


def test_scores_of_classes_agree_with_scikit_learn(folder, table, model):
    metrics = pytest.importorskip("sklearn.metrics")
    scored = json.loads(run("evaluate", model, table, "--json").out)
    rows = mixed()[1]
    truth = [row[-1] for row in rows]
    found = rows_of(run("predict", model, table, "--proba").out)[1:]
    probability = np.array(found, dtype=float)
    probability /= probability.sum(axis=1, keepdims=True)  # of float32, so the sum is nearly 1
    predicted = [label for (label,) in rows_of(run("predict", model, table).out)[1:]]
    assert scored["accuracy"] == metrics.accuracy_score(truth, predicted)
    assert scored["confusion_matrix"] == metrics.confusion_matrix(truth, predicted).tolist()
    np.testing.assert_allclose(scored["log_loss"], metrics.log_loss(truth, probability))
    auc = metrics.roc_auc_score(np.array(truth) == "small", probability[:, 1])
    np.testing.assert_allclose(scored["roc_auc"], auc)
    assert sum(one["rows"] for one in scored["calibration"]) == 200


def test_scores_of_amounts_agree_with_scikit_learn(table, regression):
    metrics = pytest.importorskip("sklearn.metrics")
    path, _ = regression
    scored = json.loads(run("evaluate", path, table, "--json").out)
    predicted = np.array(rows_of(run("predict", path, table).out)[1:], dtype=float)[:, 0]
    pairs = [(float(row[0]), p) for row, p in zip(mixed()[1], predicted, strict=True) if row[0]]
    truth, predicted = np.array(pairs).T
    np.testing.assert_allclose(scored["rmse"], metrics.root_mean_squared_error(truth, predicted))
    np.testing.assert_allclose(scored["mae"], metrics.mean_absolute_error(truth, predicted))
    np.testing.assert_allclose(scored["r2"], metrics.r2_score(truth, predicted))
    assert scored["rows_without_target"] == 19
    shown = run("evaluate", path, table).out
    assert "R²" in shown


def test_the_calibration_of_two_classes_is_that_of_the_second():
    second = np.array([1.0, 0.9375, 0.3125, 0.375])
    probabilities = np.column_stack([1 - second, second])
    found = scores.of_classes(["no", "yes"], np.array([1, 0, 1, 0]), probabilities)
    assert found["calibration"] == [
        {"from": 0.3, "to": 0.4, "rows": 2, "predicted": 0.34375, "observed": 0.5},
        {"from": 0.9, "to": 1.0, "rows": 2, "predicted": 0.96875, "observed": 0.5},
    ]
    assert found["calibration_error"] == (0.15625 + 0.46875) / 2


def test_the_calibration_of_several_classes_is_that_of_the_predicted_ones():
    probabilities = np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]])
    found = scores.of_classes(["a", "b", "c"], np.array([0, 2]), probabilities)["calibration"]
    assert [(one["predicted"], one["observed"]) for one in found] == [(0.5, 1), (0.75, 0)]


def test_scores_stand_beside_those_of_an_answer_that_is_always_the_same():
    found = scores.of_classes(["no", "yes"], np.array([0, 0, 1]), np.array([[0.25, 0.75]] * 3))
    assert found["most_frequent"] == {"label": "no", "accuracy": 2 / 3}
    assert scores.of_amounts(np.array([1.0, 3.0]), np.array([5.0, 5.0]))["mean_rmse"] == 1


def test_scores_of_quantiles():
    (found,) = scores.of_quantiles(np.arange(1.0, 5.0), np.full((4, 1), 2.0), [0.25])["quantiles"]
    assert found == {"quantile": 0.25, "below": 0.5, "pinball_loss": (0.75 + 0 + 0.25 + 0.5) / 4}


def test_the_most_frequent_confusions_come_first():
    truth = np.arange(60) % 20
    wrong = np.isin(np.arange(60), [1, 5, 25])
    found = scores.of_classes(
        [f"label {i}" for i in range(20)], truth, np.eye(20)[(truth + wrong) % 20]
    )
    lines = [" ".join(line.split()) for line in scores.details(found)]
    assert lines.index("label 5 label 6 2") < lines.index("label 1 label 2 1")


def test_a_confusion_matrix_that_is_too_wide_becomes_a_list(monkeypatch):
    truth = np.arange(40) % 20
    probabilities = np.eye(20)[(truth + (np.arange(40) == 3)) % 20]
    lines = scores.details(
        scores.of_classes([f"label {i}" for i in range(20)], truth, probabilities)
    )
    assert "the most frequent confusions, of 1 kind" in lines
    assert "label 3  label 4       1" in lines
    assert max(map(len, lines)) <= output.WIDTH


@pytest.mark.parametrize("labels", [("false", "true"), ("0", "1"), ("1.0", "2")])
def test_labels_are_compared_by_their_values(folder, labels):
    rows = [[i * 7 % 10, labels[i * 7 % 10 > 4]] for i in range(60)]
    path, model = write_csv(folder / "typed.csv", ["x", "y"], rows), folder / "typed.st"
    run("train", path, "-t", "y", "-o", model, "--epochs", 40, "--members", 1)
    found = json.loads(run("evaluate", model, path, "--json").out)
    assert found["accuracy"] == 1
    assert sum(map(sum, found["confusion_matrix"])) == 60


def test_the_matrix_of_a_picture_has_true_labels_below_each_other():
    axes = pytest.importorskip("matplotlib.figure").Figure().subplots()
    report._confusion(axes, ["a", "b"], np.array([0, 0, 0, 1]), np.eye(2)[[1, 1, 0, 1]])
    found = {(text.get_position(), text.get_text()) for text in axes.texts}
    assert found == {((0, 0), "1"), ((1, 0), "2"), ((0, 1), "0"), ((1, 1), "1")}


def test_quantiles_are_drawn_by_the_one_in_the_middle():
    assert report._middle(np.array([[1.0, 2.0, 3.0]])).tolist() == [2.0]


def test_a_picture_of_rows_of_one_class(folder, model):
    header, rows = mixed()
    path = write_csv(folder / "one.csv", header, [row for row in rows if row[-1] == "large"])
    assert run("evaluate", model, path, "--plot", folder / "one.png").status == 0


def test_a_shuffled_column_lowers_the_score(model):
    header, rows = mixed()
    columns = {
        name: read_column(name, [row[i] or None for row in rows]) for i, name in enumerate(header)
    }
    truth = np.array([row[-1] == "small" for row in rows]).astype(int)
    shuffled = report.Shuffled(load_model(model), Table(columns, len(rows), named=True))
    before = shuffled.score(shuffled.places, truth)
    places = shuffled.places.copy()
    places[:, 0] = places[::-1, 0]
    assert shuffled.score(places, truth) < before - 0.2


def test_a_picture_is_not_drawn_over_the_table(folder, model):
    path = write_csv(folder / "table.png", *mixed())
    assert "table.png is the file that is read" in refused("evaluate", model, path, "--plot", path)
    assert (folder / "table.png").read_bytes().startswith(b"size,color")


def test_the_picture(folder, table, model, regression):
    pytest.importorskip("matplotlib")
    for path, name in ((model, "classes.png"), (regression[0], "amounts.svg")):
        done = run("evaluate", path, table, "--plot", folder / name)
        assert done.status == 0, done
        start = (folder / name).read_bytes()[:5]
        assert start in (b"\x89PNG\r", b"<?xml")


# inspect and export


def test_inspect_shows_all_columns_and_networks(model):
    shown = lines_of(run("inspect", model).out)
    assert shown[:2] == [f"file {model}", "holds TabularClassifier"]
    assert "target kind: large, small" in shown
    assert sum(line.startswith("color category") for line in shown) == 1
    assert sum(line.startswith(("1 20 ", "2 20 ")) for line in shown) == 2
    found = json.loads(run("inspect", model, "--json").out)
    assert found["classes"] == ["large", "small"]
    assert len(found["networks"]) == 2
    assert found["columns"][1]["kind"] == "category"


def test_inspect_names_the_measures_of_the_training(folder, table, model):
    title = "network epochs best epoch training cross-entropy held-out Brier score"
    assert title in lines_of(run("inspect", model).out)
    found = json.loads(run("inspect", model, "--json").out)
    assert found["measures"] == {"loss": "cross_entropy", "val_error": "brier_score"}
    assert found["networks"][0]["training"].keys() >= {"loss", "val_error"}
    path, huber = folder / "huber.st", ["--task", "regression", "--loss", "huber"]
    run("train", table, "-t", "size", "-o", path, *QUICK, *huber)
    title = "network epochs best epoch training loss held-out loss"
    assert title in lines_of(run("inspect", path).out)
    found = json.loads(run("inspect", path, "--json").out)
    assert found["measures"] == {"loss": "huber", "val_error": "huber"}


# Plain networks


@pytest.fixture(scope="module")
def network(folder):
    net = fastmlp.Network([2, 3, 1], seed=0)
    net.classes = ["no", "yes"]
    path = str(folder / "network.st")
    net.save(path)
    return path


def test_a_network_takes_columns_in_their_order(folder, network):
    rows = [[1.5, -2, "yes"], [0, 3, "no"]]
    path = write_csv(folder / "plain.csv", ["a", "b", "c"], rows)
    net = fastmlp.Network.load(network)
    X = np.array([row[:2] for row in rows], dtype=float)
    found = rows_of(run("predict", network, path, "--ignore", "c").out)
    assert found == [["prediction"], *([label] for label in net.predict(X))]
    found = rows_of(run("predict", network, path, "--ignore", "c", "--proba").out)
    assert found[0] == ["probability_no", "probability_yes"]
    np.testing.assert_array_equal(np.array(found[1:], np.float32)[:, 1], net.forward(X)[:, 0])
    scored = json.loads(run("evaluate", network, path, "-t", "c", "--json").out)
    assert scored["rows"] == 2
    assert "takes 2, in their order; name columns to leave out" in refused("predict", network, path)
    assert "does not say what it predicts" in refused("evaluate", network, path)


def test_a_network_takes_columns_by_its_names(folder, network):
    net = fastmlp.Network.load(network)
    net.feature_names = ["b", "a"]
    named = folder / "named.st"
    net.save(named)
    path = write_csv(folder / "plain.csv", ["a", "b", "c"], [[1.5, -2, "yes"], [0, 3, "no"]])
    found = rows_of(run("predict", named, path).out)[1:]
    assert found == [[label] for label in net.predict([[-2, 1.5], [3, 0]])]


def test_a_network_without_labels_gives_the_probabilities_of_0_and_1(folder):
    fastmlp.Network([2, 1], seed=0).save(folder / "binary.st")
    path = write_csv(folder / "plain.csv", ["a", "b"], [[1.5, -2]])
    found = rows_of(run("predict", folder / "binary.st", path, "--proba").out)
    assert found[0] == ["probability_0", "probability_1"]


def test_amounts_of_a_network_have_no_probabilities(folder):
    fastmlp.Network([2, 1], output="identity", seed=0).save(folder / "amounts.st")
    path = write_csv(folder / "plain.csv", ["a", "b"], [[1.5, -2]])
    line = refused("predict", folder / "amounts.st", path, "--proba")
    assert line == f"--proba: {folder / 'amounts.st'} is a regression, which has no probabilities"
    assert run("predict", folder / "amounts.st", path, "--proba").out == ""


def test_a_model_of_an_array_takes_columns_in_their_order(folder):
    X = np.array([[i * 7 % 10, 1, i * 3 % 7] for i in range(60)], dtype=float)
    model = TabularRegressor(epochs=2, n_members=1, hidden=(4,))
    with pytest.warns(UserWarning, match="'x1': is constant"):
        model.fit(X, X[:, 0])
    model.save(folder / "array.st")
    rows = [[repr(a), b, "?", repr(c)] for a, b, c in X.tolist()]
    path = write_csv(folder / "array.csv", ["width", "b", "note", "height"], rows)
    found = rows_of(run("predict", folder / "array.st", path, "--ignore", "note").out)
    np.testing.assert_array_equal(np.array(found[1:], float)[:, 0], model.predict(X))
    assert "has no column 'x0', 'x2'" in refused("predict", folder / "array.st", path)


def test_the_same_file_by_another_name_is_not_replaced(folder, table, model):
    line = refused("predict", model, table, "-o", f"{folder}/./mixed.csv")
    assert line == f"{folder}/./mixed.csv is the file that is read; give another name"


def test_a_network_takes_no_missing_values(folder, network):
    path = write_csv(folder / "plain.csv", ["a", "b"], [[1, 2], [3, ""]])
    line = refused("predict", network, path)
    assert line.startswith(f"{path}: row 2 (line 3), column 'b' is empty; the network in")


@pytest.mark.parametrize(
    ("layers", "output_name", "names"),
    [
        ([2, 1], "identity", ["prediction"]),
        ([2, 3], "identity", ["prediction_0", "prediction_1", "prediction_2"]),
        ([2, 2], "sigmoid", ["prediction_0", "prediction_1"]),
        ([2, 3], "softmax", ["prediction"]),
    ],
)
def test_columns_of_the_result(folder, layers, output_name, names):
    path = str(folder / "outputs.st")
    net = fastmlp.Network(layers, output=output_name, seed=0)
    net.save(path)
    data = write_csv(folder / "plain.csv", ["a", "b"], [[1, 2], [3, 4]])
    found = rows_of(run("predict", path, data).out)
    assert found[0] == names
    expected = np.asarray(net.predict([[1, 2], [3, 4]])).reshape(2, -1)
    np.testing.assert_array_equal(np.array(found[1:], expected.dtype), expected)


def test_inspect_shows_a_network(network):
    shown = lines_of(run("inspect", network).out)
    assert "classes no, yes" in shown
    assert "1 3 relu 9 6" in shown
    found = json.loads(run("inspect", network, "--json").out)
    assert (found["kind"], found["layers"], found["classes"]) == (
        "Network",
        [2, 3, 1],
        ["no", "yes"],
    )


def test_inspect_shows_scaling_and_texts(folder):
    net = fastmlp.Network([2, 1], output="identity", seed=0)
    net.fold_scaling(input_mean=[1.0, 2.0])
    net.metadata["note"] = "of May"
    net.feature_names = ["a", "b"]
    net.save(folder / "scaled.st")
    shown = lines_of(run("inspect", folder / "scaled.st").out)
    assert "inputs a, b" in shown
    assert "note of May" in shown
    assert "scaling folded into the first and the last layer: it takes raw values" in shown
    found = json.loads(run("inspect", folder / "scaled.st", "--json").out)
    assert (found["standardized"], found["metadata"]) == (True, {"note": "of May"})


def test_inspect_of_a_model_without_rows_held_out(folder):
    model = TabularRegressor(epochs=1, n_members=1, hidden=(2,), quantiles=[0.1, 0.9])
    model.fit({"x": [1.0, 2.0, 4.0]}, [1.0, 3.0, 2.0]).save(folder / "few.st")
    shown = lines_of(run("inspect", folder / "few.st").out)
    assert "quantiles 0.1, 0.9" in shown
    assert shown[-1].startswith("1 1 1 ")
    assert shown[-1].endswith(" -")


def test_export_writes_a_header_or_standard_output(folder, network):
    done = run("export", network, "--cpp", folder / "header.hpp")
    assert done.out.startswith(
        f"{folder / 'header.hpp'}: fastmlp_header::forward, Network([2, 3, 1]"
    )
    text = (folder / "header.hpp").read_text()
    assert run("export", network, "--cpp", "-", "--namespace", "header").out == text
    assert "namespace fastmlp_model" in run("export", network, "--cpp", "-").out
    line = refused("export", network, "--cpp", folder / "x.hpp", "--namespace", "a b")
    assert line.startswith("the namespace is 'a b'")  # and not "export: the namespace …"
    assert "is the file that is read" in refused("export", network, "--cpp", network)


def test_a_file_of_another_program_is_no_model(folder):
    header = b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (folder / "other.st").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert "is a safetensors file of another program" in refused("inspect", folder / "other.st")


# Output


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (output.score(0.5), "0.5000"),
        (output.score(math.nan), "-"),
        (output.amount(1234.6), "1,235"),
        (output.amount(12.3456), "12.35"),
        (output.amount(-0.012346), "-0.01235"),
        (output.amount(0.0), "0"),
        (output.amount(1e9), "1e+09"),
        (output.amount(math.inf), "inf"),
        (output.count(0, "row"), "0 rows"),
        (output.count(1, "row"), "1 row"),
        (output.count(12_000, "row"), "12,000 rows"),
        (output.size(999), "999 bytes"),
        (output.size(500_000), "500 kB"),
        (output.size(2_500_000), "2.5 MB"),
        (output.clipped("a\x1b[31mb"), "a [31mb"),
    ],
)
def test_numbers_and_names_are_short(found, shown):
    assert found == shown


def test_json_has_null_where_a_number_is_not_finite(capsys):
    output.say_json({"a": [math.nan, 1.5], "b": (math.inf,)})
    assert json.loads(capsys.readouterr().out) == {"a": [None, 1.5], "b": [None]}


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ValueError("fit: two\nlines"), 2, "error: two lines"),
        (ValueError("a name \udcff"), 2, "error: a name \\udcff"),
        (FloatingPointError("fit: it diverges"), 1, "error: it diverges"),
        (MemoryError(), 1, "error: there is not enough memory"),
        (ImportError("x needs y: pip install y"), 2, "error: x needs y: pip install y"),
    ],
)
def test_an_error_is_a_line_and_a_status(error, status, line, capsys):
    def command():
        raise error

    assert guarded(command) == status
    assert capsys.readouterr().err == f"fastmlp: {line}\n"


def test_a_broken_installation_is_no_line():
    def command():
        raise ImportError("no symbol")

    with pytest.raises(ImportError, match="no symbol"):
        guarded(command)


def test_the_bar_of_training_counts_rows(monkeypatch):
    bar = SimpleNamespace(
        total=None, counted=[], set_description_str=lambda text, refresh: None, close=lambda: None
    )
    bar.update = bar.counted.append
    monkeypatch.setattr(progress, "_bar", lambda **options: bar)
    shown = progress.Training()
    with fastmlp.threads(1):
        for member, epoch, total in ((0, 1, 2000), (0, 2, 2000), (1, 1, 1200)):  # 0 ended early
            shown(Progress(member, 2, epoch, 10, 100, 0.5, None))
            assert bar.total == total
    assert bar.counted == [100, 100, 100]


def test_only_what_the_terminal_can_show_is_printed(monkeypatch):
    stdout = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", stdout)
    output.say("R² of größe")
    assert stdout.buffer.getvalue() == b"R2 of gr\\xf6\\xdfe\n"


def test_a_table_without_room_becomes_blocks(monkeypatch):
    header, rows = (
        ["name", "rows", "text"],
        [["long name", "12", "some words " * 3], ["x", "3", ""]],
    )
    assert output.table(header, rows)[0].startswith("name       rows  text")
    monkeypatch.setattr(output, "width", lambda: 30)
    assert output.table(header, rows) == [
        "name  long name",
        "rows  12",
        "text  some words some words",
        "      some words",
        "",
        "name  x",
        "rows  3",
        "text",
    ]
    assert output.table(["n", "rows"], [["1", "2"]]) == ["n  rows", "1     2"]


def test_a_confusion_matrix_without_room_becomes_a_list(monkeypatch):
    found = scores.of_classes(["aaaaaaaaaaaa", "bbbbbbbbbbbb"], np.array([0, 1]), np.eye(2)[[0, 0]])
    assert scores.details(found)[1].startswith("confusion matrix")
    for module in (output, scores):
        monkeypatch.setattr(module, "width", lambda: 39)
    assert scores.details(found)[1] == "the most frequent confusions, of 1 kind"


def test_tables_fit_and_long_texts_are_wrapped():
    lines = output.table(["name", "n", "text"], [["x" * 90, "12", "word " * 40], ["y", "-", ""]])
    assert max(map(len, lines)) <= output.WIDTH
    assert lines[0] == "name                       n  text"
    assert lines[1].startswith("x" * 21 + "...  12  word word")
    assert lines[2].startswith(" " * 30 + "word")
    assert lines[-1] == "y" + " " * 26 + "-"
