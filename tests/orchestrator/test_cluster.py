"""A cluster that is gone is noticed by a knock that nobody answers; Ray itself takes a minute."""

from __future__ import annotations

import socket

from orchestrator.cluster import Presence


def listening() -> tuple[socket.socket, str]:
    server = socket.create_server(("127.0.0.1", 0))
    return server, f"ray://127.0.0.1:{server.getsockname()[1]}"


def test_a_cluster_that_answers_is_there() -> None:
    server, address = listening()
    now = [0.0]
    presence = Presence(address, clock=lambda: now[0])
    for now[0] in (1.0, 5.0, 60.0, 600.0):
        assert not presence.is_gone()
    server.close()


def test_a_cluster_is_gone_when_nobody_answers_for_ten_seconds() -> None:
    server, address = listening()
    now = [0.0]
    presence = Presence(address, clock=lambda: now[0])
    server.close()
    for now[0] in (1.0, 3.0, 9.0):
        assert not presence.is_gone()
    now[0] = 11.0
    assert presence.is_gone()
    assert not presence.answers()


def test_a_head_that_comes_back_in_time_is_forgiven() -> None:
    server, address = listening()
    port = server.getsockname()[1]
    now = [0.0]
    presence = Presence(address, clock=lambda: now[0])
    server.close()
    now[0] = 9.0
    assert not presence.is_gone()
    with socket.create_server(("127.0.0.1", port)):
        now[0] = 11.5
        assert not presence.is_gone()
