"""Entry of ``affectkit`` and of ``python -m affectkit``."""

from __future__ import annotations

import gc
import os
import sys

INTERRUPTED = 130


def main(*, installed: bool = True) -> None:
    """Run the command line.

    Args:
        installed: whether children find affectkit without the current folder on their import path.
    """
    try:
        _answer(installed)
    except BaseException as error:  # as every end is: the command line has raised its exit code
        distributed = sys.modules.get("affectkit.runtime.distributed")
        if distributed is not None:
            distributed.leave(error)
        raise


def _answer(installed: bool) -> None:
    """Run the command line, and answer what is raised while modules are imported."""
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
    finally:
        import signal  # not at the top: nothing would answer a Ctrl-C there

        # Python ends with the signal, not with our exit code, where a Ctrl-C met the ``exec`` of a text last, as in the
        # making of a dataclass, also if it was answered; running another text makes it forget.
        exec("")
        # All is done: packages that clear up at the end of the process must not show where a Ctrl-C met them.
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _run(installed: bool) -> None:
    import signal

    # Nothing has begun yet, and a KeyboardInterrupt may be raised where Python reports it and goes on.
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heard:  # a shell has it ignored in what runs in its background
        signal.signal(signal.SIGINT, _interrupt)
    from affectkit.core.children import protect_children
    from affectkit.core.openmp import wait_asleep
    from affectkit.core.streams import escape_output

    if installed:
        protect_children()
    wait_asleep()
    escape_output()
    # Nothing that is imported here can be collected: looking for it again and again takes a fifth of the start.
    gc.disable()
    from affectkit.cli.app import asked_command, make_app
    from affectkit.core.import_signals import watch_interrupts

    app = make_app(asked_command(sys.argv[1:]))
    gc.freeze()
    gc.enable()
    if heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    watch_interrupts()
    app(prog_name="affectkit")


def _interrupt(*_: object) -> None:
    """End this process, which has begun nothing yet."""
    os.write(2, b"Interrupted.\n")
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    from affectkit.core.children import leave_current_folder

    main(installed=leave_current_folder())
