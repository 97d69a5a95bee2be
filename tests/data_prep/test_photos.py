import pickle
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import ExifTags, Image, ImageFile, features

from data_prep import photos
from data_prep.photos import Photo, images_in
from tests.helpers.permissions import ordinary_user


def saved(path: Path, image: Image.Image) -> Photo:
    image.save(path)
    return Photo(path, "list.txt line 7")


@pytest.mark.parametrize(
    ("mode", "fill", "rgb"),
    [
        ("L", 90, (90, 90, 90)),
        ("1", 1, (255, 255, 255)),
        ("RGB", (200, 30, 60), (200, 30, 60)),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("RGBA", (200, 30, 60, 255), (200, 30, 60)),
        ("RGBA", (200, 30, 60, 0), (255, 255, 255)),
        ("LA", (90, 255), (90, 90, 90)),
        ("LA", (90, 0), (255, 255, 255)),
    ],
)
def test_every_kind_of_pixel_becomes_rgb_and_what_is_transparent_white(tmp_path, mode, fill, rgb):
    kind = "tiff" if mode == "CMYK" else "png"
    pixels = saved(tmp_path / f"x.{kind}", Image.new(mode, (30, 20), fill)).pixels(8)
    assert pixels.dtype == np.uint8
    assert_array_equal(pixels, np.broadcast_to(np.array(rgb, np.uint8), (8, 8, 3)))


def test_a_palette_is_looked_up_and_its_transparent_entry_is_white(tmp_path):
    image = Image.new("P", (30, 20), 1)
    image.putpalette([9, 9, 9, 200, 30, 60])
    image.paste(0, (0, 0, 15, 20))
    image.save(tmp_path / "x.png", transparency=0)
    pixels = Photo(tmp_path / "x.png", "").pixels(10)
    assert_array_equal(pixels[0, [0, 9]], [[255, 255, 255], [200, 30, 60]])


def test_a_cmyk_jpeg_keeps_its_colours(tmp_path):
    pixels = saved(tmp_path / "x.jpg", Image.new("CMYK", (30, 20), (0, 255, 255, 0))).pixels(4)
    assert_allclose(pixels, np.broadcast_to([255, 0, 0], (4, 4, 3)), atol=3)


def test_the_whole_frame_is_squeezed_into_the_square(tmp_path):
    image = Image.new("RGB", (80, 20))
    for corner, colour in {(0, 0): "red", (40, 0): "lime", (0, 10): "blue", (40, 10): "yellow"}.items():
        image.paste(colour, (*corner, corner[0] + 40, corner[1] + 10))
    pixels = saved(tmp_path / "x.png", image).pixels(4)
    assert [tuple(pixels[y, x]) for y in (0, 3) for x in (0, 3)] == [
        (255, 0, 0),
        (0, 255, 0),
        (0, 0, 255),
        (255, 255, 0),
    ]


def test_shrinking_averages_so_fine_checks_become_grey(tmp_path):
    checks = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    assert_allclose(saved(tmp_path / "x.png", Image.fromarray(checks)).pixels(16), 127.5, atol=8)


def test_a_ramp_keeps_its_slope(tmp_path):
    ramp = np.tile(np.arange(256, dtype=np.uint8), (32, 1))
    expected = np.arange(256).reshape(32, 8).mean(1)
    pixels = saved(tmp_path / "x.png", Image.fromarray(ramp)).pixels(32)[..., 0]
    assert_allclose(pixels[:, 1:-1], np.tile(expected[1:-1], (32, 1)), atol=1)


@pytest.mark.parametrize("side", [4, 64, 100])
def test_nothing_of_the_banner_is_left_at_any_side(tmp_path, side):
    image = Image.new("RGB", (60, 50), "black")
    image.paste("white", (0, 30, 60, 50))
    saved(tmp_path / "x.png", image)
    assert Photo(tmp_path / "x.png", "", banner=20).pixels(side).max() == 0
    assert Photo(tmp_path / "x.png", "", banner=19).pixels(side)[-1].max() > 0
    assert Photo(tmp_path / "x.png", "", banner=20).size() == (60, 50)


def test_a_photo_can_be_sent_to_another_process(tmp_path):
    read = saved(tmp_path / "x.png", Image.new("L", (3, 3), 5)).pixels
    assert_array_equal(pickle.loads(pickle.dumps(read))(2), read(2))


def damaged(folder: Path, how: str) -> Path:
    path = folder / f"{how}.{'png' if 'png' in how else 'jpg'}"
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8)
    if how == "missing":
        return path
    if how == "folder":
        path.mkdir()
        return path
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    if how == "text":
        path.write_text("no image")
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "broken png":
        path.write_bytes(whole[:36] + bytes([whole[36] ^ 0x55]) + whole[37:])  # the length of the second chunk
    else:
        path.write_bytes(whole[: len(whole) // 2])
    return path


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ("missing", "is missing"),
        ("folder", "is a folder: name the file in it"),
        ("text", "is no image"),
        ("empty", "is no image"),
        ("cut jpg", "cannot be read"),
        ("cut png", "cannot be read"),
        ("broken png", "cannot be read"),
    ],
)
def test_what_is_no_whole_image_is_refused_with_its_file_and_where_it_is_listed(tmp_path, how, problem):
    path = damaged(tmp_path, how)
    with pytest.raises(ValueError, match=problem) as refusal:
        Photo(path, "list.txt line 7").pixels(8)
    assert str(refusal.value).startswith(f"list.txt line 7: {path} ")
    assert "\n" not in str(refusal.value)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of what it reads nevertheless
@pytest.mark.parametrize("kind", ["jpg", "png", "gif", "bmp", "tif", "webp", "avif"])
def test_a_damaged_photo_is_read_or_refused_with_its_file(tmp_path, kind):
    if not features.check({"tif": "libtiff", "jpg": "jpg", "webp": "webp", "avif": "avif"}.get(kind, "zlib")):
        pytest.skip(f"this Pillow reads no {kind}")
    rng = np.random.default_rng(0)
    path = tmp_path / f"photo.{kind}"
    Image.fromarray(rng.integers(0, 256, (24, 24, 3), np.uint8)).save(path)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(60):
        flipped = whole.copy()
        flipped[rng.integers(0, len(whole), 4)] ^= rng.integers(1, 256, 4, np.uint8)
        path.write_bytes(flipped.tobytes())
        refused = ""
        try:
            assert Photo(path, "list.txt line 7").pixels(8).shape == (8, 8, 3)
        except ValueError as refusal:
            refused = str(refusal)
        assert refused.startswith(f"list.txt line 7: {path} ") or not refused


def test_a_photo_that_may_not_be_read_is_told_as_that():
    pixels = Image.new("L", (3, 3))
    with ordinary_user() as home:
        photo = saved(home / "x.png", pixels)
        photo.pixels(2)
        photo.path.chmod(0)
        with pytest.raises(ValueError, match=r"^list.txt line 7: .*x.png may not be read by you"):
            photo.pixels(2)


# Where the corners of the picture come from: EXIF 2.32, 4.6.4.A, "the 0th row is at the visual … of the image".
CORNERS = {1: "abcd", 2: "badc", 3: "dcba", 4: "cdab", 5: "acbd", 6: "cadb", 7: "dbca", 8: "bdac"}
COLOURS = {"a": (255, 0, 0), "b": (0, 255, 0), "c": (0, 0, 255), "d": (255, 255, 0)}


def noted(path: Path, image: Image.Image, orientation: object) -> Path:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image.save(path, exif=exif)
    return path


@pytest.mark.parametrize("kind", ["png", "webp", "tiff"])  # a TIFF is turned by Pillow in any case
@pytest.mark.parametrize("orientation", CORNERS)
def test_a_photo_is_turned_as_the_camera_noted_it_where_that_is_asked_for(tmp_path, orientation, kind):
    """A picture with corners a b / c d, stored as a camera held that way stores it."""
    image = Image.new("RGB", (40, 20))
    for corner, name in zip(((0, 0), (20, 0), (0, 10), (20, 10)), "abcd", strict=True):
        image.paste(COLOURS[name], (*corner, corner[0] + 20, corner[1] + 10))
    path = noted(tmp_path / f"x.{kind}", image, orientation)
    for turned in (False, True):
        corners = CORNERS[orientation] if turned or kind == "tiff" else "abcd"
        photo = Photo(path, "", turned=turned)
        pixels = photo.pixels(4)
        colours = [pixels[y, x] for y in (0, 3) for x in (0, 3)]
        assert_allclose(colours, [COLOURS[name] for name in corners], atol=60)  # webp blurs colours
        assert photo.size() == ((20, 40) if corners in ("acbd", "cadb", "dbca", "bdac") else (40, 20))
        assert photo.unturned() == (orientation != 1 and corners == "abcd")


def test_the_banner_is_cut_off_below_what_is_turned(tmp_path):
    image = Image.new("RGB", (40, 30), "black")
    image.paste("white", (0, 0, 10, 30))  # orientation 8: what is left is to be below
    path = noted(tmp_path / "x.png", image, 8)
    assert Photo(path, "", banner=10, turned=True).pixels(8).max() == 0
    assert Photo(path, "", banner=10).pixels(8).max() == 255


@pytest.mark.parametrize("orientation", [0, 9, 2**16 - 1])
def test_a_note_of_nonsense_turns_nothing(tmp_path, orientation):
    path = noted(tmp_path / "x.png", Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)), orientation)
    photo = Photo(path, "", turned=True)
    assert_array_equal(photo.pixels(8), Photo(path, "").pixels(8))
    assert not Photo(path, "").unturned()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_notes_are_no_damage_to_the_pixels(tmp_path):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8))
    path = noted(tmp_path / "x.jpg", image, 3)
    whole, start = path.read_bytes(), path.read_bytes().index(b"Exif") + 6
    for place in range(start, start + 26):
        for value in (0, 1, 255):
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            upright, turned = Photo(path, "").pixels(8), Photo(path, "", turned=True).pixels(8)
            assert any(np.array_equal(turned, np.rot90(upright, k)) for k in (0, 2)) or whole[place] == 3


def test_folders_are_searched_for_images(tmp_path):
    names = ["b.JPG", "a.png", "deep/er/c.webp", "notes.txt", ".hidden.png", ".hidden/d.png", "e.png/f.gif"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    paths = [str(path.relative_to(tmp_path)) for path in images_in(tmp_path)]
    assert paths == ["a.png", "b.JPG", "deep/er/c.webp", "e.png/f.gif"]
    (tmp_path / "deep/er/c.webp").unlink()
    with pytest.raises(ValueError, match=r"er holds no image: looked for files that end in .avif, .bmp, .*"):
        images_in(tmp_path / "deep/er")


def test_a_folder_that_may_not_be_read_is_not_passed_over():
    with ordinary_user() as home:
        (home / "a.png").touch()
        (home / "closed").mkdir(0)
        with pytest.raises(PermissionError, match="closed may not be read by you"):
            images_in(home)


@pytest.mark.parametrize("kind", ["png", "tiff", "pgm"])
def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path, kind):
    values = (np.arange(16, dtype=np.uint16) * 4_369).reshape(4, 4)  # 0 to 65,535
    if kind == "pgm":
        (tmp_path / "x.pgm").write_bytes(b"P5 4 4 65535\n" + values.astype(">u2").tobytes())
    else:
        Image.fromarray(values).save(tmp_path / f"x.{kind}")
    assert_allclose(Photo(tmp_path / f"x.{kind}").pixels(4), np.repeat(values[..., None] / 257, 3, axis=2), atol=1)


@pytest.mark.parametrize(("bits", "photometric", "data"), [(12, 1, "0007fffff0"), (16, 0, "ffffff7f0000")])
def test_a_tiff_of_other_bits_or_that_counts_down_has_the_same_greys(tmp_path, bits, photometric, data):
    """Black, grey and white, written by hand, as Pillow writes neither."""
    pixels = bytes.fromhex(data)
    entries = ((256, 3), (257, 1), (258, bits), (259, 1), (262, photometric), (273, 110), (278, 1))
    tags = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in (*entries, (279, len(pixels))))
    header = struct.pack("<2sHIH", b"II", 42, 8, 8) + tags + bytes(4)
    (tmp_path / "x.tif").write_bytes(header + pixels)
    greys = Photo(tmp_path / "x.tif").pixels(3)
    assert_allclose(greys[:, :, 0], [[0, 127, 255]] * 3, atol=1)


def test_a_grey_of_sixteen_bits_that_is_transparent_becomes_white_and_the_others_stay(tmp_path):
    values = (np.arange(16, dtype=np.uint16) * 4_369).reshape(4, 4)
    Image.fromarray(values).save(tmp_path / "x.png", transparency=4_369)
    expected = np.where(values == 4_369, 255, values / 257)
    assert_allclose(Photo(tmp_path / "x.png").pixels(4), np.repeat(expected[..., None], 3, axis=2), atol=1)


def test_the_size_of_a_png_is_read_without_its_pixels(tmp_path, monkeypatch):
    photo = saved(tmp_path / "x.png", Image.new("L", (30, 20)))
    monkeypatch.setattr(ImageFile.ImageFile, "load", None)
    assert photo.size() == (30, 20)
    assert not photo.unturned()


def test_pixels_without_a_range_are_refused(tmp_path):
    photo = saved(tmp_path / "x.tiff", Image.new("F", (4, 4), 0.5))
    with pytest.raises(ValueError, match=r"x.tiff cannot be read: its pixels have 32 bits"):
        photo.pixels(2)


def test_a_photo_lower_than_its_banner_is_refused(tmp_path):
    saved(tmp_path / "x.png", Image.new("L", (40, 20)))
    with pytest.raises(ValueError, match="20 px high, with a banner of 20 px"):
        Photo(tmp_path / "x.png", "list.txt line 7", banner=20).pixels(8)


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    photo = saved(tmp_path / "x.png", Image.new("L", (100, 100)))
    monkeypatch.setattr(photos, "MOST_PIXELS", 9_999)
    with pytest.raises(
        ValueError, match=r"x.png cannot be read: it has 10,000 pixels, more than 9,999: make it smaller"
    ):
        photo.pixels(8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nor is it told by Pillow first
        with pytest.raises(ValueError, match="more than 9,999"):
            photo.size()
    assert Image.MAX_IMAGE_PIXELS is None
