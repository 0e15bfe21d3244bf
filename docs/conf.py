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
