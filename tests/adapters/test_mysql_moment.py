"""MariaDB and MySQL are read at one moment while others write, and are not held up."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from branchline.adapters.databases.mysql_snapshot import opened
from tests.workshop.mysql import MysqlBench, Server, numbers
from tests.workshop.mysql_production import kept, production, sync


@contextmanager
def written(server: Server, database: str) -> Iterator[None]:
    """Somebody adds to p and c, the reference after what it refers to, and removes from c, all the while."""
    stop, begun = threading.Event(), threading.Event()

    def write() -> None:
        with server.connected(database) as connection:
            cursor = connection.cursor()
            while not stop.is_set():
                cursor.execute("INSERT INTO p (v) VALUES ('new')")
                cursor.execute(f"INSERT INTO c (p) VALUES ({cursor.lastrowid})")
                cursor.execute("DELETE FROM c ORDER BY id LIMIT 1")
                begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        begun.wait(30)
        yield
    finally:
        stop.set()
        writer.join()


PARENTS = f"""CREATE TABLE p (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(9));
CREATE TABLE c (id INT AUTO_INCREMENT PRIMARY KEY, p INT NOT NULL, FOREIGN KEY (p) REFERENCES p (id));
INSERT INTO p (v) SELECT 'x' FROM {numbers(3000)};
INSERT INTO c (p) SELECT seq FROM {numbers(3000)};"""


def test_references_hold_while_production_goes_on_writing(mysql_bench: MysqlBench, server: Server) -> None:
    with production(server, PARENTS) as (name, _), written(server, name):
        report, notes = sync(mysql_bench, server.admin, name, kept(server, name), scan=False)
    assert report.rows >= 6000
    assert notes == ()


def test_sessions_that_begin_while_others_write_see_one_moment(server: Server) -> None:
    with (
        production(server, PARENTS) as (name, _),
        written(server, name),
        opened(server.admin, name, 12) as snapshot,
    ):
        seen = {session.one("SELECT MAX(id) FROM p") for session in snapshot.sessions}
    assert len(snapshot.sessions) == 12
    assert len(seen) == 1


def test_production_can_be_migrated_while_it_is_read(server: Server) -> None:
    with production(server, PARENTS) as (name, account), opened(account, name) as snapshot:
        assert sum(block.frame.height for block in snapshot.blocks("p", ["v"])) == 3000
        server.execute("SET SESSION lock_wait_timeout = 2;\nALTER TABLE p ADD w INT, ALGORITHM = COPY;", name)


def test_several_sessions_see_one_moment_and_one_is_enough_where_nothing_may_be_locked(
    server: Server,
) -> None:
    script = "CREATE TABLE t (id INT PRIMARY KEY);\nINSERT INTO t VALUES (1);"
    with production(server, script) as (name, account):
        server.execute(f"GRANT RELOAD ON *.* TO {name}")
        with opened(account, name, 3) as snapshot:
            server.execute("INSERT INTO t VALUES (2)", name)
            assert [session.one("SELECT COUNT(*) FROM t") for session in snapshot.sessions] == [b"1"] * 3
            assert "one session" not in " ".join(snapshot.notes)
        server.execute(f"REVOKE RELOAD ON *.* FROM {name}")
        with opened(account, name, 3) as snapshot:
            assert len(snapshot.sessions) == 1
            assert "one session" in " ".join(snapshot.notes)
