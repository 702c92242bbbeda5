"""The batched L-BFGS against problems whose answer is known, and against doing them one after the other."""

import torch

from modelsec_course import runtime
from modelsec_course.inversion.lbfgs import lbfgs


def quadratics(searches=5, n=12, seed=0):
    """½(z − m)ᵀA(z − m), one for each search, with condition numbers up to 100."""
    draw = runtime.generator(seed)
    basis = torch.linalg.qr(torch.randn(searches, n, n, generator=draw, dtype=torch.float64)).Q
    curve = torch.logspace(0, 2, n, dtype=torch.float64)
    hessian, middle = basis @ (curve[:, None] * basis.mT), torch.randn(searches, n, generator=draw, dtype=torch.float64)

    def objective(z):
        slope = (hessian @ (z - middle)[:, :, None])[:, :, 0]
        return ((z - middle) * slope).sum(1) / 2, slope

    return objective, middle


def rosenbrock(z):
    z = z.detach().requires_grad_()
    losses = (100 * (z[:, 1:] - z[:, :-1] ** 2) ** 2 + (1 - z[:, :-1]) ** 2).sum(1)
    return losses.detach(), torch.autograd.grad(losses.sum(), z)[0]


def test_quadratics_are_solved():
    objective, middle = quadratics()
    found, losses = lbfgs(objective, torch.zeros_like(middle), 60)
    assert (found - middle).abs().max() < 1e-6
    assert losses.max() < 1e-12


def test_rosenbrocks_valley_is_followed_to_its_end():
    start = torch.tensor([[-1.2, 1.0], [3.0, -2.0], [0.0, 0.0]], dtype=torch.float64)
    found, _ = lbfgs(rosenbrock, start, 100)
    assert (found - 1).abs().max() < 1e-5


def test_a_search_does_not_depend_on_its_company():
    start = 2 * torch.randn(6, 4, generator=runtime.generator(1), dtype=torch.float64)
    together, _ = lbfgs(rosenbrock, start, 25)
    alone = torch.cat([lbfgs(rosenbrock, one[None], 25)[0] for one in start])
    assert (together - alone).abs().max() < 1e-8


def test_the_loss_never_rises():
    seen = []
    start = 2 * torch.randn(4, 4, generator=runtime.generator(2), dtype=torch.float64)
    for steps in range(1, 15):
        seen.append(lbfgs(rosenbrock, start, steps)[1])
    assert (torch.stack(seen).diff(dim=0) <= 0).all()


def test_all_stop_when_all_are_below_the_floor():
    objective, middle = quadratics()
    steps = []
    _, losses = lbfgs(objective, torch.zeros_like(middle), 1000, floor=1e-3, on_step=lambda: steps.append(1))
    assert losses.max() <= 1e-3
    assert len(steps) < 40


def test_a_search_at_its_minimum_or_without_a_way_down_ends():
    objective, middle = quadratics()
    found, losses = lbfgs(objective, middle.clone(), 50)
    assert torch.equal(found, middle)
    assert losses.max() == 0
    wall = lambda z: (torch.where((z == 0).all(1), 1.0, torch.nan), torch.ones_like(z))  # noqa: E731
    found, losses = lbfgs(wall, torch.zeros(2, 3), 50)
    assert (found == 0).all()
    assert losses.tolist() == [1.0, 1.0]
