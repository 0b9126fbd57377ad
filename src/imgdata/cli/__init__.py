"""The command line: parse, one call of the Python API, render, exit status."""
