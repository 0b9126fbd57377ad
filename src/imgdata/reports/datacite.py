"""The description of a deposit as DataCite 4.5 JSON, the form every DOI is registered with."""

from typing import Any

from imgdata.model.deposits import Creator, DepositMetadata

SCHEMA = "http://datacite.org/schema/kernel-4"


def datacite(metadata: DepositMetadata, doi: str) -> dict[str, Any]:
    """Return DataCite JSON. Source: DataCite Metadata Schema 4.5."""
    found: dict[str, Any] = {
        "doi": doi,
        "prefix": doi.partition("/")[0],
        "suffix": doi.partition("/")[2],
        "creators": [_creator(creator) for creator in metadata.creators],
        "titles": [{"title": metadata.title}],
        "publisher": {"name": metadata.publisher},
        "publicationYear": str(metadata.published.year),
        "types": {"resourceTypeGeneral": "Dataset", "resourceType": "Imaging data"},
        "subjects": [{"subject": keyword} for keyword in metadata.keywords],
        "dates": [{"date": metadata.published.isoformat(), "dateType": "Issued"}],
        "descriptions": [{"description": metadata.description, "descriptionType": "Abstract"}],
        "rightsList": [
            {
                "rights": metadata.license,
                "rightsIdentifier": metadata.license,
                "rightsIdentifierScheme": "SPDX",
                "schemeUri": "https://spdx.org/licenses/",
            }
        ],
        "relatedIdentifiers": [
            {
                "relatedIdentifier": related.identifier,
                "relatedIdentifierType": related.scheme.upper(),
                "relationType": related.relation,
            }
            for related in metadata.related
        ],
        "schemaVersion": SCHEMA,
    }
    if metadata.version:
        found["version"] = metadata.version
    return found


def _creator(creator: Creator) -> dict[str, Any]:
    found: dict[str, Any] = {"name": creator.name, "nameType": "Organizational"}
    if creator.is_person:
        found = {"name": creator.name, "nameType": "Personal", "familyName": creator.family}
        if creator.given:
            found["givenName"] = creator.given
    if creator.orcid:
        found["nameIdentifiers"] = [
            {
                "nameIdentifier": f"https://orcid.org/{creator.orcid}",
                "nameIdentifierScheme": "ORCID",
                "schemeUri": "https://orcid.org",
            }
        ]
    if creator.affiliation:
        found["affiliation"] = [{"name": creator.affiliation}]
    return found
