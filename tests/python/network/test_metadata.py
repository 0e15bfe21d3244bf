"""What a network remembers besides its parameters: texts, names of features, labels of classes."""

import copy
import pickle

import numpy as np
import pytest

import fastmlp
from fastmlp import reference

ROWS = [[0.5, -1.0], [2.0, 3.0], [-4.0, 0.0], [1.0, 1.0]]


def softmax(kind=fastmlp.Network):
    return kind([2, 4, 3], output="softmax", seed=1)


def carried(network, tmp_path):
    network.save(tmp_path / "model")
    return [
        copy.copy(network),
        copy.deepcopy(network),
        network.copy(),
        pickle.loads(pickle.dumps(network)),
        fastmlp.Network.load(tmp_path / "model"),
    ]


def test_texts_names_and_labels_are_carried_but_not_shared(tmp_path):
    network = softmax()
    network.metadata = {"note": 'äöü €😀\0\n\x7f"\\', "": ""}
    network.feature_names = ["width", "height"]
    network.classes = ["a", "b", "ß"]
    expected = dict(network.metadata)
    for other in carried(network, tmp_path):
        assert other.metadata == expected
        assert other.feature_names == ("width", "height")
        assert other.classes.tolist() == ["a", "b", "ß"]
        other.metadata["note"] = "changed"
    assert network.metadata == expected


def test_a_new_network_has_none():
    network = softmax()
    assert network.metadata == {}
    assert network.feature_names is None
    assert network.classes is None


@pytest.mark.parametrize("kind", [fastmlp.Network, reference.Network])
@pytest.mark.parametrize(
    "labels", [["x", "y", "z"], [10, 20, 30], [0.5, 1.5, 2.5], np.array(["b", "a", "c"])]
)
def test_predict_gives_labels(labels, kind):
    network = softmax(kind)
    numbers = network.predict(ROWS)
    network.classes = labels
    found = network.predict(ROWS)
    assert found.tolist() == [labels[i] for i in numbers]
    assert network.predict(ROWS[0]) == labels[numbers[0]]


def test_one_sigmoid_has_two_labels():
    network = fastmlp.Network([2, 1], seed=0)
    numbers = network.predict(ROWS)
    for labels in (["no", "yes"], [False, True], [-1, 1]):
        network.classes = labels
        assert network.predict(ROWS).tolist() == [labels[i] for i in numbers]
    network.classes = None
    assert network.predict(ROWS).tolist() == numbers.tolist()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "b"], "it must have 3 different labels"),
        (["a", "b", "a"], "3 different labels"),
        ("abc", "3 different labels"),
        ([None, 1, 2], "all str"),
        ([[1, 2, 3]], "3 different labels"),
        ([1.0, 2.0, np.nan], None),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    network = softmax()
    network.classes = ["a", "b", "c"]
    with pytest.raises(ValueError, match=message):
        network.classes = labels
    assert network.classes.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize(("n_out", "output"), [(1, "identity"), (2, "sigmoid"), (2, "exp")])
def test_an_output_without_classes_takes_no_labels(n_out, output):
    with pytest.raises(ValueError, match="labels are for softmax or one sigmoid output"):
        fastmlp.Network([2, n_out], output=output).classes = ["a", "b"]


@pytest.mark.parametrize("names", [["a"], ["a", "a"], "ab", ["a", 1], [b"a", b"b"]])
def test_names_that_do_not_fit_are_refused(names):
    with pytest.raises(ValueError, match="feature_names: "):
        softmax().feature_names = names


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ({"a": 1}, TypeError, "both must be strings"),
        ({1: "a"}, TypeError, "both must be strings"),
        ({"fastmlp_x": "a"}, ValueError, "reserved"),
    ],
)
def test_entries_that_a_file_cannot_have_are_refused(tmp_path, texts, error, message):
    network = softmax()
    with pytest.raises(error, match=message):
        network.metadata = texts
    network.metadata.update(texts)
    with pytest.raises(error, match=message):
        network.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("texts", [{"a": "\ud800"}, {str(i): "" for i in range(100)}])
def test_texts_that_no_reader_would_take_are_not_saved(tmp_path, texts):
    network = softmax()
    network.metadata = texts
    with pytest.raises(ValueError, match="save: "):
        network.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "a, b", '{"a": 1}', "[" * 5000, '["a"]'])
def test_damaged_lists_are_named(text):
    network = softmax()
    network.metadata["classes"] = text
    with pytest.raises(ValueError, match=r"metadata\['classes'\]"):
        network.predict(ROWS)
