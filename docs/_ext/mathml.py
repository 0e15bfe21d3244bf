"""Formulas as MathML, which browsers show, and read aloud, without JavaScript or a network.

docutils translates TeX to MathML. A formula that it cannot translate is an error of the build.
"""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.writers.html5 import HTML5Translator

# What docutils reads otherwise than MathJax, which shows the same formulas on GitHub.
REPLACEMENTS = (
    (re.compile(r"\\dots(?![A-Za-z])"), r"\\ldots"),
    (re.compile(r"\\lt(?![A-Za-z])"), "<"),
    (re.compile(r"\\(hat|bar) *([A-Za-z])_"), r"\\\1 \2 {}_"),  # the index goes beside, not below
    (re.compile(r"\\(log|sinh|cosh) *(?=[A-Za-z{\\])(?!\\left)"), r"\\\1 \\, "),
)


def to_mathml(tex: str, *, block: bool) -> str:
    """Translate one formula."""
    known = tex
    for pattern, replacement in REPLACEMENTS:
        known = pattern.sub(replacement, known)
    try:
        mathml = str(latex2mathml.tex2mathml(known, as_block=block))
    except MathError as error:
        raise SphinxError(f"the formula {tex!r} cannot become MathML: {error}") from error
    # One sign, not two with a space between; bars as high as what they enclose, not as the line.
    mathml = re.sub(r"<mo>[:\u2236]</mo>\s*<mo>=</mo>", "<mo>≔</mo>", mathml)
    return re.sub(r"<mo[^>]*>([‖∥|])</mo>", r'<mo stretchy="false">\1</mo>', mathml)


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a line."""
    self.body.append(to_mathml(node.astext(), block=False))
    raise nodes.SkipNode


def visit_displaymath(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula that stands by itself."""
    self.body.append(f'<div class="math">{to_mathml(node.astext(), block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the translation."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
