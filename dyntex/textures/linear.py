"""A linear law of motion: x_{t+1} = A x_t + B e_t, fitted from one sequence of states and run for any length.

It is the heart of the linear dynamic-texture models (Doretto, Chiuso, Wu, Soatto, "Dynamic Textures", IJCV 2003) and
knows nothing of pixels: whoever owns a basis turns frames into states and states into frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import scipy.linalg
import torch
from torch import Tensor

from dyntex.errors import UsageError

CHUNK = 64  # states per yielded block: large enough for one efficient matrix product, 13 MB as 128x128 RGB frames


@dataclass(frozen=True)
class LinearLaw:
    """x_{t+1} = A x_t + B e_t with e_t ~ N(0, I).

    Attributes:
        A: ``(n, n)`` float64, the transition.
        B: ``(n, n_v)`` float64, the noise's square root: the noise's covariance is B B'.
    """

    A: Tensor
    B: Tensor

    def stationary_covariance(self) -> Tensor:
        """``(n, n)``: the P that solves the Lyapunov equation P = A P A' + B B'.

        It exists only where every pole lies inside the unit circle, which :func:`fit_law` guarantees.
        """
        P = scipy.linalg.solve_discrete_lyapunov(self.A.numpy(), (self.B @ self.B.mT).numpy())
        return torch.from_numpy(P)

    def stream(self, n_frames: int, *, rng: torch.Generator, x0: Tensor | None = None) -> Iterator[Tensor]:
        """States ``(<= CHUNK, n)``, one block after another, in constant memory.

        Args:
            n_frames: how many states in all.
            rng: the source of the noise.
            x0: ``(n,)``, the first state that is yielded. ``None`` draws it from the stationary law, so that the
                first frame is as typical as the thousandth and there is no burn-in.
        """
        n, n_v = self.B.shape
        # One draw a frame, because torch draws a long vector in another order than the short ones it is made of:
        # this way the states do not depend on how they are cut into blocks.
        x = self._draw_stationary(rng) if x0 is None else x0.to(torch.float64)
        for start in range(0, n_frames, CHUNK):
            block = torch.empty(min(CHUNK, n_frames - start), n, dtype=torch.float64)
            for t in range(len(block)):
                if start + t > 0:
                    x = self.A @ x + self.B @ _normal(n_v, rng)
                block[t] = x
            yield block

    def simulate(self, n_frames: int, *, rng: torch.Generator, x0: Tensor | None = None) -> Tensor:
        """``(n_frames, n)``: what :meth:`stream` yields, end to end."""
        return torch.cat(list(self.stream(n_frames, rng=rng, x0=x0)))

    def loop(self, n_frames: int, *, rng: torch.Generator, x0: Tensor | None = None) -> Tensor:
        """``(n_frames, n)``: states that come round, A x_{N-1} + B e_{N-1} being x_0 again.

        x_0 has the stationary law, and the path goes on from it conditioned on x_N = x_0. So around the seam, as
        everywhere, a state given its neighbours has the law's own conditional distribution, and in a loop that is
        long against the law's memory the seam does not differ from any other place, by any statistic.

        Conditioning x_0 on the closing as well would weigh it by p(x_N = x | x_0 = x) and halve its variance: a loop
        that pales at the seam. Without its own law, that is with white noise on a circle of N frames, a mode of pole
        p would swing (1 + p^N) / (1 - p^N) times too far: 3.2 times for p = .99 and N = 64. Here the variance is
        exact at the seam, and in between at most a quarter too large, where p^N is about 1/3.

        The noises that close the path solve L e = x_0 - A^N x_0, with L = [A^{N-1} B, ..., A B, B]. Free ones are
        moved there by L' (L L')^+ times what they miss, which makes them a draw of that conditional law (Hoffman and
        Ribak, "Constrained realizations of Gaussian fields", 1991); and L L' = P - A^N P A'^N.

        Args:
            n_frames: N.
            rng: the source of the noise.
            x0: ``(n,)``, the first state; ``None`` draws it.

        Raises:
            UsageError: there are fewer noises than states, and in so few frames they cannot close the path.
        """
        A, B = self.A, self.B
        x0 = self._draw_stationary(rng) if x0 is None else x0.to(torch.float64)
        e = torch.stack([_normal(B.shape[1], rng) for _ in range(n_frames)])  # (N, n_v)
        end = self._drive(x0, e)[-1]
        P, A_N = self.stationary_covariance(), torch.linalg.matrix_power(A, n_frames)
        push = torch.linalg.pinv(P - A_N @ P @ A_N.mT, rtol=1e-12, hermitian=True) @ (x0 - end)
        for t in reversed(range(n_frames)):
            e[t] += B.mT @ push
            push = A.mT @ push
        X = self._drive(x0, e)
        if bool((X[-1] - x0).norm() > 1e-6 * X.norm()):
            raise UsageError(
                f"{n_frames} frames are too few for {B.shape[1]} noises to bring {B.shape[0]} states back to where "
                "they began: ask for a longer loop, or keep more noise components"
            )
        return X[:-1]

    def _drive(self, x0: Tensor, e: Tensor) -> Tensor:
        """``(N + 1, n)``: the states from ``x0`` on under the noises ``(N, n_v)``."""
        X = [x0]
        for noise in e:
            X.append(self.A @ X[-1] + self.B @ noise)
        return torch.stack(X)

    def forecast(self, x: Tensor, n_frames: int) -> Tensor:
        """``(n_frames, n)``: the expected states after state ``x`` ``(n,)``, that is A x, A^2 x, ..."""
        states = []
        x = x.to(torch.float64)
        for _ in range(n_frames):
            x = self.A @ x
            states.append(x)
        return torch.stack(states)

    def _draw_stationary(self, rng: torch.Generator) -> Tensor:
        # eigh and not Cholesky: with fewer noises than states, P may be singular.
        variances, axes = torch.linalg.eigh(self.stationary_covariance())
        x: Tensor = axes @ (variances.clamp_min(0.0).sqrt() * _normal(len(variances), rng))
        return x


def fit_law(X: Tensor, *, n_noise: int | None = None) -> LinearLaw:
    """Fit a stable law to one sequence of zero-mean states (Doretto et al. 2003, closed-form suboptimal learning).

    With X1 the states but the last, X2 the states but the first: A = X2 X1^+, stabilised; the residual
    V = X2 - A X1 = U_v S_v W_v'; B = U_v S_v / sqrt(T-1), so that B B' is the residual's covariance.

    How far is the stationary covariance P of the result from the empirical S1 = X1 X1' / (T-1)? Least squares makes
    the residual orthogonal to X1, so X2 X2' / (T-1) = A S1 A' + B B' exactly, and therefore

        P = S1 + sum_k A^k D A'^k    with    D = (x_T x_T' - x_1 x_1') / (T-1).

    The amplitude is right but for that end effect: a clip that ends further from its mean than it began leaves P too
    large, by the factor 1 / (1 - p^2) in a mode of pole p, so that slow modes of short clips feel it most. Within
    that balance a short clip biases A towards zero (an AR(1) pole p loses about (1 + 3p) / T), or lets it memorise as
    n nears T, and B rises or falls to match; this is why V is divided by T-1 and not by its degrees of freedom. The
    balance is lost where a pole was moved or noises were dropped: then P is what those choices make it.

    Args:
        X: ``(n, T)`` with T >= 2, a state a column, the mean already removed.
        n_noise: how many noise components to keep; ``None`` keeps all.
    """
    X = X.to(torch.float64)
    X1, X2 = X[:, :-1], X[:, 1:]
    # gelsd: the minimum-norm solution, which is X2 X1^+ also where X1 lacks rank (a still clip).
    A = stabilise(torch.linalg.lstsq(X1.mT, X2.mT, driver="gelsd").solution.mT)
    V = X2 - A @ X1
    U, s, _ = torch.linalg.svd(V, full_matrices=False)
    B = (U * (s / V.shape[1] ** 0.5))[:, :n_noise]
    return LinearLaw(A.contiguous(), B.contiguous())


def stabilise(A: Tensor, *, radius: float = 0.99) -> Tensor:
    """Move every pole of ``A`` ``(n, n)`` that lies outside ``radius`` onto it; phases and modes stay as they are.

    A pole between the radius and 1 moves too, so that the result is continuous in A: otherwise a pole at 1.001 would
    come out calmer than one at 0.999, in which noise builds up to 500 times its power. Where nothing moves, ``A``
    itself is returned.
    """
    poles, modes = torch.linalg.eig(A)
    modulus = poles.abs()
    if bool((modulus <= radius).all()):
        return A
    moved = torch.where(modulus > radius, poles * (radius / modulus), poles)
    # modes diag(moved) modes^-1; real, because conjugate poles are moved alike.
    stable: Tensor = torch.linalg.solve(modes.mT, (modes * moved).mT).mT.real
    return stable


def _normal(n: int, rng: torch.Generator) -> Tensor:
    return torch.randn(n, generator=rng, device=rng.device, dtype=torch.float64).cpu()
