"""Collect facts while reading; the first trusted statement of a fact stays."""

import re
from collections.abc import Iterable
from types import MappingProxyType

from imgdata.model.facts import Fact, FactValue, Source

MICROMETRES = MappingProxyType(
    {
        "": 1.0,
        "um": 1.0,
        "µm": 1.0,
        "μm": 1.0,
        "micron": 1.0,
        "microns": 1.0,
        "micrometer": 1.0,
        "micrometers": 1.0,
        "micrometre": 1.0,
        "\\u00b5m": 1.0,
        "\\u03bcm": 1.0,
        "â\u0080\u008aµm": 1.0,
        "nm": 1e-3,
        "nanometer": 1e-3,
        "nanometre": 1e-3,
        "pm": 1e-6,
        "å": 1e-4,
        "angstrom": 1e-4,
        "mm": 1e3,
        "millimeter": 1e3,
        "millimetre": 1e3,
        "cm": 1e4,
        "centimeter": 1e4,
        "centimetre": 1e4,
        "m": 1e6,
        "meter": 1e6,
        "metre": 1e6,
        "inch": 25400.0,
        "in": 25400.0,
    }
)
MILLISECONDS = MappingProxyType(
    {
        "": 1e3,
        "s": 1e3,
        "sec": 1e3,
        "seconds": 1e3,
        "ms": 1.0,
        "msec": 1.0,
        "us": 1e-3,
        "µs": 1e-3,
        "μs": 1e-3,
        "ns": 1e-6,
        "min": 6e4,
        "h": 3.6e6,
    }
)
_SERIAL = re.compile(r"[A-Z]{0,4}[-#]?\d{5,}[A-Z]{0,3}\d*|\d{3,}[A-Z]\d{3,}|\d{4,}")
LONGEST_TEXT = 400


def looks_like_serial(text: str) -> bool:
    """Tell a serial number (`1400L15075`, `5160126`) from the name of a model (`LSM 880`)."""
    return bool(_SERIAL.fullmatch(text.strip()))


class FactBook:
    """A growing set of facts from one place."""

    def __init__(self, source: Source = Source.FILE) -> None:
        self.facts: dict[str, Fact] = {}
        self._source = source

    def put(
        self,
        name: str,
        value: FactValue | None,
        detail: str,
        unit: str = "",
        source: Source | None = None,
    ) -> None:
        """Note a fact unless its value is empty or the fact is known already."""
        if value is None or value in ("", ()) or name in self.facts:
            return
        if isinstance(value, str):
            value = value[:LONGEST_TEXT]
        elif isinstance(value, float):
            if value != value or abs(value) == float("inf"):  # noqa: PLR0124 - NaN is unlike itself
                return
            value = float(f"{value:.9g}")
        self.facts[name] = Fact(value, unit, source or self._source, detail)

    def put_length(self, name: str, value: float | None, unit: str, detail: str) -> None:
        """Note a length in micrometres; an unknown unit or a value not above zero is no fact."""
        factor = MICROMETRES.get(unit.strip().lower())
        if value is not None and value > 0 and factor is not None:
            self.put(name, value * factor, detail, "um")

    def put_each(self, name: str, values: Iterable[float | None], detail: str, unit: str) -> None:
        """Note one number per channel: a single number where all agree, else a tuple."""
        known = tuple(float(f"{value:.9g}") for value in values if value is not None)
        if known:
            self.put(name, known[0] if len(set(known)) == 1 else known, detail, unit)

    def put_model(self, text: str, detail: str) -> None:
        """Note a model's name, or a serial number where the file has one in its place."""
        if looks_like_serial(text):
            self.put("serial", text.strip(), detail)
        else:
            self.put("model", text.strip(), detail)

    def put_channels(self, names: Iterable[str], detail: str) -> None:
        """Note the channel names in order, if any of them has a name."""
        listed = tuple(name[:LONGEST_TEXT] for name in names)
        if any(listed):
            self.put("channels", listed, detail)


def milliseconds(value: float | None, unit: str) -> float | None:
    """Return a duration in milliseconds, or None when value or unit is not known."""
    factor = MILLISECONDS.get(unit.strip())
    return value * factor if value is not None and value >= 0 and factor is not None else None
