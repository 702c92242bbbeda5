"""One list of packages, complete; licences; the files that other tools read."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def normal(requirement):
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-").replace(".", "-")


BASE = {normal(line) for line in PROJECT["project"]["dependencies"]}
EXTRAS = {name: {normal(line) for line in lines} for name, lines in PROJECT["project"]["optional-dependencies"].items()}
PEERS = {normal(line) for line in PROJECT["tool"]["modelsec"]["peers"]}


def imported(folder):
    """{top-level module outside the standard library and this course: a file that imports it}"""
    ours = {"modelsec_course", "benchmarks", "tests", "conftest", "sitecustomize", *sys.stdlib_module_names}
    ours |= {path.stem for path in (ROOT / "tests").rglob("*.py")}  # a test may import what lies beside it
    found = {}
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            else:
                continue
            found.update({name.partition(".")[0]: path.relative_to(ROOT).as_posix() for name in names})
    return {name: path for name, path in found.items() if name not in ours}


@pytest.mark.parametrize(
    ("folder", "declared"),
    [
        ("modelsec_course", BASE | set().union(*(names for extra, names in EXTRAS.items() if extra != "dev"))),
        ("tests", BASE | set().union(*EXTRAS.values()) | PEERS),
        ("benchmarks", BASE | set().union(*EXTRAS.values()) | PEERS),
    ],
)
def test_every_import_is_declared(folder, declared):
    owners = packages_distributions()
    missing = {
        name: path
        for name, path in imported(folder).items()
        if not declared & {normal(owner) for owner in owners.get(name, [name])}
    }
    assert missing == {}, "add these to pyproject.toml"


def test_every_declared_package_has_a_lowest_version_and_the_kernel_stays_below_7():
    extras = PROJECT["project"]["optional-dependencies"].values()
    lines = [line for listed in (PROJECT["project"]["dependencies"], *extras) for line in listed]
    assert [line for line in lines if ">=" not in line] == []
    (kernel,) = [line for line in lines if normal(line) == "ipykernel"]
    assert "<7" in kernel


def test_environment_yml_has_python_pip_and_this_course_and_no_list_of_its_own():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["dependencies"] == ["python=3.11", "pip", {"pip": ["-e ."]}]
    assert PROJECT["project"]["requires-python"] == ">=3.11"


def test_the_licences_are_there_and_are_the_ones_declared():
    assert PROJECT["project"]["license"] == "MIT AND CC-BY-4.0"
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in PROJECT["project"]["license-files"]]
    assert texts[0].startswith("MIT License")
    assert "https://creativecommons.org/licenses/by/4.0/" in texts[1]


def test_the_citation_has_the_packages_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["project"]["version"]
    namespace = {}
    exec((ROOT / "modelsec_course" / "__init__.py").read_text(encoding="utf-8"), namespace)
    assert namespace["__version__"] == PROJECT["project"]["version"]


def test_the_packages_data_is_declared():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["modelsec_course"]
    package = ROOT / "modelsec_course"
    declared = {path for pattern in patterns for path in package.glob(pattern)}
    held = {path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert held - declared == set(), "add these to [tool.setuptools.package-data]"
    assert package / "app" / "jupyter" / "labconfig" / "default_setting_overrides.json" in declared


def test_the_workflow_calls_the_two_commands_on_three_systems_and_three_pythons():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))["jobs"]
    matrix = jobs["course"]["strategy"]["matrix"]
    assert [name.partition("-")[0] for name in matrix["os"]] == ["ubuntu", "macos", "windows"]
    assert matrix["python"] == ["3.11", "3.12", "3.13"]
    ran = [step["run"] for step in jobs["course"]["steps"] if "run" in step]
    assert ran[-2:] == ["python course.py doctor", "python course.py test"]


@pytest.mark.skipif(os.name == "nt", reason="a Bash script")
def test_the_ci_script_hands_its_arguments_to_course_py_and_keeps_the_exit_status(tmp_path):
    script = tmp_path / ".ci" / "run"
    script.parent.mkdir()
    script.write_bytes((ROOT / ".ci" / "run").read_bytes())
    (tmp_path / "course.py").write_text("import sys\nprint(sys.argv[1:], sys.stdin.read() == '')\nsys.exit(3)\n")
    tools = tmp_path / "tools"  # a chromium is found, so nothing is installed
    tools.mkdir()
    (tools / "chromium").write_text("#!/bin/sh\n")
    (tools / "chromium").chmod(0o755)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", str(script), "-k", "a b"],
        env=os.environ | {"PATH": path},
        input="keys",
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout.strip()) == (3, "['test', '-k', 'a b'] True"), done.stderr
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.skipif(os.name == "nt", reason="a Bash script")
def test_the_ci_script_passes_over_an_old_python(tmp_path):
    script = tmp_path / ".ci" / "run"
    script.parent.mkdir()
    script.write_bytes((ROOT / ".ci" / "run").read_bytes())
    (tmp_path / "course.py").write_text("")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, body in (
        ("chromium", ""),
        ("python3", "exit 1"),
        ("python3.13", "exit 1"),
        ("python3.12", '[ "$1" = -c ] || echo "3.12 runs $*"'),
    ):
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    path = os.pathsep.join([str(tools), os.environ["PATH"]])
    done = subprocess.run(["bash", str(script)], env=os.environ | {"PATH": path}, capture_output=True, text=True)
    assert done.stdout == "3.12 runs course.py test\n", done.stderr


def test_every_test_module_has_a_name_of_its_own():
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted({name for name in names if names.count(name) > 1}) == [], "pytest imports them by their bare names"
