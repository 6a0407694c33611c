"""Every setting of a run, its default and help line, for command line, app.yaml, checkpoints and docs/settings.md.

recipe/app.py reads app.yaml and says which of its values and the command line's wins.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import Field, field_validator, model_validator

from protocol.language import tr
from protocol.strict import Strict, not_between
from recipe import plugins

MOST_PIXELS = 4096  # of a side; the activations of a network at twice that fill any machine
LEAST_CROP = 0.1  # of a picture's short side: a smaller share is decoded at ten times the size and seen nearly nowhere
Temperature = Annotated[float, Ge(0.01), Le(100)]  # beyond, a distribution is one class alone, or all alike


class Config(Strict):
    """The settings of a run; one field, one default, one help line."""

    # The length and the data
    epochs: Annotated[int, Ge(0)] = Field(
        30, description="passes over the training rows of a fold; 0 keeps the start (with a probe: the probe)"
    )
    batch_size: Annotated[int, Ge(1)] = Field(64, description="pictures per optimizer step")
    seed: Annotated[int, Ge(0)] = Field(0, description="seed of folds, order, augmentation, mixing and initialisation")
    folds: Annotated[int, Ge(1)] = Field(5, description="stratified folds; 1 trains once with a fifth held out")
    group_duplicates: bool = Field(
        False, description="copies of a picture stay in one fold, so that no fold is scored on what it has seen"
    )
    image_size: Annotated[int, Ge(8), Le(MOST_PIXELS)] = Field(528, description="side of the training crop in pixels")
    test_size: Annotated[int, Ge(0), Le(MOST_PIXELS)] = Field(
        0, description="side of the crop at validation and prediction in pixels; 0 means image_size"
    )
    crop_pct: Annotated[float, Ge(0), Le(1), not_between(0, LEAST_CROP)] = Field(
        0.0, description="crop side over short side at prediction; 0 takes the backbone's own"
    )
    sampler: str = Field("uniform()", description="how often a row is drawn")
    minutes: Annotated[float, Ge(0)] = Field(
        0.0,
        description="time limit of the run, prediction of the hidden pictures included: folds and epochs are "
        "planned to fit; 0 has none",
    )
    plan: Literal["auto", "fixed"] = Field(
        "auto",
        description="auto: under a time limit a network from pretrained weights trains once on nearly all rows and "
        "answers together with the probe, unless there is time for every fold; fixed trains the folds of the settings",
    )
    hidden_pictures: Annotated[int, Ge(0)] = Field(
        0, description="pictures whose prediction the time limit includes; 0: a quarter of train.csv, and 100 at least"
    )
    # The network
    backbone: str = Field(
        "tf_efficientnet_b6.ns_jft_in1k", description="a timm model name or a backbone of this project"
    )
    pretrained: bool = Field(True, description="start from pretrained weights; false starts from a random network")
    weights: str = Field(
        "", description="file or folder with the pretrained weights; empty searches as docs/weights.md says"
    )
    head: str = Field("linear()", description="what turns features into logits")
    head_init: Literal["auto", "probe", "floor", "random"] = Field(
        "auto",
        description="probe starts the head from logistic regression on frozen features; floor starts it at random and "
        "offers the probe as epoch 0; auto: probe when pretrained",
    )
    probe_c: Annotated[float, Gt(0)] = Field(0.01, description="inverse strength of the probe's L2 penalty")
    batch_norm: Literal["auto", "frozen", "train"] = Field(
        "auto", description="BatchNorm statistics during training; auto: frozen when pretrained"
    )
    drop_path: Annotated[float, Ge(0), Lt(1)] = Field(0.0, description="stochastic depth rate of the backbone")
    activation: str = Field(
        "", description="activation in place of the backbone's own: relu, silu, gelu and so on; empty keeps it"
    )
    init: Literal["default", "kaiming"] = Field("default", description="initialisation of a random start")
    zero_gamma: bool = Field(False, description="residual branches of a random start begin as the identity")
    freeze_epochs: Annotated[int, Ge(0)] = Field(
        0, description="first epochs that train the head alone, backbone and BatchNorm frozen"
    )
    freeze_lr: Annotated[float, Gt(0)] = Field(1e-3, description="base learning rate of those epochs")
    # The pictures as the network sees them
    augment: str = Field("scale_crop(), hflip()", description="augmentations in order")
    mix: str = Field("none()", description="mixing within the batch")
    mix_off_epochs: Annotated[int, Ge(0)] = Field(0, description="last epochs without mixing")
    # The objective and the steps
    loss: str = Field("ce()", description="loss per picture")
    reduction: str = Field("mean()", description="from losses per picture to one number")
    l1: Annotated[float, Ge(0)] = Field(0.0, description="weight of the sum of absolute weights in the loss")
    consistency: Annotated[float, Ge(0)] = Field(
        0.0, description="weight of AugMix's consistency term (12 in the paper); needs augmix() in augment"
    )
    teacher: str = Field(
        "", description="distil from: an oof.csv, a run folder, or a timm name with as many classes; empty for none"
    )
    teacher_weight: Annotated[float, Ge(0), Le(1)] = Field(0.5, description="share of the teacher in the loss")
    teacher_temperature: Temperature = Field(4.0, description="temperature of both in the distillation")
    optimizer: str = Field("sam(sgd(momentum=0.9), rho=0.05)", description="the optimizer, with what wraps it")
    sam_ranks: Literal["together", "own"] = Field(
        "together",
        description="of several processes, SAM and ASAM perturb by the gradient of the whole batch (together), or each "
        "by that of its share (own: m-sharpness)",
    )
    lr: Annotated[float, Gt(0)] = Field(0.01, description="base learning rate at the top of the schedule")
    lr_batch: Annotated[int, Ge(0)] = Field(
        0, description="the batch size that lr is stated for: lr grows linearly with batch_size; 0 does not scale"
    )
    weight_decay: Annotated[float, Ge(0)] = Field(1e-4, description="weight decay, not applied to biases and norms")
    decay_all: bool = Field(False, description="apply weight decay to biases and norms as well")
    layer_decay: Annotated[float, Gt(0), Le(1)] = Field(
        1.0, description="learning rate factor from one stage to the one below it"
    )
    head_lr_scale: Annotated[float, Gt(0)] = Field(
        1.0, description="learning rate of the head over that of the backbone"
    )
    least_lr_scale: Annotated[float, Ge(0), Lt(1)] = Field(
        0.0, description="layers whose factor is smaller stay as they are and cost no gradient; 0 trains all"
    )
    fixed_depthwise: Annotated[int, Ge(0)] = Field(
        0,
        description="depthwise kernels of this side and larger stay as they are (their gradient costs a CPU ten "
        "times their result); 0 trains all",
    )
    clip_grad: Annotated[float, Ge(0)] = Field(0.0, description="largest gradient norm; 0 does not clip")
    schedule: str = Field("cosine()", description="learning rate over the run")
    warmup_epochs: Annotated[float, Ge(0)] = Field(
        1.0, description="epochs of linear warm-up, at most a fifth of the run"
    )
    ema_decay: Annotated[float, Ge(0), Lt(1)] = Field(
        0.0, description="decay per step of an exponential moving average of the weights; 0 keeps none"
    )
    patience: Annotated[int, Ge(0)] = Field(
        0, description="epochs without a better validation score before a fold stops; 0 never stops early"
    )
    snapshot_steps: Annotated[int, Ge(0)] = Field(
        0, description="keep the weights every so many steps, for soups and looking back; 0 keeps none"
    )
    snapshot_keep: Annotated[int, Ge(0)] = Field(0, description="snapshots that stay, evenly thinned; 0 keeps all")
    plugins: str = Field("", description="Python files beside main.py with components of your own, such as my_parts.py")
    # The machine
    precision: Literal["auto", "float32", "bf16", "fp16"] = Field(
        "auto", description="arithmetic of forward and backward"
    )
    threads: Annotated[int, Ge(0)] = Field(
        0, description="threads of torch on a CPU; 0 times all cores against half of them"
    )
    retime: bool = Field(False, description="time the machine anew instead of taking what an earlier run found")
    compile: bool = Field(
        False, description="torch.compile the network: a minute or more before the first step, faster steps on a GPU"
    )
    memory_format: Literal["auto", "channels_last", "contiguous"] = Field(
        "auto", description="layout of the pictures in memory; auto times both"
    )
    micro_batch: Annotated[int, Ge(0)] = Field(
        0, description="pictures per forward pass; 0 takes as many as fit, halved when memory runs out"
    )
    grad_checkpoint: bool = Field(
        False, description="recompute activations in the backward pass: less memory, a quarter slower"
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps")
    workers: Annotated[int, Ge(0)] = Field(
        0, description="background threads that prepare pictures; 0 chooses by the number of cores"
    )
    cache_mb: Annotated[int, Ge(-1)] = Field(
        -1, description="memory for decoded pictures in MB; -1 takes a quarter of what is free, 0 keeps none"
    )
    cache_disk_mb: Annotated[int, Ge(-1)] = Field(
        -1,
        description="disk for decoded pictures that memory has no room for, in MB; -1 takes a quarter of what is "
        "free, 0 keeps none",
    )
    save_seconds: Annotated[float, Ge(0)] = Field(
        60.0,
        description="work in seconds that a killed run may lose at most, unless saving would take more than a "
        "fiftieth of the time; 0 saves every step",
    )
    save_steps: Annotated[int, Ge(0)] = Field(
        0, description="save the state every so many steps as well; 0 goes by save_seconds alone"
    )
    deterministic: bool = Field(
        False, description="the same bits from the same command on CUDA too, with slower kernels; a CPU does so anyway"
    )
    trackers: str = Field(
        "tensorboard", description="who else is told of epochs and scores: tensorboard, wandb, mlflow, swanlab"
    )
    # Prediction
    views: str = Field(
        "identity(), hflip()", description="test-time augmentation: the views whose probabilities are averaged"
    )
    export: Literal["auto", "onnx", "openvino", "torchscript", "none"] = Field(
        "auto",
        description="what the finished folds are exported to; auto: onnx where it can be written and answered, "
        "else torchscript",
    )

    @field_validator("augment", "views", "plugins", "trackers", mode="before")
    @classmethod
    def _join(cls, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    @field_validator("plugins")
    @classmethod
    def _without_their_way(cls, value: str) -> str:
        return ", ".join(plugins.files_in(value))

    @model_validator(mode="after")
    def _ask_for_plugins(self) -> Config:
        plugins.ask(self.plugins)  # whatever is built from these settings finds them
        return self

    @model_validator(mode="after")
    def _combinations(self) -> Config:
        for refused, sentence in self._refusals():
            if refused:
                raise ValueError(sentence)
        return self

    def _refusals(self) -> list[tuple[bool, str]]:
        return [
            (
                self.head_init == "probe" and not self.pretrained,
                tr("head_init: probe needs pretrained features; set pretrained: true or head_init: random."),
            ),
            (
                self.mix_off_epochs > self.epochs,
                tr(
                    "mix_off_epochs: {mix_off_epochs} is more than epochs: {epochs}; lower it.",
                    mix_off_epochs=self.mix_off_epochs,
                    epochs=self.epochs,
                ),
            ),
            (
                bool(self.weights) and not self.pretrained,
                tr("weights names a file but pretrained is false; drop one of the two."),
            ),
            (
                self.pretrained and self.init != "default",
                tr("init: kaiming would overwrite the pretrained weights; set pretrained: false or init: default."),
            ),
            (
                self.pretrained and self.zero_gamma,
                tr("zero_gamma would cut the pretrained branches off; set pretrained: false or zero_gamma: false."),
            ),
            (
                self.freeze_epochs > self.epochs,
                tr(
                    "freeze_epochs: {freeze_epochs} is more than epochs: {epochs}; lower it.",
                    freeze_epochs=self.freeze_epochs,
                    epochs=self.epochs,
                ),
            ),
            (
                bool(self.freeze_epochs) and not self.pretrained,
                tr("freeze_epochs would freeze a random backbone; set pretrained: true or freeze_epochs: 0."),
            ),
            (
                bool(self.consistency) and self.mix != "none()",
                tr("consistency compares views of one picture, and mix blends two; set mix: none()."),
            ),
            (
                self.micro_batch > self.batch_size,
                tr(
                    "micro_batch: {micro_batch} is more than batch_size: {batch_size}; lower it.",
                    micro_batch=self.micro_batch,
                    batch_size=self.batch_size,
                ),
            ),
        ]

    @property
    def evaluation_size(self) -> int:
        """Side of the crop at validation and prediction, in pixels."""
        return self.test_size or self.image_size

    @property
    def scaled_lr(self) -> float:
        """The base learning rate for this batch size (Goyal et al., "Accurate, Large Minibatch SGD", 2017, 2.1)."""
        return self.lr * self.batch_size / self.lr_batch if self.lr_batch else self.lr

    @property
    def probes(self) -> bool:
        """Whether there is a probe: the start of the head, or what epoch 0 offers."""
        return self.pretrained and self.head_init != "random"

    @property
    def freezes_batch_norm(self) -> bool:
        """Whether BatchNorm keeps its stored statistics during training."""
        return self.pretrained if self.batch_norm == "auto" else self.batch_norm == "frozen"
