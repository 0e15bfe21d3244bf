"""One line for whatever ends a command early, and its exit status. Start at `guarded`."""

import errno
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress

FAILED = 1  # the run failed, or its verdict is no
UNUSABLE = 2  # wrong arguments, or a file that cannot be used
INTERRUPTED = 130  # Ctrl-C: 128 + SIGINT, as shells report it
CLOSED_PIPE = 141  # the reader of the output has gone: 128 + SIGPIPE

# What the operating system says about a path that the user gave. Other errors, such as a full disk,
# are failures of the run.
OF_THE_PATH = {
    errno.EACCES,
    errno.EEXIST,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}

# The messages of the library begin with the name of a function, which says nothing to the user of
# a command.
FUNCTION = re.compile(r"^(?:export|fit|forward|load|predict|predict_proba|save|score): ")


class CommandError(Exception):
    """Ends a command with a line for the user and an exit status."""

    def __init__(self, message: str, status: int = UNUSABLE) -> None:
        super().__init__(message)
        self.status = status


def guarded(command: Callable[[], int]) -> int:
    """Run a command; return its exit status, also if an exception ends it.

    An exception that no user can cause is a fault of this program, so its traceback is shown.
    """
    try:
        status = command()
        if sys.stdout is not None:
            sys.stdout.flush()  # the last moment to notice a full disk or a closed pipe
        return status
    except KeyboardInterrupt:
        at_terminal = sys.stderr is not None and sys.stderr.isatty()
        return ended("interrupted", INTERRUPTED, "\n" if at_terminal else "")  # it shows ^C
    except BrokenPipeError:
        discard_output()
        return CLOSED_PIPE
    except CommandError as error:
        return ended(f"error: {error}", error.status)
    except OSError as error:
        discard_output()
        where = error.filename if error.filename is not None else "standard output"
        reason = error.strerror or str(error)
        status = UNUSABLE if error.errno in OF_THE_PATH else FAILED
        return ended(f"error: {os.fsdecode(where)}: {reason}", status)
    except (FloatingPointError, ArithmeticError) as error:
        return ended(f"error: {without_function(error)}", FAILED)
    except MemoryError:
        return ended("error: there is not enough memory", FAILED)
    except (ValueError, ImportError) as error:
        if isinstance(error, ImportError) and "pip install" not in str(error):
            raise
        return ended(f"error: {without_function(error)}", UNUSABLE)


def without_function(error: BaseException) -> str:
    """Return the message of the library without the name of the function."""
    return FUNCTION.sub("", str(error))


def ended(message: str, status: int, before: str = "") -> int:
    """Print one line on standard error and return the status."""
    with suppress(OSError, ValueError):  # standard error may be closed or full as well
        note(message, before)
    return status


def note(message: str, before: str = "") -> None:
    """Print one line on standard error."""
    line = " ".join(message.splitlines())
    line = line.encode(errors="backslashreplace").decode()  # a name that is not UTF-8
    print(f"{before}fastmlp: {line}", file=sys.stderr, flush=True)


def discard_output() -> None:
    """Let standard output lead nowhere: Python flushes it once more when it ends."""
    with suppress(OSError, ValueError, AttributeError):  # it is no file, or is closed
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
