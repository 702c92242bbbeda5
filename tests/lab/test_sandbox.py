import contextlib
import random
import signal
import threading
import time

import matplotlib.pyplot as plt
import pytest

from modelsec_course.lab.sandbox import OutOfTime, Printed, figures_apart, limited, random_state


def plain():
    while True:
        pass


def bare():
    while True:
        try:
            time.sleep(1)
        except:  # noqa: E722
            continue


def nested():
    while True:
        try:
            try:
                time.sleep(1)
            except BaseException:
                continue
        except BaseException:
            pass


def suppressing():
    while True:
        with contextlib.suppress(BaseException):
            sum(range(1000))


def finishing():
    try:
        time.sleep(30)
    except BaseException:
        return


ENDLESS = [plain, bare, nested, suppressing, finishing]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarms on this system")
@pytest.mark.parametrize("endless", ENDLESS)
def test_an_endless_loop_is_stopped_whatever_it_catches(endless):
    before, started = signal.getsignal(signal.SIGALRM), time.monotonic()
    with pytest.raises(OutOfTime):
        limited(endless, 0.1)
    assert time.monotonic() - started < 5
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.parametrize("endless", ENDLESS)
def test_another_thread_stops_an_endless_loop_too(endless):
    stopped = []

    def work():
        try:
            limited(endless, 0.1)
        except OutOfTime:
            stopped.append(True)

    thread = threading.Thread(target=work)
    started = time.monotonic()
    thread.start()
    thread.join(10)
    assert stopped == [True]
    assert time.monotonic() - started < 8


def test_without_alarms_the_main_thread_is_served_too(monkeypatch):
    monkeypatch.delattr(signal, "setitimer", raising=False)
    with pytest.raises(OutOfTime):
        limited(plain, 0.1)
    seen = []
    limited(lambda: seen.append(1), 5)
    assert seen == [1]
    with pytest.raises(ZeroDivisionError):
        limited(lambda: 1 / 0, 5)


def test_what_is_done_in_time_is_not_disturbed():
    for _ in range(200):
        limited(lambda: None, 0.5)
    time.sleep(0.01)
    with pytest.raises(ZeroDivisionError):
        limited(lambda: 1 / 0, 5)


def test_printed_text_stops_growing():
    printed = Printed(10)
    assert printed.write("12345") == 5
    printed.write("678901234")
    printed.write("more")
    assert printed.getvalue() == "1234567890\n… (cut)"


def test_figures_are_put_back():
    first, second = plt.figure(), plt.figure()
    plt.figure(first.number)
    with figures_apart():
        assert plt.get_fignums() == []
        plt.figure()
        plt.rcParams["lines.linewidth"] = 99
        plt.close("all")
        plt.figure()
    assert plt.get_fignums() == [first.number, second.number]
    assert plt.gcf() is first
    assert plt.rcParams["lines.linewidth"] != 99
    plt.close(first), plt.close(second)


def test_pythons_random_state_is_put_back():
    random.seed(3)
    expected = random.Random(3).random()
    with random_state():
        inside = random.random()
    with random_state():
        assert random.random() == inside
    assert random.random() == expected
