import itertools
import signal
import threading
import time
import weakref

import pytest

from data_prep.threads import thread_map


@pytest.fixture(autouse=True)
def interrupts(monkeypatch):
    """Ctrl-C is handled as in the foreground, and as before at the end; two cores, which leave most items pending."""
    monkeypatch.setattr("data_prep.threads.usable_cores", lambda: 2)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    after = signal.signal(signal.SIGINT, before)
    assert after is signal.default_int_handler


def ctrl_c():
    signal.raise_signal(signal.SIGINT)


def test_results_come_in_the_order_of_the_items():
    with thread_map() as run:
        assert list(run(lambda n: time.sleep(0.002 * (5 - n)) or n * n, range(5))) == [0, 1, 4, 9, 16]


def test_ctrl_c_is_raised_in_front_of_the_next_result_and_what_is_pending_is_left_undone():
    done, seen = [], []

    def use(result):
        seen.append(result)
        if result == 3:
            ctrl_c()
            seen.append("after")

    with pytest.raises(KeyboardInterrupt), thread_map() as run:
        list(map(use, run(lambda n: time.sleep(0.002) or done.append(n) or n, range(1000))))
    assert seen == [0, 1, 2, 3, "after"]
    assert len(done) < 900


def test_ctrl_c_that_comes_in_a_callback_where_python_would_lose_it_is_raised():
    class Object:
        pass

    def use(_):
        thing = Object()
        reference = weakref.ref(thing, lambda _: ctrl_c())
        del thing
        assert reference() is None

    with pytest.raises(KeyboardInterrupt), thread_map() as run:
        list(map(use, run(lambda n: n, range(2))))


def test_ctrl_c_after_the_last_result_is_raised_at_the_end_of_the_block():
    reached = []

    def block():
        with thread_map() as run:
            reached.extend(run(lambda n: n, range(2)))
            ctrl_c()
            reached.append("end")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert reached == [0, 1, "end"]


def test_a_second_ctrl_c_is_raised_at_once():
    reached = []

    def block():
        with thread_map():
            ctrl_c()
            reached.append("held")
            ctrl_c()
            reached.append("end")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert reached == ["held"]


def test_ctrl_c_stays_ignored_where_it_was():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with thread_map() as run:
            ctrl_c()
            assert list(run(lambda n: n, range(3))) == [0, 1, 2]
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_an_error_is_raised_and_what_is_pending_is_left_undone():
    done = []

    def work(n):
        time.sleep(0.002)
        done.append(n)
        return 1 / (n - 5)

    with pytest.raises(ZeroDivisionError), thread_map() as run:
        list(run(work, range(1000)))
    assert len(done) < 900


def test_it_works_outside_the_main_thread_where_python_sets_no_handler():
    results = []

    def work():
        with thread_map() as run:
            results.extend(run(lambda n: n + 1, itertools.islice(itertools.count(), 3)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert results == [1, 2, 3]
