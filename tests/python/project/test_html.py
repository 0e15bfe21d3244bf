"""What notebooks show: `_repr_html_` of networks, histories and tabular models."""

import math
import threading
from html.parser import HTMLParser

import numpy as np
import pytest

import fastmlp
from fastmlp import History, reference
from fastmlp.tabular import TabularClassifier, TabularRegressor

BOTH = pytest.mark.parametrize("network_class", [fastmlp.Network, reference.Network])
EVIL = '<script>alert("&")</script>'
VOID = {"path", "polyline"}  # written without an end


class Reader(HTMLParser):
    """The tags, the texts and the values of attributes of a piece of HTML."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.texts, self.attributes = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == [], "a tag is not closed"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        assert not any(name == "points" and "inf" in value for name, value in attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def read(thing):
    html = thing._repr_html_()
    found = Reader(html)
    assert not {"script", "style", "link", "img", "iframe"} & set(found.tags)
    assert not any(name.startswith("on") or name in ("src", "href") for name in found.attributes)
    assert "nan" not in html
    return [text for text in found.texts if text != "\n"]


@BOTH
def test_a_network_shows_its_layers_and_names(network_class):
    network = network_class([2, 7, 3], hidden="tanh", output="softmax", seed=0)
    texts = read(network)
    assert texts[:3] == [
        "Network",
        " 2-7-3",
        "45 parameters of float32 in 180 bytes; 35 multiply-adds a row; 0 epochs trained",
    ]
    assert [
        text for text in ("input", "7", "tanh", "21", "14", "softmax") if text not in texts
    ] == []
    network.feature_names, network.classes = ["width", EVIL], ["a", "b", EVIL]
    texts = read(network)
    assert ["2 features", f"width, {EVIL}"] == texts[-4:-2]
    assert ["3 classes", f"a, b, {EVIL}"] == texts[-2:]


@BOTH
def test_a_network_without_its_constructor_shows_nothing_and_raises_nothing(network_class):
    class Failing(network_class):
        def __init__(self):
            raise ValueError

    assert Failing.__new__(Failing)._repr_html_() is None


def test_a_network_with_metadata_that_are_no_json_is_shown_by_its_repr():
    network = fastmlp.Network([2, 1], seed=0)
    network.metadata["feature_names"] = "x, y"
    assert network._repr_html_() is None


def test_a_large_network_is_shown_in_part():
    network = fastmlp.Network([3000, *[2] * 500, 3000], output="softmax", seed=0)
    network.feature_names = [f"feature {i}" for i in range(3000)]
    network.classes = list(range(3000))
    assert len(network._repr_html_()) < 20_000
    texts = read(network)
    assert {"input", "1", "…", "500", "501", "3000 features"} <= set(texts)


def test_a_network_is_shown_while_another_thread_trains_it():
    begun, shown = threading.Event(), threading.Event()

    def train():
        def wait(*_):
            begun.set()
            shown.wait(10)

        network.fit([[0.0], [1.0]], [0, 1], epochs=1, callbacks=[wait])

    network = fastmlp.Network([1, 1], seed=0)
    thread = threading.Thread(target=train)
    thread.start()
    assert begun.wait(10)
    html = network._repr_html_()
    shown.set()
    thread.join()
    assert "2 parameters" in html


def test_a_history_shows_its_best_and_its_last_epoch():
    history = History([3.0, 2.0, 1.0], [5.0, 4.0, 4.5], [0.1] * 3, 3, "early_stopping")
    history.metrics = {f"val_{EVIL}": [0.1, 0.2, math.inf]}
    texts = read(history)
    assert texts[:2] == ["History", " 3 epochs, stopped by early_stopping"]
    assert ["epoch", "loss", "val_loss", f"val_{EVIL}"] == texts[-14:-10]
    assert texts[-10:] == ["best", "2", "2", "4", "0.2", "last", "3", "1", "4.5", "inf"]
    assert {"training loss", "validation loss", "5", "1"} <= set(texts)


@pytest.mark.parametrize(
    "losses",
    [
        [],
        [1.0],
        [math.inf],
        [math.inf, math.inf],
        [1.0, math.inf],
        [0.0, 0.0],
        [1e308, 0.0],
        [-1.0, -2.0, math.inf],
        list(np.linspace(1e9, 1e-9, 5000)),
    ],
)
def test_any_history_is_shown(losses):
    for val_losses in ([], losses):
        history = History(list(losses), list(val_losses), [0.1] * len(losses), len(losses))
        read(history)
        assert len(history._repr_html_()) < 10_000


def test_a_history_with_losses_that_are_not_numbers_is_shown():
    found = Reader(History([math.nan, 2.0], [math.nan] * 2, [0.1] * 2, 2)._repr_html_())
    assert "2" in found.texts


def test_a_tabular_model_shows_its_networks_and_columns():
    model = TabularClassifier(n_members=2, epochs=3)
    assert read(model) == ["TabularClassifier(epochs=3, n_members=2)", "not fitted"]
    rng = np.random.default_rng(0)
    table = {EVIL: rng.normal(size=200), "constant": [1] * 200}
    table["kind"] = [EVIL if x > 0 else "b" for x in table[EVIL]]
    with pytest.warns(UserWarning, match="constant"):
        model.fit(table, "kind")
    texts = read(model)
    assert texts[0] == "TabularClassifier(epochs=3, n_members=2)"
    errors = [f"{found['val_error']:.4g}" for found in model.histories]
    assert ["1", "3", str(model.histories[0]["best_epoch"]), errors[0]] == texts[6:10]
    assert ["2 classes", f"{EVIL}, b"] == texts[14:16]
    assert {EVIL, "constant"} <= set(texts[16:])


def test_a_tabular_model_without_its_constructor_raises_nothing():
    assert TabularRegressor.__new__(TabularRegressor)._repr_html_() is None


def test_a_tabular_model_that_was_loaded_is_shown(tmp_path):
    table = {"x": [i % 50 / 10 for i in range(100)]}
    table["y"] = [2 * x + 1 for x in table["x"]]
    model = TabularRegressor(n_members=1, epochs=2).fit(table, "y")
    model.save(tmp_path / "model")
    assert read(TabularRegressor.load(tmp_path / "model")) == read(model)


def test_a_wide_table_is_shown_in_part():
    rng = np.random.default_rng(0)
    table = {f"x{i}": rng.normal(size=40) for i in range(200)}
    model = TabularRegressor(n_members=1, epochs=1).fit(table, rng.normal(size=40))
    texts = read(model)
    assert {"x0", "…", "x199"} <= set(texts)
    assert "x100" not in texts
