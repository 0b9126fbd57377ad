"""`--select plate=P9` means the whole plate, and no other."""

import shutil

from imgdata.testing.lab import Lab


def test_a_plate_that_is_selected_goes_whole_and_comes_back_without_the_others(lab: Lab) -> None:
    shutil.copytree(lab.microscope / "P1", lab.microscope / "P9")
    (lab.microscope / "P9" / "B02_1_DNA.tif").write_bytes(b"P9 is another plate")
    lab.ok("add", "raw", "../microscope/P9")
    lab.ok("push", "raw", "--select", "plate=P9")
    lab.commit()
    clone = lab.clone()
    results = clone.ok("pull", "raw", "--select", "plate=P9", "--json").results
    assert [one["unit"] for one in results] == ["P9"], "nothing of another plate is asked for"
    there = {path.name for path in (clone.project / "data" / "raw" / "P9").iterdir()}
    assert there == {path.name for path in (lab.microscope / "P9").iterdir()}
    answer = clone.imgdata("pull", "raw", "--select", "plate=P8")
    assert answer.status == 2
    assert "P9" in answer.err, "the plates that there are"
