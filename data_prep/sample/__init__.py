"""The built-in sample: a seeded generator of English reasoning rows and of the translation memory that goes with them.

The text is data: one Fluent file per language (``en.ftl``, ``fr.ftl`` …) and ``words.yaml``; the numbers are in
``templates.py``. Fluent (projectfluent.org) brings plural categories and number formats of CLDR, so that
"0,5 litre" is singular in French and "2,5" has its comma.
"""

from data_prep.sample.generate import SampleConfig, memory_entries, sample_rows

__all__ = ["SampleConfig", "memory_entries", "sample_rows"]
