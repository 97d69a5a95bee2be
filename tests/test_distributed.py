"""Shares: every image on one rank, whatever the numbers; each looks on its rank as it would in the whole batch."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bcnn_prune.data.augment import augmented
from bcnn_prune.data.batches import ImageSplit, StreamedSplit, read_split
from bcnn_prune.data.format import describe
from bcnn_prune.distributed import ProcessGroup
from bcnn_prune.records import Augmentation
from tests.helpers.small_sets import stripes

AUGMENT = Augmentation(rotation=15, shift=0.1, zoom=0.1, colour=0.2)


@given(st.integers(1, 200), st.integers(1, 40))
def test_shares_follow_each_other_are_even_and_leave_rank_0_none_empty(count: int, world: int) -> None:
    shares = [ProcessGroup(rank, world).share(count) for rank in range(world)]
    assert [row for share in shares for row in range(count)[share.rows]] == list(range(count))
    sizes = [share.stop - share.start for share in shares]
    assert max(sizes) - min(sizes) <= 1
    assert sizes[0] == max(sizes)
    assert {share.of for share in shares} == {count}


@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 99))
def test_a_share_is_augmented_as_in_the_whole_batch(count: int, world: int, seed: int) -> None:
    """And leaves the generator where the whole does, so that the next batch is right, too."""
    images = torch.randint(256, (count, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    whole_draws = torch.Generator().manual_seed(seed)
    whole = augmented(images, AUGMENT, whole_draws)
    parts = []
    for rank in range(world):
        share, draws = ProcessGroup(rank, world).share(count), torch.Generator().manual_seed(seed)
        parts.append(augmented(images[share.rows], AUGMENT, draws, share))
        assert torch.equal(draws.get_state(), whole_draws.get_state())
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("world", [2, 5, 9])
def test_ranks_read_each_image_of_a_batch_once_from_memory_and_from_the_file(world: int, tmp_path: Path) -> None:
    stripes(tmp_path / "set.h5", per_class=(6, 2, 2))
    memory, digest = read_split(tmp_path / "set.h5", "train", torch.device("cpu")), describe(tmp_path / "set.h5").digest
    stream = StreamedSplit(tmp_path / "set.h5", "train", digest, torch.device("cpu"), workers=0)

    def read(split: ImageSplit | StreamedSplit, ranks: ProcessGroup) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return list(split.batches(8, torch.Generator().manual_seed(3), ranks))

    whole = read(memory, ProcessGroup())
    for split in (memory, stream):
        shares = [read(split, ProcessGroup(rank, world)) for rank in range(world)]
        for i, (images, labels) in enumerate(whole):
            assert torch.equal(torch.cat([share[i][0] for share in shares]), images)
            assert torch.equal(torch.cat([share[i][1] for share in shares]), labels)
