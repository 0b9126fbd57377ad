"""Frozen values. Standard library only; every layer may use them."""
