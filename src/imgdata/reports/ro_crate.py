"""RO-Crate 1.1 with Process Run Crate 0.5: what a deposit holds and how each level was made.

Written by hand, not by a library: the same deposit gives the same bytes.

Source: https://w3id.org/ro/crate/1.1, https://w3id.org/ro/wfrun/process/0.5.
"""

import json
import mimetypes
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from imgdata.model.deposits import Creator, DepositMetadata, Related
from imgdata.model.makings import Making

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
PROCESS = "https://w3id.org/ro/wfrun/process/0.5"
Entity = dict[str, Any]


class CrateFile(Struct, frozen=True):
    """A file of the deposit, as a crate lists it."""

    name: str
    size: int
    level: str
    unit: str
    md5: str
    sha256: str


def ro_crate(
    metadata: DepositMetadata,
    doi: str,
    files: Sequence[CrateFile],
    makings: Sequence[Making],
) -> bytes:
    """Return `ro-crate-metadata.json`."""
    actions = [_action(making, files) for making in makings]
    people = [_agent(creator) for creator in metadata.creators]
    entities: list[Entity] = [
        {
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            "about": {"@id": "./"},
        },
        _root(metadata, doi, files, actions),
        {
            "@id": PROCESS,
            "@type": "CreativeWork",
            "name": "Process Run Crate",
            "version": "0.5",
        },
        _license(metadata.license),
        *people,
        *_affiliations(metadata.creators),
        *(_file(file) for file in files),
        *(_related(related) for related in metadata.related),
        *actions,
        *_instruments(makings),
        *_inputs(makings),
    ]
    graph = list({entity["@id"]: entity for entity in entities}.values())
    text = json.dumps({"@context": CONTEXT, "@graph": graph}, indent=1, ensure_ascii=False)
    return f"{text}\n".encode()


def _root(
    metadata: DepositMetadata, doi: str, files: Sequence[CrateFile], actions: Sequence[Entity]
) -> Entity:
    root: Entity = {
        "@id": "./",
        "@type": "Dataset",
        "name": metadata.title,
        "description": metadata.description,
        "datePublished": metadata.published.isoformat(),
        "license": {"@id": _license_id(metadata.license)},
        "author": [{"@id": _agent_id(creator)} for creator in metadata.creators],
        "keywords": ", ".join(metadata.keywords),
        "version": metadata.version,
        "hasPart": [{"@id": _file_id(file.name)} for file in files],
        "conformsTo": {"@id": PROCESS},
        "isBasedOn": [{"@id": _related_id(related)} for related in metadata.related],
        "mentions": [{"@id": action["@id"]} for action in actions],
    }
    if doi:
        root["identifier"] = f"https://doi.org/{doi}"
    return {key: value for key, value in root.items() if value not in ("", [])}


def _license_id(license_id: str) -> str:
    return f"https://spdx.org/licenses/{license_id}"


def _license(license_id: str) -> Entity:
    return {
        "@id": _license_id(license_id),
        "@type": "CreativeWork",
        "name": license_id,
        "description": f"The licence {license_id} of the SPDX list",
    }


def _agent_id(creator: Creator) -> str:
    if creator.orcid:
        return f"https://orcid.org/{creator.orcid}"
    return f"#{quote(creator.name, safe='')}"


def _agent(creator: Creator) -> Entity:
    name = f"{creator.given} {creator.family}".strip() if creator.is_person else creator.name
    kind = "Person" if creator.is_person else "Organization"
    agent: Entity = {"@id": _agent_id(creator), "@type": kind, "name": name}
    if creator.affiliation:
        agent["affiliation"] = {"@id": f"#{quote(creator.affiliation, safe='')}"}
    return agent


def _affiliations(creators: Iterable[Creator]) -> Iterable[Entity]:
    for creator in creators:
        if creator.affiliation:
            identifier = f"#{quote(creator.affiliation, safe='')}"
            yield {"@id": identifier, "@type": "Organization", "name": creator.affiliation}


def _file_id(name: str) -> str:
    return quote(name)


def _file(file: CrateFile) -> Entity:
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    about = f"{file.level} {file.unit}".strip() or "about this deposit"
    return {
        "@id": _file_id(file.name),
        "@type": "File",
        "name": file.name,
        "description": about,
        "contentSize": str(file.size),
        "encodingFormat": kind,
        "identifier": [f"md5:{file.md5}", f"sha256:{file.sha256}"],
    }


def _related_id(related: Related) -> str:
    if related.scheme == "doi":
        return f"https://doi.org/{related.identifier}"
    return related.identifier


def _related(related: Related) -> Entity:
    return {
        "@id": _related_id(related),
        "@type": "CreativeWork",
        "name": related.identifier,
    }


def _action(making: Making, files: Sequence[CrateFile]) -> Entity:
    made = [f for f in files if (f.level, f.unit) == (making.level, making.unit)]
    # A level that travels as one pack has the unit in it.
    made = made or [f for f in files if f.level == making.level and not f.unit]
    title = f"{making.level} {making.unit}".strip()
    action: Entity = {
        "@id": f"#run-{quote(making.stage, safe='')}",
        "@type": "CreateAction",
        "name": f"stage {making.stage} made {title}",
        "description": making.command,
        "instrument": {"@id": f"#stage-{quote(making.stage.partition('@')[0], safe='')}"},
        "object": [{"@id": _input_id(path)} for path, _ in making.inputs],
        "result": [{"@id": _file_id(file.name)} for file in made],
        "startTime": making.started,
        "endTime": making.ended,
        "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
    }
    return {key: value for key, value in action.items() if value not in ("", [])}


def _instruments(makings: Sequence[Making]) -> Iterable[Entity]:
    for making in makings:
        name = making.stage.partition("@")[0]
        yield {
            "@id": f"#stage-{quote(name, safe='')}",
            "@type": "SoftwareApplication",
            "name": name,
            "description": f"the stage {name} of dvc.yaml in workflow.zip",
            "url": "https://dvc.org",
        }


def _input_id(path: str) -> str:
    return f"#input-{quote(path, safe='')}"


def _inputs(makings: Sequence[Making]) -> Iterable[Entity]:
    for making in makings:
        for path, md5 in making.inputs:
            entity: Entity = {
                "@id": _input_id(path),
                "@type": "CreativeWork",
                "name": path,
                "description": "an input that was read; not itself part of this deposit",
            }
            if md5:
                entity["identifier"] = f"md5:{md5}"
            yield entity
