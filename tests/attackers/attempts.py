"""Ways to get a restricted plate into a public place, each with a twin that must get through.

An attempt prepares a copy of the vault and returns the words of the command that would send. It is
written for any plate: with the partner's plate it must be refused, with the lab's own plate the
same steps must send, so that an attempt that fails for another reason is found out.
"""

import os
from collections.abc import Callable

from msgspec import Struct

from tests.attackers.vault import PARTNER, Vault

Words = tuple[str, ...]
Do = Callable[[Vault, str], Words]


class Attempt(Struct, frozen=True):
    """One way.

    Attributes:
        family: What kind of way it is.
        name: Which of them.
        do: Prepares it for a plate and returns the command's words.
        has_twin: Whether the same steps send the lab's own plate.
    """

    family: str
    name: str
    do: Do
    has_twin: bool = True


ATTEMPTS: list[Attempt] = []


def add(family: str, name: str, do: Do, *, has_twin: bool = True) -> None:
    ATTEMPTS.append(Attempt(family, name, do, has_twin))


def push(*words: str, to: str = "world") -> Words:
    return ("push", *words, "--to", to)


# As it is: every level, every way to say what and where.

WAYS: dict[str, Words] = {
    "plain": (),
    "well selected": ("--select", "well=B02"),
    "two wells": ("--select", "well=B02..B03"),
    "repair": ("--repair",),
    "one job": ("--jobs", "1"),
    "quiet": ("--quiet",),
    "json": ("--json",),
    "beside a private storage": ("--to", "second"),
    "twice": ("--to", "world"),
}
for _level in ("raw", "masks"):
    for _name, _words in WAYS.items():

        def _direct(_: Vault, plate: str, level: str = _level, words: Words = _words) -> Words:
            return push(level, "--select", f"plate={plate}", *words)

        add("as it is", f"{_level}, {_name}", _direct)
for _name, _words in {
    "pooled with open data": ("pooled",),
    "the whole level": ("raw",),
    "all levels": (),
    "by --level": ("--level", "raw", "--level", "masks"),
    "masks and what may leave": ("masks", "tables"),
}.items():

    def _all(_: Vault, _plate: str, words: Words = _words) -> Words:
        return push(*words)

    add("as it is", _name, _all, has_twin=False)


def _by_its_own_list(v: Vault, plate: str) -> Words:
    """The level itself names the public storage: no --to is typed."""
    v.edit("path: data/masks", "path: data/masks\n    x-note: public")
    v.edit('key: "{plate}/{well}_{site}.tif"\n    storage: archive\n  pooled',
           'key: "{plate}/{well}_{site}.tif"\n    storage: [archive, world]\n  pooled')  # fmt: skip
    v.apply()
    return ("push", "masks", "--select", f"plate={plate}")


add("as it is", "the level names the public storage", _by_its_own_list)

# The rules, edited anywhere but on the shared release branch.

OPENED = PARTNER.replace("access: restricted", "access: open").replace(
    "    release_on: 2999-01-01\n", ""
)
EDITS: dict[str, tuple[str, str]] = {
    "opened": (PARTNER, OPENED),
    "access open, date kept": ("access: restricted", "access: open"),
    "a date that has passed": ("2999-01-01", "2001-01-01"),
    "of our own kind": (PARTNER, "  partner: {kind: own, access: open}\n"),
    "raw may leave": ("may_leave: [tables]", "may_leave: [tables, raw, masks, pooled]"),
    "public data": (PARTNER, "  partner: {kind: public, access: open, license: CC0-1.0}\n"),
}


def _committed(v: Vault) -> None:
    v.commit()


def _on_a_branch(v: Vault) -> None:
    v.git("checkout", "--quiet", "-b", "idea")
    v.commit()


def as_release_branch(v: Vault) -> None:
    v.edit("release_branch: main", "release_branch: idea")
    _on_a_branch(v)


def _pushed_to_another_branch(v: Vault) -> None:
    v.edit("release_branch: main", "release_branch: idea")
    _on_a_branch(v)
    v.git("push", "--quiet", "origin", "idea")
    v.git("fetch", "--quiet")


def _tagged_main(v: Vault) -> None:
    v.commit()
    v.git("tag", "main")


def _detached(v: Vault) -> None:
    v.commit()
    v.git("checkout", "--quiet", "--detach")


def _on_another_remote(v: Vault) -> None:
    v.commit()
    v.git("init", "--quiet", "--bare", v.base / "mine.git")
    v.git("remote", "add", "aaa", v.base / "mine.git")
    v.git("push", "--quiet", "aaa", "HEAD:main")
    v.git("fetch", "--quiet", "aaa")


def _replaced(v: Vault) -> None:
    v.commit()
    v.git("replace", "origin/main", "HEAD")


def _by_variable(v: Vault) -> None:
    v.commit()
    evil = v.base / "evil"
    v.git("clone", "--quiet", v.root, evil)
    os.environ["GIT_DIR"] = str(evil / ".git")  # the test's own environment: put back after it


PLACES: dict[str, Callable[[Vault], None]] = {
    "in the working tree": lambda _: None,
    "committed here": _committed,
    "on a branch": _on_a_branch,
    "on a branch called the release branch": as_release_branch,
    "on a pushed branch called the release branch": _pushed_to_another_branch,
    "on a tag called main": _tagged_main,
    "on no branch": _detached,
    "on another git remote": _on_another_remote,
    "by a replace ref": _replaced,
    "in the repository of GIT_DIR": _by_variable,
}
for _edit, (_before, _after) in EDITS.items():
    for _place, _put in PLACES.items():

        def _rules(
            v: Vault,
            plate: str,
            edit: tuple[str, str] = (_before, _after),
            put: Callable[[Vault], None] = _put,
        ) -> Words:
            v.edit(*edit)
            put(v)
            return push("raw", "--select", f"plate={plate}")

        add("edited rules", f"{_edit}, {_place}", _rules)

# The public storage under another name, spelling or path.


def _storage_edit(before: str, after: str, to: str, link: Callable[[Vault], None] | None) -> Do:
    def do(v: Vault, plate: str) -> Words:
        if link is not None:
            link(v)
        v.edit(before, after)
        v.apply()
        return push("raw", "--select", f"plate={plate}", to=to)

    return do


WORLD = '  world: {url: "../world", public: true}\n'
SPELLINGS: dict[str, tuple[str, Callable[[Vault], None] | None]] = {
    "the same": ("../world", None),
    "with a slash": ("../world/", None),
    "with dots": ("../project/.././world", None),
    "by a link": ("../alias", lambda v: (v.base / "alias").symlink_to(v.base / "world")),
    "by a link to its parent": ("../up/world", lambda v: (v.base / "up").symlink_to(v.base)),
    "inside it": ("../world/inner", lambda v: (v.base / "world" / "inner").mkdir()),
    "around it": ("..", None),
}
for _name, (_url, _link) in SPELLINGS.items():
    _lands_in_it = _name != "around it"
    add(
        "public storage in disguise",
        f"second name, {_name}",
        _storage_edit(WORLD, f'{WORLD}  hidden: {{url: "{_url}"}}\n', "hidden", _link),
        has_twin=_lands_in_it,
    )
    add(
        "public storage in disguise",
        f"said to be private, {_name}",
        _storage_edit(WORLD, f'  world: {{url: "{_url}", public: false}}\n', "world", _link),
        has_twin=_lands_in_it,
    )
    add(
        "public storage in disguise",
        f"a private storage moved there, {_name}",
        _storage_edit('second: {url: "../second"}', f'second: {{url: "{_url}"}}', "second", _link),
        has_twin=_lands_in_it,
    )
for _name, _after in {
    "public taken out": '  world: {url: "../world"}\n',
    "renamed": '  attic: {url: "../world"}\n',
    "as a file: url": '  attic: {url: "file://BASE/world"}\n',
    "absolute": '  attic: {url: "BASE/world"}\n',
}.items():

    def _disguised(v: Vault, plate: str, after: str = _after) -> Words:
        v.edit(WORLD, after.replace("BASE", str(v.base)))
        v.apply()
        v.commit()
        return push(
            "raw", "--select", f"plate={plate}", to="attic" if "attic" in after else "world"
        )

    add("public storage in disguise", f"committed here, {_name}", _disguised)
