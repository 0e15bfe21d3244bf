"""Odd columns and large integers on the command line: what is said, and what is kept."""

import pytest

pytest.importorskip("click")

from cli_tables import run, write_csv

QUICK = ("--epochs", 1, "--members", 1, "--hidden", 4)


@pytest.mark.filterwarnings("default")
def test_a_column_with_an_odd_value_is_named_in_one_line(tmp_path):
    rows = [[f"{i * 0.37:.2f}", i % 7, "" if i == 3 else i * 0.5] for i in range(200)]
    rows[150][0] = "n.a."
    path = write_csv(tmp_path / "odd.csv", ["price, net", "count", "y"], rows)
    done = run("train", path, "-t", "y", "-o", tmp_path / "m.safetensors", *QUICK)
    (line,) = done.err.splitlines()
    assert line.startswith("fastmlp: warning: column 'price, net' is left out, though 198 of its")
    assert "look like numbers: 'n.a.' at row 151 (line 152) is not read as one." in line
    assert line.endswith("; --type 'price, net'=category silences this")


@pytest.mark.filterwarnings("default")
def test_a_column_to_ignore_is_named_by_its_option(tmp_path):
    rows = [[i * 7919 % 401, i % 7, i * 0.5] for i in range(1, 301)]
    path = write_csv(tmp_path / "ids.csv", ["passenger", "count", "y"], rows)
    done = run("train", path, "-t", "y", "-o", tmp_path / "m.safetensors", *QUICK)
    (line,) = done.err.splitlines()
    assert "warning: column 'passenger' is taken as a number, though it looks like" in line
    assert "leave it out by --ignore 'passenger'; --type 'passenger'=number silences" in line
    words = ("--ignore", "passenger")
    assert run("train", path, "-t", "y", "-o", tmp_path / "m.st", *QUICK, *words).err == ""


def test_large_integers_keep_their_digits(tmp_path):
    rows = [[2**60 + i % 3, 9007199254740993 + 2 * (i % 2)] for i in range(120)]
    path, model = write_csv(tmp_path / "big.csv", ["user", "y"], rows), tmp_path / "m.safetensors"
    words = ("--type", "user=category")
    done = run("train", path, "-t", "y", "-o", model, *QUICK, *words)
    assert (done.status, done.err) == (0, "")
    assert "9007199254740993 (60), 9007199254740995 (60)" in done.out
    assert "an input for each of 3 levels" in done.out
    assert "9007199254740992" not in run("predict", model, path).out
    assert run("evaluate", model, path).status == 0


@pytest.mark.parametrize("form", ["npy", "parquet"])
def test_large_integers_of_other_files_keep_their_digits(tmp_path, form):
    user, y = [2**60 + i % 3 for i in range(9000)], [i * 11 % 3 for i in range(9000)]
    if form == "npy":
        numpy = pytest.importorskip("numpy")
        numpy.save(tmp_path / "big.npy", numpy.array([user, y]).T)
    else:
        pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        pytest.importorskip("narwhals")
        parquet.write_table(pa.table({"x0": user, "x1": y}), tmp_path / "big.parquet")
    model = tmp_path / "m.safetensors"
    words = ("--type", "x0=category")
    done = run("train", tmp_path / f"big.{form}", "-t", "x1", "-o", model, *QUICK, *words)
    assert (done.status, done.err) == (0, "")
    assert "an input for each of 3 levels" in done.out
    assert run("evaluate", model, tmp_path / f"big.{form}").status == 0
