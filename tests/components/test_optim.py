"""Optimizers against torch, their limit cases, resuming, and the parameter groups they work on."""

from __future__ import annotations

import io

import pytest
import torch
from torch import nn

from recipe.components.cifar import BACKBONES
from recipe.components.heads import HEADS
from recipe.components.optimizers import OPTIMIZERS, passes_per_step
from recipe.registry import SpecError
from recipe.training.step.groups import param_groups

LR, DECAY = 0.05, 0.01
NESTED = [
    "lookahead(sam(adamw()), k=2)",
    "sam(lookahead(sgd(), k=2))",
    "looksam(adamw(), k=3)",
    "sam(only='norm')",
    "gsam(rho_min=0.01)",
]
SPECS = [*OPTIMIZERS, *NESTED]


class Task:
    """A tiny network, fixed pictures and the closure of one optimizer step."""

    def __init__(self, spec: str, frozen: bool = False, **settings) -> None:
        generator = torch.Generator().manual_seed(1)
        self.features = torch.randn(16, 4, generator=generator)
        self.labels = torch.randint(3, (16,), generator=generator)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3))
        if frozen:
            self.model[0].requires_grad_(False)
        self.optimizer = OPTIMIZERS.build(spec, param_groups(self.model, LR, DECAY, **settings), LR)
        self.calls = 0

    def closure(self) -> torch.Tensor:
        self.calls += 1
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.model(self.features), self.labels)
        loss.backward()
        return loss.detach()

    def run(self, steps: int) -> list[torch.Tensor]:
        for _ in range(steps):
            self.optimizer.step(self.closure)
        return [p.detach().clone() for p in self.model.parameters()]


def same(left: list[torch.Tensor], right: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.mark.reference("optimizer", "sgd", "adam", "adamw", "adagrad", "adadelta", "rmsprop", "radam")
@pytest.mark.parametrize(
    ("spec", "reference"),
    [
        ("sgd(momentum=0)", lambda p: torch.optim.SGD(p, lr=LR, weight_decay=DECAY)),
        ("sgd", lambda p: torch.optim.SGD(p, lr=LR, weight_decay=DECAY, momentum=0.9)),
        (
            "sgd(momentum=0.8, nesterov=True)",
            lambda p: torch.optim.SGD(p, lr=LR, weight_decay=DECAY, momentum=0.8, nesterov=True),
        ),
        ("adam(betas=(0.8, 0.99))", lambda p: torch.optim.Adam(p, lr=LR, weight_decay=DECAY, betas=(0.8, 0.99))),
        ("adamw(eps=1e-6)", lambda p: torch.optim.AdamW(p, lr=LR, weight_decay=DECAY, eps=1e-6)),
        ("adagrad", lambda p: torch.optim.Adagrad(p, lr=LR, weight_decay=DECAY)),
        ("adadelta(rho=0.8)", lambda p: torch.optim.Adadelta(p, lr=LR, weight_decay=DECAY, rho=0.8)),
        ("rmsprop(momentum=0.5)", lambda p: torch.optim.RMSprop(p, lr=LR, weight_decay=DECAY, momentum=0.5)),
        ("radam", lambda p: torch.optim.RAdam(p, lr=LR, weight_decay=DECAY, decoupled_weight_decay=True)),
    ],
)
def test_steps_equal_torch(spec, reference):
    ours, theirs = Task(spec, no_decay_on_norm_and_bias=False), Task("sgd")
    theirs.optimizer = reference(theirs.model.parameters())
    for _ in range(6):
        assert same(ours.run(1), theirs.run(1))


@pytest.mark.reference("optimizer", "adamw")
def test_adamw_first_step_by_hand():
    """Bias-corrected moments of one gradient are g and g*g, so the first step is the sign of g, after the decay of the
    weight.
    """
    weight = nn.Parameter(torch.tensor([2.0, -3.0]))
    optimizer = OPTIMIZERS.build("adamw", [{"params": [weight], "lr": 0.1, "weight_decay": 0.5}], 0.1)
    weight.grad = torch.tensor([4.0, -7.0])
    optimizer.step()
    assert weight.tolist() == pytest.approx([2 * 0.95 - 0.1, -3 * 0.95 + 0.1])


def one_step(spec: str, weight_decay: float = 0.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Weights before, gradient, and weights after each of two steps at rate 0.1 with that same gradient."""
    start, gradient = torch.tensor([2.0, -3.0, 0.5]), torch.tensor([4.0, -7.0, 1e-2])
    weight = nn.Parameter(start.clone())
    optimizer = OPTIMIZERS.build(spec, [{"params": [weight], "lr": 0.1, "weight_decay": weight_decay}], 0.1)
    for _ in range(2):
        weight.grad = gradient.clone()
        optimizer.step()
    return start, gradient, weight.detach()


@pytest.mark.limit("optimizer", "sgd")
def test_sgd_without_momentum_is_plain_gradient_descent():
    start, gradient, after = one_step("sgd(momentum=0)")
    torch.testing.assert_close(after, start - 2 * 0.1 * gradient)
    assert not torch.allclose(one_step("sgd(momentum=0.9)")[2], after)


@pytest.mark.limit("optimizer", "adam", "rmsprop")
@pytest.mark.parametrize("spec", ["adam(betas=(0, 0))", "rmsprop(alpha=0, momentum=0)"])
def test_without_memory_the_step_is_the_sign_of_the_gradient(spec):
    start, gradient, after = one_step(spec)
    torch.testing.assert_close(after, start - 2 * 0.1 * gradient.sign())


@pytest.mark.limit("optimizer", "adamw")
def test_adamw_without_weight_decay_is_adam():
    assert torch.equal(one_step("adamw")[2], one_step("adam")[2])
    assert not torch.allclose(one_step("adamw", 0.1)[2], one_step("adam", 0.1)[2])


@pytest.mark.limit("optimizer", "lookahead")
@pytest.mark.parametrize("base", ["sgd", "adamw", "sam(sgd())"])
def test_lookahead_of_one_step_is_its_base(base):
    assert same(Task(f"lookahead({base}, k=1, alpha=1)").run(5), Task(base).run(5))


@pytest.mark.limit("optimizer", "ranger")
def test_ranger_of_one_step_is_radam():
    assert same(Task("ranger(k=1, alpha=1)").run(8), Task("radam(betas=(0.95, 0.999), eps=1e-5)").run(8))


@pytest.mark.reference("optimizer", "lookahead")
def test_lookahead_by_hand():
    """Gradient 1, lr 1, k=2, alpha=0.25: two fast steps go down by 2, the slow weight follows by a quarter of it."""
    weight = nn.Parameter(torch.tensor([10.0]))
    optimizer = OPTIMIZERS.build("lookahead(sgd(momentum=0), k=2, alpha=0.25)", [{"params": [weight], "lr": 1.0}], 1.0)
    seen = []
    for _ in range(4):
        weight.grad = torch.ones(1)
        optimizer.step()
        seen.append(weight.item())
    assert seen == [9.0, 9.5, 8.5, 9.0]


@pytest.mark.parametrize("spec", SPECS)
def test_resume_goes_on_bit_for_bit(spec):
    whole, first, second = Task(spec), Task(spec), Task(spec)
    expected = whole.run(9)
    first.run(4)
    file = io.BytesIO()
    torch.save({"model": first.model.state_dict(), "optimizer": first.optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    second.model.load_state_dict(saved["model"])
    second.optimizer.load_state_dict(saved["optimizer"])
    assert same(second.run(5), expected)


@pytest.mark.parametrize("spec", SPECS)
def test_learning_rate_set_from_outside_holds_also_after_loading(spec):
    task = Task(spec)
    task.run(1)
    task.optimizer.load_state_dict(task.optimizer.state_dict())
    task.optimizer.zero_grad(set_to_none=True)
    for group in task.optimizer.param_groups:
        group["lr"] = 0.0
    before = [p.detach().clone() for p in task.model.parameters()]
    if "lookahead" not in spec and spec != "ranger":  # whose slow weights move without a rate
        assert same(task.run(2), before)
    for group in task.optimizer.param_groups:
        group["lr"] = 0.1
    assert not same(task.run(1), before)


@pytest.mark.parametrize("spec", SPECS)
def test_every_name_lowers_the_loss_and_leaves_frozen_weights_alone(spec):
    task = Task(spec, frozen=True)
    frozen = [p.detach().clone() for p in task.model[0].parameters()]
    for group in task.optimizer.param_groups if "adadelta" in spec else []:
        group["lr"] = 1.0
    start = task.closure()
    task.run(25)
    assert task.closure() < start
    assert same([p.detach() for p in task.model[0].parameters()], frozen)
    assert all(torch.isfinite(p).all() for p in task.model.parameters())


PASSES = [
    ("sgd", 1),
    ("sam", 2),
    ("asam", 2),
    ("gsam", 2),
    ("looksam(k=5)", 1.2),
    ("lookahead(sam())", 2),
    ("ranger", 1),
    ("lookahead(base=looksam(sgd(), 0.05, 2))", 1.5),
]


@pytest.mark.parametrize(("spec", "passes"), PASSES)
def test_passes_per_step_are_the_calls_of_the_closure(spec, passes):
    task = Task(spec)
    task.run(10)
    assert task.calls == 10 * passes
    assert passes_per_step(spec) == pytest.approx(passes)


@pytest.mark.parametrize("spec", SPECS)
def test_first_call_of_the_closure_sees_the_weights_as_they_were(spec):
    task = Task(spec)
    for _ in range(4):
        before = [p.detach().clone() for p in task.model.parameters()]
        seen = []

        def closure(task=task, seen=seen):
            seen.append([p.detach().clone() for p in task.model.parameters()])
            return task.closure()

        task.optimizer.step(closure)
        assert same(seen[0], before)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("sgd(momentum=0, nesterov=True)", "needs a momentum"),
        ("sam(sam())", "SAM cannot wrap SAM"),
        ("looksam(lookahead(asam()))", "SAM cannot wrap SAM"),
        ("sam(rho=-1)", "rho=-1 is refused"),
        ("looksam(k=0)", "k=0 is refused"),
        ("lookahead(alpha=1.5)", "alpha=1.5 is refused"),
        ("adam(betas=(0.9, 1.0))", "betas"),
        ("sam(only='conv')", "only='conv' is refused"),
        ("sam(addam())", "Did you mean 'adam"),
    ],
)
def test_refusals(spec, message):
    with pytest.raises(SpecError, match=message.replace("(", r"\(")):
        Task(spec)


def test_sam_on_norms_needs_norms():
    groups = param_groups(nn.Linear(3, 2), LR, DECAY)
    with pytest.raises(SpecError, match="found none"):
        OPTIMIZERS.build("sam(only='norm')", groups, LR)


def test_every_docstring_names_its_source():
    assert all("Source: " in (OPTIMIZERS[name].__doc__ or "") for name in OPTIMIZERS)


class Classifier(nn.Module):
    def __init__(self, backbone: nn.Module, classes: int = 5) -> None:
        super().__init__()
        self.backbone, self.head = backbone, HEADS.build("linear", backbone.num_features, classes)


@pytest.fixture(
    scope="module", params=["cifar_resnet18", "cifar_wrn28_10", "vit_tiny_patch16_224", "tf_efficientnet_lite0"]
)
def classifier(request):
    from recipe.system import torchvision_guard  # noqa: F401, I001  (before timm)
    import timm

    with torch.device("meta"):
        known = request.param in BACKBONES
        return Classifier(BACKBONES.build(request.param) if known else timm.create_model(request.param, num_classes=0))


def test_groups_hold_every_parameter_once(classifier):
    for settings in ({}, {"layer_decay": 0.8}):
        groups = param_groups(classifier, LR, DECAY, **settings)
        ids = [id(p) for group in groups for p in group["params"]]
        assert len(ids) == len(set(ids)) and set(ids) == {id(p) for p in classifier.parameters()}
        assert len({group["name"] for group in groups}) == len(groups)


def test_norms_and_biases_do_not_decay(classifier):
    decays = {id(p): group["weight_decay"] for group in param_groups(classifier, LR, DECAY) for p in group["params"]}
    for name, p in classifier.named_parameters():
        exempt = p.ndim <= 1 or name.endswith(("pos_embed", "cls_token"))
        assert decays[id(p)] == (0 if exempt else DECAY), name
    everything = param_groups(classifier, LR, DECAY, no_decay_on_norm_and_bias=False)
    assert {group["weight_decay"] for group in everything} == {DECAY}


def test_kind_norm_is_the_vectors_of_normalisation_layers(classifier):
    marked = {
        id(p) for group in param_groups(classifier, LR, DECAY) if group["kind"] == "norm" for p in group["params"]
    }
    norms = [m for m in classifier.modules() if isinstance(m, (nn.BatchNorm2d, nn.LayerNorm))]
    assert marked == {id(p) for m in norms for p in m.parameters(recurse=False)} != set()


def test_layer_decay_grows_towards_the_head(classifier):
    groups = param_groups(classifier, LR, DECAY, layer_decay=0.5, head_lr_scale=3.0)
    scales = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    named = [(name, scales[id(p)]) for name, p in classifier.named_parameters()]
    backbone = [
        scale for name, scale in named if name.startswith("backbone.") and not name.endswith(("pos_embed", "cls_token"))
    ]
    assert backbone == sorted(backbone) and len(set(backbone)) > 3
    assert max(backbone) == 0.5 and {scale for name, scale in named if name.startswith("head.")} == {3.0}
    assert all(group["lr"] == pytest.approx(LR * group["lr_scale"]) for group in groups)


@pytest.mark.limit("recipe.training.step.groups", "param_groups")
def test_no_layer_decay_is_one_rate(classifier):
    assert {group["lr_scale"] for group in param_groups(classifier, LR, DECAY)} == {1.0}


def test_frozen_backbone_leaves_the_head():
    model = Classifier(BACKBONES.build("cifar_squeezenet"))
    model.backbone.requires_grad_(False)
    assert {group["name"] for group in param_groups(model, LR, DECAY)} == {"head.weight", "head.bias"}
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="everything is frozen"):
        param_groups(model, LR, DECAY)
