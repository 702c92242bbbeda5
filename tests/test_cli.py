"""The modelsec command: the learner's copies, the server, the doctor."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest
from nbformat.sign import NotebookNotary

from modelsec_course import __version__, files
from modelsec_course.app import cli, copies, doctor, launch, welcome

ROOT = Path(__file__).resolve().parent.parent


def edition(text, **metadata):
    """A notebook as the build writes it, whose one code cell says `text`."""
    cell = nbformat.v4.new_code_cell(text)
    cell["id"] = "one"
    made = nbformat.v4.new_notebook(cells=[cell], metadata={**copies.FIRST_METADATA, **metadata})
    return nbformat.writes(made, indent=1, ensure_ascii=False) + "\n"


@pytest.fixture
def root(tmp_path):
    """A course of two labs."""
    (tmp_path / "notebooks").mkdir()
    for name in ("00_start", "01_attack"):
        (tmp_path / "notebooks" / f"{name}.ipynb").write_text(edition(f"{name}, first edition"))
    return tmp_path


def refresh(root):
    return copies.Copies(root / "notebooks", root / "work").refresh()


def work(root):
    return {
        path.name: "\n".join(cell.source for cell in nbformat.read(path, 4).cells)
        for path in (root / "work").glob("*.ipynb")
    }


def new_edition(root, text="second edition"):
    (root / "notebooks" / "01_attack.ipynb").write_text(edition(text))


def change_copy(root, text="my solution", name="01_attack.ipynb"):
    (root / "work" / name).write_text(edition(text))


def autosave(root, name="01_attack.ipynb"):
    """What JupyterLab does to a notebook that is run and not edited."""
    path = root / "work" / name
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.language_info = {"name": "python", "version": "3.11.2", "file_extension": ".py"}
    notebook.metadata["toc"] = {}
    notebook.cells[0].update(execution_count=1, outputs=[nbformat.v4.new_output("stream", text="hello")])
    notebook.cells[0].metadata = {"trusted": True, "execution": {"iopub.status.busy": "now"}}
    notebook.cells.append(nbformat.v4.new_code_cell(""))
    path.write_text(nbformat.writes(notebook, indent=1).rstrip("\n"))


def old_record(root):
    """The record as earlier versions of the course wrote it: the digest of the edition's file alone."""
    path = root / "work" / ".editions.json"
    path.write_text(json.dumps({name: kept["file"] for name, kept in json.loads(path.read_text()).items()}))


BESIDE = "01_attack (new edition).ipynb"


def test_missing_notebooks_are_copied(root):
    assert refresh(root) == []
    assert work(root) == {"00_start.ipynb": "00_start, first edition", "01_attack.ipynb": "01_attack, first edition"}


def test_the_learners_changes_survive_every_start(root):
    refresh(root)
    change_copy(root)
    assert refresh(root) == []
    assert work(root)["01_attack.ipynb"] == "my solution"
    assert len(work(root)) == 2


def test_an_untouched_copy_follows_the_course(root):
    refresh(root)
    new_edition(root)
    assert refresh(root) == []
    assert work(root)["01_attack.ipynb"] == "second edition"
    assert len(work(root)) == 2


def test_a_new_edition_is_offered_beside_a_changed_copy_once(root):
    refresh(root)
    change_copy(root)
    new_edition(root)
    (sentence,) = refresh(root)
    assert BESIDE in sentence
    assert work(root)["01_attack.ipynb"] == "my solution"
    assert work(root)[BESIDE] == "second edition"
    assert refresh(root) == []


def test_an_offer_that_was_deleted_is_not_repeated_until_the_next_edition(root):
    refresh(root)
    change_copy(root)
    new_edition(root)
    refresh(root)
    (root / "work" / BESIDE).unlink()
    assert refresh(root) == []
    assert BESIDE not in work(root)
    new_edition(root, "third edition")
    assert len(refresh(root)) == 1
    assert work(root)[BESIDE] == "third edition"


def test_a_changed_offer_is_not_overwritten_either(root):
    refresh(root)
    change_copy(root)
    new_edition(root)
    refresh(root)
    change_copy(root, "my second solution", BESIDE)
    new_edition(root, "third edition")
    assert len(refresh(root)) == 1
    assert work(root)["01_attack.ipynb"] == "my solution"
    assert work(root)[BESIDE] == "my second solution"
    assert work(root)["01_attack (new edition 2).ipynb"] == "third edition"


def test_what_jupyterlab_saves_by_itself_is_no_change(root):
    refresh(root)
    autosave(root)
    assert refresh(root) == []
    assert "hello" in (root / "work" / "01_attack.ipynb").read_text(), "the same edition is not delivered twice"
    new_edition(root)
    assert refresh(root) == []
    assert work(root)["01_attack.ipynb"] == "second edition"
    assert len(work(root)) == 2


@pytest.mark.parametrize("change", ["my solution", ""])
def test_a_changed_cell_is_a_change_however_it_was_saved(root, change):
    refresh(root)
    change_copy(root, change)
    autosave(root)
    new_edition(root)
    assert len(refresh(root)) == 1
    assert work(root)["01_attack.ipynb"].strip() == change


def test_a_cell_that_became_text_is_a_change(root):
    refresh(root)
    path = root / "work" / "01_attack.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [nbformat.v4.new_markdown_cell(notebook.cells[0].source)]
    nbformat.write(notebook, path)
    new_edition(root)
    assert len(refresh(root)) == 1


@pytest.mark.parametrize("saved", [False, True])
def test_records_of_earlier_versions_still_know_an_untouched_copy(root, saved):
    refresh(root)
    old_record(root)
    if saved:
        notebook = nbformat.read(root / "work" / "01_attack.ipynb", as_version=4)
        autosave(root)
        path = root / "work" / "01_attack.ipynb"
        now = nbformat.read(path, as_version=4)
        now.cells = now.cells[: len(notebook.cells)]
        nbformat.write(now, path)
    new_edition(root)
    assert refresh(root) == []
    assert work(root) == {"00_start.ipynb": "00_start, first edition", "01_attack.ipynb": "second edition"}
    assert json.loads((root / "work" / ".editions.json").read_text())["01_attack.ipynb"]["words"]


def test_records_of_earlier_versions_still_know_a_changed_copy_and_their_offers(root):
    refresh(root)
    change_copy(root)
    old_record(root)
    new_edition(root)
    assert len(refresh(root)) == 1
    old_record(root)
    assert refresh(root) == []
    assert work(root)["01_attack.ipynb"] == "my solution"
    assert len(work(root)) == 3


def test_an_untouched_copy_under_an_old_record_makes_no_twin_when_only_metadata_changed(root):
    refresh(root)
    old_record(root)
    autosave(root)
    (root / "notebooks" / "01_attack.ipynb").write_text(edition("01_attack, first edition", title="new"))
    assert refresh(root) == []
    assert len(work(root)) == 2


def test_a_broken_copy_is_the_learners(root):
    refresh(root)
    (root / "work" / "01_attack.ipynb").write_text("{half a notebook")
    new_edition(root)
    assert len(refresh(root)) == 1
    assert (root / "work" / "01_attack.ipynb").read_text() == "{half a notebook"


def test_a_copy_that_was_deleted_comes_back_in_the_newest_edition(root):
    refresh(root)
    change_copy(root)
    new_edition(root)
    (root / "work" / "01_attack.ipynb").unlink()
    assert refresh(root) == []
    assert work(root)["01_attack.ipynb"] == "second edition"


@pytest.mark.parametrize("record", [None, "{half", "[]"])
def test_without_a_readable_record_every_copy_counts_as_the_learners(root, record):
    refresh(root)
    path = root / "work" / ".editions.json"
    path.unlink() if record is None else path.write_text(record)
    new_edition(root)
    assert len(refresh(root)) == 1
    assert work(root)["01_attack.ipynb"] == "01_attack, first edition"
    assert json.loads(path.read_text())[BESIDE]["words"]


def test_writing_that_fails_leaves_the_old_file_and_no_half_one(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*_):
        raise OSError("power cut")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(OSError, match="power cut"):
        files.write_atomically(path, "new")
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("file", "old")]


def test_the_lab_asked_for_is_opened_else_the_start_page_else_the_first_lab(root):
    refresh(root)
    held = copies.Copies(root / "notebooks", root / "work")
    assert held.to_open(None) == "00_start.ipynb"
    assert held.to_open("1") == held.to_open("01") == "01_attack.ipynb"
    with pytest.raises(SystemExit, match=r"There is no lab 7: choose one of 00, 01\."):
        held.to_open("7")
    (root / "notebooks" / "start.ipynb").write_text(edition("course()"))
    held.refresh()
    assert held.to_open(None) == "start.ipynb"


def test_the_start_pages_card_is_drawn_into_a_page_that_stays_untouched(root, monkeypatch, tmp_path):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    (root / "notebooks" / "start.ipynb").write_text(edition("from modelsec_course.lab import course\n\ncourse()"))
    held = copies.Copies(root / "notebooks", root / "work")
    assert not held.untouched("start.ipynb")
    held.refresh()
    page = root / "work" / "start.ipynb"
    welcome.draw_card(page)
    notebook = nbformat.read(page, as_version=4)
    assert "<svg" in notebook.cells[0].outputs[0].data["text/html"]
    assert "01_attack.ipynb" in notebook.cells[0].outputs[0].data["text/html"]
    assert NotebookNotary().check_signature(notebook), "JupyterLab takes the drawing out of a page that nobody signed"
    assert held.untouched("start.ipynb")
    assert held.refresh() == []
    change_copy(root, "course()  # mine", "start.ipynb")
    assert not held.untouched("start.ipynb")


def options(monkeypatch, tmp_path, *rest, uid=1000, **given):
    monkeypatch.setattr(launch.os, "geteuid", lambda: uid, raising=False)
    given = {"--ServerApp.ip": "127.0.0.1", **given}
    return launch.server_options(tmp_path, "00_start.ipynb", given, list(rest))


def test_the_server_stays_on_loopback_shows_the_copies_and_opens_a_lab(monkeypatch, tmp_path):
    made = options(monkeypatch, tmp_path)
    assert "--ServerApp.ip=127.0.0.1" in made
    assert f"--ServerApp.root_dir={tmp_path}" in made
    assert "--LabApp.default_url=/lab/tree/00_start.ipynb" in made
    assert "--LabApp.extension_manager=readonly" in made
    assert not any("token" in option or "allow_root" in option for option in made)


def test_root_is_allowed_on_loopback_only(monkeypatch, tmp_path):
    allowed = "--ServerApp.allow_root=True"
    assert allowed in options(monkeypatch, tmp_path, uid=0)
    assert allowed not in options(monkeypatch, tmp_path, uid=1000)
    assert allowed not in options(monkeypatch, tmp_path, uid=0, **{"--ServerApp.ip": "0.0.0.0"})
    assert allowed not in options(monkeypatch, tmp_path, "--ServerApp.ip=0.0.0.0", uid=0)


def test_the_terminal_is_left_to_the_address(monkeypatch, tmp_path):
    made = options(monkeypatch, tmp_path)
    assert "--Application.log_level=ERROR" in made
    assert "--LanguageServerManager.autodetect=False" in made
    loud = options(monkeypatch, tmp_path, "--Application.log_level=DEBUG")
    assert [option for option in loud if "log_level" in option] == ["--Application.log_level=DEBUG"]


def test_an_option_of_the_users_replaces_the_courses(monkeypatch, tmp_path):
    made = options(monkeypatch, tmp_path, "--LabApp.default_url=/tree")
    assert [option for option in made if "default_url" in option] == ["--LabApp.default_url=/tree"]


def test_the_command_line_reaches_the_server(monkeypatch):
    seen = []
    monkeypatch.setattr(launch, "launch", lambda *arguments: seen.append(arguments))
    assert cli.main(["lab", "01", "--no-browser", "--port", "9000", "--LabApp.x=1"]) == 0
    given = {"--ServerApp.ip": "127.0.0.1", "--ServerApp.port": 9000, "--ServerApp.open_browser": False}
    assert seen == [(cli.ROOT, "01", given, ["--LabApp.x=1"])]


def test_without_the_courses_folder_lab_and_build_and_book_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    for command in ("lab", "build", "book"):
        with pytest.raises(SystemExit, match=r"clone of the course"):
            cli.main([command])


@pytest.fixture
def server(root, tmp_path, monkeypatch):
    """(address, token, log) of a real JupyterLab on the copies."""
    home = tmp_path / "home"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
    environment |= {"JUPYTER_CONFIG_DIR": str(home / "config"), "JUPYTER_RUNTIME_DIR": str(home / "runtime")}
    code = "import sys; from pathlib import Path; from modelsec_course.app import cli; cli.ROOT = Path(sys.argv[1]); "
    code += "cli.main(['lab', '--no-browser', '--port', '18888'])"
    log = tmp_path / "log"
    with log.open("w") as file:
        command = [sys.executable, "-c", code, str(root)]
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, cwd=root)
    deadline, found = time.monotonic() + 60, None
    try:
        while not (found and answers(found[1])):
            assert process.poll() is None, f"JupyterLab ended:\n{log.read_text()}"
            assert time.monotonic() < deadline, f"JupyterLab did not start:\n{log.read_text()}"
            time.sleep(0.2)
            pattern = r"(http://127\.0\.0\.1:\d+)/lab/tree/00_start\.ipynb\?token=(\w{20,})"
            found = re.search(pattern, log.read_text())
        yield found[1], found[2], log
    finally:
        process.terminate()
        process.wait(timeout=20)


def answers(address):
    try:
        get(f"{address}/api")
    except urllib.error.URLError:
        return False
    return True


def get(address, token=None):
    request = urllib.request.Request(address, headers={"Authorization": f"token {token}"} if token else {})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=20) as answer:
        return answer.read().decode()


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_jupyterlab_serves_the_copies_to_the_token_alone_with_the_courses_settings(server):
    address, token, log = server
    (line,) = log.read_text().splitlines()
    assert line == f"The course is open at {address}/lab/tree/00_start.ipynb?token={token} (Ctrl-C stops it)"
    for bad in (None, "0" * len(token)):
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(f"{address}/api/contents", bad)
        assert caught.value.code == 403
    listed = json.loads(get(f"{address}/api/contents", token))["content"]
    assert sorted(entry["name"] for entry in listed) == ["00_start.ipynb", "01_attack.ipynb"]

    def defaults(name):
        properties = json.loads(get(f"{address}/lab/api/settings/{name}", token))["schema"]["properties"]
        return {key: value["default"] for key, value in properties.items()}

    assert defaults("@jupyterlab/apputils-extension:kernels-settings")["commsOverSubshells"] == "disabled"
    news = defaults("@jupyterlab/apputils-extension:notification")
    assert (news["fetchNews"], news["checkForUpdates"]) == ("false", False)

    page = get(f"{address}/lab", token)
    config = json.loads(re.search(r'id="jupyter-config-data" type="application/json">(.*?)</script>', page, re.S)[1])
    assert doctor.WIDGETS in [extension["name"] for extension in config["federated_extensions"]]


def test_the_course_starts_light():
    code = "import sys; from modelsec_course.app import cli; cli.parser(); print(*(x in sys.modules for x in sys.argv))"
    done = subprocess.run([sys.executable, "-c", code, "torch", "jupytext"], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1:] == ["False", "False"]


def test_the_doctor_finds_this_installation_well(capsys):
    assert cli.main(["doctor"]) == 0
    said = capsys.readouterr().out
    for word in ("Python", "torch", "torchvision", "device", "cores", "free disk", "trained models", "All is well"):
        assert word in said


def broken_doctor(monkeypatch, capsys):
    assert doctor.examine(ROOT) == 1
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("PROBLEM")]


def test_the_doctor_names_a_missing_package_and_the_wrong_ipykernel(monkeypatch, capsys):
    def fake(name):
        if name == "nbval":
            raise doctor.PackageNotFoundError(name)
        return "7.0.1" if name == "ipykernel" else "9"

    monkeypatch.setattr(doctor, "version", fake)
    missing, wrong = broken_doctor(monkeypatch, capsys)
    assert "nbval is not installed: run `python3 course.py setup`" in missing
    assert "ipykernel 7.0.1" in wrong
    assert "pip install 'ipykernel<7'" in wrong


def test_the_doctor_names_damaged_models_and_a_missing_widget_manager(monkeypatch, capsys):
    from modelsec_course import zoo

    monkeypatch.setattr(zoo, "verify", lambda: ["digits-cnn is damaged: fetch it anew."])
    monkeypatch.setattr(doctor, "WIDGETS", "@nobody/nothing")
    widgets, model = broken_doctor(monkeypatch, capsys)
    assert "no widget manager" in widgets
    assert "digits-cnn is damaged" in model


def test_the_doctor_survives_what_is_broken(monkeypatch, capsys):
    from modelsec_course import zoo

    def fail():
        raise OSError("no such file")

    monkeypatch.setattr(zoo, "verify", fail)
    (problem,) = broken_doctor(monkeypatch, capsys)
    assert "OSError: no such file" in problem


def test_progress_is_shown_as_text(capsys):
    from modelsec_course.lab import rooms

    assert cli.main(["progress"]) == 0
    said = capsys.readouterr().out
    rows = said.splitlines()
    assert [row[:2] for row in rows[2 : 2 + len(rooms.labs())]] == rooms.labs()
    assert len({re.search(r"\d+ of \d+", row).end() for row in rows[2 : 2 + len(rooms.labs())]}) == 1
    assert "<" not in said


@pytest.mark.parametrize("names", [[], ["digits-cnn"]])
def test_build_zoo_trains_the_victims(monkeypatch, capsys, names):
    from modelsec_course import zoo

    called = []
    monkeypatch.setattr(zoo, "build", lambda only: called.append(only) or {"digits-cnn": {"test_accuracy": 0.5}})
    assert cli.main(["build", "zoo", *names]) == 0
    assert called == [names]
    assert "digits-cnn: 50.0 % of the test set" in capsys.readouterr().out


def test_names_go_with_the_zoo_only():
    with pytest.raises(SystemExit, match="Only `modelsec build zoo` takes names"):
        cli.main(["build", "notebooks", "digits-cnn"])


def test_an_unknown_victim_is_named():
    with pytest.raises(SystemExit, match="nonesuch"):
        cli.main(["build", "zoo", "nonesuch"])


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert __version__ in capsys.readouterr().out
