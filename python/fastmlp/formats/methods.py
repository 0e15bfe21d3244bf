"""The methods of `Network` that read and write the formats of other libraries.

Each calls a file of this folder, which is imported then and no earlier: `import fastmlp` loads none
of them, nor the libraries that they need.
"""

from __future__ import annotations


class FormatsMixin:
    """Conversions from and to other libraries."""
