"""An application's configuration files, as they are in its repository at one commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from branchline.config.magento import translated
from branchline.config.problems import bad_files
from branchline.config.schema import Broken, documented_keys, key_names, unknown_key, validated
from branchline.config.yaml_source import Document, Path, Problem, load_mapping
from branchline.domain.app import App
from branchline.domain.app_rules import broken_rules
from branchline.errors import BadInput

Read = Callable[[str], bytes | None]
"""A file of the repository by its path; None where there is none."""

SANITIZE_FILE = ".branchline/sanitize.yaml"
_NOT_IN_APP_FILE = frozenset({"services", "routes", "warnings"})
_APP_KEYS = tuple(key for key in key_names(App) if key not in _NOT_IN_APP_FILE)
_STAND_IN = {"name": "unnamed", "type": "none:0"}
"""What the required keys are taken for while the rules of the others are checked."""


@dataclass(frozen=True, slots=True)
class _Files:
    app: Document
    services: Document
    routes: Document

    @property
    def all(self) -> tuple[Document, ...]:
        return (self.app, self.services, self.routes)

    def place(self, path: Path) -> tuple[Document, Path]:
        """The file that a place of the App is written in, and the path within it."""
        match path:
            case ("services", *rest):
                return self.services, tuple(rest)
            case ("routes", *rest):
                return self.routes, tuple(rest)
            case _:
                return self.app, path

    @property
    def unreadable(self) -> frozenset[str]:
        """The keys of the App whose files are no YAML."""
        files = {"services": self.services, "routes": self.routes}
        return frozenset(key for key, file in files.items() if not isinstance(file.value, dict))

    def value(self) -> dict[str, Any]:
        own = {key: value for key, value in _keys(self.app).items() if key not in _NOT_IN_APP_FILE}
        return {**own, "services": _keys(self.services), "routes": _keys(self.routes)}


def read_app(read: Read) -> App:
    """The application at one commit: .branchline/*.yaml, or .magento.app.yaml and .magento/*.yaml without them.

    Raises BadInput (101) where there is neither, and BadInput (100) with every problem of all files.
    """
    files, warnings = _open_files(read)
    app, broken = _checked(files.value(), files.unreadable)
    problems = [problem for file in files.all for problem in file.problems]
    problems += [
        files.app.problem((key,), unknown_key(key, _APP_KEYS))
        for key in _keys(files.app)
        if key in _NOT_IN_APP_FILE
    ]
    for path, text in broken:
        file, within = files.place(path)
        if isinstance(file.value, dict):
            problems.append(file.problem(within, text))
    if problems or app is None:
        _refuse(files, problems)
    return replace(app, warnings=tuple(str(warning) for warning in (*warnings, *_without_effect(files, app))))


def app_keys() -> dict[str, str]:
    """One-sentence description by dotted key of app.yaml, services.yaml (services.) and routes.yaml (routes.)."""
    return {key: said for key, said in documented_keys(App).items() if key not in _NOT_IN_APP_FILE}


def _open_files(read: Read) -> tuple[_Files, Sequence[Problem]]:
    for folder, app_file in ((".branchline/", ".branchline/app.yaml"), (".magento/", ".magento.app.yaml")):
        data = read(app_file)
        if data is not None:
            app, services, routes = (
                load_mapping(file, content or b"")
                for file, content in (
                    (app_file, data),
                    *((path, read(path)) for path in (f"{folder}services.yaml", f"{folder}routes.yaml")),
                )
            )
            if folder == ".branchline/":
                return _Files(app, services, routes), ()
            app, services, routes, warnings = translated(app, services, routes)
            return _Files(app, services, routes), warnings
    raise BadInput(
        101,
        "The commit has no .branchline/app.yaml, nor a .magento.app.yaml.",
        "add .branchline/app.yaml (docs/reference/configuration.md) and push again",
    )


def _checked(value: dict[str, Any], unreadable: frozenset[str]) -> tuple[App | None, list[Broken]]:
    """The App, or everything that is wrong: a key of the wrong shape does not hide the rules of the others."""
    app, broken = validated(App, value, hidden=_NOT_IN_APP_FILE)
    if app is not None:
        return app, [*broken_rules(app, unreadable)]
    wrong = {*unreadable, *(str(path[0]) for path, _ in broken if path)}
    sound = {key: each for key, each in value.items() if key not in wrong}
    app, _ = validated(App, _STAND_IN | sound)
    rules = broken_rules(app, unknown=wrong) if app is not None else ()
    return None, [*broken, *rules]


def _without_effect(files: _Files, app: App) -> Sequence[Problem]:
    return [
        files.app.problem(
            ("dependencies", manager),
            "is not installed: the build has the commands of this machine and what hooks.build installs",
        )
        for manager, packages in app.dependencies.items()
        if packages
    ]


def _refuse(files: _Files, problems: Sequence[Problem]) -> NoReturn:
    raise bad_files(100, [file.file for file in files.all], problems, "correct them, commit and push again")


def _keys(file: Document) -> dict[str, Any]:
    return file.value if isinstance(file.value, dict) else {}
