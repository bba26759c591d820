"""Entry of ``affectkit`` and of ``python -m affectkit``."""

from __future__ import annotations

import gc
import sys

INTERRUPTED = 130


def main(*, installed: bool = True) -> None:
    """Run the command line.

    Args:
        installed: whether children find affectkit without the current folder on their import path.
    """
    try:
        _run(installed)
    except (Exception, KeyboardInterrupt) as error:  # while modules were imported: the commands answer theirs
        from affectkit.core.import_signals import answer

        stop = answer()
        from affectkit.core.memory_errors import MORE_MEMORY, interrupted, want_of_memory

        if stop is not None or interrupted(error):
            sys.stderr.write("Interrupted.\n")
            sys.exit(INTERRUPTED)
        if (want := want_of_memory(error)) is None:
            raise
        sys.stderr.write(f"Error: {want}\n{MORE_MEMORY}\n")
        sys.exit(1)


def _run(installed: bool) -> None:
    from affectkit.core.import_signals import watch_interrupts

    watch_interrupts()
    from affectkit.core.children import protect_children
    from affectkit.core.streams import escape_output

    if installed:
        protect_children()
    escape_output()
    # Nothing that is imported here can be collected: looking for it again and again takes a fifth of the start.
    gc.disable()
    from affectkit.cli.app import app

    gc.freeze()
    gc.enable()
    app(prog_name="affectkit")


if __name__ == "__main__":
    from affectkit.core.children import leave_current_folder

    main(installed=leave_current_folder())
