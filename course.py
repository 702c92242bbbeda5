#!/usr/bin/env python3
"""Model Security: everything starts here.

    python3 course.py lab  [ARGS]    open the course in JupyterLab (ARGS: a lab's number, --no-browser, --port N ...)
    python3 course.py test [ARGS]    run every test and validate every notebook (ARGS go to pytest)
    python3 course.py test --quick   the tests that take little, and two labs: for those who change a line
    python3 course.py setup          only set up
    python3 course.py doctor         say what is installed and what is amiss

The first call makes a virtual environment in .venv (or in the folder named by MODELSEC_VENV); later calls reuse it.
With --cpu after any of them, the first call takes PyTorch's CPU build from PyTorch's own index: on Linux about 1.3 GB
instead of 7. Later calls remember it. MODELSEC_TORCH_INDEX=URL names another index to take PyTorch from.
"""

# Standard library only, and nothing that an older Python could not read: it must get as far as naming its version.
import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = Path(os.path.abspath(os.path.expanduser(os.environ.get("MODELSEC_VENV") or str(ROOT / ".venv"))))
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
LOCK, OURS, INDEX = "course.lock", "made-by-course.py", "torch-index"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
GIGABYTES = 8 if sys.platform.startswith("linux") else 4  # on Linux PyTorch brings the CUDA libraries along
CPU_GIGABYTES = 3


def remembered():
    """The index that this folder's PyTorch came from; "" for the usual one."""
    try:
        return (VENV / INDEX).read_text()
    except OSError:
        return ""


def torch_index():
    """Where PyTorch is to come from: what is asked for now, else what was asked for before."""
    return os.environ.get("MODELSEC_TORCH_INDEX") or remembered()


def key():
    """What a finished set-up depends on: packages, the course's place, the folder's Python, PyTorch's index."""
    python = (VENV / "pyvenv.cfg").read_bytes() + os.path.realpath(str(PYTHON)).encode()
    parts = [(ROOT / "pyproject.toml").read_bytes(), str(ROOT).encode(), python]
    return hashlib.sha256(b"\0".join(parts + [index.encode() for index in [torch_index()] if index])).hexdigest()


def ready(level):
    try:
        return PYTHON.exists() and (VENV / ("ready-" + level)).read_text() == key()
    except OSError:
        return False


def setup(level, again="setup"):
    """Make sure that `level` ("base" or "test") is installed; an unchanged second call reads four small files."""
    if ready(level):
        return
    if sys.version_info < (3, 11):  # noqa: UP036
        newer = [name for name in ("python3.13", "python3.12", "python3.11") if shutil.which(name)]
        remedy = f"run `{newer[0]} course.py {again}`" if newer else "install it from https://www.python.org"
        sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}: {remedy}.")
    held = {entry.name for entry in VENV.iterdir()} if VENV.is_dir() else set()
    if held - {LOCK} and OURS not in held and not PYTHON.exists():  # a typing slip must not cost anyone a folder
        sys.exit(f"{VENV} holds other files: set MODELSEC_VENV to a new folder.")
    try:
        with only_one_at_a_time():
            if not ready(level):  # another set-up may just have finished
                install(level, again)
    except OSError as error:
        sys.exit(f"Writing to {VENV} failed ({error}): mend that, or set MODELSEC_VENV to a new folder.")


@contextlib.contextmanager
def only_one_at_a_time():
    """Hold a lock that the operating system drops when this process and its children end, however they end."""
    VENV.mkdir(parents=True, exist_ok=True)
    with open(str(VENV / LOCK), "a+") as handle:
        told = False
        while True:
            try:
                if os.name == "nt":
                    import msvcrt

                    msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
                else:
                    import fcntl

                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.set_inheritable(handle.fileno(), True)  # pip may outlive a killed course.py
                break
            except (BlockingIOError, PermissionError):
                if not told:
                    print("Another set-up of this folder is running: waiting for it.", flush=True)
                told = True
                time.sleep(0.3)
            except OSError:
                break  # a file system without locks: go on without one
        if {entry.name for entry in VENV.iterdir()} <= {LOCK, OURS}:
            (VENV / OURS).touch()
        yield


def install(level, again):
    import tomllib

    index = torch_index()
    if index != remembered() and holds_torch():  # pip would find the requirement satisfied and leave the other build
        sys.exit(f"{VENV} holds another build of PyTorch: delete it, then run `python3 course.py {again}` again.")
    print(f"Setting up {VENV} (once; some minutes, and up to {gigabytes()} GB, most of it PyTorch).", flush=True)
    for stamp in VENV.glob("ready-*"):
        stamp.unlink()
    if not works():
        make_environment()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    if index:
        needed = project["project"]["dependencies"]
        pip(again, *[name for name in needed if re.match(r"torch(vision)?($|[^-.\w])", name)], index=index)
        (VENV / INDEX).write_text(index)  # only now: an index that cannot be reached is not insisted on
    pip(again, "-e", f"{ROOT}[dev,cluster]" if level == "test" else str(ROOT))
    peers = project.get("tool", {}).get("modelsec", {}).get("peers", [])
    if level == "test" and peers:
        pip(again, "--no-deps", *peers)
    for done in ("base", "test") if level == "test" else ("base",):
        (VENV / f"ready-{done}").write_text(key())  # last: an interrupted set-up is done again


def holds_torch():
    folders = ("lib/python*/site-packages", "Lib/site-packages")
    return any(any(VENV.glob(folder + "/torch")) for folder in folders)


def gigabytes():
    return min(GIGABYTES, CPU_GIGABYTES) if torch_index().rstrip("/").endswith("/cpu") else GIGABYTES


def works():
    """Does the folder hold a usable environment? (A half-made one, or one whose Python has gone, does not.)"""
    probe = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    return PYTHON.exists() and subprocess.run([str(PYTHON), "-c", probe], capture_output=True).returncode == 0


def make_environment():
    if not (VENV / OURS).exists():
        sys.exit(f"The environment in {VENV} does not work: delete it, or set MODELSEC_VENV to a new folder.")
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        sys.exit(
            f"This Python ({sys.executable}) cannot make virtual environments: on Debian and Ubuntu run "
            f"`sudo apt install python3.{sys.version_info[1]}-venv`, elsewhere install Python from "
            "https://www.python.org; then run this again."
        )
    for entry in VENV.iterdir():
        if entry.name not in (LOCK, OURS, INDEX):
            shutil.rmtree(str(entry)) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    free = shutil.disk_usage(str(VENV)).free / 1e9
    if free < gigabytes():
        smaller = f", or add --cpu, which needs {CPU_GIGABYTES} GB" if gigabytes() > CPU_GIGABYTES else ""
        sys.exit(
            f"{gigabytes()} GB of disk space are needed and {VENV.parent} has {free:.1f} GB: free some, "
            f"or set MODELSEC_VENV to a folder on a bigger disk{smaller}."
        )
    if subprocess.run([sys.executable, "-m", "venv", str(VENV)], close_fds=False).returncode:
        sys.exit(f"`{sys.executable} -m venv {VENV}` failed (its own words are above): mend that and run this again.")


def pip(again, *what, index=""):
    """Run pip install, from `index` alone where one is named; when it fails, say why in one sentence."""
    options = ["--disable-pip-version-check", "--no-input"] + ([] if sys.stdout.isatty() else ["--quiet"])
    options += ["--isolated", "--index-url", index] if index else []  # isolated: from no other index that pip knows
    command = [str(PYTHON), "-m", "pip", "install", *options, *what]
    text = ""
    with subprocess.Popen(command, stderr=subprocess.PIPE, close_fds=False) as process:
        for line in process.stderr:
            text += line.decode(errors="replace")
            sys.stderr.write(line.decode(errors="replace"))
    if process.returncode == 0:
        return
    if re.search(r"No space left|Errno 28|disk full|not enough space", text, re.I):
        why = f"the disk is full: free some space for {VENV} and {tempfile.gettempdir()}"
    elif re.search(r"ConnectionError|connection broken|timed out|unreachable|ProxyError|SSLError|getaddrinfo", text):
        why = f"{index or 'the package index'} could not be reached: connect to the internet (behind a proxy, set "
        why += "HTTPS_PROXY)"
    else:
        why = "its own words are above: mend what they name"
    remedy = f"then run `python3 course.py {again}` again"
    if index and not remembered():
        remedy += f", or do without {'--cpu' if '--cpu' in again else 'MODELSEC_TORCH_INDEX'} and take the larger build"
    sys.exit(f"pip could not install the packages: {why}, {remedy}; nothing is lost.")


def start(command):
    """Become `command`: in its place where the system can, so that signals and Ctrl-C reach it and nobody else."""
    os.chdir(str(ROOT))
    sys.stdout.flush()
    if os.name != "nt":
        os.execv(command[0], command)
    signal.signal(signal.SIGINT, lambda *_: None)
    return subprocess.call(command)


def pytest_options(args):
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    alone = {"--pdb", "--trace"} & set(args)  # a debugger needs the one process it stands in
    return ["--timeout=900"] + ([] if alone else ["-n", str(min(cores, 4)), "--dist", "loadfile"])


def main(argv):
    if argv[:1] in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    if not argv or argv[0] not in ("lab", "test", "setup", "doctor"):
        sys.exit(__doc__)
    command, args = argv[0], [word for word in argv[1:] if word != "--cpu"]
    if command == "setup" and args:  # a typing slip must not cost anyone 7 GB
        sys.exit(f"`setup` does not know {args[0]}.\n{__doc__}")
    again = command
    if "--cpu" in argv:
        again += " --cpu"
        os.environ["MODELSEC_TORCH_INDEX"] = os.environ.get("MODELSEC_TORCH_INDEX") or CPU_INDEX
    try:
        setup("test" if command == "test" else "base", again)
        if command == "setup":
            print(f"Ready. `python3 course.py lab` opens the course ({VENV}).")
            return 0
        if command == "test":
            os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes share the cores already
            return start([str(PYTHON), "-m", "pytest", *pytest_options(args), *args])
        return start([str(PYTHON), "-m", "modelsec_course", command, *args])
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
