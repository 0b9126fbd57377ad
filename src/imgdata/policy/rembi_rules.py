"""Which REMBI fields are answered, by whom, and which only a person can answer. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence

from imgdata.model.facts import Fact, Source
from imgdata.model.findings import FileCheck
from imgdata.model.rembi import (
    FIELDS,
    PERSON_FACTS,
    Answer,
    Completeness,
    Field,
    disagreement,
    problem_of,
)


def complete(
    said: Mapping[str, str], known: Mapping[str, tuple[str, str]], files: Sequence[FileCheck]
) -> Completeness:
    """Return what is answered and what is open.

    Args:
        said: A person's answers by field name.
        known: What imgdata.yaml and the pipeline say: field name to (value, where).
        files: The files of the raw level; a fact counts when most of them agree.
    """
    answers: list[Answer] = []
    questions: list[Field] = []
    problems: list[str] = []
    for field in FIELDS:
        answer = _answer(field, said, known, files)
        problem = problem_of(field, answer.value) if answer else ""
        if answer is None or problem:
            questions.append(field)
        else:
            answers.append(answer)
        if problem:
            problems.append(problem)
    clash = disagreement(said.get("biosample.organism", ""), said.get("biosample.taxon", ""))
    return Completeness(tuple(answers), tuple(questions), (*problems, *([clash] if clash else [])))


def _answer(
    field: Field,
    said: Mapping[str, str],
    known: Mapping[str, tuple[str, str]],
    files: Sequence[FileCheck],
) -> Answer | None:
    if said.get(field.name):
        return Answer(field, said[field.name], Source.PERSON, "metadata/rembi.yaml")
    fact = _usual(field.fact, files) if field.fact else None
    if fact is not None:
        value = (
            ", ".join(map(str, fact.value)) if isinstance(fact.value, tuple) else str(fact.value)
        )
        return Answer(field, value, fact.source, fact.detail)
    if field.name in known and known[field.name][0]:
        value, where = known[field.name]
        return Answer(field, value, Source.PERSON, where)
    return None


def _usual(name: str, files: Sequence[FileCheck]) -> Fact | None:
    """Return the value most files give, if at least half of all files give it."""
    found = [f.reading.facts[name] for f in files if name in f.reading.facts]
    if not found or len(found) * 2 < len(files):
        return None
    value, _ = Counter(f.value for f in found).most_common(1)[0]
    return next(f for f in found if f.value == value)


def person_facts(said: Mapping[str, str]) -> dict[str, Fact]:
    """Return the answers that stand for image facts where the files are silent."""
    found: dict[str, Fact] = {}
    for name, (fact, unit) in PERSON_FACTS.items():
        text = said.get(name, "")
        if not text:
            continue
        value: str | float = float(text) if unit else text
        found[fact] = Fact(value, unit, Source.PERSON, "metadata/rembi.yaml")
        if fact == "pixel_size_x":
            found["pixel_size_y"] = Fact(value, unit, Source.PERSON, "metadata/rembi.yaml")
    return found
