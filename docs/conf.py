"""Sphinx settings: `python -m sphinx -nW --keep-going docs docs/_build/html`.

Needs the installed package with its extra `sklearn`, the tools of the extra `docs`, and doxygen.
Nothing is loaded from the network. What is more than a setting is in `_ext`.
"""

import sys
from pathlib import Path

import fastmlp

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "fastmlp"
author = "The fastmlp developers"
copyright = author
version = release = fastmlp.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "myst_parser",
    "numpydoc",
    "breathe",
    "cpp_header",
    "doxygen_xml",
    "native_docstrings",
    "outside_pages",
    "public_names",
]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"fastmlp {release}"
html_copy_source = False
html_show_sourcelink = False

# `X` in a docstring is code.
default_role = "code"
smartquotes = False  # "relu" is a string

# What autodoc shows of a signature are names and defaults. The types stand in the docstrings, with
# shapes and units, which annotations cannot say.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_attributes_as_param_list = True

# GitHub's ways to write formulas: $...$ in a line, and blocks that begin with ```math.
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 3

breathe_projects = {"fastmlp": str(Path(__file__).parent / "_build" / "doxygen")}
breathe_default_project = "fastmlp"
breathe_show_include = False
breathe_domain_by_extension = {"hpp": "cpp"}

# All references must be found, but for these.
nitpick_ignore = [
    ("cpp:identifier", "fastmlp"),  # the namespace: no directive of Sphinx's declares one
]

# Temporary: docstrings that are no reStructuredText yet, and what they should say. Delete each with
# the docstring's correction, and this list with the last one; the build fails if one fits no more.
DOCSTRING_FIXES = {
    "fastmlp.reference.sigmoid": ("e^-|z|", "``e^-|z|``"),
    "fastmlp.reference.sigmoid_loss": ("log1p(e^-|z|)", "``log1p(e^-|z|)``"),
}


def fix_docstring(app, what, name, thing, options, lines):
    """Put in what a docstring should say."""
    if name in DOCSTRING_FIXES:
        wrong, right = DOCSTRING_FIXES[name]
        if not any(wrong in line for line in lines):
            raise ValueError(f"conf.py: DOCSTRING_FIXES has {name}, whose docstring is right now")
        lines[:] = [line.replace(wrong, right) for line in lines]


def setup(app):
    """Sphinx calls this."""
    app.connect("autodoc-process-docstring", fix_docstring, priority=1)
