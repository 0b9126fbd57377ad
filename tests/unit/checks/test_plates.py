"""Missing, doubled and odd images, told from names and facts alone."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from imgdata.model.facts import Compression, Fact, Packing, PixelFacts, Reading
from imgdata.model.keys import Key
from imgdata.policy.key_guess import guess_key
from imgdata.policy.plate_rules import About, Named, complete

WHOLE = Reading(
    "tiff",
    "test",
    facts={"size_x": Fact(100), "size_y": Fact(80), "dtype": Fact("uint16")},
    compression=Compression(Packing.LOSSLESS, "uncompressed"),
)
KEY = (Key("{plate}/{well}_{site}_{channel}.tif"),)
WELLS = ("B02", "B03", "C02", "C03")


def named(name: str, reading: Reading = WHOLE, pixels: PixelFacts | None = None) -> Named:
    return Named(name, reading, pixels, is_mask="mask" in name, unit_depth=1)


def plate(wells: Sequence[str] = WELLS, channels: Sequence[str] = ("DAPI", "GFP")) -> list[str]:
    return [f"P1/{w}_{s}_{c}.tif" for w in wells for s in (1, 2) for c in channels]


def about(
    images: Sequence[Named], keys: tuple[Key, ...] = KEY, **maps: frozenset[str]
) -> list[About]:
    return list(complete(images, keys, plate_maps=maps)[1])


def rules(found: Sequence[About]) -> list[str]:
    return [symptom.rule for symptom, _ in found]


def test_a_whole_plate_has_nothing_to_say() -> None:
    assert about([named(n) for n in plate()]) == []


@given(st.integers(0, 15))
def test_any_one_image_that_is_missing_is_named(index: int) -> None:
    names = plate()
    gone = names.pop(index)
    found = about([named(n) for n in names])
    assert rules(found) == ["IMG-401"]
    well, site, channel = gone.removeprefix("P1/").removesuffix(".tif").split("_")
    assert all(part in found[0][0].found for part in (well, f"site {site}", channel))


def test_a_site_that_one_well_lacks_is_missing_in_every_channel() -> None:
    names = [n for n in plate() if not n.startswith("P1/C03_2")]
    found = about([named(n) for n in names])
    assert rules(found) == ["IMG-401", "IMG-401"]


def test_without_a_configured_key_missing_images_are_warnings() -> None:
    names = [n for n in plate() if n != "P1/C03_2_GFP.tif"]
    found = [s for s, _ in about([named(n) for n in names], ())]
    assert [(s.rule, s.weight) for s in found] == [("IMG-401", "warning")]


def test_a_stack_in_one_channel_only_is_no_gap() -> None:
    key = (Key("{plate}/{well}_{site}_z{z}_{channel}.tif"),)
    names = [
        f"P1/{w}_1_z{z}_{c}.tif"
        for w in WELLS
        for c, slices in (("DAPI", 3), ("GFP", 1))
        for z in range(slices)
    ]
    assert about([named(n) for n in names], key) == []


def test_a_name_that_does_not_fit_is_told() -> None:
    found = about([*map(named, plate()), named("P1/overview.tif")])
    assert rules(found) == ["IMG-403"]


def test_two_names_for_one_field_of_view_are_told() -> None:
    found = about([*map(named, plate()), named("P1/B2_1_DAPI.tif")])
    assert rules(found) == ["IMG-408"]


def test_an_image_of_another_shape_is_told() -> None:
    small = replace(WHOLE, facts={**WHOLE.facts, "size_x": Fact(50)})
    images = [named(n) for n in plate()]
    images[3] = named(images[3].name, small)
    found = about(images)
    assert rules(found) == ["IMG-404"]
    assert found[0][0].found == "50 x 80 uint16"


def test_a_channel_with_two_names_is_told() -> None:
    def called(name: str) -> Reading:
        return replace(WHOLE, facts={**WHOLE.facts, "channels": Fact((name,))})

    images = [named(n, called("Hoechst" if "DAPI" in n else "GFP")) for n in plate()]
    images[0] = named(images[0].name, called("DAPI"))
    assert rules(about(images)) == ["IMG-405"]


def test_wells_are_compared_with_the_plate_map_zero_padded_or_not() -> None:
    images = [named(n) for n in plate()]
    assert about(images, P1=frozenset({"B02", "B03", "C02", "C03"})) == []
    found = about(images, P1=frozenset({"B02", "B03", "C02", "D05"}))
    assert sorted(s.found for s, _ in found) == [
        "1 wells with an entry in the plate map only: D05",
        "1 wells with images only: C03",
    ]


def test_an_image_far_brighter_than_its_channel_is_a_note() -> None:
    names = plate(wells=[f"{r}{c:02d}" for r in "ABCD" for c in range(1, 5)], channels=("DAPI",))
    images = [
        named(n, pixels=PixelFacts(planes=1, mean=100 + i % 5, focus=1.0 + i % 3 / 10))
        for i, n in enumerate(names)
    ]
    assert about(images) == []
    images[7] = named(names[7], pixels=PixelFacts(planes=1, mean=4000, focus=1.1))
    assert rules(about(images)) == ["IMG-406"]


def test_a_mask_must_lie_on_its_image() -> None:
    small = replace(WHOLE, facts={**WHOLE.facts, "size_x": Fact(50)})
    images = [named(f"images/B2_{s}_DAPI.tif") for s in (1, 2)]
    good = named("masks/B2_1_DAPI_mask.tif")
    assert about([*images, good], ()) == []
    found = about([*images, named("masks/B2_1_DAPI_mask.tif", small)], ())
    assert rules(found) == ["IMG-503"]
    found = about([*images, good, named("masks/H9_1_DAPI_mask.tif")], ())
    assert rules(found) == ["IMG-505"]


def test_masks_on_a_level_of_their_own_are_compared_with_the_level_below() -> None:
    below = [named(f"P1/B02_1_{c}.tif") for c in ("DAPI", "GFP")]
    mask = replace(named("P1/B02_1.tif"), is_mask=True)
    assert list(complete([mask], (), plate_maps={}, below=below)[1]) == []
    small = replace(WHOLE, facts={**WHOLE.facts, "size_y": Fact(40)})
    wrong = replace(named("P1/B02_1.tif", small), is_mask=True)
    assert rules(list(complete([wrong], (), plate_maps={}, below=below)[1])) == ["IMG-503"]


@pytest.mark.parametrize(
    ("names", "fields"),
    [
        (
            [
                f"r{r:02d}c{c:02d}f01p01-ch{h}sk1fk1fl1.tiff"
                for r in (1, 2)
                for c in (1, 2)
                for h in (1, 2)
            ],
            {"row", "column", "site", "z", "channel", "t"},
        ),
        (
            [f"plate_{w}_s{s}_w{c}.TIF" for w in WELLS for s in (1, 2) for c in (1, 2)],
            {"well", "site", "channel"},
        ),
        (
            [
                f"exp_{w}_T0001F{f:03d}L01A01Z01C0{c}.tif"
                for w in WELLS
                for f in (1, 2)
                for c in (1, 2)
            ],
            {"well", "t", "site", "z", "channel"},
        ),
        (
            [f"{w[0]} - {w[1:]}(fld {f} wv DAPI - DAPI).tif" for w in WELLS for f in (1, 2)],
            {"row", "column", "site", "channel"},
        ),
        (
            [f"{w}-{s}-{c}.tif" for w in WELLS for s in (1, 2) for c in ("DAPI", "GFP")],
            {"well", "site", "channel"},
        ),
    ],
)
def test_the_key_of_common_names_is_guessed(names: list[str], fields: set[str]) -> None:
    guess = guess_key(names)
    assert guess is not None
    assert set(Key(guess.pattern).fields) == fields
    assert guess.matched == len(names)
    assert guess.explanation


@given(st.lists(st.text(max_size=40), max_size=20))
def test_guessing_never_fails_and_fits_what_it_says(names: list[str]) -> None:
    guess = guess_key(names)
    if guess is not None:
        key = Key(guess.pattern)
        assert sum(1 for name in names if key.readings(name)) == guess.matched
