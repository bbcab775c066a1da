#!/usr/bin/env python3
"""Django's command line, with `backend` on the path and, where there is one, the project's own environment."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def main() -> None:
    """Run the command that the arguments name."""
    interpreter = ROOT / ".venv" / "bin" / "python"
    if interpreter.exists() and Path(sys.prefix) != ROOT / ".venv" and "VIRTUAL_ENV" not in os.environ:
        os.execv(interpreter, [str(interpreter), *sys.argv])  # noqa: S606 - our own interpreter, our own arguments
    sys.path.insert(0, str(ROOT / "backend"))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.config.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
