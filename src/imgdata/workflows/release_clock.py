"""Which day it is, where a release date lets data go: a clock set forward opens nothing.

The earlier of this machine's day and a server's counts. A server is asked only where a date that
has passed by this machine's clock is what releases data: first the one that would receive them,
else the project's others, until one answers.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from functools import cached_property

from msgspec import Struct

from imgdata.errors import ImgdataError
from imgdata.ports import CanTellTime, Storage
from imgdata.workflows.clone import Clone
from imgdata.workflows.release_rules import ReleaseRules


class ReleaseClock(Struct, dict=True):
    """Tells the day by which release dates are judged.

    Attributes:
        clone: The project.
        rules: Its rules.
        servers: Web addresses of further servers that may be asked.
        ask: Whether a server is asked at all; a plan from what is remembered asks none.
    """

    clone: Clone
    rules: ReleaseRules
    servers: Sequence[str] = ()
    ask: bool = True

    def today(self, receiver: Storage | None = None) -> date:
        """Return the day, UTC; one request where a passed release date is at stake."""
        local = self.clone.clock.now().date()
        dates = [
            origin.release_on
            for origins in self.rules.origins
            for origin in origins.values()
            if origin.release_on is not None
        ]
        if not (self.ask and any(day <= local for day in dates)):
            return local
        told = _told_by(receiver) or self._told_elsewhere
        return local if told is None else min(local, told.date())

    @cached_property
    def _told_elsewhere(self) -> datetime | None:
        return next(self._answers(), None)

    def _answers(self) -> Iterator[datetime]:
        from imgdata.system.server_clock import server_time  # noqa: PLC0415 - slow, rarely needed

        for address in (*self.servers, *self._git_remotes()):
            if (told := server_time(address)) is not None:
                yield told
        for config in self.clone.config.storages.values():
            try:
                told = _told_by(self.clone.open_storage(config))
            except ImgdataError:
                continue
            if told is not None:
                yield told

    def _git_remotes(self) -> Iterator[str]:
        """Yield the address of the git remote where that is on the web, without credentials."""
        url = self.clone.git.get_config("remote.origin.url") or ""
        scheme, mark, rest = url.partition("://")
        if mark and scheme.lower() in {"http", "https"}:
            host = rest.partition("/")[0].rpartition("@")[2]
            yield f"{scheme}://{host}/"


def _told_by(storage: object) -> datetime | None:
    return storage.server_time() if isinstance(storage, CanTellTime) else None
