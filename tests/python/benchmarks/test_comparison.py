"""The full benchmark: what it counts, its products, its file, its tables, goals and pages."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

import fastmlp
import run
from comparison import goals, pages, report, workloads
from comparison.peers import PEERS
from comparison.record import Record
from comparison.report import rows_of
from comparison.workloads import Product, Task, flops, parameter_bytes
from fastmlp.bench.measure import Result

ROOT = Path(__file__).resolve().parents[3]
TINY, WIDE = workloads.TRAINING[0], workloads.TRAINING[-1]
(WIDE_ROW,) = workloads.prediction([WIDE])
SQUARE, SMALL = workloads.products(["float64"], [512, 64], [], ["A"])


def made_up(task, threads=1, **seconds):
    """A result for each library, of two repeats."""
    return [Result(task, peer, threads, (time, 1.5 * time)) for peer, time in seconds.items()]


LOSING = [
    *made_up(TINY, roofline=1e-6, fastmlp=7e-6, numpy=30e-6, jax=6.3e-6),
    *made_up(TINY, threads=2, roofline=1e-6, fastmlp=3e-6, numpy=30e-6, jax=6.3e-6),
    *made_up(SQUARE, roofline=1e-3, fastmlp=1.25e-3, numpy=1.6e-3, torch=1e-2),
    *made_up(SMALL, roofline=1e-6, fastmlp=2e-6, numpy=1.6e-6),
    *made_up(WIDE_ROW, roofline=1e-3, fastmlp=1.2e-3, onnxruntime=2e-3),
]
VERSIONS = {"roofline": "", "fastmlp": "1", "numpy": "2.4"}


# What is counted


def test_flops_of_a_step_are_two_products_for_the_first_layer_and_three_for_the_others():
    by_hand = 32 * 2 * (2 * 30 * 16 + 3 * 16 * 8 + 3 * 8 * 1)
    assert flops(TINY) == by_hand == 87552


def test_flops_and_bytes_of_a_prediction_and_a_product():
    (row,), (bulk,) = (workloads.prediction([TINY], rows) for rows in (1, 4096))
    assert flops(row) == flops(bulk) == 2 * (30 * 16 + 16 * 8 + 8)
    assert parameter_bytes(row) == 4 * (31 * 16 + 17 * 8 + 9)
    assert flops(Product("tall", "matmul", (5, 3, 7), dtype="float64")) == 2 * 5 * 3 * 7


def test_a_call_is_all_steps_of_an_epoch_or_all_rows():
    assert TINY.units == 2048 / 32
    assert workloads.prediction([TINY], 4096)[0].units == 4096
    assert SQUARE.units == 1


def test_every_network_has_goals():
    for table in (goals.STEP_RATIOS, goals.SPEEDUPS, goals.BULK_RATIOS):
        assert list(table) == workloads.NETWORKS
    assert sorted({**goals.ROW_RATIOS, **goals.ROW_READS}) == sorted(workloads.NETWORKS)


def test_a_quick_run_leaves_out_wide_networks():
    all_tasks, widths = run.tasks_of(quick=False)
    few, narrow = run.tasks_of(quick=True)
    assert {task.name for task in all_tasks} - {task.name for task in few} >= {"wide"}
    assert (len(all_tasks), len(few), len(widths), len(narrow)) == (103, 16, 9, 7)


# The libraries


@pytest.mark.parametrize("transposed", workloads.TRANSPOSES)
@pytest.mark.parametrize("name", ["fastmlp", "numpy"])
def test_a_library_multiplies_what_it_is_given(name, transposed, monkeypatch):
    given = {}
    peer = PEERS[name](1)
    matmul = peer.matmul

    def watched(A, B):
        given.update(A=A, B=B, result=matmul(A, B)())
        return lambda: None

    monkeypatch.setattr(peer, "matmul", watched)
    peer.prepare(Product("odd", "matmul", (3, 5, 4), dtype="float64", transposed=transposed))
    A, B = given["A"], given["B"]
    assert (A.shape, B.shape) == ((3, 4), (4, 5))
    assert [A.flags.c_contiguous, B.flags.c_contiguous] == [n not in transposed for n in "AB"]
    np.testing.assert_allclose(given["result"], A @ B, rtol=1e-13, atol=1e-14)


def test_a_library_without_products_does_not_offer_them():
    assert PEERS["onnxruntime"](1).prepare(SMALL) is None


# The file


def test_a_record_survives_its_file(tmp_path):
    record = Record(LOSING, VERSIONS)
    record.save(tmp_path / "run.json")
    assert Record.load(tmp_path / "run.json") == record
    assert os.listdir(tmp_path) == ["run.json"]
    written = json.loads((tmp_path / "run.json").read_text())
    assert written["machine"]["config"]["fastmlp"] == fastmlp.__version__
    assert written["results"][0]["min"] == 1e-6
    assert written["results"][0]["median"] == pytest.approx(1.25e-6)


def test_the_peak_and_the_bandwidth_come_from_the_roofline():
    record = Record(LOSING)
    assert record.peaks() == {n: pytest.approx(flops(TINY) * 1e6) for n in (1, 2)}
    assert record.peaks("float64") == {
        1: pytest.approx(max(flops(SQUARE) * 1e3, flops(SMALL) * 1e6))
    }
    assert record.bandwidths("wide") == {1: pytest.approx(parameter_bytes(WIDE_ROW) * 1e3)}


def test_a_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(SystemExit, match="is no file that --json wrote"):
        run.loaded(tmp_path / "x.json")


# Tables


def test_a_table_shows_each_library_and_how_many_times_faster_this_one_is():
    lines = report.times_table(rows_of(LOSING, "step"), "FMA peak").splitlines()
    assert lines[0] == "| network | threads | fastmlp | times faster | FMA peak | NumPy | JAX |"
    assert lines[2] == "| tiny | 1 | 7.00 | 0.90 | 1.00 | 30.0 | 6.30 |"


def test_two_threads_are_compared_with_one():
    lines = report.speedup_table(rows_of(LOSING, "step")).splitlines()
    assert lines[2:] == ["| tiny | 2 | 1.00 | 2.33 | 1.00 | 1.00 |"]
    assert report.speedup_table(rows_of(LOSING[:4], "step")) == ""


def test_products_are_shares_of_the_peak():
    lines = report.product_table(rows_of(LOSING, "product")).splitlines()
    assert lines[2] == (
        "| float64 512x512x512, A transposed | 1 | 1250 | 0.80 | NumPy | 0.62 | 1.28 |"
    )


def test_the_roofline_is_no_peer():
    (row,) = rows_of(made_up(TINY, roofline=1.0, fastmlp=2.0), "step")
    assert row.rival is None
    assert row.ratio is None
    assert row.share() == 0.5


def test_goals_are_reached_or_missed():
    found = [goal for row in rows_of(LOSING, "step", "row") for goal in goals.goals_of(row)]
    found += goals.speedups(rows_of(LOSING, "step"))
    assert goals.goals_table(found).splitlines()[2:] == [
        "| step of tiny | 1 | times faster than JAX | 0.90 | 5 | missed |",
        "| step of tiny | 2 | times faster than JAX | 2.10 | 5 | missed |",
        "| one row of wide | 1 | times the reading of the weights | 1.20 | at most 1.3 | reached |",
        "| step of tiny | 2 | times faster than on 1 thread | 2.33 | 0.97 | reached |",
    ]
    (square,) = [g for row in rows_of(LOSING, "product") for g in goals.goals_of(row)]
    assert (square.value, square.goal, square.is_reached) == (pytest.approx(0.8), 0.95, False)


def test_a_loss_is_a_sentence_and_a_win_is_none():
    assert report.losses(rows_of(LOSING, "step", "row")) == [
        "JAX is faster at training steps of tiny on 1 thread: 6.30 us, fastmlp 7.00 us."
    ]


# Pages


def test_the_results_page_has_a_section_for_what_was_measured():
    text = pages.results_part(Record(LOSING, VERSIONS), 2)
    titles = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert titles == [
        "Training steps", "More threads", "One row", "Matrix products", "Goals",
        "Goals of matrix products", "Where another library is faster",
    ]  # fmt: skip
    assert "✗" not in text
    assert text.endswith(
        "- NumPy is faster at the product float64 64x64x64, A transposed on 1 thread: "
        "1.60 us, fastmlp 2.00 us.\n"
    )


def test_the_readme_has_two_tables_of_four_columns_and_says_where_a_peer_is_faster():
    text = pages.readme_part(Record(LOSING, VERSIONS))
    sentences = " ".join(text.split())
    headers = [line for line in text.splitlines() if line.startswith("| network")]
    assert headers == ["| network | fastmlp | best peer | times faster |"]  # no row on 2 threads
    assert "| tiny 30-16-8-1, batch of 32 | 3.00 | 6.30, JAX | 2.10 |" in text
    assert "JAX is faster at training steps of tiny on 1 thread: 6.30 us" in sentences
    assert "Another library is faster in 1 of 2 matrix products." in sentences
    wins = pages.readme_part(Record(LOSING[4:8], VERSIONS))
    assert "No other library is faster in any of the tasks." in " ".join(wins.split())


@pytest.mark.parametrize(
    ("page", "name"),
    [("README.md", "benchmark"), (pages.RESULTS, "libraries"), (pages.RESULTS, "estimators")],
)
def test_a_page_has_a_place_for_the_tables(page, name):
    text = (ROOT / page).read_text(encoding="utf-8")
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    assert pages.replaced(text, name, "new\n").count(f"{begin}new\n{end}") == 1


def test_only_the_part_between_the_comments_is_replaced():
    text = "before\n<!-- x: begin -->\nold\n<!-- x: end -->\nafter\n"
    expected = "before\n<!-- x: begin -->\nnew\n<!-- x: end -->\nafter\n"
    assert pages.replaced(text, "x", "new\n") == expected
    with pytest.raises(ValueError, match="y: begin"):
        pages.replaced(text, "y", "new\n")


def test_tasks_of_the_plot_are_no_networks_with_goals():
    rows = rows_of(made_up(Task("8", "train", (8, 8, 8, 1), 128, 1024), fastmlp=1.0), "width")
    assert [row.name for row in rows] == ["8"]
