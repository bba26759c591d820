"""Python processes that affectkit starts: they import nothing from the folder in which a user stands.

``python -m`` and ``python -c`` put the current folder first on the import path, so that a ``typer.py`` or ``numpy.py``
that came with somebody's data would run in place of the package. With PYTHONSAFEPATH, which grandchildren inherit too
(multiprocessing's, torchrun's, submitit's), and with ``-P`` Python leaves it out.
"""

from __future__ import annotations

import os
import sys

SAFE = "PYTHONSAFEPATH"


def leave_current_folder() -> bool:
    """Take the folder that ``python -m affectkit`` put first on the import path away again.

    Returns:
        whether affectkit is found without it. Where not, as in a source tree that is not installed, the folder goes to
        the end, behind all that is installed.
    """
    if sys.flags.safe_path or not sys.path:
        return True
    here = sys.path.pop(0)
    if any(finder.find_spec("affectkit", None) for finder in sys.meta_path):
        return True
    sys.path.append(here)
    return False


def protect_children() -> None:
    """Make every Python process that this one starts leave the current folder out of its import path."""
    os.environ[SAFE] = "1"


def python_command(*arguments: str) -> list[str]:
    """Return the command of a Python process with ``arguments``, isolated as this one's children are."""
    return [sys.executable, *(["-P"] if sys.flags.safe_path or os.environ.get(SAFE) else []), *arguments]
