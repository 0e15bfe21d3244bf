"""Files and model cards, read by the tools of Hugging Face."""

import numpy as np
import pytest

import fastmlp
from fastmlp.formats.model_card import model_card

pytestmark = pytest.mark.client
huggingface_hub = pytest.importorskip("huggingface_hub")
safetensors = pytest.importorskip("safetensors")


def network(dtype="float32"):
    made = fastmlp.Network([3, 4, 2], output="identity", dtype=dtype, seed=0)
    made.fold_scaling(
        input_mean=[1, 2, 3], input_scale=[1, 1, 1], output_mean=[0, 1], output_scale=[2, 2]
    )
    made.feature_names = ["größe", "b", "c"]
    made.metadata.update(title="A: title", license="bsd-3-clause", note="x\n---\ny")
    return made


@pytest.mark.parametrize(("dtype", "name"), [("float32", "F32"), ("float64", "F64")])
def test_the_hub_reads_the_header_of_a_file(tmp_path, dtype, name):
    made = network(dtype)
    made.save(tmp_path / "model.safetensors")
    parse = huggingface_hub.parse_local_safetensors_file_metadata
    found = parse(tmp_path / "model.safetensors")
    assert found.tensors["layers.0.weight"].shape == [3, 4]
    assert found.tensors["layers.0.weight"].dtype == name
    assert found.parameter_count[name] >= made.n_parameters
    assert found.metadata["title"] == "A: title"
    whole = huggingface_hub.get_local_safetensors_metadata(tmp_path)
    assert whole.files_metadata["model.safetensors"].tensors == found.tensors


@pytest.mark.parametrize("framework", ["numpy", "torch", "jax"])
def test_safetensors_gives_the_parameters_to_every_framework(tmp_path, framework):
    pytest.importorskip(framework)
    made = network()
    made.save(tmp_path / "model.safetensors")
    with safetensors.safe_open(tmp_path / "model.safetensors", framework=framework) as file:
        for index, (weight, bias) in enumerate(zip(made.weights, made.biases, strict=True)):
            assert np.array_equal(np.asarray(file.get_tensor(f"layers.{index}.weight")), weight)
            assert np.array_equal(np.asarray(file.get_tensor(f"layers.{index}.bias")), bias)


def test_the_hub_reads_a_model_card(tmp_path):
    card = huggingface_hub.ModelCard(model_card(network()))
    assert card.data.to_dict() == {
        "library_name": "fastmlp",
        "license": "bsd-3-clause",
        "pipeline_tag": "tabular-regression",
    }
    assert card.text.startswith("\n# A: title") or card.text.startswith("# A: title")
    assert r"| note | x --- y |" in card.text
    card.save(tmp_path / "README.md")
    assert huggingface_hub.ModelCard.load(tmp_path / "README.md").data.to_dict() == (
        card.data.to_dict()
    )
