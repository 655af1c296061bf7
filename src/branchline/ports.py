"""The outside world as the rules see it: small protocols, with the contract in the docstring.

Whatever creates something takes the name to create it under, and has a remover that finds it by that
name and is content when it is already gone: another process can then finish or undo what this one began.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from branchline.domain.announcement import CommitStatus
from branchline.domain.app import Service
from branchline.domain.environment import Environment
from branchline.domain.schema import Schema

if TYPE_CHECKING:
    import polars  # noqa: ICN001 - named in full where it is only a type

Output = Callable[[str], None]
"""Takes one line of a command's output, without its line end, as it is printed."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit, as far as people are told about it."""

    id: str
    tree: str
    subject: str
    author: str


class SourceRepository(Protocol):
    """A project's bare Git repository. Names are checked here before they reach a command line."""

    def branches(self) -> Mapping[str, str]:
        """Commit id by branch name."""

    def resolve(self, ref: str) -> Commit:
        """The commit that a branch, tag or (abbreviated) commit id names. Raises BadInput."""

    def read(self, commit: str, path: str) -> bytes | None:
        """One file's bytes at a commit; None where there is no such file. Raises BadInput over 1 MiB."""

    def check_tree(self, commit: str) -> None:
        """Raises BadInput naming each file that cannot be built: a submodule, Git LFS pointer, link out of the tree."""

    def export(self, commit: str, directory: Path) -> None:
        """Writes the commit's files into an empty directory, with their executable bits; no .git."""

    def missing_from(self, commit: str, other: str | None) -> Sequence[Commit]:
        """The commits that `other` has and `commit` lacks, newest first; empty when `commit` contains `other`."""

    def changed_files(self, before: str | None, after: str) -> Sequence[str]:
        """Paths that differ between two commits, sorted; every path of `after` when there is no before."""

    def advance(self, branch: str, commit: str) -> None:
        """Fast-forwards a branch (or makes it); content when it is there already. Raises Refused when it would lose commits."""


@dataclass(frozen=True, slots=True)
class ProtectedBranch:
    """A branch that only promotion moves. `command` is what moves it: `branchline promote staging store`."""

    name: str
    command: str
    may_be_created: bool
    """Whether a push may make it while it does not exist."""


@dataclass(frozen=True, slots=True)
class Archived:
    """What an artifact store knows of one artifact: `digest` is `sha256:<hex>` of the uncompressed tar, `files` counts
    files and links, `size` is the bytes of all files, `stored_size` those it takes in the store.
    """

    digest: str
    files: int
    size: int
    stored_size: int


class ArtifactStore(Protocol):
    """Immutable artifacts, named by digest, verified whenever they are read."""

    def put(self, tree: Path, announce: Callable[[str], None]) -> Archived:
        """Archives a directory: sorted names, fixed owners and times, so equal directories have equal digests.

        Calls `announce` with the digest before anything is kept under it. Raises BadInput naming a link that leaves the tree, a device, a socket.
        """

    def extract(self, digest: str, directory: Path) -> None:
        """Writes the artifact's tree into an empty directory. Raises Failed, leaving nothing, on any tampering."""

    def verify(self, digest: str) -> Archived:
        """Reads all of it. Raises Failed when a byte differs or it is gone."""

    def remove(self, digest: str) -> None:
        """Content when it is gone."""

    def digests(self) -> Sequence[str]:
        """All that are stored."""

    def sweep(self) -> Sequence[str]:
        """Removes what processes that have ended left half-made; gives the names."""


class Trees(Protocol):
    """The artifacts' trees on this host: each unpacked once, read-only, shared by all environments."""

    def at_hand(self, digest: str) -> Path:
        """The tree, unpacked now if it was not before. Raises what `ArtifactStore.extract` raises."""

    def remove(self, digest: str) -> None:
        """Content when it is gone. Whoever calls knows that nothing runs from it."""

    def digests(self) -> Sequence[str]:
        """Those at hand, sorted."""

    def sweep(self) -> Sequence[str]:
        """Removes what processes that have ended left half-made; gives the names."""


@dataclass(frozen=True, slots=True)
class Box:
    """What a sandboxed command can see: its tree at /app, its mounts at /app/<mount>, and files it was given."""

    tree: Path
    tree_writable: bool = False
    mounts: Mapping[str, Path] = field(default_factory=dict)
    writable: Sequence[Path] = ()
    """Further directories, seen at their own path, that it may write: where an SQLite database lies."""
    environment: Mapping[str, str] = field(default_factory=dict)
    tag: str = ""
    """Given to every process in it as BRANCHLINE_STEP, by which `kill_tagged` finds what is left of it."""


class Sandbox(Protocol):
    """Runs an application's own commands, confined. The tree must have a directory where each mount goes."""

    kind: str

    def run(self, command: str, box: Box, *, timeout: float, output: Output) -> None:
        """Runs a shell command to its end. Raises Failed with its exit code, or on time-out, or when it fills the disk;
        nothing that it started is left running.
        """

    def serve(self, command: str, box: Box, *, output: Output) -> AbstractContextManager[int]:
        """Runs a server for the time of the context; gives the loopback port, which it gets as PORT."""

    def kill_tagged(self, tag: str) -> None:
        """Ends every process that carries this tag, with all it started, and removes what its runs left on this host.
        Returns when they are gone; raises Unavailable when one does not go.
        """


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of one table, only the columns that were asked for.

    `frame`: per column String, Int64, Float64 or Binary as stored; text beside numbers comes as String, anything beside
    binary as Binary. `keep`: which rows a keep-list lets pass. `locator`: by which the adapter finds the rows again.
    `beside`: the kept texts and whole numbers of the same rows as text, where an adapter reads them anyway.
    """

    frame: polars.DataFrame
    keep: polars.Series | None
    locator: object
    beside: polars.DataFrame | None = None


MaskBlock = Callable[[Block], "polars.DataFrame"]
"""Gives the masked columns of a block, in its order and height."""


class Snapshot(Protocol):
    """A database as it was at one moment, for as long as it is open; it cannot be written through this."""

    @property
    def notes(self) -> Sequence[str]:
        """What a reader of the report should know of how this moment was found; each a sentence."""

    def schema(self) -> Schema:
        """Its tables. Raises nothing for what cannot be copied: the schema says so."""

    def count(self, table: str, where: str = "") -> int:
        """Rows of a table that meet an SQL condition."""

    def estimate(self, table: str) -> int:
        """About how many rows a table has, for progress and for order, at no cost worth speaking of."""

    def blocks(
        self, table: str, columns: Sequence[str], *, where: str = "", keep: str = ""
    ) -> Iterator[Block]:
        """All rows that meet `where`, in blocks of bounded size; those that meet `keep` are flagged."""

    def probe(self, table: str, condition: str) -> str:
        """Why an SQL condition on this table is not understood; empty when it is."""

    def cells(
        self, table: str, column: str, locator: object, rows: Sequence[int], masked: Collection[str]
    ) -> Sequence[str | None] | None:
        """What a column holds, as text, in the rows that stand at these positions of a block of the copy. None where `masked`
        columns of the copy are those by which rows are found; a row that is not here gives None in its place.
        """

    def equal(self, column: str, others: Sequence[str]) -> str:
        """An SQL condition: a column is not empty and holds what one of the others holds in the same row, whatever the
        case of its letters.
        """

    def rows(self, table: str) -> str:
        """A table as SQL has it after FROM."""

    def quoted(self, name: str) -> str:
        """A column's name as SQL has it, whatever is in it."""

    def digest(self, values: Sequence[str]) -> str:
        """An SQL expression: fifteen hexadecimal digits, the same for the same values of these expressions only."""

    def newest(self, table: str, by: str, rows: int, where: str = "") -> str:
        """An SQL condition: a row is one of so many, of those that meet `where`, that come last by a column and then by the
        primary key; rows without a value there come first. Empty where there are no more than so many.
        """

    def texts(self, query: str, names: Sequence[str]) -> Iterator[polars.DataFrame]:
        """What a query gives, in blocks with columns of these names; every value as text, and none is NULL."""


class Loader(Protocol):
    """Fills one new version from a snapshot. Until `finish` has returned it is nobody's database yet."""

    jobs: int
    """How many tables may be copied at once, each in a thread of its own."""

    def begin(self, source: Snapshot) -> None:
        """Makes all tables, empty and without indexes; or begins to, and `copy` or `finish` raises what ended that."""

    def copy(
        self, table: str, masked: Sequence[str], mask: MaskBlock, *, where: str = "", keep: str = ""
    ) -> int:
        """Copies a table's rows, in constant memory, and gives their number. Values of `masked` columns go through
        `mask` and are never written before it; `mask` is called in any thread, and in several at once.
        """

    def stop(self) -> None:
        """Called from another thread, ends what is being copied: `copy` raises there, soon."""

    def finish(self, rebuild: Collection[str] = ()) -> None:
        """Makes indexes, views, triggers, and makes everything durable; virtual tables named in `rebuild` are filled again."""

    def count(self) -> Mapping[str, int]:
        """How many rows each table of the finished copy has."""

    def execute(self, statement: str) -> None:
        """Runs one SQL statement on the finished copy. Raises Failed; never with a value in its message."""

    def answer(self, query: str) -> Sequence[Sequence[object]]:
        """The rows that a query gives, of which only two need be there. It changes nothing."""

    def analyze(self) -> None:
        """Gathers what the engine plans queries by, where loading and `finish` have not. Called in another thread while the copy
        is proved; `stop` ends it.
        """

    def verify(self) -> Sequence[str]:
        """What the engine's own checks (structure, foreign keys) find wrong, without values."""

    def result(self) -> AbstractContextManager[Snapshot]:
        """The finished copy, to be read."""


class Database(Protocol):
    """The versions of one database service, each found by its name."""

    def create(self, name: str) -> None:
        """Makes an empty version. Raises Refused when the name is taken."""

    def clone(self, source: str, name: str) -> None:
        """Copies a version as it is at one moment, without stopping its users. Cut short, `remove(name)` takes it away."""

    def remove(self, name: str) -> None:
        """Content when it is gone."""

    def names(self) -> Sequence[str]:
        """All versions, finished or not, sorted."""

    def size(self, name: str) -> int:
        """Bytes on disk."""

    def relationship(self, name: str) -> Mapping[str, object]:
        """What an application is told to connect with."""

    def snapshot(self, name: str) -> AbstractContextManager[Snapshot]:
        """Opens a version for reading at one moment. Raises BadInput when there is none."""

    def loader(self, name: str) -> AbstractContextManager[Loader]:
        """Opens an empty version to be filled."""


class DatabasePlaces(Protocol):
    """Where the databases of environments are, each by what `DataVersion.name` says: service and engine."""

    def of(self, environment: Environment, name: str) -> Database:
        """Its versions. Raises Refused where no server is named for them."""

    def adopted(self, environment: Environment, name: str) -> bool:
        """Whether it was there before Branchline and only stands for its version."""

    def problems(self, environment: Environment, name: str, service: Service) -> Sequence[str]:
        """What speaks against an application having it there: no server, another version. Raises Unavailable."""

    def source_problems(self, source: Environment, target: Environment, name: str) -> Sequence[str]:
        """What speaks against a sync from the one to the other: an account that may write, the same database."""

    def secrets(self) -> Sequence[str]:
        """Passwords that no output may show."""


class CommitStatuses(Protocol):
    """Where the commits of one project are shown as deployed, being deployed, or not."""

    def tell(self, status: CommitStatus) -> None:
        """Shows it at its commit, in place of what its context showed there; told again, it changes nothing.

        Raises Unavailable, Failed or BadInput, in words that never hold the token.
        """


class Signatures(Protocol):
    """Signatures by SSH keys in the namespace `branchline`. Each raises Failed where OpenSSH is not installed, Unavailable
    when it takes too long.
    """

    def fingerprint(self, public_key: str) -> str:
        """`SHA256:...` of a key as authorized_keys has it. Raises BadInput where it is none."""

    def verify(self, text: str, signature: str, keys: Sequence[str]) -> bool:
        """Whether an armoured signature is over exactly this text, in this namespace, by one of these public keys."""

    def sign(self, text: str, key: Path) -> str:
        """The armoured signature by a private key, or by one in ssh-agent whose public half this is. Whoever sits at this
        process's terminal may be asked for a passphrase. Raises Failed with what ssh-keygen says.
        """
