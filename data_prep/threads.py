"""A `map` on all cores that Ctrl-C stops between two results."""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import Protocol, TypeVar

from bcnn_prune.cores import usable_cores

Item = TypeVar("Item")
Result = TypeVar("Result")


class ThreadMap(Protocol):
    """`function` of every item, on the threads, in the order of the items."""

    def __call__(self, function: Callable[[Item], Result], items: Iterable[Item], /) -> Iterator[Result]: ...


@contextmanager
def thread_map() -> Iterator[ThreadMap]:
    """A `map` on a thread per core that this process may use; an error leaves its pending items undone.

    Ctrl-C is held back until the next result, or the end of the block, and raised there; a second one is raised at
    once. Raised at any instruction, as Python does, it can be lost in a weak reference's callback, turn into another
    error inside h5py, or leave a lock of the thread pool held and its threads waiting for ever."""
    pool = ThreadPoolExecutor(usable_cores())
    try:
        with _held_interrupts() as raise_held:

            def results(function: Callable[[Item], Result], items: Iterable[Item], /) -> Iterator[Result]:
                for result in pool.map(function, items):
                    raise_held()
                    yield result

            yield results
            raise_held()
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _held_interrupts() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C back until the function given is called, where Python would have raised it."""
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    held: list[tuple[int, FrameType | None]] = []

    def hold(number: int, frame: FrameType | None) -> None:
        if held:
            handler(number, frame)
        held.append((number, frame))

    def raise_held() -> None:
        if held:
            handler(*held.pop())

    signal.signal(signal.SIGINT, hold)
    try:
        yield raise_held
    finally:
        signal.signal(signal.SIGINT, handler)
