"""What a system makes of an approach, against its definitions; votes and maps, and attacks that know of them."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from modelsec_course import models, runtime, statistics, zoo
from modelsec_course.data import signs
from modelsec_course.data.signs import Drive
from modelsec_course.robustness import sightings
from modelsec_course.robustness.sightings import NOTHING, OnTheMap

STOP, EIGHTY = 0, 1
EVERY = torch.tensor(list(itertools.product((NOTHING, STOP, EIGHTY, 2), repeat=4)))  # all readings of four frames
STOPS, EIGHTIES = torch.full((len(EVERY),), STOP), torch.full((len(EVERY),), EIGHTY)


# --- the system's metric


def test_with_a_memory_hidden_is_missed_in_every_frame_and_appeared_is_seen_once():
    for row, hidden, appeared in zip(
        EVERY.tolist(), sightings.hidden(EVERY, STOPS), sightings.appeared(EVERY, EIGHTIES), strict=True
    ):
        assert hidden == all(read != STOP for read in row)
        assert appeared == any(read == EIGHTY for read in row)


def test_without_a_memory_the_last_frame_counts():
    assert torch.equal(sightings.hidden(EVERY, STOPS, memory=False), EVERY[:, -1] != STOP)
    assert torch.equal(sightings.appeared(EVERY, EIGHTIES, memory=False), EVERY[:, -1] == EIGHTY)


def test_a_memory_helps_against_hiding_and_hurts_against_appearing():
    hidden, appeared = (
        [look(EVERY, which, memory=memory).sum() for memory in (True, False)]
        for look, which in ((sightings.hidden, STOPS), (sightings.appeared, EIGHTIES))
    )
    assert hidden[0] < hidden[1]
    assert appeared[0] > appeared[1]


def test_a_rate_carries_its_exact_interval():
    rate = sightings.rate(torch.arange(400) < 8)
    assert rate == (0.02, *statistics.clopper_pearson(8, 400))
    assert rate.low < rate.share < rate.high
    assert sightings.rate(torch.zeros(20, dtype=torch.bool)).high == pytest.approx(1 - 0.025 ** (1 / 20))


def test_every_frame_is_read_as_it_would_be_alone_whatever_the_batches():
    net = models.initialise(models.poolnet(16, 3, 5), runtime.generator(0)).train()
    frames = torch.rand(3, 4, 3, 16, 16, generator=runtime.generator(1))
    readings = sightings.read(net, frames, batch_size=5)
    assert net.training
    net.eval()
    assert readings.tolist() == [[net(frame[None]).argmax().item() for frame in drive] for drive in frames]


def test_the_zoo_reads_unspoilt_signs_in_every_frame():
    labels = torch.arange(96) % len(signs.CLASSES)
    frames = signs.approach(signs.templates(), labels, generator=runtime.generator(5))
    for name in ("signs-cnn", "signs-poolnet"):
        readings = sightings.read(zoo.load(name, device="cpu"), frames)
        assert (readings == labels[:, None]).float().mean() > 0.97
        assert sightings.rate(sightings.hidden(readings, labels, memory=False)).share < 0.04


# --- voting


@pytest.mark.parametrize(("window", "needed"), [(1, None), (2, None), (3, None), (3, 3), (4, None), (6, 4)])
def test_a_vote_is_the_class_that_enough_of_the_last_frames_read(window, needed):
    enough = window // 2 + 1 if needed is None else needed
    for row, voted in zip(EVERY.tolist(), sightings.votes(EVERY, window=window, needed=needed).tolist(), strict=True):
        for frame in range(4):
            last = row[max(0, frame + 1 - window) : frame + 1]
            winners = [read for read in {*last} - {NOTHING} if last.count(read) >= enough]
            assert [voted[frame]] == (winners or [NOTHING])


def test_a_vote_over_one_frame_changes_nothing():
    assert torch.equal(sightings.votes(EVERY, window=1), EVERY)


def test_voting_helps_against_appearing_and_hurts_against_hiding():
    for look, which, sign in ((sightings.appeared, EIGHTIES, -1), (sightings.hidden, STOPS, 1)):
        alone, voted = (look(readings, which) for readings in (EVERY, sightings.votes(EVERY, window=3)))
        assert sign * (voted.int() - alone.int()).min() >= min(0, sign)
        assert sign * (voted.sum() - alone.sum()) > 0
        assert ((voted.int() - alone.int()) * sign >= 0).all()


def test_a_soft_vote_is_the_logarithm_of_the_mean_probability():
    logits = torch.randn(2, 5, 4, generator=runtime.generator(0), requires_grad=True)
    soft = sightings.soft_votes(logits, window=3)
    assert soft.shape == (2, 3, 4)
    for start in range(3):
        torch.testing.assert_close(soft[:, start].exp(), logits[:, start : start + 3].softmax(2).mean(1))
    torch.testing.assert_close(sightings.soft_votes(logits, window=1), logits.log_softmax(2))
    soft.sum().backward()
    assert (logits.grad.abs().amax((0, 2)) > 0).all()


# --- what can be painted on a stop sign to fool them


def painted(net, loss, *, steps=30, frames=6, high=56, wide=80):
    """A sticker on STOP's middle that climbs loss(logits of the frames), over ever new drives."""
    stop, area = signs.templates()[:1], torch.zeros(1, 1, 128, 128)
    area[..., 64 - high // 2 : 64 + high // 2, 64 - wide // 2 : 64 + wide // 2] = 1
    paint = torch.rand(1, 3, 128, 128, generator=runtime.generator(1))
    label = torch.zeros(6, dtype=torch.int64)

    def textures():
        return torch.cat([stop[:, :3].lerp(paint, area), stop[:, 3:]], 1)

    for step in range(steps):
        paint.requires_grad_()
        generator = runtime.generator(1000 + step)
        pictures = signs.approach(textures(), label, generator=generator, drive=Drive(frames=frames))
        logits = net(pictures.flatten(0, 1)).unflatten(0, (6, frames))
        (gradient,) = torch.autograd.grad(loss(logits), paint)
        paint = (paint.detach() + 0.06 * gradient.sign()).clamp(0, 1)
    return textures()


def likely(target, window=1):
    """How likely the target is in the votes of a drive: the attacker's hope."""
    return lambda logits: sightings.soft_votes(logits, window=window)[..., target].mean()


def seen_on(textures, net, n=40):
    frames = signs.approach(textures, torch.zeros(n, dtype=torch.int64), generator=runtime.generator(77))
    return sightings.read(net, frames)


@pytest.fixture(scope="module")
def net():
    return zoo.load("signs-cnn", device="cpu").requires_grad_(requires_grad=False)


def test_who_paints_for_the_vote_wins_the_vote(net):
    target = signs.CLASSES.index("limit 80")
    labels = torch.full((40,), target)
    unspoilt = sightings.votes(seen_on(signs.templates()[:1], net), window=5)
    assert sightings.rate(sightings.appeared(unspoilt, labels)).share < 0.05
    random = sightings.votes(seen_on(painted(net, likely(target, 5), steps=0), net), window=5)
    assert sightings.rate(sightings.appeared(random, labels)).share < 0.1
    voted = sightings.votes(seen_on(painted(net, likely(target, 5)), net), window=5)
    assert sightings.rate(sightings.appeared(voted, labels)).share > 0.5


def test_a_map_rules_out_what_does_not_stand_here_and_not_what_does(net):
    prior = signs.plausible("junction in a town")
    mapped = OnTheMap(net, prior)
    foreign, local = (signs.CLASSES.index(name) for name in ("limit 80", "limit 30"))
    assert prior[foreign] == 0 < prior[local]
    stickered = painted(net, likely(foreign))
    assert (seen_on(stickered, net) == foreign).float().mean() > 0.3
    assert not (seen_on(stickered, mapped) == foreign).any()
    adaptive, random = (painted(mapped, likely(local), steps=steps) for steps in (30, 0))
    assert (seen_on(random, mapped) == local).float().mean() < 0.1
    assert (seen_on(adaptive, mapped) == local).float().mean() > 0.5
    hiding = seen_on(stickered, mapped)  # the map cannot bring back what is hidden
    assert (hiding == 0).float().mean() < 0.7


def test_training_against_stickers_withstands_small_ones_painted_anew_and_not_large_ones(net):
    hardened = zoo.load("signs-cnn-stickers", device="cpu").requires_grad_(requires_grad=False)
    read = {}
    for side in (28, 56):  # 6 and 24 % of the sign
        for name, victim in (("plain", net), ("hardened", hardened)):
            spoilt = painted(victim, lambda logits: -likely(0)(logits), steps=40, high=side, wide=side)
            read[name, side] = (seen_on(spoilt, victim) == 0).float().mean().item()
    assert read["hardened", 28] > 0.8
    assert read["plain", 28] < read["hardened", 28] - 0.25
    assert max(read["plain", 56], read["hardened", 56]) < 0.3


def test_a_map_weighs_in_as_bayes_has_it():
    logits = torch.randn(6, 4, generator=runtime.generator(0))
    prior = torch.tensor([0.5, 0.3, 0.2, 0.0])
    posterior = OnTheMap(nn.Identity(), 7 * prior)(logits).softmax(1)
    joint = logits.softmax(1) * prior
    torch.testing.assert_close(posterior, joint / joint.sum(1, keepdim=True))
    even = OnTheMap(nn.Identity(), torch.ones(4))(logits)
    torch.testing.assert_close(even.log_softmax(1), logits.log_softmax(1))
    assert (posterior[:, 3] == 0).all()


def test_what_the_map_rules_out_spoils_no_gradient():
    logits = torch.randn(2, 3, 4, generator=runtime.generator(0), requires_grad=True)
    mapped = OnTheMap(nn.Identity(), torch.tensor([0.5, 0.5, 0.0, 0.0]))
    soft = sightings.soft_votes(mapped(logits.flatten(0, 1)).unflatten(0, (2, 3)), window=2)
    soft[..., 0].sum().backward()
    assert logits.grad.isfinite().all()
    assert (logits.grad[..., 0] > 0).all()


# --- devices and bad input


def test_everything_is_where_its_inputs_are(net):
    frames = torch.rand(2, 3, 3, 32, 32)
    with torch.device("meta"):
        readings = sightings.read(OnTheMap(net, signs.plausible("motorway")), frames)
        voted = sightings.votes(readings, window=2)
        soft = sightings.soft_votes(F.one_hot(readings, 24).float(), window=2)
        flags = sightings.hidden(voted, readings[:, 0])
    assert {part.device.type for part in (readings, voted, soft, flags)} == {"cpu"}


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: sightings.read(nn.Identity(), torch.zeros(2, 3, 8, 8)), ValueError, r"frames must be \(n, frames"),
        (lambda: sightings.hidden(EVERY.float(), STOPS), ValueError, r"readings must be int64 \(n, frames\)"),
        (lambda: sightings.hidden(EVERY, STOPS[:3]), ValueError, "signs must have shape"),
        (lambda: sightings.hidden(EVERY, STOPS, memory=1), TypeError, "memory must be True or False"),
        (lambda: sightings.rate(torch.zeros(3)), ValueError, "flags must be bool"),
        (lambda: sightings.rate(torch.zeros(0, dtype=torch.bool)), ValueError, "flags must be bool"),
        (lambda: sightings.votes(EVERY, window=0), ValueError, "window must be at least 1"),
        (lambda: sightings.votes(EVERY, window=4, needed=2), ValueError, "needed must be at least 3.*two classes"),
        (lambda: sightings.votes(EVERY, window=4, needed=5), ValueError, "needed must be at most window = 4"),
        (lambda: sightings.soft_votes(torch.zeros(2, 3), window=1), ValueError, "logits must be floats"),
        (lambda: sightings.soft_votes(torch.zeros(2, 3, 4), window=4), ValueError, "window must be at most the 3"),
        (lambda: OnTheMap(nn.Identity(), torch.zeros(3)), ValueError, "prior must be"),
        (lambda: OnTheMap(nn.Identity(), torch.tensor([-1.0, 2.0])), ValueError, "prior must be"),
        (lambda: OnTheMap(nn.Identity(), [1, 2]), TypeError, "prior must be a tensor"),
    ],
)
def test_what_makes_no_sense_is_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
