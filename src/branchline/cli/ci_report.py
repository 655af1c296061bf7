"""How a CI job's log shows a run: lines for people, JSON lines for machines, JUnit for the CI system's own pages."""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from xml.etree import ElementTree as ET

from rich.markup import escape

from branchline.cli.terminal import out
from branchline.domain.happening import Happening, Outcome
from branchline.errors import BadInput

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
ENDED_WELL = ("success", "skipped")


class Output(Protocol):
    """One way of showing it."""

    def started(self, run: str | None, page: str | None) -> None: ...
    def happened(self, happening: Happening) -> None: ...
    def ended(self, outcome: Outcome, seconds: float) -> None: ...


@dataclass
class Report:
    """Whoever watches: what it is told goes to all outputs. One that went away does not end what it watched."""

    title: str
    outputs: list[Output]
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    def started(self, run: str | None = None, page: str | None = None) -> None:
        for output in self.outputs:
            with suppress(OSError):
                output.started(run, page)

    def happened(self, happening: Happening) -> None:
        for output in self.outputs:
            with suppress(OSError):
                output.happened(happening)

    def ended(self, outcome: Outcome) -> None:
        seconds = (datetime.now(UTC) - self.began).total_seconds()
        for output in self.outputs:
            with suppress(OSError):
                output.ended(outcome, seconds)


class JsonLines:
    """One object per line on standard output. `event` is started, begun, done, failed, line, warning or ended."""

    def __init__(self, title: str) -> None:
        self._title = title

    def started(self, run: str | None, page: str | None) -> None:
        self._write("started", datetime.now(UTC), what=self._title, run=run, page=page)

    def happened(self, happening: Happening) -> None:
        steps = happening.event in ("begun", "done", "failed")
        text = {"step" if steps else "text": happening.text}
        ended = happening.event in ("done", "failed")
        seconds = round(happening.seconds, 3) if happening.seconds is not None and ended else None
        self._write(
            happening.event, happening.at, **text, seconds=seconds, detail=happening.detail if ended else None
        )

    def ended(self, outcome: Outcome, seconds: float) -> None:
        self._write(
            "ended",
            datetime.now(UTC),
            outcome=outcome.outcome,
            exit_code=outcome.exit_code,
            seconds=round(seconds, 3),
            message=outcome.message,
            number=outcome.number,
            hint=outcome.hint or None,
            activity=outcome.activity,
            release=outcome.release,
            run=outcome.run,
            page=outcome.page,
        )

    @staticmethod
    def _write(event: str, at: datetime, **values: Any) -> None:
        given = {key: value for key, value in values.items() if value is not None}
        sys.stdout.write(json.dumps({"event": event, "at": at.isoformat(), **given}) + "\n")
        sys.stdout.flush()


class Text:
    """Lines for people, folded by step where the CI system can."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._folds = GitHubFolds() if os.environ.get("GITHUB_ACTIONS") == "true" else Folds()

    def started(self, run: str | None, page: str | None) -> None:
        if run is None:
            self._folds.open()
            _print(f"[bold]{escape(self._title)}[/]")
        else:
            _print(f"  [dim]run {escape(run)}: {escape(page or '')}[/]")

    def happened(self, happening: Happening) -> None:
        text = escape(happening.text)
        if happening.event == "begun":
            self._folds.begin(happening.text)
        elif happening.event == "line":
            _print(f"    [dim]{text}[/]")
        elif happening.event == "warning":
            _print(f"  [yellow]![/] {text}")
        else:
            self._folds.end()
            sign = "[green]✓[/]" if happening.event == "done" else "[red]✗[/]"
            _print(f"  {sign} {text}  [dim]{escape(happening.detail)} {happening.seconds or 0.0:.1f} s[/]")

    def ended(self, outcome: Outcome, seconds: float) -> None:
        self._folds.end()
        colour = {"success": "green", "skipped": "yellow"}.get(outcome.outcome, "red")
        _print(f"[bold {colour}]{escape(outcome.outcome)}[/] {escape(self._title)} [dim]({seconds:.1f} s)[/]")
        if outcome.exit_code == 0:
            _print(f"  {escape(outcome.message)}")
        for label, value in (
            ("activity", outcome.activity),
            ("release", outcome.release),
            ("page", outcome.page),
        ):
            if value:
                _print(f"  [dim]{label} {escape(value)}[/]")
        self._folds.close()


class Folds:
    """Where nobody folds: a line says that a step has begun."""

    def open(self) -> None: ...

    def begin(self, step: str) -> None:
        _print(f"  [dim]▸ {escape(step)}[/]")

    def end(self) -> None: ...
    def close(self) -> None: ...


class GitHubFolds(Folds):
    """Groups of GitHub Actions. Its workflow commands are off for all else, since a hook's output could hold some."""

    def __init__(self) -> None:
        self._token = secrets.token_hex(16)
        self._in_a_group = False

    def open(self) -> None:
        _raw(f"::stop-commands::{self._token}")

    def begin(self, step: str) -> None:
        self.end()
        self._in_a_group = True
        self._command(f"::group::{' '.join(step.split()).replace('%', '%25')}")

    def end(self) -> None:
        if self._in_a_group:
            self._in_a_group = False
            self._command("::endgroup::")

    def close(self) -> None:
        _raw(f"::{self._token}::")

    def _command(self, text: str) -> None:
        _raw(f"::{self._token}::\n{text}\n::stop-commands::{self._token}")


class JUnit:
    """A test case for each step. Written when it has ended, however that was."""

    def __init__(self, title: str, path: Path) -> None:
        """Raises BadInput when the file cannot be written."""
        self._title, self._path = title, path
        self._began = datetime.now(UTC)
        self._steps: list[Happening] = []
        self._lines: dict[str, list[str]] = {}
        self._current = title
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        except OSError as error:
            raise BadInput(
                293, f"The file {path} cannot be written: {error.strerror}.", "name another with --junit"
            ) from None

    def started(self, run: str | None, page: str | None) -> None: ...

    def happened(self, happening: Happening) -> None:
        if happening.event == "begun":
            self._current = happening.text
        elif happening.event in ("done", "failed"):
            self._steps.append(happening)
            self._current = self._title
        else:
            self._lines.setdefault(self._current, []).append(happening.text)

    def ended(self, outcome: Outcome, seconds: float) -> None:
        good = outcome.outcome in ENDED_WELL
        failed = (
            [] if good else [index for index, each in enumerate(self._steps) if each.event == "failed"][-1:]
        )
        suite = ET.Element(
            "testsuite", name=_xml(self._title), timestamp=self._began.isoformat(timespec="seconds")
        )
        for index, step in enumerate(self._steps):
            self._case(
                suite, step.text, step.seconds or 0.0, outcome if index in failed else None, step.detail
            )
        if not self._steps or outcome.outcome == "skipped" or not (good or failed):
            self._case(suite, self._title, seconds, None if outcome.outcome == "success" else outcome, "")
        for count, tag in (("tests", "testcase"), ("failures", ".//failure"), ("skipped", ".//skipped")):
            suite.set(count, str(len(suite.findall(tag))))
        suite.set("errors", "0")
        suite.set("time", f"{seconds:.3f}")
        suites = ET.Element("testsuites")
        suites.append(suite)
        ET.ElementTree(suites).write(self._path, encoding="utf-8", xml_declaration=True)

    def _case(
        self, suite: ET.Element, name: str, seconds: float, outcome: Outcome | None, detail: str
    ) -> None:
        case = ET.SubElement(
            suite, "testcase", classname=_xml(self._title), name=_xml(name), time=f"{seconds:.3f}"
        )
        if outcome is not None and outcome.outcome == "skipped":
            ET.SubElement(case, "skipped", message=_xml(outcome.message))
        elif outcome is not None:
            failure = ET.SubElement(
                case, "failure", type=outcome.outcome, message=_xml(outcome.message.splitlines()[0])
            )
            hint = f"\nnext: {outcome.hint}" if outcome.hint else ""
            failure.text = _xml(f"{outcome.message}{hint}")
        lines = [*([detail] if detail and outcome is None else []), *self._lines.pop(name, [])]
        if lines:
            ET.SubElement(case, "system-out").text = _xml("\n".join(lines))


def _xml(text: str) -> str:
    return _NOT_XML.sub("?", text)


def _print(markup: str) -> None:
    out.print(markup, soft_wrap=True)


def _raw(text: str) -> None:
    """Past the styles: a CI system reads it."""
    out.file.write(f"{text}\n")
    out.file.flush()
