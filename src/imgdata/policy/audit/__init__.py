"""The project against its own rules: pure functions over facts that the workflow gathers."""
