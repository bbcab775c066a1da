#!/usr/bin/env python3
"""Django's command line, with `backend` on the path and, where there is one, the project's own environment."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"


def main() -> None:
    """Run the command that the arguments name."""
    interpreter = ENVIRONMENT / "bin" / "python"
    # Another project's environment may be active in this shell: its packages are not ours.
    if interpreter.exists() and (ENVIRONMENT / "pyvenv.cfg").exists() and not ENVIRONMENT.samefile(sys.prefix):
        os.execv(interpreter, [str(interpreter), *sys.argv])  # noqa: S606 - our own interpreter, our own arguments
    sys.path.insert(0, str(ROOT / "backend"))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.config.settings")
    try:
        from django.core.management import execute_from_command_line
    except ModuleNotFoundError as error:
        if error.name != "django":
            raise
        sys.exit(f"manage.py: Django is not installed for {sys.executable}: run {ROOT / 'scripts' / 'bootstrap'} first")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
