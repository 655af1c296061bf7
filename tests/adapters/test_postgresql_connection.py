"""A connection that never comes about."""

from __future__ import annotations

import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from branchline.adapters.databases.clients import Clients
from branchline.adapters.databases.postgresql_connection import PostgresqlServer, Sessions
from branchline.errors import Unavailable
from tests.workshop.postgres import Server


@pytest.fixture
def silent():
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(30)
        yield listening


def read_to_its_end(connection: socket.socket) -> bool:
    connection.settimeout(30)
    while connection.recv(1024):
        pass
    return True


def test_one_that_is_interrupted_while_it_is_opened_is_closed_before_anything_else_happens(
    silent: socket.socket,
) -> None:
    def interrupting() -> socket.socket:
        connection, _ = silent.accept()
        connection.settimeout(30)
        assert connection.recv(1024)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return connection

    server = PostgresqlServer("127.0.0.1", silent.getsockname()[1], "ada", "secret")
    with ThreadPoolExecutor(1) as beside:
        accepted = beside.submit(interrupting)
        with pytest.raises(KeyboardInterrupt) as held:
            server.connect("postgres")
        with accepted.result() as connection:
            assert read_to_its_end(connection)
    assert held.value is not None


def test_one_that_the_server_hangs_up_on_is_one_clear_error(silent: socket.socket) -> None:
    def hang_up() -> None:
        connection, _ = silent.accept()
        connection.close()

    server = PostgresqlServer("127.0.0.1", silent.getsockname()[1], "ada", "secret")
    with ThreadPoolExecutor(1) as beside:
        hung_up = beside.submit(hang_up)
        with pytest.raises(Unavailable) as caught:
            server.connect("postgres")
        hung_up.result()
    assert "secret" not in str(caught.value)


def test_sessions_are_used_one_job_after_another_but_for_those_that_a_job_failed_with(
    postgres: Server,
) -> None:
    server, _ = PostgresqlServer.from_url(postgres.url_of("postgres"))
    sessions = Sessions(Clients(), lambda: server.connect("postgres"))
    with sessions.one() as first:
        pass
    with sessions.one() as again, sessions.one() as beside:
        assert (again is first, beside is first) == (True, False)
    with pytest.raises(ZeroDivisionError), sessions.one() as failed:
        raise ZeroDivisionError
    with sessions.one() as one, sessions.one() as other:
        assert failed not in (one, other)
    sessions.close()
    assert all(each.closed for each in (first, beside, failed, one, other))
