"""The other processes of a training: found in a stated time, and missed at once.

JAX itself waits five minutes for a process that does not come, and on GPUs a
hundred seconds for one that is gone, and then aborts with a stack trace.
"""

import os
import socket
import sys
import threading
import time

CONNECT_SECONDS = 60  # for all processes to meet
GREETING_SECONDS = 5  # for one that has connected to say who it is
READY, DONE = b"ready\n", b"done\n"
# A host that loses its power closes no connection: it is asked after 10 seconds, four times.
KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}


class Peers:
    """Connections to other processes, watched until the end of the training.

    A process that ends without having finished ends this one, with an error:
    it would wait for the other forever.

    Args:
        connections: Dict of sockets by the id of the process at the other end.
    """

    def __init__(self, connections):
        self.connections, self.watches = connections, {}
        for process_id, connection in connections.items():
            _keep_alive(connection)
            watch = threading.Thread(target=_watch, args=(process_id, connection), daemon=True)
            watch.start()
            self.watches[process_id] = watch

    def finish(self):
        """Tells the others that this process ends because it is done, which process 0 is first.

        It trains the second stage alone, and the others wait for it here.
        """
        if 0 in self.watches:
            self.watches[0].join()
        for connection in self.connections.values():
            connection.sendall(DONE)


def meet(coordinator, num_processes, process_id):
    """Waits for the other processes: the first for all, the others for the first.

    Args:
        coordinator: String, `"host:port"` of process 0.
        num_processes: Integer.
        process_id: Integer.

    Returns:
        The `Peers`.

    Raises:
        ConnectionError: if they do not meet within `CONNECT_SECONDS`.
    """
    host, _, port = coordinator.rpartition(":")
    deadline = time.monotonic() + CONNECT_SECONDS
    if process_id == 0:
        return Peers(_wait_for_all(int(port), num_processes, deadline))
    greeting = f"{process_id} of {num_processes}\n".encode()
    return Peers({0: _look_for_first(host.strip("[]"), int(port), greeting, deadline)})


def _wait_for_all(port, num_processes, deadline):
    connections = {}
    with _listen(port) as listener:
        while len(connections) < num_processes - 1:
            listener.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                connection, _ = listener.accept()
            except TimeoutError as error:
                missing = sorted(set(range(1, num_processes)) - set(connections))
                raise ConnectionError(
                    f"Of {num_processes} processes these did not come to port {port} within "
                    f"{CONNECT_SECONDS} seconds, by --process-id: {missing}. Start all of them "
                    "with the same --coordinator and --num-processes."
                ) from error
            greeting = _read_line(connection)
            expected = {
                f"{other} of {num_processes}\n".encode(): other
                for other in range(1, num_processes)
                if other not in connections
            }
            if greeting in expected:
                connections[expected[greeting]] = connection
            else:
                connection.close()
    for connection in connections.values():
        connection.sendall(READY)
    return connections


def _listen(port):
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    try:
        return socket.create_server(("", port), family=family, dualstack_ipv6=dual)
    except OSError as error:
        raise ConnectionError(
            f"The coordinator cannot listen on port {port} ({error.strerror}). Choose another "
            "port in --coordinator."
        ) from error


def _look_for_first(host, port, greeting, deadline):
    while True:
        try:
            connection = socket.create_connection((host, port), timeout=GREETING_SECONDS)
            break
        except OSError as error:
            if time.monotonic() > deadline:
                raise ConnectionError(
                    f"No coordinator at {host}:{port} within {CONNECT_SECONDS} seconds ({error}). "
                    "It is the process with --process-id 0: is it running, and may this host "
                    "connect to it?"
                ) from error
            time.sleep(0.2)
    connection.sendall(greeting)
    # The coordinator may have begun to wait when this process did, or just now.
    if _read_line(connection, CONNECT_SECONDS + GREETING_SECONDS) != READY:
        raise ConnectionError(
            f"The coordinator at {host}:{port} did not take process {greeting.decode().strip()}: "
            "another has the same --process-id, its --num-processes differs, or not all "
            f"processes came within {CONNECT_SECONDS} seconds."
        )
    return connection


def _read_line(connection, timeout=GREETING_SECONDS):
    """Returns a line, or what came of it before the other end fell silent."""
    connection.settimeout(timeout)
    line = b""
    try:
        while not line.endswith(b"\n") and (byte := connection.recv(1)):
            line += byte
    except OSError:
        pass
    connection.settimeout(None)
    return line


def _keep_alive(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):  # not on every system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _watch(process_id, connection):
    if _read_line(connection, None) == DONE:
        return
    sys.stdout.flush()
    print(
        f"\nError: process {process_id} has stopped, and no other can go on without it. Start "
        "all of them again with --resume.",
        file=sys.stderr,
        flush=True,
    )
    # Not `sys.exit`: the training's own thread waits for that process, too.
    os._exit(1)
