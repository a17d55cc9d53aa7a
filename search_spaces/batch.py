"""One batch size split into per-device size and accumulation steps, and split further."""

from __future__ import annotations

DEFAULT_PER_DEVICE = 32
"""Rows of one forward pass at most, when the sweep file names no per_device_train_batch_size."""


def split_batch(effective: int, world_size: int, bound: int | None = None) -> tuple[int, int]:
    """Return (per_device_train_batch_size, gradient_accumulation_steps).

    Their product with world_size is exactly `effective`; the per-device size is the largest
    divisor that does not pass the bound.

    Args:
        effective: rows of one optimizer step, all processes together; at least 1.
        world_size: how many processes share it.
        bound: the largest per-device size; None: DEFAULT_PER_DEVICE.

    Raises:
        ValueError: effective is not a multiple of world_size.
    """
    share, rest = divmod(effective, world_size)
    if rest or share < 1:
        raise ValueError(
            f"effective_batch_size must be a multiple of the workers, but got {effective} "
            f"for {world_size} workers"
        )
    limit = min(share, bound if bound is not None else DEFAULT_PER_DEVICE)
    per_device = next(n for n in range(max(limit, 1), 0, -1) if share % n == 0)
    return per_device, share // per_device


def halved(per_device: int, accumulation: int) -> tuple[int, int] | None:
    """Return a smaller (per_device, accumulation) with the same product; None for 1 row.

    The per-device size is halved when it is even; else it becomes the largest divisor of the
    product below its half (15 becomes 5, 7 becomes 1), because the rows of an optimizer step
    must stay the same number.
    """
    if per_device <= 1:
        return None
    return split_batch(per_device * accumulation, 1, per_device // 2)
