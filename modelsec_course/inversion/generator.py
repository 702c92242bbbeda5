"""A small generator of pictures, to be trained on public ones: what an attacker knows about faces in general."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from modelsec_course import models, runtime, validation

__all__ = ["decoder", "fit_decoder"]


def decoder(latent: int = 64, size: int = 32, hidden: int = 200) -> nn.Sequential:
    """Codes (batch, latent) to grey pictures (batch, 1, size, size) in [0, 1]: two dense layers and a sigmoid."""
    for name, value in (("latent", latent), ("size", size), ("hidden", hidden)):
        validation.count(name, value)
    layers = nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, size**2), nn.Sigmoid()
    return nn.Sequential(*layers, nn.Unflatten(1, (1, size, size)))


def fit_decoder(
    net: nn.Sequential,
    x: Tensor,
    *,
    epochs: int = 60,
    lr: float = 2e-3,
    batch_size: int = 64,
    sigma: float = 0.07,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> list[float]:
    """Train a `decoder` in place as one half of a variational autoencoder, whose other half is thrown away.

    x: pictures (n, 1, size, size) in [0, 1] on the decoder's device.  sigma: how far a pixel may be off, in grey values
    from 0 to 1: a small one gives sharp pictures.  In the end codes are scaled so that those of x are standard normal.
    Returns the mean loss of each epoch.
    Source: Kingma & Welling, 2014, "Auto-Encoding Variational Bayes".
    """
    validation.module("net", net)
    validation.tensor("x", x)
    validation.count("epochs", epochs)
    validation.positive("sigma", sigma)
    generator = generator or runtime.generator(0)
    pixels, latent = x[0].numel(), net[0].in_features
    layers = nn.Linear(pixels, 400, device=x.device), nn.ReLU(), nn.Linear(400, 2 * latent, device=x.device)
    encoder = models.initialise(nn.Sequential(nn.Flatten(), *layers), generator)
    optimiser = torch.optim.Adam([*encoder.parameters(), *net.train().parameters()], lr)
    steps = epochs * math.ceil(len(x) / batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps, pct_start=0.1)
    losses = []
    for _ in tqdm(range(epochs), desc="training a generator", unit="epoch", leave=False, disable=not progress):
        order = torch.randperm(len(x), generator=generator, device=generator.device).to(x.device)
        losses.append(0.0)
        for batch in order.split(batch_size):
            loss = _bound(encoder, net, x[batch], sigma, generator)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            losses[-1] += loss.item() * len(batch) / len(x)
    _standardise(encoder, net.eval(), x)
    return losses


@torch.no_grad()
def _standardise(encoder: nn.Module, net: nn.Sequential, x: Tensor) -> None:
    """Change the decoder's first layer so that the codes of x, all together, have mean 0 and covariance 1."""
    means, log_variance = encoder(x).chunk(2, 1)
    root = torch.linalg.cholesky(means.T.cov() + log_variance.clamp(-8, 4).exp().mean(0).diag())
    net[0].bias += net[0].weight @ means.mean(0)
    net[0].weight.copy_(net[0].weight @ root)


def _bound(encoder: nn.Module, net: nn.Module, x: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """The negative evidence lower bound of a batch, per picture, but for a constant."""
    mean, log_variance = encoder(x).chunk(2, 1)
    log_variance = log_variance.clamp(-8, 4)
    noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(x.device)
    rebuilt = net(mean + noise * (log_variance / 2).exp())
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
    return (F.mse_loss(rebuilt, x, reduction="sum") / (2 * sigma**2) + divergence) / len(x)
