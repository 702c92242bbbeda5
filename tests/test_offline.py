"""Neither the tests nor a notebook's kernel can reach the network, and a notebook that is too slow fails."""

import os
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = ("192.0.2.1", 80)  # RFC 5737: documentation only, never routed
MESSAGE = "the course must not use the network"
ATTEMPTS = {
    "connect": lambda: socket.socket().connect(OUTSIDE),
    "connect_ex": lambda: socket.socket().connect_ex(OUTSIDE),
    "connect by IPv6": lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::1", 80)),
    "create_connection": lambda: socket.create_connection(OUTSIDE, timeout=1),
    "sendto": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", OUTSIDE),
    "getaddrinfo": lambda: socket.getaddrinfo("example.org", 80),
    "gethostbyname": lambda: socket.gethostbyname("example.org"),
    "urlopen": lambda: urllib.request.urlopen("http://192.0.2.1/", timeout=1),
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_the_tests_cannot_leave_this_machine(attempt):
    with pytest.raises(RuntimeError, match=MESSAGE):
        attempt()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_tests_can_talk_to_themselves(host):
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: server.accept()[0].sendall(b"hello"), daemon=True).start()
        with socket.create_connection((host, server.getsockname()[1]), timeout=5) as client:
            assert client.recv(5) == b"hello"


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")
def test_unix_sockets_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # their paths must be short
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("s")
        server.listen()
        client.connect("s")


def run_in_kernel(code):
    """What the code prints in a fresh notebook kernel."""
    manager, client = start_new_kernel(kernel_name="python3", startup_timeout=60)
    try:
        printed = []
        client.execute_interactive(code, timeout=60, output_hook=lambda message: printed.append(message["content"]))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return "".join(content.get("text", "") for content in printed)


def test_a_kernel_cannot_leave_this_machine_and_can_talk_to_it():
    code = """
import os, socket, urllib.request
for attempt in (lambda: socket.socket().connect(("192.0.2.1", 80)), lambda: socket.getaddrinfo("example.org", 80)):
    try:
        attempt()
    except RuntimeError as error:
        print(error)
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname()).close()
    print("loopback works")
print(os.environ["MPLBACKEND"], os.environ["OMP_NUM_THREADS"], os.environ["MODELSEC_HOME"])
"""
    printed = run_in_kernel(code)
    assert printed.count(MESSAGE) == 2
    assert "loopback works" in printed
    home = os.environ["MODELSEC_HOME"]
    assert f"module://matplotlib_inline.backend_inline {os.environ['OMP_NUM_THREADS']} {home}" in printed
    assert "modelsec-tests-" in home


def pytest_on(folder, *options, **environment):
    """(exit status, output) of a pytest of its own on notebooks, with this course's conftest."""
    (folder / "conftest.py").write_text(
        (ROOT / "conftest.py")
        .read_text(encoding="utf-8")
        .replace("ROOT = Path(__file__).resolve().parent", f"ROOT = Path({str(ROOT)!r})")
    )
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(folder), "-p", "no:cacheprovider"]
    command += ["--nbval-lax", "--nbval-current-env", *options]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "MODELSEC_"))}
    done = subprocess.run(
        command, cwd=folder, env=inherited | environment, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout + done.stderr


def put_notebook(folder, *cells):
    folder.mkdir()
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    nbformat.write(made, folder / "00_lab.ipynb")


def test_the_learners_notebooks_expect_stubs_and_the_instructors_expect_solutions(tmp_path):
    for folder, expected in (("notebooks", "todo"), ("solutions", "pass"), ("others", None)):
        put_notebook(tmp_path / folder, f"import os\nassert os.environ.get('MODELSEC_EXPECT') == {expected!r}")
    status, said = pytest_on(tmp_path, "notebooks", "solutions", "others")
    assert status == 0, said
    assert "3 passed" in said
    assert "seconds a notebook" in said


def test_a_notebook_over_its_time_fails_at_the_cell_that_went_over(tmp_path):
    put_notebook(tmp_path / "notebooks", "import time; time.sleep(.7)", "time.sleep(.7)", "1")
    status, said = pytest_on(tmp_path, "notebooks", MODELSEC_NOTEBOOK_SECONDS="1.2")
    assert status == 1, said
    assert "1 failed, 2 passed" in said
    assert "may take 1 s in all" in said
    assert "Cell 1" in said
