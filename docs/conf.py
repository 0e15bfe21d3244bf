"""Sphinx settings: `python -m sphinx -nW --keep-going docs docs/_build/html`.

The build needs the package installed with its extra `docs`, and doxygen. It loads nothing from the
network, and neither do the pages. Everything that is more than a setting is an extension in `_ext`.
"""

import sys
from pathlib import Path

import fastmlp

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS / "_ext"), str(DOCS)]  # the extensions, check_examples

project = "fastmlp"
author = "The fastmlp developers"
copyright = author
version = release = fastmlp.__version__

extensions = [
    "sphinx.ext.autodoc",
    "myst_parser",
    "numpydoc",
    "breathe",
    "sphinx_design",
    "cpp_header",
    "digest_table",
    "doxygen_xml",
    "mathml",
    "native_docstrings",
    "notebook",
    "offline",
    "outside_pages",
    "pictures",
    "public_names",
]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"fastmlp {release}"
html_copy_source = False
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["fastmlp.css"]
html_math_renderer = "mathml"

# `X` in a docstring is code.
default_role = "code"
smartquotes = False  # "relu" is a string

# autodoc shows names and defaults in signatures. The docstrings give the types, with shapes and
# units, which annotations cannot express.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_mock_imports = ["torch", "jax"]  # the extra `docs` does not install them
numpydoc_show_class_members = False
numpydoc_attributes_as_param_list = True

# GitHub's notation for formulas: $...$ in a line, and blocks that begin with ```math.
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 3

breathe_projects = {"fastmlp": str(DOCS / "_build" / "doxygen")}
breathe_default_project = "fastmlp"
breathe_show_include = False
breathe_domain_by_extension = {"hpp": "cpp"}

# Every reference must lead somewhere, except these.
nitpick_ignore = [
    ("cpp:identifier", "fastmlp"),  # the namespace, which no Sphinx directive declares
]
