"""Buffers are used again when, and only when, their owner is gone."""

from __future__ import annotations

import gc

import torch

from orchestrator.host_memory import SMALL_BYTES, HostMemory

COUNT = SMALL_BYTES // 4


class Owner:
    """Something that can be referred to weakly."""


def _copied(memory: HostMemory, tensor: torch.Tensor) -> tuple[Owner, torch.Tensor]:
    owner, lease = Owner(), memory.lease()
    copied = lease.copy(tensor)
    lease.belongs_to(owner)
    return owner, copied


def test_a_buffer_is_used_again_when_its_owner_is_gone_and_not_before() -> None:
    memory = HostMemory()
    first, one = _copied(memory, torch.ones(COUNT))
    second, two = _copied(memory, torch.zeros(COUNT))
    assert one.data_ptr() != two.data_ptr()
    assert one.eq(1).all()
    place = one.data_ptr()
    del first, one
    gc.collect()
    third, three = _copied(memory, torch.full((COUNT,), 3.0))
    assert three.data_ptr() == place
    assert two.eq(0).all()
    assert three.eq(3).all()
    assert memory.free_bytes == 0
    del second, third


def test_buffers_of_another_model_are_freed() -> None:
    memory = HostMemory()
    owner, _ = _copied(memory, torch.ones(COUNT))
    del owner, _
    gc.collect()
    assert memory.free_bytes == SMALL_BYTES
    _copied(memory, torch.ones(2 * COUNT))
    gc.collect()
    assert memory.free_bytes == 2 * SMALL_BYTES


def test_a_copy_is_contiguous_and_of_its_own() -> None:
    tensor = torch.arange(2 * COUNT).reshape(2, COUNT).T
    _owner, copied = _copied(HostMemory(), tensor)
    assert copied.is_contiguous()
    assert copied.equal(tensor)
    assert copied.data_ptr() != tensor.data_ptr()


def test_small_tensors_are_copied_and_not_kept() -> None:
    memory = HostMemory()
    owner, copied = _copied(memory, torch.ones(4))
    assert copied.equal(torch.ones(4))
    del owner, copied
    gc.collect()
    assert memory.free_bytes == 0
