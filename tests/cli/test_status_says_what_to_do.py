"""What lies in the project and is not as recorded is named with what to type."""

import shlex

from imgdata.testing.lab import Lab


def test_a_plate_copied_into_raw_by_hand_is_named_until_it_is_added(lab: Lab) -> None:
    for name in ("P8", "Plate 9"):
        lab.plate(name, wells=("D05",)).rename(lab.file(f"data/raw/{name}"))
    lab.file("data/raw/.hidden").mkdir()
    said = lab.ok("status").out
    line = said.partition("to take it in: ")[2].strip()
    assert line == "imgdata add raw data/raw/P8 'data/raw/Plate 9'"
    assert "data/raw/P8, data/raw/Plate 9: not recorded" in said
    lab.ok(*shlex.split(line)[1:])
    assert "not recorded" not in lab.ok("status").out


def test_an_edit_leads_to_what_keeps_and_what_undoes_it(lab: Lab) -> None:
    mask = next(lab.file("data/masks/P1").iterdir())
    mask.unlink()
    mask.write_bytes(b"drawn by hand")
    step = lab.ok("status", "masks", "--json").results[0]["next"]
    assert step == "imgdata status masks --verbose"
    said = lab.ok(*step.split()[1:]).out
    assert f"changed data/masks/P1/{mask.name}" in said
    assert "to keep an edit: imgdata note data/masks/P1 --reason TEXT" in said
    lab.ok("note", "data/masks/P1", "--reason", "TEXT")
    noted = lab.ok("status", "masks", "--json").results[0]
    assert (noted["hand_edited_noted"], noted["next"]) == ([mask.name], "")


def test_a_changed_original_leads_to_what_brings_it_back(lab: Lab) -> None:
    image = next(lab.file("data/raw/P1").iterdir())
    image.unlink()
    image.write_bytes(b"oops")
    said = lab.ok("status", "raw", "--verbose").out
    assert "move what changed away, then imgdata pull raw" in said
    image.unlink()
    lab.ok("pull", "raw")
    assert lab.ok("status", "raw", "--fail-on", "changed").status == 0
