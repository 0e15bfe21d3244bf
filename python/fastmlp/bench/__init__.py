"""Benchmarks against other libraries on the same work, in the same run.

`fastmlp bench` (`command.py`) is the short form, with what is installed; `benchmarks/run.py` in the
repository installs every peer and prints the full tables. What is measured is in `works.py`, one
class for each library in `peers/`; every library runs in a process of its own (`worker.py`), and
`measure.py` lets them take turns. `record.py` keeps the times, `report.py` makes tables of them.
Nothing here is imported with the package.
"""
