"""Add and rename levels: what `imgdata level` and the Python API ask for."""

from msgspec import Struct

from imgdata.workflows.clone import Clone
from imgdata.workflows.conform import apply_changes
from imgdata.workflows.level_add import LevelPlan, NewLevel, plan_level
from imgdata.workflows.level_follow import LeftBehind, follow, left_behind
from imgdata.workflows.level_move import Journal, apply_move, complete_move, unfinished_move
from imgdata.workflows.level_move_plan import MovePlan, plan_move


class LevelChanges(Struct, frozen=True):
    """The levels of one clone, to be added to or renamed; what is written is staged in git."""

    clone: Clone

    def plan_add(self, level: NewLevel) -> LevelPlan:
        """Decide what one more level changes; changes nothing."""
        return plan_level(self.clone, level)

    def add(self, plan: LevelPlan) -> None:
        """Write the planned files."""
        with self.clone.writing():
            self.clone.git.stage(apply_changes(plan.changes))

    def plan_move(self, level: str, to: str, path: str | None = None) -> MovePlan:
        """Decide what a level's new name or folder changes; changes nothing."""
        return plan_move(self.clone, level, to, path)

    def move(self, plan: MovePlan) -> None:
        """Rename a level as planned: all of it, or nothing."""
        self.clone.git.stage(apply_move(self.clone, plan))

    def unfinished(self) -> Journal | None:
        """Return the renaming that was interrupted, or None."""
        return unfinished_move(self.clone.root)

    def complete(self, journal: Journal) -> None:
        """Complete a renaming that was interrupted."""
        self.clone.git.stage(complete_move(self.clone, journal))

    def left_behind(self, level: str, to: str) -> LeftBehind | None:
        """Return what lies in the old folder of a level that another clone renamed, or None."""
        return left_behind(self.clone, level, to)

    def follow(self, found: LeftBehind) -> None:
        """Move what was left behind to where it is looked for now."""
        follow(self.clone, found)
