"""Examples in docstrings that need a library which the tests of docstrings lack."""

import doctest

import fastmlp


def assert_example_runs(name: str) -> None:
    """Run the example of a method of Network that needs a library, which doctest skips."""
    text = getattr(fastmlp.Network, name).__doc__.replace("# doctest: +SKIP", "")
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0
