"""Sessions on MariaDB and MySQL servers, and errors of the driver without the values that it likes to quote."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pymysql
from pymysql.cursors import Cursor, SSCursor

from branchline.errors import BadInput, BranchlineError, Failed, Refused, Unavailable

Row = tuple[Any, ...]
CONNECT_SECONDS = 10
_HERE = ("localhost", "127.0.0.1", "::1")
_STANDS_FOR = {
    1005: "a table could not be made",
    1007: "there is a database of that name",
    1022: "a key is not unique",
    1041: "the server is out of memory",
    1044: "the account has no right to the database",
    1049: "there is no such database",
    1051: "there is no such table",
    1054: "there is no such column",
    1060: "two columns have one name",
    1064: "it is not understood",
    1142: "the account has no right to a table",
    1143: "the account has no right to a column",
    1146: "there is no such table",
    1153: "a value is larger than the server's max_allowed_packet",
    1227: "the account has no right to that",
    1290: "the server runs with an option that forbids it",
    1305: "there is no such function",
    1356: "a view refers to what is not there",
    1370: "the account has no right to a routine",
    1412: "a table was altered meanwhile",
    1021: "the disk is full",
    1114: "the disk or a table is full",
    1030: "the storage engine gave an error",
    1792: "nothing can be written in a read-only transaction",
    1795: "the storage engine does not support an index",
    1062: "two rows have one value in a unique index",
    1048: "a column must not be NULL",
    1364: "a column has no default value",
    1451: "rows are referred to by others",
    1452: "rows refer to what is not there",
    1366: "a value is not what the column holds",
    **dict.fromkeys(
        (1418, 1419),
        "binary logging is on without log_bin_trust_function_creators, and forbids a function or trigger",
    ),
    1819: "validate_password forbids the passwords that Branchline makes; its policy LOW does not",
    3140: "a text is no JSON",
    3819: "a check of a table does not hold",
    4025: "a check of a table does not hold",
}
_GONE = {1053, 1077, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1317, 1927, 2002, 2003, 2006, 2013, 2055, 4031}
_NO_SUCH_VARIABLE, _NO_RIGHT = 1193, 1227
_BUSY = {1040, 1203, 1205, 1213, 1226, 1969, 3024}
_DENIED = {1045, 1130, 1698, 4151}
_NAMES = re.compile(
    r"(?:[Tt]able|column|[Vv]iew|key|FUNCTION|PROCEDURE|database|CONSTRAINT)\s+((?:['`][\w$@. -]{1,200}['`]\.?)+)"
)
_NAMING = {
    *(1005, 1044, 1049, 1051, 1054, 1060, 1062, 1142, 1143, 1146, 1153, 1305, 1356, 1370, 1412, 1114, 1795),
    *(1048, 1264, 1265, 1364, 1406, 1451, 1452, 3819, 4025),
}
"""Errors whose text names objects; that of others may quote a value which looks like one. A name follows the value where there is one."""


@dataclass(frozen=True, slots=True)
class MysqlServer:
    """Where a server answers, and as whom; by its socket where one is given. With `ca`, the path of a file of certificates, only
    by TLS and only when it proves its name; without, by TLS as far as it offers it, but on this machine.
    """

    host: str
    port: int = 3306
    user: str = "root"
    password: str = field(default="", repr=False)
    socket: str = ""
    ca: str = ""

    @classmethod
    def from_url(cls, url: str) -> MysqlServer:
        """`mysql://user:password@host:3306/?socket=/path&ssl_ca=/path`; the database is not looked at. Raises BadInput, without
        the URL in its words.
        """
        try:
            parts = urlsplit(url)
            scheme, port = parts.scheme.partition("+")[0], parts.port or 3306
            asked = parse_qs(parts.query, strict_parsing=bool(parts.query))
        except ValueError:
            scheme, port, asked = "", 0, {}
        if scheme not in ("mysql", "mariadb") or asked.keys() - {"socket", "ssl_ca"}:
            what = "A database's URL is not of the form mysql://user@host:3306/?socket=/path."
            raise BadInput(521, what, "Correct it where the service is configured.")
        host = (parts.hostname or "localhost").strip("[]")
        return cls(
            host,
            port,
            unquote(parts.username or "root"),
            unquote(parts.password or ""),
            asked.get("socket", [""])[0],
            asked.get("ssl_ca", [""])[0],
        )

    @property
    def tls(self) -> dict[str, Any]:
        """What the driver is told of it."""
        if self.ca:
            return {"ssl_ca": self.ca, "ssl_verify_cert": True, "ssl_verify_identity": True}
        return {"ssl_disabled": bool(self.socket) or self.host in _HERE}

    @property
    def address(self) -> str:
        """To be shown."""
        return self.socket or f"{self.host}:{self.port}"


def identifier(name: str) -> str:
    """A name as SQL writes it, whatever is in it."""
    return "`" + name.replace("`", "``") + "`"


def text(value: str) -> str:
    """A text as SQL writes it, whatever is in it and whatever the session's sql_mode."""
    return f"_utf8mb4 x'{value.encode().hex()}'"


class Session:
    """One connection, for one thread at a time. `raw`: every value comes as the server's bytes, in its column's character set."""

    def __init__(
        self,
        server: MysqlServer,
        database: str = "",
        *,
        raw: bool = False,
        infile: bool = False,
        settings: Sequence[str] = (),
    ) -> None:
        self.server, self._busy = server, False
        self._stream: SSCursor | None = None
        with scrubbed(f"connecting to {server.address}"):
            self.connection = pymysql.connect(
                host=server.host,
                port=server.port,
                unix_socket=server.socket or None,
                user=server.user,
                password=server.password,
                database=database or None,
                charset="utf8mb4",
                use_unicode=not raw,
                conv={} if raw else None,
                autocommit=True,
                local_infile=infile,
                connect_timeout=CONNECT_SECONDS,
                program_name="branchline",
                **server.tls,
            )
            chosen = [
                "time_zone = '+00:00'",
                "wait_timeout = 604800",
                f"sql_select_limit = {2**64 - 1}",
                *settings,
            ]
            chosen.append(
                "sql_notes = 1 /*!80000 , information_schema_stats_expiry = 0 */"
            )  # read by MySQL only
            if raw:
                chosen.append("character_set_results = NULL")
            try:
                self.run(f"SET SESSION {', '.join(chosen)}")
            except BaseException:
                self.close()
                raise

    def rows(self, sql: str) -> Sequence[Row]:
        """All rows of a query. Raises the driver's errors, as all that follows does."""
        with self._cursor() as cursor:
            cursor.execute(sql)
            found: Sequence[Row] = cursor.fetchall()
            return found
        raise AssertionError

    def one(self, sql: str) -> Any:
        """The first value of the first row; None where there is no row."""
        found = self.rows(sql)
        return found[0][0] if found else None

    def prefer(self, *settings: str) -> None:
        """Sets those that the server knows and lets this account set."""
        for setting in settings:
            try:
                self.run(f"SET SESSION {setting}")
            except pymysql.MySQLError as error:
                if code_of(error) not in (_NO_SUCH_VARIABLE, _NO_RIGHT):
                    raise

    def run(self, sql: str | bytes) -> int:
        """Runs a statement and gives the number of rows it touched."""
        with self._cursor() as cursor:
            return int(cursor.execute(sql))  # type: ignore[arg-type]  # bytes go as they are
        raise AssertionError

    def warned(self, sql: str) -> tuple[int, int]:
        """Runs a statement; rows it touched, and how many warnings it gave."""
        with self._cursor() as cursor:
            return int(cursor.execute(sql)), int(cursor.warning_count)
        raise AssertionError

    def streamed(self, sql: str, rows: int, size: int) -> Iterator[Sequence[Row]]:
        """The rows of a query as they come, about so many rows or bytes at a time; the session is taken until the last."""
        self._stream = cursor = self.connection.cursor(SSCursor)
        self._busy = True
        try:
            cursor.execute(sql)
            some: list[Row] = []
            held = 0
            while (row := cursor.fetchone()) is not None:
                some.append(row)
                held += sum(len(value or b"") for value in row)
                if len(some) >= rows or held >= size:
                    yield some
                    some, held = [], 0
            if some:
                yield some
            self._busy = False
        finally:
            if self._busy:
                self.close()  # left in the middle: the rest is not waited for

    @contextmanager
    def _cursor(self) -> Iterator[Cursor]:
        self._busy = True
        try:
            with self.connection.cursor() as cursor:
                yield cursor
        except pymysql.MySQLError:
            self._busy = False
            raise
        self._busy = False

    def close(self) -> None:
        """Ends it, and on the server what it was cut short in."""
        if self._busy:
            self.end()
        unread = getattr(self._stream, "_result", None)
        if unread is not None:
            unread.unbuffered_active = False  # or the driver reads on, when this is forgotten
        with suppress(pymysql.MySQLError, OSError):
            self.connection.close()

    def end(self) -> None:
        """Has the server end it, from any thread: whatever it waits for raises, soon."""
        with suppress(BranchlineError, pymysql.MySQLError, OSError):
            other = Session(self.server)
            try:
                other.run(f"KILL {self.connection.thread_id()}")  # type: ignore[no-untyped-call]
            finally:
                other.connection.close()


@contextmanager
def scrubbed(doing: str, number: int = 524, statement: str | None = None) -> Iterator[None]:
    """Raises Failed, Refused or Unavailable in place of a driver's error: no value in it, the original not chained to it. Of a `statement`
    that somebody wrote only names that are in it are told: it may have made others out of values.
    """
    try:
        yield
    except (pymysql.Error, pymysql.Warning, UnicodeError, OSError) as error:
        failure = _told(error, doing, number, statement)
        try:
            raise failure from None
        finally:
            failure.__context__ = None  # a chained error would be printed, or pickled, with its values


def code_of(error: BaseException) -> int:
    """The server's or the driver's number; 0 where it has none."""
    first = error.args[0] if error.args else 0
    return first if isinstance(first, int) else 0


def without_values(error: Exception, statement: str | None = None) -> str:
    """What the error's number stands for, with the tables, columns and keys that it names; never its text."""
    code, said = code_of(error), str(error.args[1]) if len(error.args) > 1 else ""
    if not code:
        return type(error).__name__
    names = _NAMES.findall(said) if code in _NAMING else []
    shown = ".".join(part for name in names[-1:] for part in re.findall(r"[\w$@. -]+", name) if part != ".")
    last = shown.rpartition(".")[2]
    shown = shown if statement is None or (last and last in statement) else ""
    meaning = _STANDS_FOR.get(code, "error")
    return f"{meaning} ({code}{f', {shown}' if shown else ''})"


def _told(error: Exception, doing: str, number: int, statement: str | None) -> BranchlineError:
    code = code_of(error)
    if (
        code in _GONE
        or (isinstance(error, OSError) and not code)
        or isinstance(error, pymysql.InterfaceError)
    ):
        return Unavailable(523, f"{doing}: the database server does not answer.", "Try again when it does.")
    if code in _BUSY:
        return Unavailable(
            number, f"{doing}: the database server is busy ({code}).", "Try again in a minute."
        )
    if code in _DENIED:
        what = f"{doing}: the server does not let this account in ({code})."
        return Refused(522, what, "Correct the user or password where the service is configured.")
    hint = "Correct what it names, then start again; nothing was switched."
    return Failed(number, f"{doing}: {without_values(error, statement)}.", hint)


_READS_ONLY = frozenset(
    {
        *("USAGE", "SELECT", "SHOW VIEW", "SHOW DATABASES", "SHOW CREATE ROUTINE", "SHOW_ROUTINE", "PROCESS"),
        *("RELOAD", "FLUSH_TABLES", "BACKUP_ADMIN", "LOCK TABLES"),
        *("REPLICATION CLIENT", "BINLOG MONITOR", "SLAVE MONITOR", "REPLICA MONITOR", "REPLICATION SLAVE"),
    }
)
"""TRIGGER and EVENT are not among them: whoever has one may make a trigger that changes what others write, or drop one."""
_ROLES = re.compile(r"GRANT (`[^`]*`(?:@`[^`]*`)?(?:, ?`[^`]*`(?:@`[^`]*`)?)*) TO ")


def rights(session: Session) -> Sequence[tuple[frozenset[str], str]]:
    """What an account may do, and where (`*.*`, a database, a table), with the roles that it has taken on."""
    return _read(_told_of(session))


def revoked(session: Session) -> Sequence[str]:
    """Where something is taken back of what the account may do everywhere (MySQL's partial_revokes)."""
    return [
        parts[1]
        for line in _told_of(session)
        if (parts := re.match(r"REVOKE .+? ON ([`*].*?) FROM [`']", line))
    ]


def may_write(session: Session) -> str:
    """A right by which an account could change something, to be named; empty when it has none. What it could do in roles that it
    has not taken on counts, and a role that cannot be looked into is one that may write.
    """
    lines = _told_of(session)
    roles = [found[1] for line in lines if (found := _ROLES.match(line))]
    try:
        for named in roles:
            whom = f"CURRENT_USER() USING {named}" if "`@`" in named else named
            lines += [line for (line,) in session.rows(f"SHOW GRANTS FOR {whom}")]
    except pymysql.MySQLError:
        return f"the role {roles[0]}, whose rights it may not see"
    for rights_there, where in _read(lines):
        for right in sorted(rights_there):
            if right.removesuffix(" (...)") not in _READS_ONLY:
                return f"{right} on {where}"
    return ""


def _told_of(session: Session) -> list[str]:
    return [line for (line,) in session.rows("SHOW GRANTS")]


def _read(lines: Sequence[str]) -> list[tuple[frozenset[str], str]]:
    found = []
    for grant in lines:
        if parts := re.match(r"GRANT (.+?) ON (?:\w+ )?([`*].*?) TO [`'].*?(WITH GRANT OPTION.*)?$", grant):
            what = re.sub(r"\([^)]*\)", "(...)", parts[1])
            named = {right.strip() for right in what.split(",")} | ({"GRANT OPTION"} if parts[3] else set())
            found.append((frozenset(named), parts[2]))
    return found


def identity_of(session: Session) -> str:
    """The same for the same database of the same server, by whatever name both are reached."""
    row = session.rows("SELECT @@hostname, @@port, @@datadir, DATABASE()")[0]
    for unique in ("server_uid", "server_uuid"):  # MariaDB's and MySQL's
        with suppress(pymysql.MySQLError):
            return f"mysql {session.one(f'SELECT @@{unique}')}/{row[3]}"
    return "mysql {}:{}{}/{}".format(*row)
