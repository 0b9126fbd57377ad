"""Fakes of our own ports, for tests."""
