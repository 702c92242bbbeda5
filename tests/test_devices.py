"""Every function works where its inputs are.

Without an accelerator this is shown by a trick: inside `with torch.device("meta")` a tensor that is made without saying
where lands on meta, which holds no numbers, and meeting the inputs on the CPU it raises. So what passes here names a
device for every tensor it makes. (That the trick bites is itself tested.) With CUDA the inputs are there as well.
"""

from functools import partial

import pytest
import torch

from modelsec_course import (
    ensembles,
    evasion,
    extraction,
    federated,
    inversion,
    membership,
    models,
    poisoning,
    privacy,
    robustness,
    runtime,
    training,
)
from modelsec_course.data import faces, payments, signs
from modelsec_course.evasion import (
    LOSSES,
    NORMS,
    apgd,
    carlini_wagner,
    deepfool,
    fast_minimum_norm,
    fgsm,
    fooled,
    hop_skip_jump,
    nes,
    pgd,
    square_attack,
    tabular,
    transfer,
)  # fmt: skip

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
ATTACKS = {
    "fgsm": partial(fgsm, eps=0.1),
    "fgsm-l2": partial(fgsm, eps=0.5, norm="l2"),
    "fgsm-targeted": partial(fgsm, eps=0.1, targeted=True),
    "pgd": partial(pgd, eps=0.1, steps=3),
    "pgd-l2": partial(pgd, eps=0.5, steps=3, norm="l2"),
    "pgd-restarts": partial(pgd, eps=0.01, steps=2, restarts=2, norm="l2"),
    "pgd-targeted": partial(pgd, eps=0.1, steps=3, targeted=True, loss="margin"),
    "pgd-worst": partial(pgd, eps=0.1, steps=3, stop_early=False, random_start=False),
    "deepfool": deepfool,
    "deepfool-linf": partial(deepfool, norm="linf"),
    "carlini-wagner": partial(carlini_wagner, steps=4, searches=3),
    "carlini-wagner-targeted": partial(carlini_wagner, steps=4, searches=3, targeted=True),
    "fast-minimum-norm": partial(fast_minimum_norm, steps=4),
    "fast-minimum-norm-linf": partial(fast_minimum_norm, steps=4, norm="linf", targeted=True),
    "apgd": partial(apgd, eps=0.1, steps=9),
    "apgd-targeted": partial(apgd, eps=0.5, steps=4, norm="l2", loss="dlr-targeted", restarts=2),
    "nes": partial(nes, eps=0.1, queries=30, samples=4),
    "square": partial(square_attack, eps=0.1, queries=30),
    "square-l2": partial(square_attack, eps=0.5, queries=30, norm="l2"),
    "hop-skip-jump": partial(hop_skip_jump, queries=300, starts=5),
    "hop-skip-jump-images": partial(hop_skip_jump, queries=300, starts=5, images=torch.rand(9, 1, 8, 8)),
    "transfer": lambda model, x, y: transfer(model, x, y, attack=partial(fgsm, eps=0.1), surrogates=[model]),
}


@pytest.fixture(params=DEVICES)
def device(request, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    return torch.device(request.param)


@pytest.fixture
def problem(device):
    """model, x, y; y is right, so that there is something to attack."""
    net = models.initialise(models.cnn(), runtime.generator(0)).to(device)
    x = torch.rand(6, 1, 8, 8, generator=runtime.generator(1)).to(device)
    return net, x, net(x).argmax(1)


def test_the_trick_bites():
    x = torch.rand(3)
    with torch.device("meta"), pytest.raises((RuntimeError, NotImplementedError)):
        (x + torch.zeros(3)).sum().item()


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_work_where_their_inputs_are(name, problem):
    expected = ATTACKS[name](*problem)
    with torch.device("meta"):
        adversarial = ATTACKS[name](*problem)
    assert adversarial.device == problem[1].device
    torch.testing.assert_close(adversarial, expected)


@pytest.mark.parametrize("norm", NORMS)
def test_the_geometry_works_where_its_inputs_are(norm, problem):
    _, x, _ = problem
    ball = NORMS[norm]
    with torch.device("meta"):
        delta = ball.random(x, 0.5, runtime.generator(0))
        results = ball.length(delta), ball.dual(delta), ball.steepest_(delta.clone()), ball.project_(delta.clone(), 0.1)
    assert {result.device for result in (delta, *results)} == {x.device}


def test_scores_work_where_their_inputs_are(problem):
    net, x, y = problem
    logits = net(x)
    with torch.device("meta"):
        results = [*(loss(logits, y) for loss in LOSSES.values()), fooled(logits, y)]
    assert {result.device for result in results} == {x.device}


def test_stickers_work_where_their_inputs_are(device):
    sign, net = signs.templates()[0].to(device), models.initialise(models.poolnet(), runtime.generator(0)).to(device)
    net.eval()
    start = torch.rand(2, 3, 8, 8, generator=runtime.generator(1)).to(device)
    with torch.device("meta"):
        mask = evasion.sticker_mask(sign, "bars")
        shots = evasion.Photographs(sign, mask, generator=runtime.generator(2))
        ink = evasion.sticker(net, shots, start, 3, steps=2, samples=2, smooth=1.0, printable=1.0)
        textures = evasion.stick(sign, evasion.printed(ink), mask)
        success = evasion.physical_success(net, textures, 3, scenes=8, generator=runtime.generator(3))
        chance = evasion.random_ink(2, generator=runtime.generator(4))
        seen = evasion.distance(evasion.blur(evasion.light(start, 0.5, 0.1), 1.0), 2.0)
        seen = evasion.warp(seen, torch.eye(3, device=device).expand(2, -1, -1))
    assert {t.device.type for t in (mask, ink, textures, seen)} == {device.type}
    assert (chance.device.type, success.share.shape) == ("cpu", (2,))


@pytest.mark.parametrize("rules", tabular.RULES)
def test_evasion_in_tables_works_where_its_inputs_are(rules, device):
    table, x = payments.SCHEMA, payments.simulate(customers=20, days=3).x.to(device)
    net = models.linear(x.shape[1], 2).to(device).eval()
    with torch.device("meta"):
        moved = tabular.random_moves(x, table, runtime.generator(0))
        mended = tabular.project_feasible(moved, x, table)
        kept = tabular.feasible(mended, table, x)
        found = tabular.feasible_evasion(net, x, table, threshold=0.0, queries=14, steps=2, rules=rules)
    results = [moved, mended, kept, table.price(mended, x)]
    results += [found.x, found.evaded, found.first, found.spent, found.asked, found.worth]
    assert {result.device.type for result in results} == {device.type}


def test_training_and_counting_work_where_their_inputs_are(problem, monkeypatch):
    net, x, y = problem
    monkeypatch.setattr(torch.optim, "Adam", torch.optim.SGD)  # Adam's own step counter would land on meta
    with torch.device("meta"):
        training.fit(net, x, y, epochs=2, validate=(x, y), patience=2, progress=False)
        assert 0 <= training.accuracy(net, x, y) <= 1
        models.initialise(net, runtime.generator(0))
        with models.frozen(net):
            logits = net(x)
    assert logits.device == x.device


def test_robust_training_works_where_its_inputs_are(problem):
    net, x, y = problem
    losses = {
        "adversarial": robustness.adversarial(0.1, steps=2),
        "fast": robustness.fast(0.1),
        "trades": robustness.trades(0.1, steps=2),
        "noisy": robustness.noisy(0.25),
        "certified": robustness.CertifiedLoss(0.1, batches=1),
    }
    for name, loss in losses.items():
        with torch.device("meta"):
            for _ in range(2):  # the certified loss asks for bounds from its second batch on
                assert loss(net, x, y).device == x.device, name


def test_proofs_work_where_their_inputs_are(problem):
    net, x, y = problem
    noise = {"sigma": 0.25, "n": 50, "batch_size": 64}
    with torch.device("meta"):
        results = [
            *robustness.certify(net, x, **noise),
            robustness.predict(net, x, **noise),
            robustness.noisy_votes(net, x, **noise),
            *robustness.interval_bounds(net, x - 0.1, x + 0.1),
            robustness.certified(net, x, y, 0.1),
        ]
    assert {result.device for result in results} == {x.device}


def test_abstention_works_where_its_inputs_are(problem):
    net, x, y = problem
    logits = net(x).detach()
    with torch.device("meta"):
        results = [*robustness.risk_coverage(logits, y), robustness.selective_predict(logits, 0.1)]
        assert 0 < robustness.threshold_for(logits, 0.5) < 1
        assert robustness.risk_coverage_area(logits, y) == 0
        assert robustness.guaranteed_threshold(logits, y, risk=0.5)[1] <= 0.5
    assert {result.device for result in results} == {x.device}


def test_margins_and_conformal_sets_work_where_their_inputs_are(problem):
    net, x, y = problem
    logits, flat, w = net(x).detach(), x.flatten(1), torch.ones(64, device=x.device)
    with torch.device("meta"):
        thresholds = robustness.conformal_thresholds(logits, y, 0.3, by_class=True)
        results = [
            robustness.linear_margin(flat, w, 0.1),
            robustness.certified_margin(net, x, y, 0.01),
            *robustness.certified_answers(net, x, y, 0.01, threshold=0.1),
            thresholds,
            robustness.conformal_sets(logits, thresholds),
            robustness.certified_sets(net, x, 0.01, thresholds),
        ]
    assert {result.device for result in results} == {x.device}


def test_plausible_regions_work_where_their_inputs_are(problem):
    x = problem[1].flatten(1)[:, :4]
    with torch.device("meta"):
        region = robustness.plausible(x, 0.9, relations=True)
        results = [region.admits(x), *robustness.furthest(x, x[0], 0.1, region)]
    assert {result.device for result in results} == {x.device}


def test_a_start_drawn_on_the_cpu_is_the_same_on_every_device(device):
    x = torch.zeros(4, 5)
    for ball in NORMS.values():
        here, there = (ball.random(x.to(where), 0.5, runtime.generator(0)).cpu() for where in ("cpu", device))
        torch.testing.assert_close(here, there)


def test_evaluating_works_where_its_inputs_are(problem):
    net, x, y = problem
    attacks = evasion.ensemble(eps=0.1, steps=3, queries=5)
    with torch.device("meta"):
        found = robustness.worst_case(net, x, y, attacks, eps=0.1)
        flags = robustness.red_flags(net, x, y, eps=0.1, steps=2, queries=3)
    assert found.x_adv.device == x.device
    assert found.robust <= found.clean == 1
    assert isinstance(flags, tuple)


def test_fakes_and_the_attacks_that_know_them_work_where_their_inputs_are(problem):
    net, x, _ = problem
    fakes = robustness.planted(net)
    with torch.device("meta"):
        answers = [part(x) for fake in fakes.values() for part in (fake.defended, fake.adaptive)]
    assert {logits.device for logits in answers} == {x.device}


def test_attribute_and_property_inference_work_where_their_inputs_are(problem):
    x = problem[1].flatten(1)
    y, draw = torch.arange(6, device=x.device) % 2, runtime.generator(0)
    prior = torch.full((2,), 0.5, device=x.device)
    with torch.device("meta"):
        results = [
            membership.infer_attribute(
                lambda rows: rows.sum(1), x, x[:, 0], column=1, values=(0, 1), prior=prior, sigma=1.0
            ),
            membership.impute(x, y, x),
            membership.members_with_share(y, label=1, share=0.5, size=4, models=3, generator=draw),
            membership.infer_property(x.view(6, 8, 8), y.bool(), x.view(6, 8, 8)),
        ]
    assert {result.device for result in results} == {x.device}


def test_shadow_models_and_the_attacks_on_members_work_where_their_inputs_are(problem):
    _, x, y = problem
    members = torch.arange(len(x), device=x.device) % 2 == torch.arange(4, device=x.device)[:, None] % 2
    architecture = partial(models.linear, x[0].numel(), 10)
    with torch.device("meta"):
        shadows = ensembles.train(architecture, x, y, members, epochs=2, chunk=3, progress=False)
        logits = shadows.logits(x)
        odds, p = membership.logit_scale(logits, y), logits.softmax(2).amax(2)
        results = [
            logits,
            shadows.model(1)(x),
            odds,
            membership.gap_attack(logits, y),
            membership.lira(odds[0], odds[1:], members[1:]),
            membership.lira(odds[0], odds[1:], members[1:], mode="offline", variance="each"),
            membership.rmia(p[0], p[0], p[1:], p[1:], members[1:]),
        ]
        rates = [membership.tpr_at_fpr(odds, members, 0.5), membership.auc(odds, members)]
    assert {result.device for result in results} == {x.device}
    assert all(0 <= rate.low <= rate.value <= rate.high <= 1 for rate in rates)


def test_gradients_are_inverted_and_updates_are_added_where_their_inputs_are(problem, monkeypatch):
    _, x, y = problem
    net = models.linear(64, 10).to(x.device)
    monkeypatch.setattr(torch.optim, "Adam", torch.optim.SGD)  # Adam's own step counter would land on meta
    with torch.device("meta"):
        weight, bias = sent = inversion.batch_gradient(net, x, y)
        quotients, units = inversion.row_inputs(weight, bias)
        options = {"steps": 2, "restarts": 2, "progress": False}
        found = inversion.invert_gradient(net, sent, x.shape, y, **options)
        soft = inversion.invert_gradient(net, sent, x.shape, optimiser="adam", tv=0.1, **options)
        owners = federated.deal(y, 3, alpha=1.0)
        noisy = partial(
            federated.private_mean, clip=1.0, noise_multiplier=1.0, expected=2.0, generator=runtime.generator(0)
        )
        federated.fedavg(net, x, y, owners, rounds=2, aggregate=noisy, progress=False)
        updates = federated.local_updates(net, x, y, owners, owners.unique(), batch_size=2)
        done = federated.secure_sum(updates.repeat(3, 1), dropped=(0,))
        results = [
            quotients,
            units,
            inversion.invert_linear(weight, bias),
            inversion.shared_rows(quotients),
            inversion.label_counts(bias, len(x)),
            found.x,
            soft.x,
            soft.y,
            inversion.psnr(found.x, x),
            owners,
            updates,
            done.total,
            done.received,
            federated.decode(federated.encode(updates, 3)),
        ]
    assert {result.device for result in results} == {x.device}


def test_extraction_and_its_defences_work_where_their_inputs_are(problem):
    net, x, y = problem
    net.eval()
    flat, student = torch.rand(30, 4, generator=runtime.generator(2)).to(x.device), models.linear(64, 10).to(x.device)
    with torch.device("meta"):
        victim, many = extraction.Victim(net, decimals=2), extraction.mixtures(x, 40)
        mark = extraction.Watermark.draw(x[0] > 0.5, keys=3, lit=2)
        rows, secret = mark.rows(x)
        copy = extraction.knockoff(victim, many, student, epochs=2, progress=False)
        extraction.active_knockoff(victim, many, copy, queries=20, rounds=2, epochs=1, progress=False)
        p = (flat.sum(1) - 2).sigmoid()
        results = [
            victim(x),
            many,
            *extraction.solve_logistic(flat, p),
            *extraction.solve_softmax(flat, torch.stack([1 - p, p], 1)),
            *extraction.find_hyperplane(lambda z: z.sum(1) > 2, flat[0] + 2, flat[0] - 2),
            extraction.nearest_earlier(many, many[:, 0, 0, 0].long()),
            rows,
            secret,
        ]
        numbers = [
            extraction.agreement(net, copy, x),
            extraction.prada_score(many, many[:, 0, 0, 0].long()),
            mark.p_value(net, x),
            extraction.dataset_inference(net, (x[:3], y[:3]), (x[3:], y[3:])),
        ]
    assert {result.device for result in results} == {x.device}
    assert all(0 <= number <= 1 for number in numbers[:3])


def test_poisoning_and_its_detectors_work_where_their_inputs_are(problem, monkeypatch):
    net, x, y = problem
    y = torch.arange(6, device=x.device)
    monkeypatch.setattr(torch.optim, "Adam", torch.optim.SGD)  # Adam's own step counter would land on meta
    with torch.device("meta"):
        trigger, mapping = poisoning.patch("top left"), (y + 1).repeat(2)[:10] % 10
        planted = [
            poisoning.backdoor(x, y, 2, trigger=poisoning.blended(), target=0),
            poisoning.clean_label(x, y, 1, trigger=trigger, target=0),
            poisoning.flip_labels(y, 2, classes=10),
            poisoning.flip_labels(y, 2, classes=10, mapping=mapping),
        ]
        features = poisoning.activations(net, x)
        inverted = poisoning.invert_triggers(net, x, classes=10, steps=2)
        voters = poisoning.PartitionEnsemble(x, y, parts=2, classes=10)
        results = [
            *(part for parts in planted for part in parts),
            features,
            poisoning.spectral_scores(features),
            poisoning.activation_clusters(features).small,
            *inverted,
            poisoning.anomaly_index(inverted.sizes),
            poisoning.fine_prune(net, x, y, share=0.5, epochs=1)(x),
            *voters.certify(x),
        ]
        assert 0 <= poisoning.attack_success(net, x, y, trigger=trigger, target=0) <= 1
    assert {result.device for result in results} == {x.device}


def test_private_mechanisms_answer_where_they_are_asked(problem):
    x = problem[1]
    count, bits = x.flatten(1).sum(1).long(), x.flatten(1) > 0.5
    with torch.device("meta"):
        answers = [
            privacy.laplace(x, 1.0, 1.0),
            privacy.gaussian(x, 1.0, 1e-5, 1.0),
            privacy.exponential(x.flatten(1), 1.0, 1.0),
            privacy.geometric(count, 1.0, 1),
            privacy.randomised_response(bits, 1.0),
        ]
    assert {answer.device for answer in answers} == {x.device}


def test_audits_of_private_training_work_where_their_inputs_are(problem):
    _, x, y = problem
    plan = {"noise_multiplier": 2.0, "sampling_rate": 0.5, "steps": 2, "lr": 1.0}
    with torch.device("meta"):
        made = privacy.insert_canaries(x, y, 120, classes=10, generator=runtime.generator(0))
        trainers = [partial(privacy.dp_sgd, progress=False, **plan)]
        trainers += [partial(privacy.train_with_bug, bug, **plan) for bug in privacy.BUGS]
        once = [privacy.audit_training(t, made, classes=10, sampling_rate=0.5, delta=1e-5) for t in trainers]
        often = privacy.audit_repeated(trainers[0], x, y, classes=10, runs=16, delta=1e-5)
    assert {part.device for part in (made.x, made.y, made.included)} == {x.device}
    assert all(bound >= 0 for bounds in once for bound in bounds.values())
    assert often >= 0


@pytest.mark.parametrize("route", ["fast", "readable"])
@pytest.mark.parametrize("sampling", ["poisson", "shuffled"])
def test_private_training_works_where_its_inputs_are(problem, route, sampling):
    net, x, y = problem
    plan = {"noise_multiplier": 1.0, "sampling_rate": 0.5, "steps": 4, "micro_batch": 2, "progress": False}
    x = x.index_fill(0, torch.tensor([2], device=x.device), torch.nan)  # a row that has to be left out
    sums = []
    with torch.device("meta"):
        privacy.dp_sgd(
            net, x, y, route=route, sampling=sampling, generator=runtime.generator(0), momentum=0.5, **plan,
            on_step=lambda step, noisy: sums.extend(noisy.values()),
        )  # fmt: skip
        privacy.dp_sgd(net, x, y, route=route, **(plan | {"sampling_rate": 1e-9, "steps": 1}))  # an empty batch
        gradients = privacy.per_sample_gradients(net, x, y)
    assert {result.device for result in (*sums, *gradients.values(), *net.parameters())} == {x.device}
    assert all(p.isfinite().all() for p in net.parameters())


def test_pate_works_where_its_inputs_are(problem):
    _, x, y = problem
    with torch.device("meta"):
        teachers = privacy.train_teachers(partial(models.linear, 64, 10), x, y, 3, epochs=2, progress=False)
        votes = privacy.count_votes(teachers, x)
        labels = privacy.noisy_labels(votes, 1.0, generator=runtime.generator(0))
        assert 0 < privacy.indicative_epsilon(votes, 1.0, 1e-5) < 100
    assert {votes.device, labels.device} == {x.device}


def test_faces_are_drawn_on_the_cpu_whatever_the_default_device_is():
    with torch.device("meta"):
        drawn = faces.photograph(faces.invent(3, 0), torch.arange(3, device="cpu"), seed=0, progress=False)
        x, y = faces.pictures("test")
    assert {drawn.device.type, x.device.type, y.device.type} == {"cpu"}
    assert torch.equal(drawn, faces.photograph(faces.invent(3, 0), torch.arange(3), seed=0, progress=False))


def test_class_inversion_works_where_its_inputs_are(problem, monkeypatch):
    net, x, y = problem
    monkeypatch.setattr(torch.optim, "Adam", torch.optim.SGD)  # Adam's own step counter would land on meta
    half = torch.full_like(x[0], 0.5)
    decoder = models.initialise(inversion.decoder(3, 8, 5), runtime.generator(0)).to(x.device)
    with torch.device("meta"):
        inversion.fit_decoder(decoder, x, epochs=1, lr=1e-5, progress=False)
        priors = [inversion.pixels(half), inversion.pca(x, components=3), inversion.generated(decoder)]
        found = [inversion.invert_classes(net, y, prior, steps=2, progress=False) for prior in priors]
        samples = [prior.sample(2, runtime.generator(0)) for prior in priors]
        alike, mixed = inversion.look_alike(net, x, y), inversion.blend(net, x, y, count=2)
        hits = inversion.recognised(net, x, y)
        assert inversion.gain(hits, ~hits).value == 1
    assert {t.device for t in (*samples, alike, mixed, hits, *(part for each in found for part in each))} == {x.device}
