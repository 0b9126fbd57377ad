"""What facts and pixel statistics amount to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgdata.model.facts import (
    Compression,
    Fact,
    FactValue,
    Packing,
    PixelFacts,
    Reading,
    Sidecar,
    Source,
    Symptom,
)
from imgdata.policy.image_rules import describe, hints, mask, region_disagrees, with_sidecar

LOSSLESS = Compression(Packing.LOSSLESS, "LZW")
FULL: dict[str, FactValue] = {
    "pixel_size_x": 0.65,
    "pixel_size_y": 0.65,
    "manufacturer": "Nikon",
    "model": "Ti2",
    "objective_magnification": 10.0,
    "binning": 1,
}


def reading(**facts: FactValue) -> Reading:
    held = {name: Fact(value) for name, value in facts.items() if value != ""}
    return Reading("tiff", "test", facts=held, compression=LOSSLESS)


def rules(one: Reading) -> list[tuple[str, str]]:
    return [(s.rule, s.weight) for s in describe(one)]


def test_a_fully_described_image_has_nothing_to_say() -> None:
    assert rules(reading(**FULL)) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"pixel_size_x": ""}, [("IMG-301", "")]),
        ({"manufacturer": ""}, [("IMG-303", "")]),
        ({"model": ""}, [("IMG-303", "note")]),
        ({"objective_magnification": "", "binning": ""}, [("IMG-304", "")]),
        ({"pixel_size_x": 352.8, "binning": ""}, [("IMG-302", "")]),
        ({"pixel_size_x": 0.001, "binning": ""}, [("IMG-302", "")]),
        ({"pixel_size_x": 1.0, "pixel_size_y": 1.0}, [("IMG-302", "note")]),
        ({"pixel_size_y": 0.2}, [("IMG-302", "note")]),
        ({"objective_magnification": 100.0}, [("IMG-305", "")]),
    ],
)
def test_each_gap_is_its_own_finding(
    change: dict[str, FactValue], expected: list[tuple[str, str]]
) -> None:
    assert rules(reading(**{**FULL, **change})) == expected


def test_a_damaged_file_is_not_asked_for_its_description() -> None:
    broken = Reading("tiff", "test", compression=LOSSLESS, symptoms=(Symptom("IMG-101", "cut"),))
    assert list(describe(broken)) == []


@given(st.sampled_from([1, 2, 3, 4, 8]), st.integers(400, 3000), st.integers(400, 3000))
def test_binning_explains_the_shape_of_a_camera_image(binning: int, x: int, y: int) -> None:
    facts = {
        "binning": Fact(binning),
        "region_x": Fact(x),
        "region_y": Fact(y),
        "size_x": Fact(x // binning),
        "size_y": Fact(y // binning),
    }
    assert region_disagrees(facts) is None
    cropped = {**facts, "size_x": Fact(x // binning - 40)}
    assert region_disagrees(cropped) is not None


def test_a_sidecar_fills_gaps_and_contradictions_are_told() -> None:
    side = Sidecar("Index.xml", "harmony", facts={"model": Fact("Phenix", source=Source.SIDECAR)})
    facts = {"pixel_size_x": Fact(0.6, "um", Source.SIDECAR, "Index.xml")}
    joined = with_sidecar(reading(size_x=10), facts, side)
    assert joined.facts["pixel_size_x"].value == 0.6
    assert joined.facts["model"].value == "Phenix"
    assert joined.symptoms == ()
    other = with_sidecar(reading(pixel_size_x=0.3), facts, side)
    assert [s.rule for s in other.symptoms] == ["IMG-305"]
    assert other.facts["pixel_size_x"].value == 0.3


def test_twelve_bit_values_shifted_left_are_a_note() -> None:
    shifted = PixelFacts(planes=1, dtype="uint16", levels=3000, step=16, high=65520)
    assert [(s.rule, s.weight) for s in hints(shifted, reading())] == [("IMG-204", "note")]


def test_an_ordinary_image_gives_no_hint() -> None:
    plain = PixelFacts(planes=1, dtype="uint16", levels=3000, step=1, high=4000, blockiness=1.01)
    assert list(hints(plain, reading())) == []
    blank = PixelFacts(planes=1, dtype="uint16", levels=1, step=0)
    assert list(hints(blank, reading())) == []


def test_an_empty_mask_is_no_binary_mask() -> None:
    assert list(mask(PixelFacts(planes=1, dtype="uint16", levels=1, labels=0))) == []
