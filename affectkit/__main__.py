"""Entry of ``affectkit`` and of ``python -m affectkit``."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from affectkit.cli.app import app

    app(prog_name="affectkit")


if __name__ == "__main__":
    main()
