"""The tutorial has outputs and nothing that changes from run to run.

tests/python/clients/test_notebook.py runs it.
"""

import json
from pathlib import Path

TUTORIAL = Path(__file__).parents[3] / "docs" / "tutorial.ipynb"


def test_the_tutorial_holds_its_outputs_and_nothing_that_changes_from_run_to_run():
    notebook = json.loads(TUTORIAL.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in code for output in cell["outputs"]]
    assert len(outputs) > 5
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert notebook["metadata"]["language_info"] == {"name": "python"}
    assert {name for cell in notebook["cells"] for name in cell["metadata"]} <= {"alt"}
    assert {cell["execution_count"] for cell in code} == {None}
    assert {str(output.get("metadata", {})) for output in outputs} == {"{}"}
    assert {output.get("name") for output in outputs} <= {"stdout", None}  # no warnings, no errors
    assert "error" not in {output["output_type"] for output in outputs}
    ids = [cell["id"] for cell in notebook["cells"]]
    assert ids == [f"cell-{number}" for number in range(1, len(ids) + 1)]


def test_every_picture_of_the_tutorial_has_a_text_that_says_what_it_shows():
    notebook = json.loads(TUTORIAL.read_text(encoding="utf-8"))
    pictured = [
        cell
        for cell in notebook["cells"]
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", ()))
    ]
    assert len(pictured) >= 2
    assert [cell["id"] for cell in pictured if len(cell["metadata"].get("alt", "")) < 30] == []
