"""Settings of audio-visual models with private and shared codes, which ``train`` has beside its own."""

from __future__ import annotations

from typing import Any

from affectkit.config import option_group, setting

CODES = "Audio-visual codes (CM-VQVAE)"
MODES = ("multimodal", "image-only", "audio-only")
MASKS = ("binarizer", "ternarizer", "attention", "randomizer")
STAGES = ("joint", "autoencoder", "solver")


def published_mode() -> Any:
    """Declare the option ``--mode`` of commands that take a checkpoint."""
    return setting(
        None,
        "Modalities of a published CM-VQVAE, whose file does not hold it.",
        choices=MODES,
        group=CODES,
        default_text="multimodal, or image-only where its classifier takes one modality",
    )


def published_mask() -> Any:
    """Declare the option ``--mask`` of commands that take a checkpoint."""
    return setting(
        None,
        "Mask of a published CM-VQVAE, whose file does not hold it.",
        choices=MASKS,
        group=CODES,
        default_text="binarizer",
    )


@option_group
class Codes:
    """Settings by which a CM-VQVAE is built and trained."""

    mode: str = setting("multimodal", "Modalities that emotions are predicted from.", choices=MODES, group=CODES)
    mask: str = setting(
        "binarizer",
        "What the mask over the code channels is turned into: 0 private and 1 shared; -1, 0 and 1; weights as they "
        "are; drawn at random.",
        choices=MASKS,
        group=CODES,
    )
    mask_init: str = setting(
        "1s", "Where the mask starts: all at --mask-scale, or uniform either side of 0.", choices=("1s", "uniform"),
        group=CODES,
    )  # fmt: skip
    mask_scale: float = setting(0.01, "Size of the mask's first values.", above=0, group=CODES)
    mask_threshold: float = setting(0.005, "Above it a channel is shared.", group=CODES)
    mask_penalty: float = setting(1e-4, "Weight of the sum of the mask in the loss; 0: off.", low=0, group=CODES)
    quantizer: str = setting(
        "ema", "Codes as moving averages of what they stand for, or learned (plain).", choices=("ema", "plain"),
        group=CODES,
    )  # fmt: skip
    codes: int = setting(512, "Codes of each modality.", low=2, high=32767, group=CODES)
    hidden: int = setting(128, "Channels of the encoders and decoders.", low=8, high=4096, group=CODES)
    stage: str = setting(
        "joint",
        "What is trained: all together; the autoencoders alone; the solver alone, on autoencoders of --init.",
        choices=STAGES,
        group=CODES,
    )
    recon_scale: str = setting(
        "none",
        "What reconstruction errors are divided by: nothing, as published, or the variance of each modality.",
        choices=("none", "variance"),
        group=CODES,
    )
    reset_mask: bool = setting(False, "With --init: put the mask back to its first values.", group=CODES)
