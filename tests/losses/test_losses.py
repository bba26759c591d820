from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import special
from scipy.spatial.distance import jensenshannon

from affectkit.errors import DataError, UsageError
from affectkit.losses import LOSSES, check_weights, describe_terms, normalised, parse_loss
from affectkit.losses import distribution as losses

NAMES = ("mse", "l1", "kl", "ce", "js")
SEEDS = range(8)


def loop(name: str, logits: list[float], target: list[float]) -> float:
    """The loss of one sample in plain Python floats, from its definition."""
    top = max(logits)
    log_norm = top + math.log(math.fsum(math.exp(z - top) for z in logits))
    log_p = [z - log_norm for z in logits]
    p = [math.exp(value) for value in log_p]
    classes = range(len(logits))
    if name == "mse":
        return math.fsum((p[c] - target[c]) ** 2 for c in classes) / len(p)
    if name == "l1":
        return math.fsum(abs(p[c] - target[c]) for c in classes) / len(p)
    if name == "ce":
        return -math.fsum(target[c] * log_p[c] for c in classes if target[c] > 0)
    if name == "kl":
        return math.fsum(target[c] * (math.log(target[c]) - log_p[c]) for c in classes if target[c] > 0)
    half_p = math.fsum(p[c] * math.log2(2 * p[c] / (p[c] + target[c])) for c in classes if p[c] > 0)
    half_q = math.fsum(target[c] * math.log2(2 * target[c] / (p[c] + target[c])) for c in classes if target[c] > 0)
    return (half_p + half_q) / 2


def sample(seed: int, rows: int = 6, classes: int = 5, scale: float = 3.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and targets of which the first is one-hot, the second a tie of two and the others have a zero."""
    rng = np.random.default_rng(seed)
    target = rng.dirichlet(np.full(classes, 0.7), size=rows)
    target[:, seed % classes] = 0
    target /= target.sum(axis=1, keepdims=True)
    target[0] = np.eye(classes)[seed % classes]
    target[1] = 0
    target[1, [0, 2]] = 0.5
    return torch.from_numpy(rng.normal(size=(rows, classes)) * scale), torch.from_numpy(target)


def extremes(dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits up to 1e4 against one-hot and soft targets on and off the top class."""
    rows = [[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4], [0.0, 0.0, 0.0], [1e4, 1e4 - 1, -1e4], [200.0, 0.0, -200.0]]
    targets = [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [0.5, 0.5, 0], [0.2, 0.3, 0.5], [1 / 3, 1 / 3, 1 / 3]]
    pairs = [(row, target) for row in rows for target in targets]
    wide = torch.promote_types(dtype, torch.float32)  # thirds in float16 would sum to 0.9998
    return torch.tensor([a for a, _ in pairs], dtype=dtype), torch.tensor([b for _, b in pairs], dtype=wide)


@pytest.mark.parametrize("name", NAMES)
def test_equals_its_definition(name):
    checked = 0
    for seed in SEEDS:
        logits, target = sample(seed)
        values = LOSSES.resolve(name)(logits, target)
        assert values.shape == (6,) and values.dtype == torch.float64
        for row in range(6):
            expected = loop(name, logits[row].tolist(), target[row].tolist())
            assert values[row].item() == pytest.approx(expected, rel=1e-12, abs=1e-14)
            checked += 1
    assert checked == 48


def test_equals_torch_and_scipy():
    for seed in SEEDS:
        logits, target = sample(seed)
        p, q = logits.softmax(1), target
        torch.testing.assert_close(losses.mse(logits, q).mean(), F.mse_loss(p, q))
        torch.testing.assert_close(losses.l1(logits, q).mean(), F.l1_loss(p, q))
        torch.testing.assert_close(losses.ce(logits, q).mean(), F.cross_entropy(logits, q))
        torch.testing.assert_close(losses.kl(logits, q).mean(), F.kl_div(p.log(), q, reduction="batchmean"))
        np.testing.assert_allclose(losses.kl(logits, q), special.rel_entr(q.numpy(), p.numpy()).sum(1), atol=1e-14)
        np.testing.assert_allclose(
            losses.js(logits, q), jensenshannon(p.numpy(), q.numpy(), axis=1, base=2) ** 2, atol=1e-14
        )


def test_kl_is_not_symmetric_and_goes_from_the_target():
    logits, target = torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    assert losses.kl(logits, target).item() == pytest.approx(math.log(2))  # KL(p || q) would be infinite


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", SEEDS)
def test_gradcheck(name, seed):
    # l1 has a kink where p = q, which random numbers do not meet.
    logits, target = sample(seed)
    assert torch.autograd.gradcheck(lambda z: LOSSES.resolve(name)(z, target), (logits.requires_grad_(),))


@pytest.mark.parametrize("name", ("kl", "ce"))
def test_gradient_is_p_minus_q(name):
    logits, target = extremes()
    logits.requires_grad_()
    LOSSES.resolve(name)(logits, target).sum().backward()
    torch.testing.assert_close(logits.grad, logits.detach().softmax(1) - target, atol=1e-6, rtol=0)


def test_js_gradient_in_float32_equals_the_formula():
    for seed in SEEDS:
        logits, q = sample(seed, scale=8.0)
        p = logits.softmax(1)
        by_p = (2 * p / (p + q)).log2() / 2  # d JS / d p, up to a constant that the softmax removes
        expected = p * (by_p - (p * by_p).sum(1, keepdim=True))
        single = logits.float().requires_grad_()
        losses.js(single, q.float()).sum().backward()
        torch.testing.assert_close(single.grad.double(), expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", (torch.float32, torch.float64, torch.bfloat16, torch.float16))
def test_extreme_logits_give_finite_values_and_gradients(name, dtype):
    logits, target = extremes(dtype)
    logits.requires_grad_()
    values = LOSSES.resolve(name)(logits, target)
    values.sum().backward()
    assert len(values) == 30
    assert values.isfinite().all() and logits.grad.isfinite().all()
    assert (values >= 0).all()
    wide, q = logits.detach().double(), target.double()
    expected = [loop(name, wide[row].tolist(), q[row].tolist()) for row in range(30)]
    np.testing.assert_allclose(values.detach().double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_gap_that_overflows_stays_finite(name):
    logits = torch.tensor([[3e38, -3e38, 0.0]] * 3, requires_grad=True)
    values = LOSSES.resolve(name)(logits, torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0.2, 0.3, 0.5]]))
    values.sum().backward()
    assert values.isfinite().all() and logits.grad.isfinite().all()
    assert values[0].item() == 0


@pytest.mark.parametrize("name", ("kl", "ce"))
def test_a_class_without_target_adds_exactly_nothing(name):
    # Column 2 has no target: however small its p, the loss is that of two classes to the last bit.
    target = torch.tensor([[0.25, 0.75, 0.0]])
    far = LOSSES.resolve(name)(torch.tensor([[1.0, 2.0, -1e4]]), target)
    two = LOSSES.resolve(name)(torch.tensor([[1.0, 2.0]]), target[:, :2])
    assert torch.equal(far, two)
    masked = LOSSES.resolve(name)(torch.tensor([[1.0, 2.0, -math.inf]]), target)
    assert torch.equal(masked, two)


@pytest.mark.parametrize("name", ("mse", "l1", "kl", "js"))
def test_is_zero_where_p_is_q_and_positive_elsewhere(name):
    for seed in SEEDS:
        logits, other = sample(seed)
        function = LOSSES.resolve(name)
        for dtype, limit in ((torch.float64, 1e-14), (torch.float32, 1e-6)):
            same = function(logits.to(dtype), logits.softmax(1).to(dtype))
            assert (same >= 0).all() and (same < limit).all()
        assert (function(logits, other) > 1e-4).all()


def test_rounding_is_held_and_the_gradient_is_kept():
    value = torch.tensor([-1e-9, 0.5, 1.1, math.inf], requires_grad=True)
    held = losses._held(value, 0.0, 1.0)
    assert held.tolist()[:3] == [0.0, 0.5, 1.0]
    held[:3].sum().backward()
    assert value.grad.tolist() == [1, 1, 1, 0]
    assert losses._held(value, 0.0, math.inf)[3] == math.inf


def test_js_is_bounded_and_symmetric():
    for seed in SEEDS:
        logits, other = sample(seed, scale=20.0)
        values = losses.js(logits.float(), other.float())
        assert (values >= 0).all() and (values <= 1).all()
        p, q = logits.softmax(1), other.clamp(min=1e-6)
        q = q / q.sum(1, keepdim=True)
        torch.testing.assert_close(losses.js(p.log(), q), losses.js(q.log(), p))
    apart = losses.js(torch.tensor([[1e4, 0.0]]), torch.tensor([[0.0, 1.0]]))
    assert apart.item() == 1.0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("half", (torch.bfloat16, torch.float16))
def test_half_precision_is_computed_in_float32(name, half):
    logits, target = sample(3)
    low = logits.to(half)
    values = LOSSES.resolve(name)(low, target)
    assert values.dtype == torch.float32
    torch.testing.assert_close(values, LOSSES.resolve(name)(low.float(), target.float()), rtol=0, atol=0)
    with torch.autocast("cpu", torch.bfloat16):
        assert LOSSES.resolve(name)(low, target).dtype == torch.float32


@pytest.mark.parametrize("name", NAMES)
def test_integer_targets_work_and_targets_get_no_gradient(name):
    logits, _ = sample(0)
    hot = F.one_hot(torch.arange(6) % 5, 5)
    torch.testing.assert_close(LOSSES.resolve(name)(logits, hot), LOSSES.resolve(name)(logits, hot.double()))
    soft = hot.double().requires_grad_()
    LOSSES.resolve(name)(logits.requires_grad_(), soft).sum().backward()
    assert soft.grad is None and logits.grad.abs().sum() > 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("logits", "target"),
    [
        (torch.zeros(4), torch.zeros(4)),
        (torch.zeros(4, 3), torch.zeros(4)),
        (torch.zeros(4, 3), torch.zeros(4, 2)),
        (torch.zeros(4, 3), torch.zeros(1, 3)),  # would broadcast
        (torch.zeros(4, 0), torch.zeros(4, 0)),
        (torch.zeros(4, 3, dtype=torch.long), torch.zeros(4, 3)),
    ],
)
def test_wrong_shapes_are_refused(name, logits, target):
    with pytest.raises(DataError, match="logits must be"):
        LOSSES.resolve(name)(logits, target)


def test_weighted_sum():
    logits, target = sample(1)
    single = losses.weighted_sum({"kl": 2.0})(logits, target)
    assert list(single) == ["loss"]
    torch.testing.assert_close(single["loss"], 2 * losses.kl(logits, target))
    both = losses.weighted_sum(parse_loss("mse:0.5+kl:0.25+js"))(logits, target)
    assert list(both) == ["loss", "mse", "kl", "js"]
    parts = {name: LOSSES.resolve(name)(logits, target) for name in ("mse", "kl", "js")}
    for name, part in parts.items():
        assert torch.equal(both[name], part)
    torch.testing.assert_close(both["loss"], 0.5 * parts["mse"] + 0.25 * parts["kl"] + parts["js"])
    with pytest.raises(UsageError, match="unknown loss 'kls'; did you mean kl"):
        losses.weighted_sum({"kls": 1.0})
    with pytest.raises(UsageError, match="names no loss"):
        losses.weighted_sum({})


def test_weights_are_told_and_divided_by_their_sum():
    terms = parse_loss("mse:1+kl:3")
    assert describe_terms(terms, normalise=False) == (
        "loss = 1 mse + 3 kl: weights sum to 4; --loss-normalise divides by that"
    )
    assert describe_terms(terms, normalise=True) == "loss = 0.25 mse + 0.75 kl: weights divided by their sum, 4"
    assert describe_terms(parse_loss("mse:0.5+kl:0.5"), normalise=False) == "loss = 0.5 mse + 0.5 kl: weights sum to 1"
    assert (
        describe_terms(parse_loss("kl"), normalise=False) == "" != describe_terms(parse_loss("kl:2"), normalise=False)
    )
    logits, target = sample(1)
    whole, divided = (losses.weighted_sum(one)(logits, target)["loss"] for one in (terms, normalised(terms)))
    torch.testing.assert_close(divided, whole / 4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kl", {"kl": 1.0}),
        ("mse:0.5+kl:0.5", {"mse": 0.5, "kl": 0.5}),
        (" KL : 2 + mse ", {"kl": 2.0, "mse": 1.0}),
        ("kl:1e+2+l1:1e-3", {"kl": 100.0, "l1": 0.001}),
        ("js:.5", {"js": 0.5}),
    ],
)
def test_parse_loss(text, expected):
    assert parse_loss(text) == expected
    assert list(parse_loss(text)) == list(expected)
    assert check_weights(expected) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mes", "unknown loss 'mes'; did you mean mse"),
        ("zzzz", "known are mse, l1, kl, ce, js"),
        ("", "without a name"),
        ("mse+", "without a name"),
        ("mse++kl", "without a name"),
        (":2", "without a name"),
        ("kl+mse+kl:2", "'kl' twice"),
        ("kl:0", "above 0; got '0'"),
        ("kl:-1", "above 0; got '-1'"),
        ("kl:nan", "above 0; got 'nan'"),
        ("kl:inf", "above 0; got 'inf'"),
        ("kl:1e999", "above 0; got '1e999'"),
        ("kl:", "above 0; got ''"),
        ("kl:a", "above 0; got 'a'"),
        ("kl:1:2", "above 0; got '1:2'"),
    ],
)
def test_parse_loss_refuses(text, says):
    with pytest.raises(UsageError) as caught:
        parse_loss(text)
    assert says in caught.value.message
    assert "mse:0.5+kl:0.5" in caught.value.hint


def test_all_faults_are_told_together():
    with pytest.raises(UsageError) as caught:
        parse_loss("mes+kl:0+js+js")
    assert "3 settings are wrong" in caught.value.message
    with pytest.raises(UsageError, match="above 0"):
        check_weights({"kl": 10**400})


def test_every_name_resolves_and_the_room_is_light():
    assert tuple(LOSSES) == NAMES
    for name, entry in LOSSES.items():
        assert LOSSES.resolve(name) is getattr(losses, name) and entry.summary
    code = "import sys, affectkit.losses, affectkit.metrics; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
