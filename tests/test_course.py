"""The bootstrap, on a copy of course.py in a folder of its own, with a stand-in for pip inside a real environment."""

import ast
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

COURSE = Path(__file__).resolve().parent.parent / "course.py"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PROJECT = """
[project]
name = "small"
dependencies = ["torch>=2", "torch-a", "torchvision>=0.2"]
[tool.modelsec]
peers = ["one==1", "two==2"]
"""
CPU_BUILD = ["--isolated", "--index-url", CPU_INDEX, "torch>=2", "torchvision>=0.2"]
UNREACHABLE = "WARNING: Retrying (Retry(total=0)) after connection broken by NewConnectionError\n"
PIP = """
import json, os, sys, time
log = os.path.join(sys.prefix, "pip.log")
with open(log, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
time.sleep(float(os.environ.get("PIP_STUB_SECONDS", 0)))
sys.stderr.write(os.environ.get("PIP_STUB_SAYS", ""))
sys.exit(int(os.environ.get("PIP_STUB_EXIT", 0)))
"""


@pytest.fixture
def course(tmp_path, monkeypatch):
    """course.py as a module, with ROOT in tmp_path; making the environment is real but for pip."""
    monkeypatch.delenv("MODELSEC_VENV", raising=False)
    monkeypatch.setenv("MODELSEC_TORCH_INDEX", "")  # set, so that what a test sets is undone
    shutil.copy(COURSE, tmp_path)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    spec = importlib.util.spec_from_file_location("course_copy", tmp_path / "course.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.GIGABYTES = 0
    real = subprocess.run

    def run(command, **options):
        if command[1:3] != ["-m", "venv"]:
            return real(command, **options)
        made = real([*command, "--without-pip"], **options)
        stand_in = next(module.VENV.glob("[Ll]ib/**/site-packages")) / "pip"
        stand_in.mkdir()
        (stand_in / "__init__.py").touch()
        (stand_in / "__main__.py").write_text(PIP)
        return made

    monkeypatch.setattr(module.subprocess, "run", run)
    return module


def pip_calls(course):
    """What pip was asked to install, without the options common to all calls."""
    log = course.VENV / "pip.log"
    lines = log.read_text().splitlines() if log.exists() else []
    common = {"install", "--disable-pip-version-check", "--no-input", "--quiet"}
    return [[word for word in json.loads(line) if word not in common] for line in lines]


def wait_for_pip(course, calls):
    deadline = time.monotonic() + 30
    while len(pip_calls(course)) < calls:
        assert time.monotonic() < deadline, "pip was never started"
        time.sleep(0.05)


def refusal(course, *arguments):
    """The one sentence with which a call ends."""
    with pytest.raises(SystemExit) as caught:
        course.main(list(arguments))
    assert isinstance(caught.value.code, str), "ended without a sentence"
    return caught.value.code


def test_setup_installs_the_course_and_a_second_call_starts_no_process(course, monkeypatch):
    assert course.main(["setup"]) == 0
    assert pip_calls(course) == [["-e", str(course.ROOT)]]
    nothing = SimpleNamespace(run=None, Popen=None)  # calling either would be a TypeError
    monkeypatch.setattr(course, "subprocess", nothing)
    assert course.main(["setup"]) == 0


def test_test_level_adds_the_extras_and_the_peers_without_their_dependencies(course):
    course.setup("base")
    course.setup("test")
    assert pip_calls(course)[1:] == [["-e", f"{course.ROOT}[dev,cluster]"], ["--no-deps", "one==1", "two==2"]]
    course.setup("base")  # the larger level holds the smaller
    assert len(pip_calls(course)) == 3


def test_a_changed_list_of_packages_is_installed_anew_in_the_same_environment(course):
    course.setup("test")
    (course.ROOT / "pyproject.toml").write_text(PROJECT + "# newer\n")
    assert not course.ready("base")
    course.setup("base")
    assert pip_calls(course)[-1] == ["-e", str(course.ROOT)]
    assert course.ready("base")
    assert not course.ready("test")


def test_a_set_up_stopped_in_pip_is_taken_up_again(course, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(course, "pip", stopped)
        assert course.main(["setup"]) == 130
    assert course.works()
    assert not course.ready("base")
    course.setup("base")
    assert course.ready("base")


def test_a_half_made_environment_is_made_anew(course):
    course.VENV.mkdir()
    (course.VENV / course.OURS).touch()
    (course.VENV / "pyvenv.cfg").write_text("home = /nowhere\n")
    (course.VENV / "lib").mkdir()
    (course.VENV / "lib" / "half").touch()
    course.setup("base")
    assert course.ready("base")
    assert not (course.VENV / "lib" / "half").exists()


def test_an_environment_whose_python_has_gone_is_made_anew(course):
    course.setup("base")
    course.PYTHON.unlink()
    course.PYTHON.symlink_to(course.ROOT / "gone")
    course.setup("base")
    assert course.works()
    assert pip_calls(course) == [["-e", str(course.ROOT)]], "the old environment's log should be gone"


def test_a_folder_with_other_files_is_never_touched(course):
    course.VENV.mkdir()
    (course.VENV / "thesis.txt").write_text("years of work")
    assert "set MODELSEC_VENV to a new folder" in refusal(course, "setup")
    assert [path.name for path in course.VENV.iterdir()] == ["thesis.txt"]


def test_a_broken_environment_of_the_users_own_is_not_deleted(course):
    bin_folder = course.PYTHON.parent
    bin_folder.mkdir(parents=True)
    course.PYTHON.write_text("#!/bin/sh\nexit 1\n")
    course.PYTHON.chmod(0o755)
    assert "does not work: delete it" in refusal(course, "setup")
    assert course.PYTHON.exists()


def test_an_older_python_is_told_which_one_is_needed(course, monkeypatch):
    old = SimpleNamespace(version_info=(3, 9, 2), version="3.9.2 (old)", exit=sys.exit)
    monkeypatch.setattr(course, "sys", old)
    monkeypatch.setattr(course.shutil, "which", lambda name: None)
    assert refusal(course, "lab") == (
        "Python 3.11 or newer is needed; this is 3.9.2: install it from https://www.python.org."
    )
    monkeypatch.setattr(course.shutil, "which", lambda name: name if name == "python3.12" else None)
    assert refusal(course, "lab").endswith("run `python3.12 course.py lab`.")
    assert not course.VENV.exists()


def test_an_older_python_can_read_the_file():
    ast.parse(COURSE.read_text(encoding="utf-8"), feature_version=(3, 6))


@pytest.mark.parametrize("missing", ["venv", "ensurepip"])
def test_without_venv_the_remedy_is_named(course, monkeypatch, missing):
    real = importlib.util.find_spec
    monkeypatch.setattr(course.importlib.util, "find_spec", lambda name: None if name == missing else real(name))
    sentence = refusal(course, "setup")
    assert f"sudo apt install python3.{sys.version_info[1]}-venv" in sentence
    assert "\n" not in sentence


def test_too_little_disk_is_said_before_anything_is_installed(course, monkeypatch):
    course.GIGABYTES = 8
    monkeypatch.setattr(course.shutil, "disk_usage", lambda path: SimpleNamespace(free=2.5e9))
    sentence = refusal(course, "setup")
    assert "8 GB of disk space are needed" in sentence
    assert "2.5 GB" in sentence
    assert "MODELSEC_VENV" in sentence
    assert "add --cpu, which needs 3 GB" in sentence
    assert not course.PYTHON.exists()
    sentence = refusal(course, "setup", "--cpu")
    assert "3 GB of disk space are needed" in sentence
    assert "add --cpu" not in sentence


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (UNREACHABLE, "connect to the internet"),
        ("ERROR: Could not install packages: [Errno 28] No space left on device\n", "the disk is full"),
        ("ERROR: No matching distribution found for torch>=99\n", "its own words are above"),
        ("ERROR: ResolutionImpossible: pip's resolver cannot resolve openssl\n", "its own words are above"),
    ],
)
def test_pips_failure_becomes_one_sentence_and_leaves_no_stamp(course, monkeypatch, capfd, said, expected):
    monkeypatch.setenv("PIP_STUB_SAYS", said)
    monkeypatch.setenv("PIP_STUB_EXIT", "1")
    sentence = refusal(course, "lab")
    assert expected in sentence
    assert "run `python3 course.py lab` again; nothing is lost" in sentence
    assert said.strip() in capfd.readouterr().err, "pip's own words were swallowed"
    assert not course.ready("base")


def call_later(monkeypatch):
    """What one call put into its environment, the next one does not see."""
    monkeypatch.setenv("MODELSEC_TORCH_INDEX", "")


def put_torch_into(course):
    next(course.VENV.glob("[Ll]ib/**/site-packages")).joinpath("torch").mkdir()


def test_cpu_takes_pytorch_from_its_own_index_alone_and_later_calls_remember_it(course, monkeypatch):
    assert course.main(["setup", "--cpu"]) == 0
    assert pip_calls(course) == [CPU_BUILD, ["-e", str(course.ROOT)]]
    put_torch_into(course)
    call_later(monkeypatch)
    assert course.ready("base")
    (course.ROOT / "pyproject.toml").write_text(PROJECT + "# newer\n")
    course.setup("test")
    assert pip_calls(course)[2:4] == [CPU_BUILD, ["-e", f"{course.ROOT}[dev,cluster]"]]


def test_without_a_word_about_it_pytorch_comes_from_the_usual_index(course):
    course.setup("test")
    assert not any("--index-url" in call for call in pip_calls(course))


def test_a_variable_names_another_index_for_pytorch(course, monkeypatch):
    monkeypatch.setenv("MODELSEC_TORCH_INDEX", "https://mirror.example/cpu")
    course.main(["setup", "--cpu"])
    assert pip_calls(course)[0][:3] == ["--isolated", "--index-url", "https://mirror.example/cpu"]


def test_a_damaged_environment_is_made_anew_with_the_build_it_had(course, monkeypatch):
    course.main(["setup", "--cpu"])
    call_later(monkeypatch)
    course.PYTHON.unlink()
    course.PYTHON.symlink_to(course.ROOT / "gone")
    course.setup("base")
    assert pip_calls(course)[0] == CPU_BUILD


@pytest.mark.parametrize(("asked", "left_out"), [(["--cpu"], "--cpu"), ([], "MODELSEC_TORCH_INDEX")])
def test_an_index_out_of_reach_is_one_sentence_and_leaves_nothing_behind(course, monkeypatch, asked, left_out):
    monkeypatch.setenv("MODELSEC_TORCH_INDEX", "" if asked else CPU_INDEX)
    monkeypatch.setenv("PIP_STUB_SAYS", UNREACHABLE)
    monkeypatch.setenv("PIP_STUB_EXIT", "1")
    sentence = refusal(course, "setup", *asked)
    assert f"{CPU_INDEX} could not be reached: connect to the internet" in sentence
    assert f"`python3 course.py {' '.join(['setup', *asked])}` again, or do without {left_out}" in sentence
    assert pip_calls(course) == [CPU_BUILD]
    call_later(monkeypatch)
    monkeypatch.setenv("PIP_STUB_EXIT", "0")
    course.setup("base")
    assert pip_calls(course)[1:] == [["-e", str(course.ROOT)]], "a build that could not be had is not insisted on"


def test_a_set_up_stopped_after_pytorch_goes_on_with_the_same_build(course, monkeypatch):
    real = course.pip
    with monkeypatch.context() as patched:
        patched.setattr(
            course, "pip", lambda again, *what, index="": real(again, *what, index=index) if index else 1 / 0
        )
        with pytest.raises(ZeroDivisionError):
            course.main(["setup", "--cpu"])
    call_later(monkeypatch)
    assert not course.ready("base")
    course.setup("base")
    assert pip_calls(course) == [CPU_BUILD, CPU_BUILD, ["-e", str(course.ROOT)]]


def test_another_build_is_not_put_over_the_one_that_is_there(course):
    course.setup("base")
    put_torch_into(course)
    sentence = refusal(course, "lab", "--cpu")
    assert "delete it, then run `python3 course.py lab --cpu` again" in sentence
    assert len(pip_calls(course)) == 1


def test_set_up_takes_no_word_that_it_does_not_know(course):
    assert "does not know --cup" in refusal(course, "setup", "--cup")
    assert not course.VENV.exists()


def test_a_folder_that_cannot_be_made_is_explained(course):
    (course.ROOT / "file").touch()
    course.VENV = course.ROOT / "file" / "venv"
    course.PYTHON = course.VENV / "bin" / "python"
    assert "set MODELSEC_VENV to a new folder" in refusal(course, "setup")


def test_two_set_ups_at_once_install_once(course, tmp_path, monkeypatch):
    course.setup("base")  # makes the environment, so that both processes below find the stand-in for pip
    (course.ROOT / "pyproject.toml").write_text(PROJECT + "# newer\n")
    monkeypatch.setenv("PIP_STUB_SECONDS", "4")
    command = [sys.executable, str(tmp_path / "course.py"), "setup"]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    wait_for_pip(course, 2)
    second = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    said = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    assert ["waiting for it" in text for text in said] == [False, True]
    assert len(pip_calls(course)) == 2, "the second process should have found the work done"


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_killed_set_up_leaves_no_lock_behind(course, tmp_path, monkeypatch):
    course.setup("base")
    (course.ROOT / "pyproject.toml").write_text(PROJECT + "# newer\n")
    monkeypatch.setenv("PIP_STUB_SECONDS", "2")
    process = subprocess.Popen([sys.executable, str(tmp_path / "course.py"), "setup"], start_new_session=True)
    wait_for_pip(course, 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert (course.VENV / course.LOCK).exists()
    monkeypatch.setenv("PIP_STUB_SECONDS", "0")
    course.setup("base")
    assert course.ready("base")


def test_the_environment_variable_moves_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MODELSEC_VENV", str(tmp_path / "elsewhere"))
    spec = importlib.util.spec_from_file_location("course_moved", COURSE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert tmp_path / "elsewhere" == module.VENV


@pytest.fixture
def started(course, monkeypatch):
    """The command lines that course.py would become."""
    commands = []
    monkeypatch.setattr(course, "setup", lambda level, again: commands.append(level))
    monkeypatch.setattr(course, "start", lambda command: commands.append(command) or 0)
    return commands


def test_lab_and_doctor_pass_their_arguments_on(course, started):
    course.main(["lab", "--no-browser", "--port", "9000"])
    course.main(["doctor", "--cpu"])
    python = str(course.PYTHON)
    assert started == [
        "base",
        [python, "-m", "modelsec_course", "lab", "--no-browser", "--port", "9000"],
        "base",
        [python, "-m", "modelsec_course", "doctor"],
    ]


def test_test_runs_processes_that_keep_a_notebook_together_and_passes_arguments_on(course, started, monkeypatch):
    monkeypatch.setattr(course.os, "sched_getaffinity", lambda process: range(64), raising=False)
    course.main(["test", "--quick", "tests/lab", "-k", "foo"])
    level, command = started
    assert level == "test"
    assert command[:3] == [str(course.PYTHON), "-m", "pytest"]
    assert command[-4:] == ["--quick", "tests/lab", "-k", "foo"]
    assert command[command.index("-n") + 1] == "4"
    assert command[command.index("--dist") + 1] == "loadfile"
    assert os.environ["OMP_NUM_THREADS"] == "1"


def test_a_debugger_gets_the_tests_in_one_process(course, started):
    course.main(["test", "--pdb"])
    assert "-n" not in started[1]


def test_an_unknown_command_shows_the_commands(course, capsys):
    assert "python3 course.py test" in refusal(course, "lba")
    assert course.main(["--help"]) == 0
    assert "MODELSEC_VENV" in capsys.readouterr().out


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot replace a process")
def test_the_exit_status_is_the_commands_own(course, tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH")  # the copy's own modelsec_course is meant
    course.setup("base")
    package = tmp_path / "modelsec_course"
    package.mkdir()
    (package / "__main__.py").write_text("import sys; print(sys.argv[1:]); sys.exit(7)")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "course.py"), "lab", "--port", "1"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (7, "['lab', '--port', '1']\n"), done.stderr
