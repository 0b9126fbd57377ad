"""The line that installs what is missing, into the environment that imgdata runs in."""

import importlib.util
import shlex
import sys


def install_line(package: str) -> str:
    """Return the command that installs a package, or an extra as `imgdata[s3]`, beside imgdata.

    It names the environment: there imgdata itself is satisfied as it stands, while any other
    `pip` would fetch the package that is called imgdata on PyPI, which is another program.
    """
    python = shlex.quote(sys.executable)
    pip = f"{python} -m pip install"
    if importlib.util.find_spec("pip") is None:
        pip = f"uv pip install --python {python}"
    return f'{pip} "{package}"'
