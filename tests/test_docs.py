"""What the code has and the documentation must say."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from branchline import errors
from branchline.cli import app as cli
from branchline.config import app_keys, plan_keys, settings_keys
from branchline.sanitize.masks import catalogue
from scripts import write_reference

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path for room in ("src/branchline", "tasks", "flows") for path in (ROOT / room).rglob("*.py")
)
COMMANDS = (ROOT / "docs/reference/commands.md").read_text()
CONFIGURATION = (ROOT / "docs/reference/configuration.md").read_text()
ERRORS = (ROOT / "docs/errors.md").read_text()
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "deployments").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
ROW = re.compile(r"^\| B(\d{3}) \| ([\d, ]+) \|(.*)\|(.*)\|(.*)\|$", re.MULTILINE)
CLASSES = {
    name: error
    for name, error in vars(errors).items()
    if isinstance(error, type) and issubclass(error, errors.BranchlineError)
}


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in SOURCES:
        yield path, ast.parse(path.read_text())


def takes_a_number() -> dict[str, tuple[int, int | None]]:
    """Functions whose parameter `number` is an error's, with its place and default; classes that are errors."""
    found: dict[str, tuple[int, int | None]] = dict.fromkeys(CLASSES, (0, None))
    for _, tree in trees():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.ClassDef)
                and {getattr(base, "id", "") for base in node.bases} & found.keys()
            ):
                found[node.name] = (0, None)
            if isinstance(node, ast.FunctionDef):
                names = [each.arg for each in node.args.args if each.arg not in ("self", "cls")]
                if "number" in names and names != ["number"] and node.name not in ("__init__", "_end"):
                    default = node.args.defaults[-1] if node.args.defaults and names[-1] == "number" else None
                    found[node.name] = (
                        names.index("number"),
                        default.value if isinstance(default, ast.Constant) else None,
                    )
    return found


def raised() -> dict[int, set[str]]:
    """Every error number in the source, and the names of what raises it."""
    takers = takes_a_number()
    found: dict[int, set[str]] = {}
    for path, tree in trees():
        foreign = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("branchline")
            for alias in node.names
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            is_super = name == "__init__" and isinstance(node.args and node.args[0], ast.Constant)
            if name in foreign or (name not in takers and not is_super):
                continue
            place, default = takers.get(name, (0, None))
            given = node.args[place] if len(node.args) > place else None
            if isinstance(given, ast.Constant) and type(given.value) is int:
                found.setdefault(given.value, set()).add(name)
            elif given is None and default is not None:
                found.setdefault(default, set()).add(name)
            elif name in CLASSES:
                assert getattr(given, "id", "") == "number", (
                    f"{path.name}:{node.lineno}: the number of {name} cannot be told from the source"
                )
    return found


def test_every_error_number_has_one_meaning_and_no_other_has():
    documented = Counter(int(number) for number, *_ in ROW.findall(ERRORS))
    assert not [number for number, times in documented.items() if times > 1]
    in_the_code = set(raised())
    assert sorted(in_the_code - set(documented)) == []
    assert sorted(set(documented) - in_the_code) == []


def test_every_error_number_says_what_it_means_why_and_what_to_do():
    for number, _, *cells in ROW.findall(ERRORS):
        assert all(cell.strip() for cell in cells), number


def test_the_exit_code_of_an_error_is_the_documented_one():
    codes = {number: {int(code) for code in codes.split(",")} for number, codes, *_ in ROW.findall(ERRORS)}
    for number, names in raised().items():
        for name in names & CLASSES.keys():
            assert CLASSES[name].exit_code in codes[str(number)], number


def test_numbers_raised_through_a_function_are_found():
    numbers = raised()
    assert {100, 201, 310, 504, 508} <= numbers.keys()


@pytest.mark.parametrize(
    "path", [path for path, _ in write_reference.leaves(typer.main.get_command(cli))], ids=" ".join
)
def test_every_command_has_its_section(path):
    assert f"\n## {' '.join(path)}\n" in COMMANDS


def test_every_option_stands_in_its_commands_section():
    sections = dict(
        re.findall(r"^## (branchline [^\n]*)\n(.*?)(?=^## |\Z)", COMMANDS, re.MULTILINE | re.DOTALL)
    )
    for path, command in write_reference.leaves(typer.main.get_command(cli)):
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name != "help":
                for spelling in parameter.opts:
                    assert re.search(rf"`{spelling}\b", sections[" ".join(path)]), (path, spelling)
                assert parameter.help, (path, parameter.name)


def test_the_options_of_branchline_itself_are_named():
    for parameter in typer.main.get_command(cli).params:
        assert parameter.opts[0] in COMMANDS


@pytest.mark.parametrize("keys", [settings_keys, plan_keys, app_keys])
def test_every_key_of_a_file_is_documented(keys):
    assert [key for key in keys() if f"| `{key}` |" not in CONFIGURATION] == []


def test_every_key_of_a_policy_is_documented():
    policy = ast.parse((ROOT / "src/branchline/domain/policy.py").read_text())
    keys = {
        element.value
        for call in ast.walk(policy)
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "_mapping" and len(call.args) == 3
        for element in getattr(call.args[2], "elts", ())
    }
    assert len(keys) > 6
    documented = {part for key, *_ in write_reference.POLICY for part in key.split(".")}
    assert keys - documented == set()


def test_every_mask_is_documented_with_its_parameters():
    for name, mask in catalogue().items():
        row = re.search(rf"^\| `{name}` \|.*$", CONFIGURATION, re.MULTILINE)
        assert row, name
        assert [each for each in mask.parameters if f"`{each}`" not in row[0]] == []


def test_every_environment_variable_that_is_read_or_told_is_documented():
    named = set()
    told = set()
    for _, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                named |= {node.value} if re.fullmatch(r"BRANCHLINE_[A-Z_]*[A-Z]", node.value) else set()
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_told":
                told |= {f"BRANCHLINE_{key.value}" for key in getattr(node.args[0], "keys", ())}
    assert {"BRANCHLINE_HOME", "BRANCHLINE_ACTOR"} <= named
    assert len(told) > 6
    assert [name for name in sorted(named | told) if f"`{name}`" not in CONFIGURATION] == []


def test_the_generated_reference_is_what_the_code_says():
    assert write_reference.stale() == []


def test_a_stale_reference_is_noticed(monkeypatch, tmp_path):
    for name, write in write_reference.PAGES.items():
        (tmp_path / name).write_text(write())
    (tmp_path / "commands.md").write_text("old")
    monkeypatch.setattr(write_reference, "REFERENCE", tmp_path)
    assert write_reference.stale() == [tmp_path / "commands.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_relative_link_is_dead(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page.name} -> {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE)
            assert anchor in {_anchor(heading) for heading in headings}, f"{page.name} -> {target}"


def test_hints_point_to_pages_that_are_there():
    mentioned = {
        match
        for path in SOURCES
        for match in re.findall(
            r"docs/(?:how-to|reference|decisions|errors)[\w/-]*(?:\.md)?", path.read_text()
        )
    }
    missing = [
        each for each in sorted(mentioned) if not (ROOT / each).exists() and not list(ROOT.glob(f"{each}*"))
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_command_that_is_shown_exists_with_its_options(page):
    known = dict(write_reference.leaves(typer.main.get_command(cli)))
    for line in re.findall(r"^\s*(?:\$ )?(branchline [^\n#|]*)", page.read_text(), re.MULTILINE):
        words = line.split("<")[0].split("`")[0].split()
        path = next((tuple(words[:length]) for length in (4, 3, 2) if tuple(words[:length]) in known), None)
        assert path, f"{page.name}: {line}"
        options = {spelling for each in known[path].params for spelling in (*each.opts, *each.secondary_opts)}
        unknown = {word for word in words if word.startswith("--") and word not in options | {"--help"}}
        assert not unknown, f"{page.name}: {line}"


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
