"""Train the network that the tests deploy and keep its weights beside this file, so that no test has to train it.

    python -m tests.deployment.make_stripes

takes ten seconds. Another processor rounds otherwise and learns other weights, which serve as well. The tests need
a network that is sure of its images (`margin`). The command refuses to keep another."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from bcnn_prune.data.augment import normalised
from bcnn_prune.data.batches import read_split
from bcnn_prune.deployment.backends.torch import torch_runtime
from bcnn_prune.deployment.compare import logits_of
from bcnn_prune.model.init import fresh
from bcnn_prune.model.network import BilinearCNN
from tests.deployment.conftest import SPEC, SURE, WEIGHTS, draw, margin

EPOCHS, LEARNING_RATE, BATCH, SEED = 60, 5e-3, 32, 1


def main() -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "set.h5"
        card = draw(path)
        model = learned(path)
        for name in ("val", "test"):
            split = read_split(path, name, torch.device("cpu"))
            margins = margin(logits_of(torch_runtime(model, card, 1), split), split.labels.numpy())
            print(f"{name}: the smallest margin is {margins:.2f} of the largest logit")
            if margins < SURE:
                raise SystemExit("too small a margin: nothing was kept; take another seed")
    save_file(model.state_dict(), WEIGHTS)
    print(f"{WEIGHTS}: {WEIGHTS.stat().st_size:,} bytes")


def learned(path: Path) -> BilinearCNN:
    """Adam and nothing of ours: training is not under test here."""
    generator = torch.Generator().manual_seed(SEED)
    model, train = fresh(SPEC, generator), read_split(path, "train", torch.device("cpu"))
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        for images, labels in train.batches(BATCH, generator):
            optimizer.zero_grad()
            F.cross_entropy(model(normalised(images)), labels).backward()
            optimizer.step()
        schedule.step()
    return model.eval()


if __name__ == "__main__":
    main()
