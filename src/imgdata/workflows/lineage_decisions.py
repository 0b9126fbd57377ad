"""Finds the exclusions and hand notes that belong to an answer, in the tree it was asked of."""

import csv
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from imgdata.dvc_files.places import join
from imgdata.lineage.answer import Answer, Edge, Note
from imgdata.lineage.decisions import ListReading, exclusions_of
from imgdata.lineage.sources import content_md5s
from imgdata.lineage.upstream import Snapshot
from imgdata.model.decisions import Excluded, HandNote
from imgdata.model.events import time_text
from imgdata.project.exclusion_lists import FOLDER, is_list, parse_list
from imgdata.workflows.bytes_here import file_status
from imgdata.workflows.lineage import Repository
from imgdata.workflows.lineage_project import ProjectView

Folders = dict[tuple[str, str | None], str]


class Decisions(Struct, frozen=True):
    """What people decided, as far as one answer is concerned."""

    repository: Repository
    snapshot: Snapshot
    view: ProjectView

    def added_to(self, answer: Answer) -> Answer:
        """Return the answer with the exclusions and notes that concern it."""
        gaps: list[str] = []
        folders = self._folders(answer)
        exclusions = tuple(
            one
            for reading in self._lists(answer, gaps)
            for one in exclusions_of(reading, folders, answer.file, answer.level)
        )
        return replace(
            answer,
            exclusions=exclusions,
            notes=tuple(self._notes(answer)),
            gaps=tuple(dict.fromkeys((*answer.gaps, *gaps))),
        )

    def _folders(self, answer: Answer) -> Folders:
        """Return by level and unit the tracked paths of the graph."""
        found: Folders = {}
        index = self.snapshot.index
        for node in answer.nodes:
            stage = index.stages.get(node.id)
            for out in () if stage is None else stage.entry.outs:
                path = "" if stage is None else stage.place(out.path, index.home).path
                level = self.view.level_of(path)
                if level is not None:
                    found[level.name, self.view.unit_of(path, level)] = path
        return found

    def _lists(self, answer: Answer, gaps: list[str]) -> Iterator[ListReading]:
        prefix = self.view.prefix
        read = {edge.dep: edge for edge in answer.edges if is_list(edge.dep.removeprefix(prefix))}
        there = {
            path
            for path in self.view.tree.files(join(self.view.folder, FOLDER))
            if is_list(path.removeprefix(prefix))
        }
        for path in sorted(there | read.keys()):
            data = self.view.tree.read(path) or b""
            now = self._parsed(path, data, gaps)
            edge = read.get(path)
            then = None if edge is None else self._as_read(edge, data, gaps)
            yield ListReading(path, now, then, is_read=edge is not None)

    def _as_read(self, edge: Edge, now: bytes, gaps: list[str]) -> list[Excluded] | None:
        """Return the lines a stage read: those of now, or of the version that git has."""
        if edge.recorded in content_md5s(now):
            return self._parsed(edge.dep, now, gaps)
        blob = (edge.git or "").removeprefix("blob ")
        data = self.snapshot.objects.read_blob(blob) if blob else None
        if data is None or edge.recorded not in content_md5s(data):
            gaps.append(f"{edge.dep} as {edge.consumer} read it is in no commit")
            return None
        return self._parsed(edge.dep, data, gaps)

    def _parsed(self, path: str, data: bytes, gaps: list[str]) -> list[Excluded]:
        name = path.rpartition("/")[2].removesuffix(".csv")
        unitless = [one.name for one in self.view.levels.values() if one.unit is None]
        try:
            return parse_list(data.decode("utf-8"), name, unitless)
        except (ValueError, csv.Error) as error:
            gaps.append(f"{path} is no list of excluded files: {error}")
            return []

    def _notes(self, answer: Answer) -> Iterator[Note]:
        for noted in self.view.notes:
            path = join(self.view.folder, noted.path)
            if path == answer.file or answer.file.startswith(f"{path}/"):
                yield _note(path, noted, is_current=self._is_content(answer, path, noted.md5))
            elif path.startswith(f"{answer.file}/") and answer.out is not None:
                inside = path[len(answer.file) + 1 :]
                if self._has_member(answer.out.md5, inside, path, noted.md5):
                    yield _note(path, noted, is_current=True)
            elif any(self._was_used(edge, path, noted.md5) for edge in answer.edges):
                yield _note(path, noted, is_current=True)

    def _is_content(self, answer: Answer, path: str, md5: str) -> bool:
        recorded = answer.member_hash if answer.member else answer.out.md5 if answer.out else None
        return md5 == recorded or self._is_here(path, md5)

    def _is_here(self, path: str, md5: str) -> bool:
        here = not self.snapshot.at_revision
        return here and file_status(self.repository.root / path, md5, None) == "recorded"

    def _has_member(self, folder: str | None, inside: str, path: str, md5: str) -> bool:
        listed = self.repository.lists(folder) if folder else None
        recorded = listed is not None and listed.get(inside) == md5
        return recorded or self._is_here(path, md5)

    def _was_used(self, edge: Edge, path: str, md5: str) -> bool:
        """Tell whether an input was, or held, the file with that content."""
        if edge.recorded is None or not (path == edge.dep or path.startswith(f"{edge.dep}/")):
            return False
        if path == edge.dep:
            return edge.recorded == md5
        listed = self.repository.lists(edge.recorded)
        return listed is not None and listed.get(path[len(edge.dep) + 1 :]) == md5


def _note(path: str, noted: HandNote, *, is_current: bool) -> Note:
    return Note(
        path=path,
        md5=noted.md5,
        reason=noted.reason,
        hand_edited=noted.is_hand_edit,
        is_current=is_current,
        by=noted.by or None,
        at=time_text(noted.at),
    )
