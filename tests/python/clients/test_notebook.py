"""The tutorial, run by Jupyter's own kernel, gives what the repository says."""

import pytest

pytestmark = pytest.mark.client
pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")


def outputs_of(notebook):
    """What each cell gave. The bytes of pictures are those of a version of matplotlib."""
    return {
        cell.id: [
            "a picture" if "image/png" in output.get("data", {}) else output
            for output in cell.get("outputs", [])
        ]
        for cell in notebook.cells
    }


@pytest.mark.filterwarnings("ignore")  # of the libraries that speak to the kernel
def test_the_tutorial_gives_the_outputs_that_it_holds():
    import notebook

    assert outputs_of(notebook.executed(notebook.read())) == outputs_of(notebook.read())
