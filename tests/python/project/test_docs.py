"""Every example in a docstring runs, and every link inside the repository leads somewhere."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import fastmlp

ROOT = Path(__file__).resolve().parents[3]
MODULES = ["fastmlp"] + [
    module.name for module in pkgutil.walk_packages(fastmlp.__path__, "fastmlp.")
]
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + [
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("examples/**/*.md")),
    *sorted(ROOT.glob("benchmarks/*.md")),
    ROOT / "cpp" / "README.md",
    ROOT / "SECURITY.md",
    ROOT / "tests" / "soak" / "README.md",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if str(error.name).startswith("fastmlp"):
            raise
        pytest.skip(f"{error.name} is not installed")
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


NATIVE = [
    (owner, name, member)
    for owner in (
        fastmlp._core,
        *(getattr(fastmlp._core, kind) for kind in ("Network", "Optimizer", "Objective")),
    )
    for name, member in inspect.getmembers(owner)
    if not name.startswith("_") and (inspect.isroutine(member) or isinstance(member, property))
]


@pytest.mark.parametrize(("owner", "name", "member"), NATIVE, ids=[n for _, n, _ in NATIVE])
def test_examples_in_native_docstrings(owner, name, member):
    assert member.__doc__, f"{owner.__name__}.{name} has no docstring"
    examples = doctest.DocTestParser().get_doctest(member.__doc__, {}, name, None, None)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(examples)
    assert runner.summarize(verbose=False).failed == 0


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_inside_the_repository(document):
    text = document.read_text(encoding="utf-8")
    text = re.sub(r"(?ms)^```.*?^```|`[^`\n]*`", "", text)  # code may look like a link
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_tests_that_reliability_names_exist():
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    names = re.findall(r"`((?:cpp|data|fuzz|python|soak|tests)/[^` \n]*)`", text)
    assert len(names) > 20
    missing = [
        name for name in names if not (ROOT / "tests" / name.removeprefix("tests/")).exists()
    ]
    assert missing == []
