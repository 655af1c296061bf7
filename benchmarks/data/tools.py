"""Other tools that pip installs, each in a virtual environment of its own, configured to mask the same columns.

What a tool needs before it can start (a raw copy, empty tables) is part of its time; writing its configuration is not.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.data.commands import run
from benchmarks.data.contender import Job
from benchmarks.data.profiles import Table
from benchmarks.data.server import Account

STRATEGIES = {
    "keep": "keep",
    "email": "email",
    "first_name": "fakeFirstName",
    "last_name": "fakeLastName",
    "phone": "digits",
    "street": "fakeStreetAddress",
    "null": "null",
}
"""What bauta calls the masks."""
KEY = "a key for measuring only, of forty-eight letters"


@dataclass(frozen=True)
class Tool:
    """`most`: by engine, how many masked rows it is given, so that no run takes minutes. `way`: how it works and what it
    was told, for the reader. `start`: prepares a run and gives what is timed.
    """

    name: str
    version: str
    requirements: Sequence[str]
    most: Mapping[str, int]
    way: str
    start: Callable[[Job, Path], Callable[[], float]]


@dataclass(frozen=True)
class Installed:
    """A tool whose commands are in a directory. Implements Contender."""

    tool: Tool
    commands: Path
    masks: bool = True

    @property
    def name(self) -> str:
        return f"{self.tool.name} {self.tool.version}"

    def run(self, job: Job) -> Mapping[str, float]:
        return {"all": self.tool.start(job, self.commands)()}


def install(tool: Tool, directory: Path) -> Installed:
    """Raises DidNotRun with pip's last line when it cannot be installed. What is there already is used."""
    commands = directory / tool.name / "bin"
    if not (commands / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", directory / tool.name], check=True)
        pip = [str(commands / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, *tool.requirements])
        (commands / "installed").touch()
    return Installed(tool, commands)


def _pynonymizer(job: Job, commands: Path) -> Callable[[], float]:
    fakes = {
        "email": "unique_email",
        "first_name": "first_name",
        "last_name": "last_name",
        "phone": "phone_number",
        "street": "street_address",
        "null": "(NULL)",
    }
    tables = {
        table.name: {"columns": {column: fakes[mask] for column, mask in table.masked.items()}}
        for table in job.profile.tables
        if table.masked
    }
    strategy = job.scratch / "strategy.yml"
    strategy.write_text(yaml.safe_dump({"locale": "en_US", "tables": tables}))
    account = job.server.account
    kind = {"PostgreSQL": "postgres", "MariaDB": "mysql"}[job.server.name]
    options = [f"--db-type={kind}", "--workers=2"]
    options += [f"--db-name={job.target}", f"--db-user={account.user}", f"--strategy={strategy}", "--input=-"]
    if not account.socket or job.server.name == "PostgreSQL":
        options += [f"--db-host={account.socket or account.host}", f"--db-port={account.port}"]
    else:
        options += [f"--mysql-cmd-opts=--socket={account.socket}"]
    command = [str(commands / "pynonymizer"), *options, "--start-at=RESTORE_DB", "--stop-at=ANONYMIZE_DB"]
    environment = {**job.server.environment, "PYNONYMIZER_DB_PASSWORD": account.password}
    return lambda: run(job.server.dump(job.source), command, environment=environment)[0]


def _pganonymize(job: Job, commands: Path) -> Callable[[], float]:
    providers = {
        "email": {"provider": {"name": "md5"}, "append": "@example.test"},
        "first_name": {"provider": {"name": "fake.first_name"}},
        "last_name": {"provider": {"name": "fake.last_name"}},
        "phone": {"provider": {"name": "fake.phone_number"}},
        "street": {"provider": {"name": "fake.street_address"}},
        "null": {"provider": {"name": "clear"}},
    }
    tables = [
        {
            table.name: {
                "primary_key": table.key,
                "chunk_size": 10_000,
                "fields": [{column: providers[mask]} for column, mask in table.masked.items()],
            }
        }
        for table in job.profile.tables
        if table.masked
    ]
    schema = job.scratch / "schema.yml"
    schema.write_text(yaml.safe_dump({"tables": tables}))
    account = job.server.account
    options = [f"--schema={schema}", f"--dbname={job.target}", f"--user={account.user}", "--parallel"]
    options += [f"--host={account.socket or account.host}", f"--port={account.port}"]
    environment = {"PGPASSFILE": str(_password_file(job.scratch, account))}
    command = [str(commands / "pganonymize"), *options]
    return lambda: job.server.copy(job.source, job.target) + run(command, environment=environment)[0]


def _bauta(job: Job, commands: Path) -> Callable[[], float]:
    account = job.server.account
    way: dict[str, object] = {"host": account.host, "port": account.port}
    if account.socket:
        is_postgresql = job.server.name == "PostgreSQL"
        way = (
            {"host": account.socket, "port": account.port}
            if is_postgresql
            else {"host": "localhost", "options": {"unix_socket": account.socket}}
        )
    shared = {"type": job.server.name.lower(), "user": account.user, "password": "${BENCH_PASSWORD}", **way}
    connections = {
        "source": {**shared, "database": job.source, "readOnly": True},
        "target": {**shared, "database": job.target},
    }
    jobs = {table.name: _bauta_job(table, first=job.profile.tables[0]) for table in job.profile.tables}
    everywhere = {
        "sourceConnection": "source",
        "targetConnection": "target",
        "insertStrategy": "upsert",
        "chunkSize": 20_000,
    }
    whole = {
        "workers": 2,
        "maskingThreads": "auto",
        "requireNative": True,
        "defaults": everywhere,
        "jobs": jobs,
    }
    (job.scratch / "connections.yaml").write_text(yaml.safe_dump(connections))
    (job.scratch / "jobs.yaml").write_text(yaml.safe_dump(whole))
    command = [str(commands / "bauta"), "run", "--config", str(job.scratch), "--force", "--quiet"]
    environment = {"BENCH_PASSWORD": account.password, "BENCH_KEY": KEY}
    return lambda: job.server.copy_schema(job.source, job.target) + run(command, environment=environment)[0]


def _bauta_job(table: Table, *, first: Table) -> dict[str, object]:
    refers = any(f"REFERENCES {first.name}" in statement for statement in table.after)
    job: dict[str, object] = {
        "sourceQuery": f"SELECT * FROM {table.name}",
        "targetTableFinal": table.name,
        "predecessors": [first.name] if refers else [],
    }
    if not table.masked:
        return {**job, "unmasked": True}
    columns = {column: STRATEGIES[table.masked.get(column, "keep")] for column in table.columns}
    masking = {"key": "${BENCH_KEY}", "columns": columns}
    return {**job, "masking": masking, "partitions": {"column": table.key, "count": 2}}


def _masker_db(job: Job, commands: Path) -> Callable[[], float]:
    transformers = {
        "email": {"transformer": "email"},
        "first_name": {"transformer": "fake", "params": {"provider": "first_name"}},
        "last_name": {"transformer": "fake", "params": {"provider": "last_name"}},
        "phone": {"transformer": "preserve_format"},
        "street": {"transformer": "fake", "params": {"provider": "street_address"}},
        "null": {"transformer": "null"},
    }
    tables = {
        table.name: {
            "action": "copy",
            "columns": {
                column: transformers[table.masked[column]]
                if column in table.masked
                else {"transformer": "keep"}
                for column in table.columns
            },
        }
        for table in job.profile.tables
    }
    rules = job.scratch / "masker.yaml"
    rules.write_text(yaml.safe_dump({"version": 1, "tables": tables}))
    account = job.server.account
    if job.server.name == "PostgreSQL":
        place = (
            "postgresql:///{}?"
            f"host={account.socket or account.host}&port={account.port}&user={account.user}"
        )
    else:
        place = f"mysql://{account.user}@{account.host}:{account.port}/{{}}?read_default_file={_option_file(job.scratch, account)}"
    ends = [f"--source={place.format(job.source)}", f"--target={place.format(job.target)}"]
    command = [str(commands / "masker"), "run", *ends, f"--rules={rules}", "--yes"]
    environment = {**job.server.environment, "MASKER_SECRET_KEY": KEY}
    return lambda: run(command, environment=environment, directory=job.scratch)[0]


def _password_file(directory: Path, account: Account) -> Path:
    escaped = account.password.replace("\\", "\\\\").replace(":", "\\:")
    return _private(directory / "pgpass", f"*:*:*:*:{escaped}\n")


def _option_file(directory: Path, account: Account) -> Path:
    socket = f"socket={account.socket}\n" if account.socket else ""
    return _private(directory / "client.cnf", f'[client]\npassword="{account.password}"\n{socket}')


def _private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


TOOLS = (
    Tool(
        "pynonymizer",
        "2.5.0",
        ("pynonymizer==2.5.0", "Faker==40.63.0"),
        {"PostgreSQL": 100_000, "MariaDB": 10_000},
        "raw copy, then one UPDATE per table from a table of 150 invented rows; two workers",
        _pynonymizer,
    ),
    Tool(
        "pganonymize",
        "0.13.0",
        ("pganonymize==0.13.0", "Faker==40.63.0"),
        {"PostgreSQL": 20_000},
        "raw copy, then Faker per value (md5 for e-mail) and one UPDATE; PostgreSQL only; --parallel",
        _pganonymize,
    ),
    Tool(
        "bauta",
        "0.2.7",
        ("bauta[postgresql,mariadb,native]==0.2.7",),
        {"PostgreSQL": 1_000_000, "MariaDB": 200_000},
        "masks in flight with its native masker; tables made beforehand by a schema dump; two workers, two partitions, upsert",
        _bauta,
    ),
    Tool(
        "masker-db",
        "0.1.0",
        ("masker-db[postgres,mysql]==0.1.0", "Faker==40.63.0"),
        {"PostgreSQL": 20_000, "MariaDB": 20_000},
        "masks in flight, Faker per value, makes the tables itself; its own sample check (`verify`) not counted",
        _masker_db,
    ),
)
