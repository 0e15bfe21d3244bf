"""Model cards; tests/python/clients/test_huggingface_hub.py reads them as the Hub does."""

import numpy as np
import pytest

import fastmlp
from fastmlp.formats.model_card import model_card


def test_a_card_says_what_the_network_is():
    network = fastmlp.Network([2, 8, 1], output="identity", loss="huber", delta=0.5, seed=0)
    network.fit(np.zeros((4, 2)), np.zeros(4), epochs=3)
    lines = model_card(network).splitlines()
    assert lines[:5] == [
        "---",
        "library_name: fastmlp",
        "pipeline_tag: tabular-regression",
        "---",
        "",
    ]
    assert "# A fully connected network" in lines
    for fact in ("layers | 2, 8, 1", "output | identity", "loss | huber", "delta | 0.5"):
        assert f"| {fact} |" in lines
    assert "| parameters | 33 in float32 |" in lines
    assert "| epochs trained | 3 |" in lines


@pytest.mark.parametrize(("output", "task"), [("softmax", "classification"), ("exp", "regression")])
def test_the_task_follows_from_the_output(output, task):
    card = model_card(fastmlp.Network([2, 3], output=output))
    assert f"pipeline_tag: tabular-{task}\n" in card


def test_texts_are_no_marks_of_markdown():
    network = fastmlp.Network([2, 1])
    network.feature_names = ["a|b", "<b>\n"]
    network.classes = ["*no*", "yes"]
    network.metadata["title"] = "A `title`\n# of two lines"
    network.metadata["description"] = "Read **this**."
    network.metadata["license"] = 'x"\ny: z'
    network.metadata["source"] = "[1](2)"
    lines = model_card(network).splitlines()
    assert r"# A \`title\` \# of two lines" in lines
    assert "Read **this**." in lines
    assert r'license: "x\"\ny: z"' in lines
    assert r"| features | a\|b, \<b\> |" in lines
    assert r"| classes | \*no\*, yes |" in lines
    assert r"| source | \[1\](2) |" in lines
