"""A DOI or a page that was pasted leads to the place that has the record, or to a sentence."""

from collections.abc import Iterator

import pytest

from imgdata.deposits.resolving import resolved
from imgdata.errors import ImgdataError, NothingFoundError, UsageError
from imgdata.testing import small_archives
from imgdata.testing.small_archives import SmallArchive


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallArchive]:
    with small_archives.serve() as served:
        monkeypatch.setenv("IMGDATA_DOI_URL", served.base)
        yield served


@pytest.mark.parametrize(
    ("pasted", "reference"),
    [
        ("doi:10.5281/zenodo.1234567", "zenodo:10.5281/zenodo.1234567"),
        ("https://doi.org/10.5281/zenodo.1234567", "zenodo:10.5281/zenodo.1234567"),
        ("10.6084/m9.figshare.22233700.v4", "figshare:10.6084/m9.figshare.22233700.v4"),
        ("DOI:10.5061/dryad.x", "dryad:10.5061/dryad.x"),
        ("doi:10.6019/S-BIAD634", "bia:S-BIAD634"),
        ("https://zenodo.org/record/1234567", "zenodo:1234567"),
        ("https://zenodo.org/records/1234567", "zenodo:1234567"),
        ("https://sandbox.zenodo.org/records/12", "zenodo-sandbox:12"),
        (
            "https://figshare.com/articles/dataset/Cells/22233700/4",
            "figshare:https://figshare.com/articles/dataset/Cells/22233700/4",
        ),
        ("https://datadryad.org/dataset/doi:10.5061/dryad.x", "dryad:10.5061/dryad.x"),
        ("https://www.ebi.ac.uk/biostudies/bioimages/studies/S-BIAD634", "bia:S-BIAD634"),
        ("https://idr.openmicroscopy.org/webclient/?show=x&q=idr0033-rohban", "idr:idr0033"),
        ("https://bbbc.broadinstitute.org/BBBC021", "bbbc:BBBC021"),
        (
            "https://data.university.example/records/abcd-1234",
            "invenio:https://data.university.example/records/abcd-1234",
        ),
        # A file of a record, and a file below something that looks like a DOI, are files.
        ("https://zenodo.org/records/12/files/x.tif", "https://zenodo.org/records/12/files/x.tif"),
        ("https://host.example/10.1234/x.tif", "https://host.example/10.1234/x.tif"),
        ("https://host.example/records/", "https://host.example/records/"),
        ("cpg:cpg0016", "cpg:cpg0016"),
    ],
)
def test_what_is_known_needs_no_network(pasted: str, reference: str) -> None:
    assert resolved(pasted) == reference


def test_an_unknown_prefix_is_looked_up(site: SmallArchive) -> None:
    small_archives.resolver(
        site,
        {
            "10.17867/10000105": "https://idr.openmicroscopy.org/search/?query=Name:idr0033",
            "10.1184/R1/12345678": "https://kilthub.cmu.edu/articles/dataset/Cells/12345678",
            "10.7910/abc": f"{site.base}/landing",
        },
    )
    site.answers["/landing"] = "<html></html>"
    assert resolved("doi:10.17867/10000105") == "idr:idr0033"
    assert resolved("https://dx.doi.org/10.1184/R1/12345678").startswith("figshare:https://kilthub")
    with pytest.raises(UsageError, match=r"leads to .*/landing, which imgdata cannot list"):
        resolved("doi:10.7910/abc")


def test_a_doi_that_does_not_exist_is_a_sentence(site: SmallArchive) -> None:
    with pytest.raises(NothingFoundError, match=r"there is no DOI 10\.1234/none"):
        resolved("doi:10.1234/none")
    site.answers["/api/handles/10.1234/gone"] = {"responseCode": 100, "handle": "10.1234/gone"}
    with pytest.raises(NothingFoundError, match="there is no DOI"):
        resolved("doi:10.1234/gone")


def test_a_page_that_is_no_page_is_not_followed(site: SmallArchive) -> None:
    small_archives.resolver(site, {"10.1234/evil": "file:///etc/passwd"})
    with pytest.raises(UsageError, match="cannot list"):
        resolved("doi:10.1234/evil")


@pytest.mark.parametrize("address", ["http://evil.example", "ftp://x", "https://user:pw@host"])
def test_the_environment_names_safe_addresses_only(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("IMGDATA_DOI_URL", address)
    with pytest.raises(ImgdataError, match="IMGDATA_DOI_URL"):
        resolved("doi:10.1234/x")
