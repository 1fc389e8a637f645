"""Numbers about clips: aligned with the observed frames (PSNR, SSIM), free of them (statistics), and by a critic."""

from dyntex.benchmarks.metrics.critic import CriticResult, critic_auc, critic_real
from dyntex.benchmarks.metrics.psnr_ssim import SSIM_RADIUS, SSIM_SIGMA, SSIM_WINDOW, exact_frames, psnr, ssim

__all__ = [
    "SSIM_RADIUS",
    "SSIM_SIGMA",
    "SSIM_WINDOW",
    "CriticResult",
    "critic_auc",
    "critic_real",
    "exact_frames",
    "psnr",
    "ssim",
]
