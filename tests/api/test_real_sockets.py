"""What only a real server shows: answers before the body is read, waiters when the process is told to stop."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.support.running_service import Service, running_service


def connected(service: Service, head: str) -> socket.socket:
    """A connection on which a request has been sent."""
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=60)
    connection.sendall(f"{head}\r\nHost: localhost\r\nAuthorization: Bearer {service.token}\r\n".encode())
    return connection


def first_answer(connection: socket.socket) -> bytes:
    """The head of an answer, with whatever came along; the connection is closed then."""
    with connection:
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = connection.recv(65536)
            assert piece, answer
            answer += piece
        return answer


def everything(connection: socket.socket) -> bytes:
    """What the server sends until it closes the connection."""
    with connection:
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


@pytest.mark.slow
def test_a_stop_answers_those_who_wait(tmp_path: Path) -> None:
    with running_service(tmp_path / "data") as service:
        with connected(service, "GET /api/jobs HTTP/1.1") as connection:
            connection.sendall(b"Connection: close\r\n\r\n")
            token = everything(connection).rpartition(b'"token":"')[2].removesuffix(b'"}').decode()
        waiting = [connected(service, f"GET /api/jobs/long_poll?token={token} HTTP/1.1") for _ in range(5)]
        waiting.append(connected(service, f"GET /api/events?token={token} HTTP/1.1"))
        for connection in waiting:
            connection.sendall(b"\r\n")
        assert waiting[-1].recv(15) == b"HTTP/1.1 200 OK"
    answers = [everything(connection) for connection in waiting]
    assert [answer[:12] for answer in answers[:-1]] == [b"HTTP/1.1 204"] * 5
    assert answers[-1].endswith(b"0\r\n\r\n")


@pytest.mark.slow
def test_an_upload_that_is_refused_is_answered_before_its_end(tmp_path: Path) -> None:
    with running_service(tmp_path / "data", ZORDON_MAX_UPLOAD_BYTES="1000000") as service:
        form = "Content-Type: multipart/form-data; boundary=b\r\n"
        for path, length, status in (
            ("/api/add_job", 10**9, b"413"),
            ("/api/jobs", 10**9, b"405"),
            ("/api/no_such_route", 10**9, b"404"),
        ):
            connection = connected(service, f"POST {path} HTTP/1.1")
            connection.sendall(f"{form}Content-Length: {length}\r\n\r\n".encode())
            answer = first_answer(connection)
            assert answer.startswith(b"HTTP/1.1 " + status), (path, answer[:100])
            assert b"x-api-version: 0.1" in answer
            assert b"connection: close" in answer
