"""CKKS: the encrypted scores are the scores, the server holds no key, and what would go wrong is refused before."""

import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from modelsec_course.encryption import Client, Model, Server, ServerProcess, plan, recover_key, recovery
from modelsec_course.encryption.ckks import gaps

tenseal = pytest.importorskip("tenseal", reason="TenSEAL has no wheel for this machine")
SHALLOW, DEEP = plan(1), plan(3)


@pytest.fixture(scope="module")
def patients():
    """All 143 test rows of breast cancer, standardised, and two models: one layer, and one hidden layer of squares."""
    x, y = load_breast_cancer(return_X_y=True)
    x_train, x_test, y_train, _ = train_test_split(x, y, test_size=0.25, random_state=0, stratify=y)
    scale = StandardScaler().fit(x_train)
    fitted = LogisticRegression(C=0.1, max_iter=2000).fit(scale.transform(x_train), y_train)
    dice = np.random.default_rng(0)
    linear = Model.linear(fitted.coef_[0], fitted.intercept_[0])
    hidden = Model.squares(0.1 * dice.normal(size=(16, 30)), dice.normal(size=16), dice.normal(size=16), 0.5)
    return scale.transform(x_test), {"linear": linear, "hidden": hidden}


def scored(model, x, a_plan, layout="columns"):
    client = Client(a_plan, layout=layout)
    server = Server(model, client.public(), a_plan, layout=layout)
    return client.scores(server.answer(client.encrypt(x)), len(x), digits=None)


# ------------------------------------------------------------------------------------------------------------- scores


@pytest.mark.parametrize(("kind", "error"), [("linear", 1e-5), ("hidden", 1e-4)])
def test_every_test_row_gets_the_score_of_the_plaintext_model(patients, kind, error):
    x, models = patients
    model = models[kind]
    want = model.plain(x)
    got = scored(model, x, plan(model.depth))
    assert np.abs(got - want).max() < error
    assert ((got > 0) == (want > 0)).all()


@pytest.mark.parametrize("kind", ["linear", "hidden"])
def test_row_by_row_gives_the_same(patients, kind):
    x, models = patients
    np.testing.assert_allclose(scored(models[kind], x[:2], DEEP, "rows"), models[kind].plain(x[:2]), atol=1e-2)


def test_the_largest_rows_err_no_more_than_random_ones():
    """A prime is not exactly 2^36. Uncorrected, a product is off by a share of itself, and large scores err most."""
    dice = np.random.default_rng(1)
    model = Model.linear(np.ones(30), 0.0)
    usual, worst = dice.normal(size=(500, 30)), np.full((500, 30), 4.0) * dice.choice([-1, 1], size=(500, 1))
    errors = [np.abs(scored(model, x, SHALLOW) - model.plain(x)).max() for x in (usual, worst)]
    assert max(errors) < 1e-5
    assert errors[1] < 3 * errors[0], errors


def test_uncorrected_products_are_off_by_the_primes_gap():
    """The largest error that TenSEAL makes is no noise: it is a factor, the same for every number and key."""
    client = Client(SHALLOW)
    number = tenseal.ckks_vector(client._context, [1000.0]) * 1.0
    (gap,) = gaps(client._context, SHALLOW)
    assert 1e-7 < abs(gap - 1) < 1e-3
    assert number.decrypt()[0] * gap == pytest.approx(1000, abs=1e-4)
    assert number.decrypt()[0] != pytest.approx(1000, abs=1e-4)


def test_an_answer_cannot_be_made_again_by_who_knows_the_weights(patients):
    x, models = patients
    client = Client(SHALLOW)
    server, sent = Server(models["linear"], client.public(), SHALLOW), client.encrypt(x)
    first, second = server.answer(sent), server.answer(sent)
    assert first != second
    np.testing.assert_allclose(*(client.scores(a, len(x)) for a in (first, second)), atol=2e-3)


def test_weights_of_zero_and_answers_asked_for_twice():
    x = np.random.default_rng(2).normal(size=(2, 4))
    for weights in ([0.0, 0, 0, 0], [0.0, 1.5, 0, -2]):
        model = Model.linear(weights, 0.75)
        for layout in ("columns", "rows"):
            np.testing.assert_allclose(scored(model, x, SHALLOW, layout), model.plain(x), atol=1e-3)
    silent = Model.squares(np.ones((2, 4)), np.zeros(2), np.zeros(2), -1.5)
    for layout in ("columns", "rows"):
        np.testing.assert_allclose(scored(silent, x, DEEP, layout), -1.5, atol=1e-3)
    model, client = Model.squares(np.eye(4)[:2], np.zeros(2), np.ones(2), 0.0), Client(DEEP)
    server, sent = Server(model, client.public(), DEEP), client.encrypt(x)
    first, second = (client.scores(server.answer(sent), 2, digits=None) for _ in range(2))
    np.testing.assert_allclose(first, second, atol=1e-6)  # TenSEAL's products may change what they are made of


def test_a_client_gives_out_rounded_scores_or_labels_unless_asked(patients):
    x, models = patients
    client = Client(SHALLOW)
    answers = Server(models["linear"], client.public(), SHALLOW).answer(client.encrypt(x))
    given = client.scores(answers, len(x))
    np.testing.assert_array_equal(given, given.round(3))
    np.testing.assert_array_equal(client.labels(answers, len(x)), models["linear"].plain(x) > 0)
    assert (client.scores(answers, len(x), digits=None) != given).any()


def test_another_key_reads_nothing(patients):
    x, models = patients
    client, other = Client(SHALLOW), Client(SHALLOW)
    answers = Server(models["linear"], client.public(), SHALLOW).answer(client.encrypt(x))
    read = other.scores(answers, len(x), digits=None)
    assert np.median(np.abs(read)) > 1e3
    assert abs(np.corrcoef(read, models["linear"].plain(x))[0, 1]) < 0.5


# ---------------------------------------------------------------------------------------------------------- the server


def memory_holds(pid, needle, part=1 << 24):
    """Is this in what a process may write to?"""
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in maps:
            where, rights = line.split()[:2]
            start, end = (int(number, 16) for number in where.split("-"))
            for at in range(start, end, part) if rights.startswith("rw") else ():
                try:
                    memory.seek(at)
                    if needle in memory.read(min(part + len(needle), end - at)):
                        return True
                except (OSError, OverflowError):  # the kernel's own
                    break
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads another process's memory as Linux shows it")
def test_the_secret_key_is_in_the_client_s_memory_and_nowhere_in_the_server_s(patients):
    x, models = patients
    client = Client(SHALLOW)
    key = b"".join(int(number).to_bytes(8, "little") for number in recovery.key_of(client._context)[:8])
    sent = client.encrypt(x)
    with ServerProcess(models["linear"], SHALLOW) as server:
        server.introduce(client.public())
        answers = server.answer(sent)
        assert memory_holds("self", key)  # the search finds what is there
        assert not memory_holds(server.pid, key)
    np.testing.assert_allclose(client.scores(answers, len(x)), models["linear"].plain(x), atol=2e-3)


def test_a_server_refuses_a_context_with_the_secret_key(patients):
    client = Client(SHALLOW)
    private = client._context.serialize(save_secret_key=True)
    with pytest.raises(ValueError, match="the context holds the secret key"):
        Server(patients[1]["linear"], private, SHALLOW)
    assert not tenseal.context_from(client.public()).has_secret_key()
    with pytest.raises(ValueError, match="secret"):
        tenseal.ckks_vector_from(tenseal.context_from(client.public()), client.encrypt([[1.0]])[0]).decrypt()


def test_a_server_in_a_process_says_what_is_wrong_and_goes_on(patients):
    x, models = patients
    client = Client(SHALLOW)
    with ServerProcess(models["linear"], SHALLOW) as server:
        with pytest.raises(ValueError, match=r"introduce\(client.public\(\)\) comes first"):
            server.answer(client.encrypt(x))
        server.introduce(client.public())
        with pytest.raises(ValueError, match="the model has 30 features, but 29 ciphertexts came"):
            server.answer(client.encrypt(x[:, :29]))
        assert len(server.answer(client.encrypt(x))) == 1
        assert server.seconds > 0
    with pytest.raises(RuntimeError, match="closed"):
        server.answer([])
    server.close()


def test_a_server_that_dies_is_told(patients):
    with ServerProcess(patients[1]["linear"], SHALLOW) as server:
        server._process.kill()
        server._process.join()
        with pytest.raises(RuntimeError, match="has ended"):
            server.introduce(b"")


# ------------------------------------------------------------------------------------------------------ what is refused


def test_what_does_not_fit_is_refused_before_it_is_computed(patients):
    x, models = patients
    client = Client(SHALLOW)
    with pytest.raises(ValueError, match="3 multiplications need 5 primes, and this plan has 3"):
        Server(models["hidden"], client.public(), SHALLOW)
    with pytest.raises(ValueError, match="holds 4096 numbers, but 4097"):
        client.encrypt(np.zeros((4097, 2)))
    with pytest.raises(ValueError, match="finite numbers"):
        client.encrypt([[np.nan]])
    answers = Server(models["linear"], client.public(), SHALLOW).answer(client.encrypt(x))
    with pytest.raises(ValueError, match="5 scores were asked for, but the answer holds 143"):
        client.scores(answers, 5)
    with pytest.raises(ValueError, match="layout"):
        Client(SHALLOW, layout="diagonal")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Model.linear([], 0.0),
        lambda: Model.linear([[1.0]], 0.0),
        lambda: Model.linear([np.inf], 0.0),
        lambda: Model.squares(np.ones((2, 3)), np.ones(3), np.ones(2), 0.0),
        lambda: Model.squares(np.ones((2, 3)), np.ones(2), np.ones(1), 0.0),
        lambda: Model.squares(np.ones((2, 3)), np.ones(2), np.ones(2), np.nan),
    ],
)
def test_a_model_of_the_wrong_shape_or_without_numbers_is_refused(make):
    with pytest.raises(ValueError, match=r"shape|NaN"):
        make()


# ----------------------------------------------------------------------------------------- the attack on the encryption


def nights(client, server, seed, count=2):
    """Answers with full ciphertexts, and what they decrypt to, to the last bit."""
    dice, slots, answers, exact = np.random.default_rng(seed), client.plan.slots, [], []
    for _ in range(count):
        answers += server.answer(client.encrypt(dice.normal(size=(slots, 30))))
        exact.append(client.scores(answers[-1:], slots, digits=None))
    return answers, exact


@pytest.mark.parametrize("digits", [None, 6])
def test_two_published_answers_give_the_key_away_unless_they_are_rounded(patients, digits):
    for seed in range(5):  # each has a key of its own
        client = Client(SHALLOW)
        answers, exact = nights(client, Server(patients[1]["linear"], client.public(), SHALLOW), seed)
        published = exact if digits is None else [scores.round(digits) for scores in exact]
        key = recover_key(client.public(), answers, published)
        share = np.mean(key == recovery.key_of(client._context))
        assert share == 1.0 if digits is None else share < 0.01


def test_with_the_key_the_server_reads_what_it_was_sent(patients):
    x, models = patients
    client = Client(DEEP)
    key = recover_key(client.public(), *nights(client, Server(models["linear"], client.public(), DEEP), 4))
    for feature, sent in enumerate(client.encrypt(x[:, :2])):
        read = recovery.decrypt_with(key, client.public(), sent)
        np.testing.assert_allclose(read[: len(x)], x[:, feature], atol=1e-4)
    wrong = recovery.decrypt_with(key[::-1], client.public(), sent)
    assert np.median(np.abs(wrong)) > 100


def test_ten_digits_give_the_key_away_as_all_of_them_do(patients):
    """Rounding stops the attack where it is coarser than what the scale resolves, and not before."""
    client = Client(SHALLOW)
    answers, full = nights(client, Server(patients[1]["linear"], client.public(), SHALLOW), 5)
    key = recovery.key_of(client._context)
    shares = {
        d: np.mean(recover_key(client.public(), answers, [v.round(d) for v in full]) == key) for d in (12, 10, 8, 6)
    }
    assert shares[12] == shares[10] == 1.0
    assert shares[8] < 0.01
    assert shares[6] < 0.01


def test_many_rounded_answers_give_away_what_two_do_not(patients):
    """Where rounding spoils most pairs, some are left, and a server can tell a key when it sees one."""
    coarse = plan(1, scale=24)
    client = Client(coarse)
    answers, exact = nights(client, Server(patients[1]["linear"], client.public(), coarse), 6, count=40)
    published = [scores.round(6) for scores in exact]
    key, pair = recovery.recover_from_many(client.public(), answers, published)
    assert (key == recovery.key_of(client._context)).all()
    assert pair[0] < pair[1] < 40
    hidden = [scores.round(3) for scores in published[:4]]
    assert recovery.recover_from_many(client.public(), answers[:4], hidden) is None


def test_one_answer_is_not_enough(patients):
    client = Client(SHALLOW)
    (answer,) = Server(patients[1]["linear"], client.public(), SHALLOW).answer(client.encrypt(patients[0]))
    scores = client.scores([answer], len(patients[0]), digits=None)
    assert recover_key(client.public(), [answer, answer], [scores, scores]) is None
    with pytest.raises(ValueError, match="two answers or more"):
        recover_key(client.public(), [answer], [scores])
