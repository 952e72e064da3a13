"""How the commands beside main.py end: in one line where the user can mend it or has stopped it."""

import contextlib
import io
import sys
from collections.abc import Iterator


def print_any_letter() -> None:
    """Lets a terminal that has no letters for a name be given escapes, in place of an error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def ended_in_one_line() -> Iterator[None]:
    """Within it OSError and ValueError end the process with exit code 1, and Ctrl-C with 130."""
    print_any_letter()
    try:
        yield
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
