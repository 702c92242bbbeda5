"""The `modelsec` command. Each subcommand imports what it needs when it runs, so that none waits for another's."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from modelsec_course import __version__

ROOT = Path(__file__).resolve().parents[2]  # the course's folder, when the package is installed from it


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; returns the exit status. What the user can mend is one sentence on stderr."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["test"]:  # argparse would claim pytest's options
        return subprocess.call([sys.executable, "-m", "pytest", *argv[1:]], cwd=ROOT)
    arguments, rest = parser().parse_known_args(argv)
    if rest and arguments.command != "lab":
        parser().error(f"unrecognised arguments: {' '.join(rest)}")
    try:
        return arguments.run(arguments, rest) or 0
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="modelsec", description="Model Security, a course: its own command.")
    top.add_argument("--version", action="version", version=f"modelsec {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run, about: str, **more) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=about, description=about, **more)
        made.set_defaults(run=run)
        return made

    lab = command("lab", run_lab, "open the course in JupyterLab", epilog="other options go to JupyterLab")
    lab.add_argument("number", nargs="?", help="the lab to open, such as 01 (default: the one last worked on)")
    lab.add_argument("--no-browser", action="store_true", help="only print the address")
    lab.add_argument("--port", type=int, help="first port to try")
    lab.add_argument("--ip", default="127.0.0.1", help="address to serve on (default: this machine only)")
    command("test", None, "run the tests; options go to pytest")
    build = command("build", run_build, "make notebooks/ and solutions/ from the labs, or train the zoo's victims")
    build.add_argument("what", nargs="?", choices=("notebooks", "zoo"), default="notebooks")
    build.add_argument("names", nargs="*", help="with zoo: the victims to train (default: all)")
    build.add_argument("--check", action="store_true", help="change nothing; exit 1 when a notebook is stale")
    pictures = command("pictures", run_pictures, "draw the headline pictures that labs open with")
    pictures.add_argument("numbers", nargs="*", help="labs, such as 01 (default: those whose picture is stale)")
    pictures.add_argument("--check", action="store_true", help="change nothing; exit 1 when a picture is stale")
    new = command("new", run_new, "write a new lab's room, with one worked exercise, and build it")
    new.add_argument("number", help="two digits, such as 20")
    new.add_argument("title", help='what the lab is called, such as "Scaling up"')
    command("doctor", run_doctor, "say what is installed and what is amiss")
    command("progress", run_progress, "show which exercises you have solved")
    book = command("book", run_book, "run the solutions and write them as web pages")
    book.add_argument("numbers", nargs="*", metavar="NN", help="only these labs, like 04 (default: all)")
    book.add_argument("--out", type=Path, default=Path("site"), help="folder to write to (default: site)")
    return top


def run_lab(arguments, rest: list[str]) -> None:
    from modelsec_course.app.launch import launch

    given = {"--ServerApp.ip": arguments.ip, "--ServerApp.port": arguments.port}
    if arguments.no_browser:
        given["--ServerApp.open_browser"] = False
    launch(ROOT, arguments.number, given, rest)


def run_build(arguments, rest: list[str]) -> int:
    if arguments.what == "zoo":
        from modelsec_course import zoo

        try:
            manifest = zoo.build(arguments.names)
        except ValueError as error:
            sys.exit(str(error))
        for name in arguments.names or manifest:
            right = manifest[name].get("test_accuracy")  # a generator has none
            print(f"{name}: " + ("built" if right is None else f"{100 * right:.1f} % of the test set"))
        return 0
    if arguments.names:
        sys.exit("Only `modelsec build zoo` takes names: the victims to train.")
    from modelsec_course.app import readme
    from modelsec_course.build import BuildError, build

    if not (ROOT / "modelsec_course" / "labs").is_dir():
        sys.exit(f"{ROOT} has no labs: run this in a clone of the course, installed with `pip install -e .`.")
    try:
        stale = build(ROOT, check=arguments.check) + readme.refresh(ROOT, check=arguments.check)
    except BuildError as error:
        sys.exit(str(error))
    for path in stale:
        what = "stale" if arguments.check else "wrote" if path.exists() else "removed"
        print(what, path.relative_to(ROOT).as_posix())
    if stale and arguments.check:
        print("These differ from their sources: run `modelsec build` and commit the result.", file=sys.stderr)
    return int(bool(stale) and arguments.check)


def run_pictures(arguments, rest: list[str]) -> int:
    from modelsec_course.app.pictures import main as draw_pictures

    return draw_pictures(ROOT, arguments.numbers, arguments.check)


def run_new(arguments, rest: list[str]) -> None:
    from modelsec_course.app import readme
    from modelsec_course.app.pictures import draw
    from modelsec_course.app.rooms import new_room
    from modelsec_course.build import build

    if not (ROOT / "modelsec_course" / "labs").is_dir():
        sys.exit(f"{ROOT} has no labs: run this in a clone of the course, installed with `pip install -e .`.")
    made = new_room(ROOT, arguments.number, arguments.title)
    build(ROOT)
    draw(ROOT, arguments.number)
    for path in [*made, *build(ROOT), *readme.refresh(ROOT)]:
        print("wrote", path.relative_to(ROOT).as_posix())
    print(f"Write over what is there; CONTRIBUTING.md says how. `python3 course.py test -k {made[0].parent.name[4:]}`.")


def run_doctor(arguments, rest: list[str]) -> int:
    from modelsec_course.app.doctor import examine

    return examine(ROOT)


def run_progress(arguments, rest: list[str]) -> None:
    from modelsec_course.lab.standing import Course

    print(Course())


def run_book(arguments, rest: list[str]) -> None:
    from modelsec_course.app.book import write_book

    write_book(ROOT, arguments.out, arguments.numbers)
