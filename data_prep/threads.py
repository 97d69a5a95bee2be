"""A `map` on all cores that Ctrl-C stops between two results."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

from bcnn_prune.cores import usable_cores
from bcnn_prune.interrupts import held_interrupts

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
        with held_interrupts() as raise_held:

            def results(function: Callable[[Item], Result], items: Iterable[Item], /) -> Iterator[Result]:
                for result in pool.map(function, items):
                    raise_held()
                    yield result

            yield results
            raise_held()
    finally:
        pool.shutdown(cancel_futures=True)
