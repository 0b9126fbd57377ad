"""Doors to other tools: git, dvc, datalad."""
