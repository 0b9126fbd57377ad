"""Move, pack and check bytes between places that keep DVC's layout, and into the workspace."""
