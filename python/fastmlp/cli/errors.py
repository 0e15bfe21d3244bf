"""One line for whatever ends a command early, and its exit status. Start at `guarded`."""

import errno
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

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
FUNCTION = re.compile(r"^(?:export|fit|forward|load|predict|predict_proba|save|score|to_onnx): ")


class CommandError(Exception):
    """Ends a command with a line for the user and an exit status."""

    def __init__(self, message: str, status: int = UNUSABLE) -> None:
        super().__init__(message)
        self.status = status


def guarded(command: Callable[[], int]) -> int:
    """Run a command; return its exit status, also if an exception ends it.

    An exception that no user can cause is a fault of this program, so its traceback is shown.
    """
    with _open_streams():
        return _guarded(command)


@contextmanager
def _open_streams() -> Iterator[None]:
    """Open the null device for each standard stream that is closed, as gnulib's stdopen does.

    Without it the next file that is opened would get the number of the stream, and messages of
    other libraries would end up in that file. Standard output is opened for reading, so that
    printing fails; messages on standard error go nowhere, because their reader wants none.
    """
    with ExitStack() as stack:
        stack.enter_context(suppress(OSError))  # at the end there may be text that nobody can have
        for name, flags in (
            ("stdin", os.O_WRONLY),
            ("stdout", os.O_RDONLY),
            ("stderr", os.O_WRONLY),
        ):
            stream = getattr(sys, name)
            if stream is not None and not getattr(stream, "closed", False):
                continue
            number = os.open(os.devnull, flags)  # the lowest number that is free
            stack.callback(setattr, sys, name, stream)
            if name == "stdin":
                sys.stdin = None
                stack.callback(os.close, number)
            else:
                setattr(sys, name, stack.enter_context(open(number, "w")))
        yield


def _guarded(command: Callable[[], int]) -> int:
    try:
        status = command()
        sys.stdout.flush()  # the last moment to notice a full disk or a closed pipe
        return status
    except KeyboardInterrupt:
        before = "\n" if sys.stderr.isatty() else ""  # a terminal shows ^C
        return ended("interrupted", INTERRUPTED, before)
    except BrokenPipeError:
        discard_output()
        return CLOSED_PIPE
    except CommandError as error:
        return ended(f"error: {error}", error.status)
    except OSError as error:
        discard_output()
        where = error.filename if error.filename is not None else "standard output"
        if error.errno == errno.EBADF:
            return ended(f"error: {os.fsdecode(where)} is closed", FAILED)
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
    note(message, before)
    return status


def note(message: str, before: str = "") -> None:
    """Print one line on standard error, if that can be written."""
    line = " ".join(message.splitlines())
    line = line.encode(errors="backslashreplace").decode()  # a name that is not UTF-8
    with suppress(OSError):
        print(f"{before}fastmlp: {line}", file=sys.stderr, flush=True)


def discard_output() -> None:
    """Let standard output lead nowhere: Python flushes it once more when it ends."""
    with suppress(OSError, ValueError, AttributeError):  # it is no file, or is closed
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
