"""The page "Works with" is the list of the tests in `tests/python/clients`."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1] / "clients"
PAGE = Path(__file__).parents[3] / "docs" / "works_with.md"


def test_every_library_on_the_page_has_a_test_and_every_test_is_on_the_page() -> None:
    names = re.findall(r"^\| `([\w.-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    on_the_page = {name.replace("-", "_") for name in names}
    assert len(names) == len(on_the_page)
    tests = {path.stem.removeprefix("test_") for path in TESTS.glob("test_*.py")}
    assert on_the_page <= tests
    # A test may have a suffix, as test_mlflow_callback.py has. Three tests run code of pages, and
    # test_arrays.py is about the page "Arrays of other libraries".
    others = tests - on_the_page - {"arrays", "notebook", "pages", "recipes"}
    assert not {test for test in others if test.rpartition("_")[0] not in on_the_page}


def test_one_file_of_requirements_names_each_test() -> None:
    texts = [path.read_text(encoding="utf-8") for path in TESTS.glob("*.txt")]
    named = [name for text in texts for name in re.findall(r"test_\w+\.py", text)]
    assert sorted(named) == sorted(path.name for path in TESTS.glob("test_*.py"))
