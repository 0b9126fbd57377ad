"""Move and check bytes between any two places that keep DVC's layout, and into the workspace."""
