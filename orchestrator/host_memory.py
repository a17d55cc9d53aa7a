"""Host memory for snapshots that is used again instead of allocated again.

A fresh buffer costs a page fault every few KiB when it is first written, which makes copying
into it several times slower than into one that was written before; and training waits for that
copy. Copies from a GPU also need page-locked memory to run at the bus's speed, which is slow to
allocate.
"""

from __future__ import annotations

import threading
import weakref
from collections import defaultdict

import torch

SMALL_BYTES = 1 << 16
"""Below this a buffer is not worth keeping."""

_Kind = tuple[torch.Size, torch.dtype, bool]


class HostMemory:
    """Lends buffers to owners and takes them back when an owner is gone."""

    def __init__(self) -> None:
        self._free: defaultdict[_Kind, list[torch.Tensor]] = defaultdict(list)
        self._lock = threading.Lock()

    def lease(self) -> Lease:
        """Return what one owner's copies are made with."""
        return Lease(self)

    def take(self, kind: _Kind) -> torch.Tensor:
        """Return a buffer; its content is whatever it was."""
        with self._lock:
            if self._free[kind]:
                return self._free[kind].pop()
        size, dtype, pinned = kind
        return torch.empty(size, dtype=dtype, pin_memory=pinned)

    def take_back(self, buffers: list[tuple[_Kind, torch.Tensor]]) -> None:
        """Keep buffers for the next owner."""
        with self._lock:
            for kind, buffer in buffers:
                self._free[kind].append(buffer)

    def keep_only(self, kinds: set[_Kind]) -> None:
        """Free the buffers of all other kinds: another model has other shapes."""
        with self._lock:
            for kind in self._free.keys() - kinds:
                del self._free[kind]

    @property
    def free_bytes(self) -> int:
        """What is kept and lent to nobody."""
        with self._lock:
            return sum(b.nbytes for buffers in self._free.values() for b in buffers)


class Lease:
    """The buffers of one owner."""

    def __init__(self, memory: HostMemory) -> None:
        self._memory = memory
        self._buffers: list[tuple[_Kind, torch.Tensor]] = []

    def copy(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a contiguous copy of a tensor in host memory.

        One from a GPU is complete only after `belongs_to`.
        """
        if tensor.nbytes < SMALL_BYTES:
            return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        on_gpu = tensor.is_cuda
        kind = (tensor.shape, tensor.dtype, on_gpu)
        buffer = self._memory.take(kind)
        self._buffers.append((kind, buffer))
        return buffer.copy_(tensor.detach(), non_blocking=on_gpu)

    def belongs_to(self, owner: object) -> None:
        """Wait for the copies; the buffers go back when the owner is gone.

        Whoever still holds one of its tensors then sees it change.
        """
        if any(pinned for (_, _, pinned), _ in self._buffers):
            torch.cuda.current_stream().synchronize()
        self._memory.keep_only({kind for kind, _ in self._buffers})
        weakref.finalize(owner, self._memory.take_back, self._buffers).atexit = False
