"""What makes a profile table traceable: readable, annotated, its images there. Pure."""

from collections.abc import Iterator, Sequence

from imgdata.model.facts import Reading, Symptom, number

About = tuple[Symptom, tuple[str, ...]]
NEEDED = ("Plate", "Well")
SHOWN = 5


def symptoms(
    profiles: Sequence[tuple[str, Reading]], image_names: frozenset[str] | None
) -> Iterator[About]:
    """Yield what is wrong with profile tables.

    Args:
        profiles: Path and reading of each table.
        image_names: Names of the image files on the level below, or None when not known.
    """
    for name, reading in profiles:
        if any(s.rule == "IMG-601" for s in reading.symptoms) or not reading.checked:
            continue
        for symptom in _columns(reading):
            yield symptom, (name,)
        if image_names is not None:
            for symptom in _images(reading, image_names):
                yield symptom, (name,)


def _texts(reading: Reading, fact: str) -> tuple[str, ...]:
    found = reading.facts.get(fact)
    return tuple(map(str, found.value)) if found and isinstance(found.value, tuple) else ()


def _columns(reading: Reading) -> Iterator[Symptom]:
    columns = _texts(reading, "metadata_columns")
    bare = {c.removeprefix("Image_").removesuffix("_x").removesuffix("_y") for c in columns}
    missing = [f"Metadata_{field}" for field in NEEDED if f"Metadata_{field}" not in bare]
    if missing:
        yield Symptom(
            "IMG-602", f"no column {' and no '.join(missing)}", "plate and well of each row"
        )
    doubled = [c[:-2] for c in columns if c.endswith("_x") and f"{c[:-2]}_y" in columns]
    if doubled:
        yield Symptom("IMG-606", f"{', '.join(doubled[:SHOWN])} with _x and _y", "one column each")
    for fact, rule, text in (
        ("features_with_missing", "IMG-604", "features have missing values"),
        ("constant_features", "IMG-605", "features have one value only"),
    ):
        count = number(reading.facts, fact)
        if count:
            yield Symptom(rule, f"{count:g} {text}", "none")


def _images(reading: Reading, image_names: frozenset[str]) -> Iterator[Symptom]:
    named = _texts(reading, "image_files")
    gone = sorted({n for n in named if n not in image_names})
    if gone:
        shown = ", ".join(gone[:SHOWN])
        found = f"{len(gone)} of {len(set(named))} named images are not there: {shown}"
        yield Symptom("IMG-603", found, "every named image on the level below")
