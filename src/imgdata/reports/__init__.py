"""Reports: what was found, written down in one format each."""
