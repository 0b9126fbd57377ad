"""Parse XML that came with an image: no entities, no DTD, no external files, bounded size."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from imgdata.errors import DamagedError

LIMIT_CHARACTERS = 128 * 1024 * 1024
_DECLARATION = re.compile(r"<!\s*(DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)", re.IGNORECASE)
_ENCODINGS = frozenset({"utf-8", "us-ascii", "iso-8859-1", "windows-1252"})
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_ENCODING = re.compile(rb"""^<\?xml[^>]*encoding=["']([A-Za-z0-9._-]+)["']""")


class UnsafeXmlError(DamagedError):
    """The XML declares entities or a document type; it was not parsed."""

    kind = "unsafe-xml"


class BadXmlError(DamagedError):
    """The text is not well-formed XML."""

    kind = "bad-xml"


def decoded(data: bytes) -> str:
    """Return XML bytes as text by its byte-order mark or declaration; UTF-8, then Latin-1."""
    if data[:2] in _UTF16_MARKS:
        return data.decode("utf-16", "replace")
    data = data.removeprefix(b"\xef\xbb\xbf")
    named = _ENCODING.match(data[:200])
    name = named.group(1).decode("ascii").lower() if named else "utf-8"
    try:
        return data.decode(name if name in _ENCODINGS else "utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def parse(source: bytes | str) -> Element:
    """Return the root of an XML text.

    Raises:
        UnsafeXmlError: It declares a document type or entities.
        BadXmlError: It is not well-formed, or longer than 128 million characters.
    """
    text = decoded(source) if isinstance(source, bytes) else source
    text = text.strip("\x00 \r\n\t\ufeff")
    if len(text) > LIMIT_CHARACTERS:
        msg = f"XML of {len(text):,} characters, more than any description needs"
        raise BadXmlError(msg)
    if _DECLARATION.search(text):
        msg = "the XML declares a document type or entities"
        raise UnsafeXmlError(msg)
    try:
        return ET.fromstring(text)  # noqa: S314 - see the check above
    except (ET.ParseError, ValueError) as error:
        msg = f"the XML is not well-formed: {error}"
        raise BadXmlError(msg) from error


def local(element: Element) -> str:
    """Return an element's name without its namespace, so that every schema year matches."""
    return element.tag.rpartition("}")[2]


def children(element: Element, name: str) -> Iterator[Element]:
    """Yield the direct children of a name, whatever their namespace."""
    return (child for child in element if local(child) == name)


def child(element: Element | None, name: str) -> Element | None:
    """Return the first direct child of a name, or None."""
    return None if element is None else next(children(element, name), None)


def descendants(element: Element, name: str) -> Iterator[Element]:
    """Yield all elements of a name below this one, in document order."""
    return (node for node in element.iter() if local(node) == name)


def first(element: Element, *names: str) -> Element | None:
    """Return the first descendant along a path of names, or None."""
    node: Element | None = element
    for name in names:
        node = None if node is None else next(descendants(node, name), None)
    return node


def attributes(element: Element) -> dict[str, str]:
    """Return an element's attributes without namespaces."""
    return {name.rpartition("}")[2]: value for name, value in element.attrib.items()}


def value(element: Element | None, name: str) -> str:
    """Return an attribute or, as older schemas have it, a child's text; empty without either."""
    if element is None:
        return ""
    found = element.get(name)
    if found is None:
        node = child(element, name)
        found = node.text if node is not None else None
    return (found or "").strip()


def as_number(text: str | None) -> float | None:
    """Return a text as a finite number, or None; a decimal comma is understood."""
    if not text or len(text) > 64:  # noqa: PLR2004 - no number is longer
        return None
    try:
        found = float(text.strip().replace(",", "."))
    except ValueError:
        return None
    return found if abs(found) < float("inf") else None
