"""The net's arithmetic: what it minimises, that it is the same bits every time, and what it refuses to read.

Guards against a teacher that pulls where there is none, answers that hang on who is asked along, bytes that run code,
and a library that leaves its threads or its random numbers behind in the process.
"""

import os
import pickle
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def mixer():
    """Return the module; skip without torch, saying what helps."""
    pytest.importorskip("torch", reason="torch is not installed: make setup-neural")
    from timegpt_assets.core.models import mixer

    return mixer


@pytest.fixture(scope="module")
def shape(mixer):
    return mixer.Shape(n_tokens=4, n_channels=3, hidden=4, blocks=1)


@pytest.fixture(scope="module")
def course(mixer):
    return mixer.Course(
        epochs=3, batch_rows=64, learning_rate=0.01, weight_decay=0.0, dropout=0.0, distill_lambda=0.5, seed=7
    )


@pytest.fixture(scope="module")
def lessons():
    """Return x, y and a teacher: y is noise, the teacher a product of two channels."""
    chance = np.random.default_rng(3)
    x = chance.normal(size=(600, 4, 3)).astype(np.float32)
    return x, chance.normal(size=600), x[:, -1, 0] * x[:, -1, 1]


def bits(mixer, weights):
    return mixer.packed(weights, {"n_tokens": 4})


def test_without_weight_or_without_a_teacher_the_loss_is_that_of_y_alone(mixer, shape, course, lessons):
    x, y, teacher = lessons
    nobody = np.full(len(y), np.nan)
    plain = bits(mixer, mixer.learnt(x, y, nobody, shape, replace(course, distill_lambda=0.0)))
    assert bits(mixer, mixer.learnt(x, y, teacher, shape, replace(course, distill_lambda=0.0))) == plain
    assert bits(mixer, mixer.learnt(x, y, nobody, shape, course)) == plain
    assert bits(mixer, mixer.learnt(x, y, teacher, shape, course)) != plain


def test_a_teacher_of_weight_one_teaches_as_the_mean_of_both_targets_does(mixer, shape, course, lessons):
    """(f - y)^2 + (f - t)^2 has the gradient of 2 (f - (y + t) / 2)^2, and Adam's steps do not hang on its scale."""
    x, y, teacher = lessons
    both = mixer.learnt(x, y, teacher, shape, replace(course, distill_lambda=1.0))
    mean = mixer.learnt(x, (y + teacher) / 2, np.full(len(y), np.nan), shape, course)
    for name, one in both.items():
        np.testing.assert_allclose(one.numpy(), mean[name].numpy(), atol=2e-3)


def test_a_teacher_pulls_and_only_on_the_rows_it_answers(mixer, shape, course, lessons):
    x, y, teacher = lessons
    half = np.where(np.arange(len(y)) % 2, teacher, np.nan)

    def nearness(taught, distill_lambda):
        weights = mixer.learnt(x, y, taught, shape, replace(course, epochs=20, distill_lambda=distill_lambda))
        return np.corrcoef(mixer.said(weights, x, shape, at_once=600), teacher)[0, 1]

    none, some, all_ = nearness(teacher, 0.0), nearness(half, 4.0), nearness(teacher, 4.0)
    assert none + 0.2 < some < all_, (none, some, all_)
    # half of the rows, each with its own weight: as a mean over all rows the others pull neither way
    twice = nearness(half, 8.0)
    assert some < twice


def test_the_same_lessons_give_the_same_bytes_whatever_the_process_was_set_to(mixer, shape, course, lessons):
    import torch

    x, y, teacher = lessons
    drops = replace(course, dropout=0.2)
    first = bits(mixer, mixer.learnt(x, y, teacher, shape, drops))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.manual_seed(99)
    state = torch.get_rng_state()
    try:
        assert bits(mixer, mixer.learnt(x, y, teacher, shape, drops)) == first
        assert torch.get_num_threads() == 2
        assert not torch.are_deterministic_algorithms_enabled()
        assert torch.equal(torch.get_rng_state(), state)
    finally:
        torch.set_num_threads(threads)
    assert bits(mixer, mixer.learnt(x, y, teacher, shape, replace(drops, seed=8))) != first


def test_it_starts_no_thread(mixer, shape, course, lessons):
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        pytest.skip("threads are counted in /proc, which is Linux's")
    before = len(list(tasks.iterdir()))
    weights = mixer.learnt(*lessons, shape, course)
    mixer.said(weights, lessons[0], shape, at_once=600)
    assert len(list(tasks.iterdir())) <= before


def test_one_by_one_an_answer_does_not_hang_on_its_company(mixer, shape, course, lessons):
    x = lessons[0]
    weights = mixer.learnt(*lessons, shape, course)
    alone = [mixer.said(weights, x[i : i + 1], shape, at_once=1)[0] for i in range(64)]
    assert mixer.said(weights, x[:64], shape, at_once=1).tolist() == alone
    assert mixer.said(weights, x[63::-1], shape, at_once=1).tolist() == alone[::-1]
    np.testing.assert_allclose(mixer.said(weights, x[:64], shape, at_once=64), alone, atol=5e-7)
    assert mixer.said(weights, x[:0], shape, at_once=1).shape == (0,)


def test_a_constant_target_is_said_as_it_is(mixer, shape, course, lessons):
    x = lessons[0]
    flat = mixer.learnt(x, np.zeros(len(x)), np.full(len(x), np.nan), shape, course)
    assert not mixer.said(flat, x, shape, at_once=600).any()  # its first answer is 0, and nothing moves it


def test_what_is_packed_comes_back_and_names_no_time(mixer, shape, course, lessons):
    weights = mixer.learnt(*lessons, shape, course)
    found = mixer.unpacked(mixer.packed(weights, {"type": "tsmixer_liquid", "middle": [0.5, 1.0]}))
    assert (found["type"], found["middle"]) == ("tsmixer_liquid", [0.5, 1.0])
    assert {name: tuple(one.shape) for name, one in found["state"].items()} == shape.sizes
    assert all(one.numpy().tobytes() == weights[name].numpy().tobytes() for name, one in found["state"].items())
    assert {one.date_time[0] for one in zipfile.ZipFile(BytesIO(bits(mixer, weights))).infolist()} == {1980}


class Malicious:
    """Pickled, it makes a folder where it is read."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self):
        return os.mkdir, (str(self.place),)


def test_bytes_that_would_run_code_are_refused_and_run_none(mixer, tmp_path):
    import torch

    place = tmp_path / "made_by_a_pickle"
    file = BytesIO()
    torch.save({"state": Malicious(place)}, file)
    for planted in (pickle.dumps(Malicious(place)), file.getvalue()):
        with pytest.raises(ValueError, match="no state dict"):
            mixer.unpacked(planted)
    assert not place.exists()
    pickle.loads(pickle.dumps(Malicious(place)))  # noqa: S301 - the same bytes do run where pickles are believed
    assert place.exists()


@pytest.mark.parametrize("broken", [b"", b"PK\x03\x04", b"not a net", bytes(200)])
def test_broken_bytes_are_refused_by_name(mixer, broken):
    with pytest.raises(ValueError, match="no state dict"):
        mixer.unpacked(broken)
