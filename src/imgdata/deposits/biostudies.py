"""Send a package to the account's space of BioStudies and keep it there as one draft.

A person finishes it in the web form and submits; curators publish. BioStudies gives no checksums
of what is in an account's space, so files are compared by size; its own check of each file list
says what it misses.

Source: routes of EBIBioStudies/biostudies-backend-services; ApiSubmissionExample of EBI's
page-tab-specification.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from imgdata.deposits.reading import items, mapping
from imgdata.deposits.web import PATIENT, AnswerError, Patience, Web, plain
from imgdata.errors import CredentialsError, DamagedError, NothingFoundError, RefusedError
from imgdata.model.sizes import format_size
from imgdata.system.credentials import Token, variable
from imgdata.system.progress import SILENT, Progress

LARGEST = 20 * 10**9
SHOWN = 10
MOST_DRAFTS = 500
_FOLDER = "DIR"


class FileToSend(Struct, frozen=True):
    """One file of a package.

    Attributes:
        name: Its path in the study's folder.
        local: Where its bytes are.
        size: Bytes.
        always: Sent each time: its size may stay when its content changes.
    """

    name: str
    local: Path
    size: int
    always: bool = False


class SentDraft(Struct, frozen=True):
    """A draft as it was left: its key, and how many files were sent and were there before."""

    key: str
    sent: int
    already: int


class BioStudies:
    """One account of BioStudies, signed in."""

    def __init__(self, address: str, token: Token, patience: Patience = PATIENT) -> None:
        self._base = f"{address.rstrip('/')}/api"
        self._token = token
        self._patience = patience
        self._web = self._signed_in()

    def close(self) -> None:
        """Close the connections."""
        self._web.close()

    def _signed_in(self) -> Web:
        """Return the service for a session; the password goes into one request and no further."""
        user, colon, password = self._token.secret.partition(":")
        if not (user and colon and password):
            msg = f"the token for '{self._token.name}' is not the account's e-mail and password"
            raise CredentialsError(msg, remedy=f"set {variable(self._token.name)}=E-MAIL:PASSWORD")
        hidden = Token(self._token.name, password)
        # No header: the token is there to be kept out of messages.
        opened = Web(self._base, token=hidden, header="", patience=self._patience)
        try:
            body = opened.post("/auth/login", {"login": user, "password": password}).body
        finally:
            opened.close()
        session = mapping(body).get("sessid")
        if not isinstance(session, str) or not session:
            msg = "BioStudies gave no session"
            raise CredentialsError(msg, cause=plain(body)[:200])
        return Web(
            self._base,
            token=Token(self._token.name, session),
            header="X-SESSION-TOKEN",
            scheme="",
            patience=self._patience,
        )

    def send(
        self, root: str, files: Sequence[FileToSend], progress: Progress = SILENT
    ) -> tuple[int, int]:
        """Bring files into the folder `root` of the account; return how many were sent, and not.

        Raises:
            RefusedError: A file is too large for this way.
            DamagedError: A file does not have our size there.
        """
        _refuse_large(files)
        there = self._sizes(root, files)
        wanted = [file for file in files if file.always or there.get(file.name) != file.size]
        self._make_folders(root, wanted)
        progress.start("send to BioStudies", items=len(wanted), size=sum(f.size for f in wanted))
        try:
            for file in wanted:
                folder, _, last = file.name.rpartition("/")
                path = f"/files/user/{_quoted(root, folder)}"
                with file.local.open("rb") as stream:
                    self._web.post_file(path, "files", last, stream)
                progress.advance(items=1, size=file.size)
        finally:
            progress.finish()
        there = self._sizes(root, files)
        wrong = [file.name for file in files if there.get(file.name) != file.size]
        if wrong:
            msg = f"{len(wrong)} files did not arrive whole in BioStudies"
            raise DamagedError(
                msg, cause="\n".join(wrong[:SHOWN]), remedy="run the same command again"
            )
        return len(wanted), len(files) - len(wanted)

    def _sizes(self, root: str, files: Sequence[FileToSend]) -> dict[str, int]:
        """Return the sizes of what lies in the folders of the files; one request a folder."""
        found: dict[str, int] = {}
        for folder in sorted({file.name.rpartition("/")[0] for file in files}):
            try:
                listed = items(self._web.get(f"/files/user/{_quoted(root, folder)}").body)
            except (NothingFoundError, AnswerError):
                continue
            for entry in map(mapping, listed):
                name, size = entry.get("name"), entry.get("size")
                if entry.get("type") != _FOLDER and isinstance(size, int):
                    found[f"{folder}/{name}" if folder else str(name)] = size
        return found

    def _make_folders(self, root: str, files: Sequence[FileToSend]) -> None:
        made: set[str] = set()
        for file in files:
            parts = [root, *file.name.split("/")[:-1]]
            for depth in range(len(parts)):
                path = "/".join(parts[: depth + 1])
                if path not in made:
                    above = "/".join(parts[:depth])
                    where = f"/folder/user/{_quoted(above)}".rstrip("/")
                    self._web.post_form(where, {}, {"folder": parts[depth]})
                    made.add(path)

    def check_list(self, root: str, name: str) -> tuple[str, ...]:
        """Let BioStudies check a file list against what it has; return what it says is wrong."""
        fields = {"fileListName": name, "rootPath": root}
        try:
            self._web.post_form("/submissions/fileLists/validate", fields)
        except AnswerError as error:
            return tuple(f"{name}: {line}" for line in error.messages) or (f"{name}: not valid",)
        return ()

    def keep_draft(self, submission: dict[str, object], key: str = "") -> str:
        """Make the account's draft of a study what it should be; return its key.

        A draft that is known, or that has our folder, is replaced; a second one is not made.
        """
        known = key if key and self._has(key) else self._find(submission)
        if known:
            self._web.put(f"/submissions/drafts/{quote(known, safe='')}", submission)
            return known
        body = mapping(self._web.post("/submissions/drafts", submission).body)
        made = body.get("key")
        if not isinstance(made, str) or not made:
            msg = "BioStudies answers without the key of the draft"
            raise NothingFoundError(msg, remedy="run the same command again; it looks for it")
        return made

    def _has(self, key: str) -> bool:
        return any(entry.get("key") == key for entry in self._drafts())

    def _find(self, submission: dict[str, object]) -> str:
        wanted = _root_of(submission)
        for entry in self._drafts():
            if wanted and _root_of(mapping(entry.get("content"))) == wanted:
                return str(entry.get("key", ""))
        return ""

    def _drafts(self) -> list[dict[str, Any]]:
        listed = self._web.get("/submissions/drafts", {"limit": MOST_DRAFTS, "offset": 0}).body
        return [mapping(one) for one in items(listed)]


def _refuse_large(files: Sequence[FileToSend]) -> None:
    large = [f"{file.name}: {format_size(file.size)}" for file in files if file.size > LARGEST]
    if large:
        msg = f"{len(large)} files are larger than the {format_size(LARGEST)} BioStudies takes so"
        raise RefusedError(
            msg,
            cause="\n".join(large[:SHOWN]),
            remedy="send them by FTP or Aspera, as CHECKLIST.md says",
        )


def _root_of(submission: dict[str, Any]) -> str:
    for attribute in map(mapping, items(submission.get("attributes"))):
        if attribute.get("name") == "RootPath":
            return str(attribute.get("value", ""))
    return ""


def _quoted(*parts: str) -> str:
    return quote("/".join(part for part in parts if part))


@contextmanager
def signed_in(address: str, token: Token, patience: Patience = PATIENT) -> Iterator[BioStudies]:
    """Yield an account of BioStudies until the block ends.

    Raises:
        CredentialsError: It refuses the e-mail or the password.
    """
    opened = BioStudies(address, token, patience)
    try:
        yield opened
    finally:
        opened.close()
