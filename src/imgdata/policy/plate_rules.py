"""Is the plate whole and of one kind: missing images, doubles, shapes, channels, outliers. Pure."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from msgspec import Struct
from msgspec.structs import replace

from imgdata.model.facts import PixelFacts, Reading, Symptom, number
from imgdata.model.findings import Finding, Layout, Severity, WellState
from imgdata.model.keys import Fields, Key, normal_value, read_name
from imgdata.policy.key_guess import guess_key

About = tuple[Symptom, tuple[str, ...]]
COMMON_SHARE = 0.5
KIND_SHARE = 0.8
ROBUST_SIGMAS = 5.0
FEW = 5
OUTLIER_GROUP = 12
GROUP = ("plate", "well", "site", "t")
MEMBER = ("channel", "z")


class Named(Struct, frozen=True):
    """One image with its name and what was read from it."""

    name: str
    reading: Reading
    pixels: PixelFacts | None
    is_mask: bool
    unit_depth: int


class _Placed(Struct, frozen=True):
    """One image with the fields of its name."""

    image: Named
    fields: Mapping[str, str]

    def values(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(self.fields.get(name, "") for name in names)


def complete(
    images: Sequence[Named],
    keys: tuple[Key, ...],
    *,
    plate_maps: Mapping[str, frozenset[str]],
    below: Sequence[Named] = (),
) -> tuple[tuple[Layout, ...], Iterator[About]]:
    """Return what the names say about plates, and what is missing or odd.

    `below` are the images that masks were made from, when they are on another level.

    Without keys the pattern is guessed from the names; then missing images are warnings only.
    """
    pictures = [i for i in images if not i.is_mask]
    masks = [i for i in images if i.is_mask]
    guess = None if keys else guess_key([i.name for i in pictures])
    chosen = keys or ((Key(guess.pattern),) if guess else ())
    subject = pictures if (pictures or not keys) else masks
    placed, unplaced = _place(subject, chosen)
    about: list[About] = []
    if keys:
        about += _names_that_do_not_fit(unplaced)
        about += _doubles(placed)
    missing: Counter[tuple[str, str]] = Counter()
    if chosen:
        for one, lacking in _missing(placed, chosen, weight="" if keys else "warning"):
            about.append(one)
            missing[lacking] += 1
        about += _channel_names(placed)
        about += _plate_maps(placed, plate_maps)
    about += _kinds(placed, unplaced)
    about += _outliers(placed)
    about += _masks_on_images(masks, [*pictures, *below])
    layout = _layout(chosen, placed, missing, guess.explanation if guess else ())
    layout = layout or _guessed(subject)  # no name fits the key: what would?
    return ((layout,) if layout else ()), iter(about)


def _guessed(images: Sequence[Named]) -> Layout | None:
    guess = guess_key([image.name for image in images])
    if guess is None:
        return None
    keys = (Key(guess.pattern),)
    return _layout(keys, _place(images, keys)[0], Counter(), guess.explanation)


def _place(
    images: Sequence[Named], keys: tuple[Key, ...]
) -> tuple[list[_Placed], list[tuple[Named, str]]]:
    placed: list[_Placed] = []
    unplaced: list[tuple[Named, str]] = []
    for image in images:
        parts = image.name.split("/")
        unit = parts[0] if image.unit_depth and len(parts) > 1 else None
        fields = read_name(keys, image.name, unit)
        if fields is None:
            unplaced.append((image, "no pattern of the key fits"))
            continue
        placed.append(_Placed(image, _normal(fields, parts)))
    return placed, unplaced


def _normal(fields: Fields, parts: list[str]) -> dict[str, str]:
    found = {name: normal_value(name, value) for name, value in fields.items()}
    if "plate" not in found:
        found["plate"] = "/".join(
            p for p in parts[:-1] if not p.lower().startswith(("timepoint_", "zstep_"))
        )
    return found


def _names_that_do_not_fit(unplaced: list[tuple[Named, str]]) -> Iterator[About]:
    for image, why in unplaced:
        yield Symptom("IMG-403", why, "a name the key pattern can read"), (image.name,)


def _doubles(placed: list[_Placed]) -> Iterator[About]:
    groups: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
    for one in placed:
        groups[tuple(sorted(one.fields.items()))].append(one.image.name)
    double = [names for names in groups.values() if len(names) > 1]
    if len(double) * 4 > len(groups):
        # The key leaves out what tells these files apart (a z step, a repeat): not a double.
        return
    for names in double:
        found = f"{len(names)} files with the same fields"
        yield Symptom("IMG-408", found, "one file"), tuple(sorted(names))


def _missing(
    placed: list[_Placed], keys: tuple[Key, ...], *, weight: str
) -> Iterator[tuple[About, tuple[str, str]]]:
    """Yield images that most sites of the same plate have and a site or well lacks."""
    by_plate: dict[str, list[_Placed]] = defaultdict(list)
    for one in placed:
        by_plate[one.fields["plate"]].append(one)
    for plate, members in by_plate.items():
        sites: dict[tuple[str, ...], set[tuple[str, ...]]] = defaultdict(set)
        sample: dict[tuple[str, ...], _Placed] = {}
        for one in members:
            sites[one.values(GROUP)].add(one.values(MEMBER))
            sample[one.values(GROUP)] = one
        usual = _usual(list(sites.values()))
        for group, have in sites.items():
            for lacking in sorted(usual - have):
                yield _missing_one(sample[group], group, lacking, keys, weight), (plate, group[1])
        for group in _missing_sites(list(sites)):
            donor = next(iter(sample.values()))
            for lacking in sorted(usual):
                yield _missing_one(donor, group, lacking, keys, weight), (plate, group[1])


def _usual(groups: list[set[tuple[str, ...]]]) -> set[tuple[str, ...]]:
    if len(groups) < 2:  # noqa: PLR2004 - nothing to compare with
        return set()
    counts = Counter(member for group in groups for member in group)
    return {member for member, count in counts.items() if count >= COMMON_SHARE * len(groups)}


def _missing_sites(groups: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return sites that more than half of at least three wells have and a well lacks."""
    wells: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for plate, well, site, time in groups:
        wells[plate, well].add((site, time))
    if len(wells) < 3:  # noqa: PLR2004 - two wells may be planned differently
        return []
    counts = Counter(place for places in wells.values() for place in places)
    usual = {place for place, count in counts.items() if count > COMMON_SHARE * len(wells)}
    return [
        (plate, well, site, time)
        for (plate, well), places in wells.items()
        for site, time in sorted(usual - places)
    ]


def _missing_one(
    donor: _Placed,
    group: tuple[str, ...],
    lacking: tuple[str, ...],
    keys: tuple[Key, ...],
    weight: str,
) -> About:
    said = dict(zip((*GROUP, *MEMBER), (*group, *lacking), strict=True))
    shown = ", ".join(f"{name} {value}" for name, value in said.items() if value)
    folder = donor.image.name.rpartition("/")[0]
    words = "_".join(value for name, value in said.items() if value and name != "plate")
    path = f"{folder}/{words}" if folder else words
    del keys
    symptom = Symptom("IMG-401", f"no image for {shown}", "as most sites of the plate have", weight)
    return symptom, (path,)


def _channel_names(placed: list[_Placed]) -> Iterator[About]:
    """Yield channels whose files name them differently."""
    by_channel: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for one in placed:
        names = one.image.reading.facts.get("channels")
        if "channel" not in one.fields or names is None or not isinstance(names.value, tuple):
            continue
        if len(names.value) == 1:
            group = (one.fields["plate"], one.fields["channel"])
            by_channel[group][str(names.value[0])].append(one.image.name)
    for (_, channel), names_of in by_channel.items():
        if len(names_of) < 2:  # noqa: PLR2004 - one name is consistent
            continue
        usual = max(names_of, key=lambda name: len(names_of[name]))
        for name, files in names_of.items():
            if name != usual:
                found = f"channel {channel} is called '{name}' in {len(files)} files"
                yield Symptom("IMG-405", found, f"'{usual}', as in the others"), tuple(files)


def _plate_maps(placed: list[_Placed], plate_maps: Mapping[str, frozenset[str]]) -> Iterator[About]:
    wells: dict[str, set[str]] = defaultdict(set)
    for one in placed:
        if "well" in one.fields:
            wells[one.fields["plate"]].add(one.fields["well"])
    for plate, imaged in wells.items():
        planned = plate_maps.get(
            plate, plate_maps.get(PurePosixPath(plate).name, plate_maps.get(""))
        )
        if planned is None:
            continue
        for found, which, title in (
            (imaged - planned, "images", "an entry in the plate map"),
            (planned - imaged, "an entry in the plate map", "images"),
        ):
            if found:
                listed = ", ".join(sorted(found)[:12])
                text = f"{len(found)} wells with {which} only: {listed}"
                yield Symptom("IMG-407", text, title), (plate or ".",)


def _kinds(placed: list[_Placed], unplaced: list[tuple[Named, str]]) -> Iterator[About]:
    """Yield images whose shape or type differs from most of their channel or folder."""
    groups: dict[tuple[str, ...], list[Named]] = defaultdict(list)
    for one in placed:
        group = ("key", one.fields["plate"], one.fields.get("channel", ""))
        groups[(*group, one.image.reading.format)].append(one.image)
    for image, _ in unplaced:
        folder = image.name.rpartition("/")[0]
        groups["folder", folder, image.reading.format, ""].append(image)
    for members in groups.values():
        yield from _unlike(members)


def _shape(image: Named) -> tuple[str, str] | None:
    facts = image.reading.facts
    width, height = number(facts, "size_x"), number(facts, "size_y")
    kind = facts.get("dtype")
    if not width or not height or kind is None:
        return None
    return f"{width:g} x {height:g}", str(kind.value)


def _unlike(members: list[Named]) -> Iterator[About]:
    shapes = {m.name: s for m in members if (s := _shape(m)) is not None}
    if len(shapes) < FEW:
        return
    usual, count = Counter(shapes.values()).most_common(1)[0]
    if count < KIND_SHARE * len(shapes):
        return
    for name, shape in shapes.items():
        if shape != usual:
            yield Symptom("IMG-404", " ".join(shape), " ".join(usual)), (name,)


def _outliers(placed: list[_Placed]) -> Iterator[About]:
    """Yield images far brighter, darker, more saturated or less sharp than their channel."""
    groups: dict[tuple[str, ...], list[tuple[str, PixelFacts]]] = defaultdict(list)
    for one in placed:
        pixels = one.image.pixels
        if pixels is not None and not pixels.error and pixels.planes:
            groups[one.values(("plate", "channel"))].append((one.image.name, pixels))
    for members in groups.values():
        if len(members) < OUTLIER_GROUP:
            continue
        for title, values in (
            ("mean brightness", [p.mean for _, p in members]),
            (
                "focus score (log)",
                [math.log10(p.focus) if p.focus > 0 else -9.0 for _, p in members],
            ),
        ):
            yield from _far(title, [n for n, _ in members], values)
        for name, pixels in members:
            if pixels.saturated > 0.01:  # noqa: PLR2004 - one percent hides structure
                yield (
                    Symptom("IMG-406", f"{pixels.saturated:.1%} of pixels saturated", "at most 1%"),
                    (name,),
                )


def _far(title: str, names: list[str], values: list[float]) -> Iterator[About]:
    ordered = sorted(values)
    median = ordered[len(ordered) // 2]
    spread = sorted(abs(v - median) for v in values)[len(values) // 2] * 1.4826
    if spread <= 0:
        return
    for name, value in zip(names, values, strict=True):
        sigmas = (value - median) / spread
        if abs(sigmas) > ROBUST_SIGMAS:
            found = f"{title} {value:.4g}, {abs(sigmas):.0f} robust sigmas from its channel"
            yield Symptom("IMG-406", found, f"about {median:.4g}"), (name,)


def _masks_on_images(masks: list[Named], pictures: list[Named]) -> Iterator[About]:
    """Compare each mask with the image it shares the beginning of its name with."""
    if not pictures or not masks:
        return
    images = _Images(pictures)
    matched = {m.name: images.of(m) for m in masks}
    if not any(matched.values()):
        return
    for mask in masks:
        image = matched[mask.name]
        if image is None:
            yield Symptom("IMG-505", "no image shares its name", "its image"), (mask.name,)
            continue
        own, other = _shape(mask), _shape(image)
        if own is not None and other is not None and own[0] != other[0]:
            found = f"the mask is {own[0]}, {PurePosixPath(image.name).name} is {other[0]}"
            yield Symptom("IMG-503", found, "the same width and height"), (mask.name,)


class _Images:
    """Finds the image of a mask: `B2_1_DAPI` for `B2_1_DAPI_mask`, or for `B2_1`.

    Folders named alike (plates) are looked at first, since wells repeat from plate to plate.
    """

    def __init__(self, pictures: Sequence[Named]) -> None:
        self._by_stem: dict[tuple[str, str], Named] = {}
        self._by_part: dict[tuple[str, str], Named] = {}
        for picture in pictures:
            stem = _stem(picture.name)
            for plate in {_folder(picture.name), ""}:
                self._by_stem.setdefault((plate, stem), picture)
                for part in _parts_from_start(stem):
                    self._by_part.setdefault((plate, part), picture)

    def of(self, mask: Named) -> Named | None:
        """Return the image of a mask, or None."""
        stem = _stem(mask.name)
        for plate in (_folder(mask.name), ""):
            for length in range(len(stem), 0, -1):
                found = self._by_stem.get((plate, stem[:length]))
                if found is not None:
                    return found
            found = self._by_part.get((plate, stem))
            if found is not None:
                return found
        return None


def _folder(name: str) -> str:
    return name.rpartition("/")[0].rpartition("/")[2]


def _stem(name: str) -> str:
    return name.rpartition("/")[2].partition(".")[0]


def _parts_from_start(stem: str) -> Iterator[str]:
    """Yield the beginnings of a name that end before an underscore or a hyphen."""
    for index, character in enumerate(stem):
        if character in "_-" and index:
            yield stem[:index]


def _layout(
    keys: tuple[Key, ...],
    placed: list[_Placed],
    missing: Counter[tuple[str, str]],
    explanation: tuple[str, ...],
) -> Layout | None:
    if not keys or not placed:
        return None
    values: dict[str, set[str]] = defaultdict(set)
    images: Counter[tuple[str, str]] = Counter()
    for one in placed:
        for name, value in one.fields.items():
            values[name].add(value)
        if "well" in one.fields:
            images[one.fields["plate"], one.fields["well"]] += 1
    wells = tuple(
        WellState(plate, well, images[plate, well], missing[plate, well], None)
        for plate, well in sorted(set(images) | {m for m in missing if m[1]})
    )
    return Layout(
        pattern=", ".join(key.text for key in keys),
        guessed=bool(explanation),
        explanation=explanation,
        matched=len(placed),
        values={name: tuple(sorted(found)) for name, found in sorted(values.items())},
        wells=wells,
    )


def with_severities(layouts: tuple[Layout, ...], findings: Sequence[Finding]) -> tuple[Layout, ...]:
    """Return the layouts with the worst severity of each well's files."""
    worst: dict[str, Severity] = {}
    for finding in findings:
        for path in finding.paths:
            if path not in worst or finding.severity.rank > worst[path].rank:
                worst[path] = finding.severity
    return tuple(replace(one, wells=_colour(one, worst)) for one in layouts)


def _colour(layout: Layout, worst: Mapping[str, Severity]) -> tuple[WellState, ...]:
    keys = tuple(Key(text) for text in layout.pattern.split(", "))
    found: dict[tuple[str, str], Severity] = {}
    for path, severity in worst.items():
        parts = path.split("/")
        fields = read_name(keys, path, None)
        if fields is None or "well" not in fields:
            continue
        said = _normal(fields, parts)
        plates = (said["plate"], parts[0])
        for plate in plates:
            known = found.get((plate, said["well"]))
            if known is None or severity.rank > known.rank:
                found[plate, said["well"]] = severity
    return tuple(replace(w, worst=found.get((w.plate, w.well))) for w in layout.wells)
