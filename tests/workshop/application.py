"""A tiny application whose code and data can be told apart by version, and whose hooks take milliseconds."""

from collections.abc import Mapping
from textwrap import dedent, indent
from typing import Literal

Kind = Literal["none", "compatible", "exclusive"]

MIGRATE = """\
import base64, json, os, sqlite3
path = json.loads(base64.b64decode(os.environ["BRANCHLINE_RELATIONSHIPS"]))["database"][0]["path"]
database = sqlite3.connect(path, isolation_level=None)
wanted = int(open("SCHEMA").read())
database.execute("BEGIN IMMEDIATE")
found = database.execute("PRAGMA user_version").fetchone()[0]
if found < 1:
    database.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT)")
    database.execute("INSERT INTO people (email) VALUES ('ann@harbour.test'), ('bob@harbour.test')")
for number in range(max(found, 1) + 1, wanted + 1):
    database.execute(f"ALTER TABLE people ADD COLUMN c{number} TEXT")
if found < wanted:
    database.execute(f"PRAGMA user_version = {wanted}")
database.execute("COMMIT")
with open(os.path.join(os.environ["BRANCHLINE_APP_DIR"], "media", "welcome.txt"), "w") as file:
    file.write("welcome")
"""
CHECK = """\
import base64, json, os, sqlite3, sys
path = json.loads(base64.b64decode(os.environ["BRANCHLINE_RELATIONSHIPS"]))["database"][0]["path"]
found = sqlite3.connect(path).execute("PRAGMA user_version").fetchone()[0]
wanted = int(open("SCHEMA").read())
sys.exit(0 if found >= wanted else f"schema {found}, not {wanted}")
"""
SANITIZE = """\
tables:
  people:
    columns:
      id: keep
      email: email
      c2: {mask: keep, reason: "empty"}
      c3: {mask: keep, reason: "empty"}
files:
  media:
    "**": copy
"""


def application(
    version: int,
    *,
    kind: Kind = "exclusive",
    schema: int = 1,
    build: str = "sh build.sh",
    deploy: str = "python3 -SI migrate.py",
    post_deploy: str = "sh warm.sh",
    check: str = "python3 -SI check.py",
) -> Mapping[str, str]:
    """Its files by path. It has a database and a mount; `schema` is what its deploy hook migrates to."""
    migrating = kind != "none"
    hooks = {"build": build, "deploy": deploy if migrating else "", "post_deploy": post_deploy}
    told = "".join(f"  {name}: |\n{indent(dedent(text), '    ')}\n" for name, text in hooks.items() if text)
    database = "relationships: {database: 'db:sqlite'}\n" if migrating else ""
    checks = f"  commands: [{check!r}]\n" if migrating and check else ""
    columns = [line for line in SANITIZE.splitlines(keepends=True) if not _beyond(line, schema)]
    return {
        "VERSION": f"{version}\n",
        "SCHEMA": f"{schema}\n",
        "build.sh": "cat VERSION > built\necho built\n",
        "warm.sh": "echo warm\n",
        "migrate.py": MIGRATE,
        "check.py": CHECK,
        ".branchline/app.yaml": (
            f"name: tiny\ntype: python:3.11\nmigrations: {kind}\nhooks:\n{told}"
            f"mounts:\n  media: {{source: local}}\n{database}checks:\n  timeout: 5s\n{checks}"
        ),
        ".branchline/services.yaml": "db: {type: 'sqlite:3'}\n",
        ".branchline/sanitize.yaml": "".join(columns),
    }


def _beyond(line: str, schema: int) -> bool:
    name = line.strip().partition(":")[0]
    return name.startswith("c") and name[1:].isdecimal() and int(name[1:]) > schema
