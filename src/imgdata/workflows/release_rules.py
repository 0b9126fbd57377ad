"""imgdata.yaml as the release branch has it: only a rule committed there lets data leave."""

from collections.abc import Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from imgdata.errors import ImgdataError
from imgdata.project.config import DEFAULT_BRANCH, Config, Origin
from imgdata.project.loader import CONFIG_NAME, parse_config
from imgdata.workflows.clone import Clone

REMOTES = "remotes/"
PASSING = ("tags/", "stash@")


class ReleaseRules(Struct, dict=True):
    """The rules as every branch states them that is, or was, the release branch.

    A branch that a git remote has counts as last fetched; the local one only where no remote has
    it. Which branch is the release branch is asked of the working tree and of every branch, so
    that naming another one in the working tree takes no rule away.
    """

    clone: Clone

    @property
    def committed(self) -> tuple[Config, ...]:
        """What the release branches say, each different text once."""
        return tuple(self._read[0])

    @property
    def readings(self) -> tuple[Config, ...]:
        """The same and the working tree's; where they differ, the strictest decides."""
        return (*self.committed, self.clone.config)

    @property
    def origins(self) -> tuple[Mapping[str, Origin], ...]:
        """The origins of all readings; a first empty one where nothing is committed."""
        found = tuple(config.origins for config in self.readings)
        return found if self.committed else ({}, *found)

    @property
    def faults(self) -> tuple[str, ...]:
        """Why there is no committed rule, or not all are known: then nothing may leave."""
        unreadable = tuple(self._read[1])
        if unreadable or self.committed:
            return unreadable
        return ("no rule is committed on the release branch",)

    @property
    def tips(self) -> frozenset[str]:
        """The release branches by the names that git's tips have."""
        return frozenset(self._read[2])

    @cached_property
    def _read(self) -> tuple[list[Config], list[str], list[str]]:
        """Read the branches; return what they say, which cannot be read, and their names."""
        configs: dict[bytes, Config] = {}
        faults: list[str] = []
        names: list[str] = []
        by_commit = {commit: self._parsed(data) for commit, data in self._texts.items()}
        todo = [self.clone.config.release_branch, DEFAULT_BRANCH]
        todo += [found.release_branch for found in by_commit.values() if found is not None]
        for branch in dict.fromkeys(todo):
            for name, commit in self._tips_of(branch):
                data = self._texts.get(commit)
                if data is None:
                    continue
                names.append(name)
                found = by_commit[commit]
                if found is None:
                    faults.append(f"{CONFIG_NAME} on {name.removeprefix(REMOTES)} cannot be read")
                else:
                    configs[data] = found
        return list(configs.values()), faults, names

    def _tips_of(self, branch: str) -> Iterator[tuple[str, str]]:
        """Yield the commits of a branch, on every remote, else here."""
        of_remotes = [
            (name, commit)
            for name, commit in self._tips.items()
            if name.startswith(REMOTES) and name.removeprefix(REMOTES).partition("/")[2] == branch
        ]
        if of_remotes:
            yield from of_remotes
        elif branch in self._tips:
            yield branch, self._tips[branch]

    @cached_property
    def _tips(self) -> Mapping[str, str]:
        tips = self.clone.git.tips()
        return {name: commit for name, commit in tips.items() if not name.startswith(PASSING)}

    @cached_property
    def _texts(self) -> Mapping[str, bytes]:
        """imgdata.yaml by the commit of each branch that has one."""
        commits = dict.fromkeys(self._tips.values())
        return self.clone.git.files_at(commits, f"{self.clone.git_prefix}{CONFIG_NAME}")

    @cached_property
    def _known(self) -> dict[bytes, Config | None]:
        here = self.clone.root / CONFIG_NAME
        return {here.read_bytes(): self.clone.config} if here.is_file() else {}

    def _parsed(self, data: bytes) -> Config | None:
        if data not in self._known:
            try:
                self._known[data] = parse_config(data.decode("utf-8", "replace"))
            except ImgdataError:
                self._known[data] = None
        return self._known[data]
