"""Ctrl-C while an event loop runs."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def interrupted_by(handler: Callable[..., None]) -> Iterator[None]:
    """Ctrl-C calls ``handler``, where nobody else handles it.

    An exception could come up anywhere in the event loop: in a finalizer, where it is lost, or in a task of the pool
    of connections, which is then left half done.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        # A generator that nobody finished may be closed by any thread, and after somebody else took the signal over.
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is handler:
            signal.signal(signal.SIGINT, signal.default_int_handler)
