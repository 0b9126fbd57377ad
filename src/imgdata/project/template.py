"""Project templates: plain folders; files ending in `.jinja` are filled in, nothing is run."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from imgdata.errors import InvalidProjectError, UsageError

SUFFIX = ".jinja"
SKIPPED = {".git", "__pycache__"}
# What wrong expressions raise in the middle of a template, beside jinja's own errors.
WRONG_EXPRESSION = (TypeError, ValueError, ArithmeticError, LookupError, RecursionError)


def shipped_templates() -> dict[str, Path]:
    """Return the templates that come with imgdata by name."""
    packed = Path(str(resources.files("imgdata"))) / "templates"
    folder = packed if packed.is_dir() else Path(__file__).resolve().parents[3] / "templates"
    return {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}


def find_template(name: str) -> Path:
    """Return the folder of a template by its name or path.

    Raises:
        UsageError: There is neither.
    """
    shipped = shipped_templates()
    if name in shipped:
        return shipped[name]
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    known = ", ".join(shipped)
    problem = f"'{name}' is neither a template nor a folder"
    raise UsageError(problem, cause=f"templates: {known}")


def render_template(folder: Path, values: Mapping[str, object]) -> dict[str, bytes]:
    """Return the files of a template, filled in, by path; links out of it are left out.

    Raises:
        InvalidProjectError: A file uses a value that does not exist, or is no valid template.
    """
    from jinja2 import StrictUndefined, TemplateError  # noqa: PLC0415 - only for init
    from jinja2.sandbox import SandboxedEnvironment  # noqa: PLC0415 - only for init

    environment = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": True}
    files: dict[str, bytes] = {}
    home = folder.resolve()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or SKIPPED & set(path.relative_to(folder).parts):
            continue
        if not path.resolve().is_relative_to(home):
            continue
        if not name.endswith(SUFFIX):
            files[name] = path.read_bytes()
            continue
        try:
            text = environment.from_string(path.read_text("utf-8")).render(values)
        except (TemplateError, *WRONG_EXPRESSION) as error:
            problem = f"the template's {name} cannot be filled in"
            raise InvalidProjectError(problem, cause=str(error)) from error
        files[name.removesuffix(SUFFIX)] = text.encode("utf-8")
    return files
