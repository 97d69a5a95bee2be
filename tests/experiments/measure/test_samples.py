"""The sample images: those of the synthetic sets, the same again, and the committed ones among them."""

import json
from dataclasses import fields
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from bcnn_prune.records import Augmentation
from bcnn_prune.records.samples import Augmented, SampleSet, read
from data_prep.synthetic.code import DISTANCE, code_words
from data_prep.synthetic.families import FAMILIES, examples
from experiments.measure import samples
from experiments.measure.samples import Settings, augmentations, differing, main, most_alike, sampled
from experiments.run import cli

COMMITTED = Path(__file__).parents[3] / "results" / "samples"
SIDE = 24

each_family = pytest.mark.parametrize("family", FAMILIES)


def test_the_same_settings_give_the_same_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = []
    for name in ("first", "second"):
        main(Settings(out=tmp_path / name, side=SIDE))
        written.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert written[0] == written[1]
    assert set(written[0]) == {path.name for path in COMMITTED.glob("*.npz")}
    assert capsys.readouterr().out.count(" kB\n") == 2 * len(written[0])


@each_family
def test_the_committed_samples_are_drawn_again(family: str) -> None:
    committed, drawn = read(SampleSet, COMMITTED / f"drawn-{family}.npz"), sampled(family, 0, Settings().side)
    for field in fields(SampleSet):
        np.testing.assert_array_equal(getattr(committed, field.name), getattr(drawn, field.name))


def test_the_committed_augmentation_is_made_again() -> None:
    committed, made = read(Augmented, COMMITTED / "augmented.npz"), augmentations(0, Settings().side)
    np.testing.assert_array_equal(committed.original, made.original)
    assert committed.amounts.tolist() == made.amounts.tolist()
    # Another processor may round a resampled pixel the other way.
    assert np.abs(committed.draws.astype(int) - made.draws).max() <= 1


@each_family
def test_images_are_those_of_the_set(family: str) -> None:
    names, listed = examples(family, 20, seed=5)
    of_set = {example.id: example for example in listed}
    samples = sampled(family, 5, SIDE)
    for label, (image, name) in enumerate(zip(samples.classes, samples.class_names, strict=True)):
        np.testing.assert_array_equal(image, of_set[f"test/{label:02d}/000"].read(SIDE))
        assert name == names[label]
    label = names.index(str(samples.alike_names[0]))
    np.testing.assert_array_equal(samples.alike[0], of_set[f"test/{label:02d}/001"].read(SIDE))
    for i, image in enumerate(samples.varied):
        np.testing.assert_array_equal(image, of_set[f"test/{label:02d}/{i + 2:03d}"].read(SIDE))


@each_family
def test_the_classes_shown_as_alike_differ_as_little_as_any(family: str) -> None:
    words = code_words(FAMILIES[family].parts, 20)
    three = most_alike(words)
    assert [len(differing(words[i], words[j])) for i, j in combinations(three, 2)] == [DISTANCE] * 3
    parts = sampled(family, 0, SIDE).differing.tolist()
    assert parts == [", ".join(differing(words[three[0]], words[label])) for label in three]
    assert parts[0] == ""


def test_every_draw_is_another_and_one_recipe_changes_colours() -> None:
    samples = augmentations(0, SIDE)
    draws = samples.draws.reshape(-1, *samples.original.shape)
    assert all((first != second).any() for first, second in combinations([samples.original, *draws], 2))
    assert [Augmentation(**json.loads(str(amount))).colour > 0 for amount in samples.amounts] == [False, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--side", "8"], "--side is 8: take at least 16 pixels"), (["--seed", "-1"], "--seed is -1: take 0 to")],
)
def test_bad_input_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        cli.run(main, Settings, samples.__doc__, [*arguments, "--out", str(tmp_path / "samples")])
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "samples").exists()


def test_what_is_no_sample_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"cars.npz is not there: python -m experiments.measure.samples"):
        read(SampleSet, tmp_path / "cars.npz")
    (tmp_path / "cars.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"cars.npz holds no such samples: python -m experiments.measure.samples"):
        read(SampleSet, tmp_path / "cars.npz")
    with pytest.raises(ValueError, match=r"augmented.npz holds no such samples"):
        read(SampleSet, COMMITTED / "augmented.npz")
