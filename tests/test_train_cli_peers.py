"""The processes of a training meet in a stated time, and miss one that is gone."""

import os
import socket
import subprocess
import sys
import threading

import pytest

from vae_keras.training.devices import peers


@pytest.fixture
def port():
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture(autouse=True)
def _unwatched(monkeypatch):
    """A process that is missed would end this one."""
    monkeypatch.setattr(peers, "_watch", lambda *_: None)


def meet_all(port, process_ids, num_processes):
    """What comes of each process: its `Peers`, or the error."""
    results = {}

    def work(index, process_id):
        try:
            results[index] = peers.meet(f"127.0.0.1:{port}", num_processes, process_id)
        except ConnectionError as error:
            results[index] = str(error)

    threads = [threading.Thread(target=work, args=item) for item in enumerate(process_ids)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return results


def test_all_meet_whoever_comes_first(port):
    found = meet_all(port, [2, 0, 1], 3)
    assert [sorted(found[index].connections) for index in range(3)] == [[0], [1, 2], [0]]
    # The port is free for JAX's own service, though the connections stand.
    socket.create_server(("127.0.0.1", port)).close()


def test_the_others_finish_when_the_first_has(port, monkeypatch):
    first_is_done = threading.Event()
    monkeypatch.setattr(peers, "_watch", lambda *_: first_is_done.wait(30))
    found = meet_all(port, [0, 1], 2)
    other = threading.Thread(target=found[1].finish)
    other.start()
    other.join(timeout=0.2)
    assert other.is_alive()
    found[0].finish()  # which waits for nobody
    first_is_done.set()
    other.join(timeout=10)
    assert not other.is_alive()


def test_a_coordinator_that_cannot_be_reached_is_given_up(port, monkeypatch):
    monkeypatch.setattr(peers, "CONNECT_SECONDS", 0.5)
    with pytest.raises(ConnectionError, match=f"No coordinator at 127.0.0.1:{port} within 0.5 sec"):
        peers.meet(f"127.0.0.1:{port}", 2, 1)


def test_processes_that_do_not_come_are_named(port, monkeypatch):
    monkeypatch.setattr(peers, "CONNECT_SECONDS", 0.5)
    found = meet_all(port, [0, 2], 4)
    assert "Of 4 processes these did not come" in found[0]
    assert "[1, 3]" in found[0]
    assert "did not take process 2 of 4" in found[1]


@pytest.mark.parametrize("stranger", [b"GET / HTTP/1.1\r\n", b"1 of 3\n", b"2 of 2\n", b""])
def test_a_stranger_is_not_taken(port, monkeypatch, stranger):
    monkeypatch.setattr(peers, "GREETING_SECONDS", 0.5)
    listening = threading.Event()
    listen = peers._listen

    def listened(port):
        listener = listen(port)
        listening.set()
        return listener

    monkeypatch.setattr(peers, "_listen", listened)
    results = {}
    first = threading.Thread(target=lambda: results.update(meet_all(port, [0], 2)))
    first.start()
    assert listening.wait(10)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(stranger)
        assert peers._read_line(connection) == b""
        peers.meet(f"127.0.0.1:{port}", 2, 1)
    first.join(timeout=10)
    assert list(results[0].connections) == [1]


def test_a_port_in_use_is_named():
    with socket.create_server(("", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConnectionError, match=f"cannot listen on port {port}.*another port"):
            peers.meet(f"127.0.0.1:{port}", 2, 0)


ONE_OF_ONE = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("heard", flush=True), os._exit(0)))
from vae_keras.training.devices import jax
jax.connect(sys.argv[1], 1, 0)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(10)
os._exit(1)
"""


def test_sigterm_reaches_the_program_and_not_jax(port):
    pytest.importorskip("jax")
    done = subprocess.run(
        [sys.executable, "-c", ONE_OF_ONE, f"127.0.0.1:{port}"],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "heard\n", done.stderr
