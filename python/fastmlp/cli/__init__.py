"""The command line: from a table to a model, to predictions and to C++.

app.py lists the commands, and each has a module of its own. readers.py turns files into columns,
models.py gives tabular models and plain networks the same methods, output.py writes to the
terminal, errors.py turns exceptions into one line and an exit status. click is imported only in
app.py and in the modules of the commands. Nothing here is imported with the package.
"""
