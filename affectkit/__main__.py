"""Entry of ``affectkit`` and of ``python -m affectkit``."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command line."""
    # Nothing that is imported here can be collected: looking for it again and again takes a fifth of the start.
    gc.disable()
    from affectkit.cli.app import app

    gc.freeze()
    gc.enable()
    app(prog_name="affectkit")


if __name__ == "__main__":
    main()
