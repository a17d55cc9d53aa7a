"""A Ray that several studies of one command use one after the other.

Runs no study: each joins by the address and leaves again. A Ray ends with the process that
started it, and a process can be with one Ray at a time; so this one is started by a process of its
own, which the terminal's Ctrl-C does not reach and which ends it when its standard input is
closed, as happens however the command ends. It asks for Ray's token, as a Ray does that is started
without saying otherwise; whoever joins by an address must be told that before it loads ray.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import psutil

from orchestrator.errors import Unreachable

_AUTHENTICATION = "RAY_AUTH_MODE"
_END_S = 20.0


class SharedRay:
    """Started when its address is first asked for; ended by `close`, or with this process.

    Args:
        address: of a Ray that runs already, which is only named and never ended; None for none.
    """

    def __init__(self, address: str | None = None) -> None:
        self._address = address
        self._process: subprocess.Popen[str] | None = None

    def address(self) -> str:
        """The address to join.

        Raises:
            Unreachable: Ray did not start here; it has said why on standard error.
        """
        if self._address is None:
            self._address = self._start()
        return self._address

    def _start(self) -> str:
        os.environ.setdefault(_AUTHENTICATION, "token")
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        line = process.stdout.readline().strip() if process.stdout else ""
        if not line:
            self.close()
            raise Unreachable(
                "Ray did not start on this machine; why stands above.",
                mend="start one by `ray start --head` and give its --address.",
            )
        return line

    def close(self) -> None:
        """End a Ray that was started here; nothing of it is left then."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):  # it has ended already
            if process.stdin is not None:
                process.stdin.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            _kill(process.pid)
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _kill(pid: int) -> None:
    from orchestrator.cluster import end_processes

    with contextlib.suppress(psutil.NoSuchProcess):
        holder = psutil.Process(pid)
        end_processes([*holder.children(recursive=True), holder])


def _hold() -> None:
    """Start Ray, say its address, and end it when standard input ends."""
    from orchestrator.cluster import Presence, join_ray, leave_ray, ray_processes

    join_ray(None)
    print(Presence(None).address, flush=True)
    sys.stdin.read()
    leave_ray(ray_processes(()))


if __name__ == "__main__":
    _hold()
