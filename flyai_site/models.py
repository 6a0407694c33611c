"""What the site remembers. Moments are aware datetimes in UTC; scores are percent; tokens are kept as SHA-256 only."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils import timezone

from flyai_local.states import State

ACTIVE = (State.PACKING, State.INSTALLING, State.TRAINING, State.EVALUATING)
CODE, ANSWERS = "code", "answers"


class Contest(models.Model):
    """One contest: its data, its times, its limits."""

    slug = models.SlugField(max_length=64, unique=True)
    title = models.CharField(max_length=200)
    rules = models.TextField(blank=True)
    kind = models.CharField(max_length=8, default=CODE)  # CODE runs submissions; ANSWERS takes a CSV of predictions
    image_column = models.CharField(max_length=64)
    label_column = models.CharField(max_length=64)
    metric = models.CharField(max_length=32)
    train_rows = models.IntegerField()
    hidden_rows = models.IntegerField()
    data_sha256 = models.CharField(max_length=64)  # what workers fetch, hidden labels included
    public_sha256 = models.CharField(max_length=64)  # what participants may download
    opens = models.DateTimeField()
    closes = models.DateTimeField()
    reveals = models.DateTimeField()  # from then on private scores are shown; never before `closes`
    per_day = models.PositiveIntegerField(default=5)
    in_total = models.PositiveIntegerField(default=100)
    max_mb = models.PositiveIntegerField(default=64)
    minutes = models.FloatField(default=30)
    memory_mb = models.PositiveIntegerField(default=4096)
    epochs = models.PositiveIntegerField(default=10)
    batch = models.PositiveIntegerField(default=32)
    chosen_n = models.PositiveIntegerField(default=2)
    team_size = models.PositiveIntegerField(default=1)
    by_invitation = models.BooleanField(default=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT)
    version = models.PositiveIntegerField(default=0)  # grows when the board may have changed

    def open_at(self, moment: datetime) -> bool:
        """Whether an upload whose first byte arrived at that moment is in time."""
        return self.opens <= moment < self.closes

    @property
    def revealed(self) -> bool:
        """Whether private scores may be shown now."""
        return timezone.now() >= max(self.reveals, self.closes)

    @property
    def given_batch(self) -> int:
        """The batch that main.py is told: at most half of the training rows, or code that counts whole batches of its
        own part of them makes no step and saves nothing."""
        return min(self.batch, max(1, self.train_rows // 2))


class Participant(models.Model):
    """One row of the board: a person or a team."""

    contest = models.ForeignKey(Contest, models.PROTECT)
    name = models.CharField(max_length=64)
    active = models.BooleanField(default=True)
    reason = models.CharField(max_length=500, blank=True)  # of a disqualification
    team_hash = models.CharField(max_length=64, blank=True)  # of the word by which others join
    joined = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["contest", "name"], name="one_name_per_contest")]


class Member(models.Model):
    """A person in a contest: one participant each."""

    contest = models.ForeignKey(Contest, models.PROTECT)
    participant = models.ForeignKey(Participant, models.PROTECT)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["contest", "user"], name="one_place_per_contest")]


class Invitation(models.Model):
    """A word that admits one person to a contest by invitation."""

    contest = models.ForeignKey(Contest, models.PROTECT)
    label = models.CharField(max_length=200)
    word_hash = models.CharField(max_length=64, unique=True)
    used_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True)


class Submission(models.Model):
    """One upload. `counts` says whether it is a try: from the start, and no more when only the platform failed."""

    participant = models.ForeignKey(Participant, models.PROTECT)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT)
    sha256 = models.CharField(max_length=64, db_index=True)
    size_bytes = models.BigIntegerField()
    label = models.CharField(max_length=200, blank=True)
    arrived = models.DateTimeField()  # the upload's first byte
    chosen = models.BooleanField(default=False)
    counts = models.BooleanField(default=True)

    class Meta:
        indexes = [models.Index(fields=["participant", "arrived"], name="tries")]


class Worker(models.Model):
    """A machine that runs submissions."""

    name = models.CharField(max_length=64, unique=True)
    token_hash = models.CharField(max_length=64, unique=True)
    last_seen = models.DateTimeField(null=True)
    note = models.CharField(max_length=300, blank=True)
    active = models.BooleanField(default=True)


class Run(models.Model):
    """One run of a submission. `attempt` is the fencing token: only the worker that holds the newest may write."""

    submission = models.ForeignKey(Submission, models.PROTECT)
    attempt = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=16, default=State.QUEUED.value)
    code = models.CharField(max_length=40, blank=True)
    detail = models.CharField(max_length=2000, blank=True)
    priority = models.IntegerField(default=0)
    worker = models.ForeignKey(Worker, models.PROTECT, null=True)
    lease_until = models.DateTimeField(null=True)
    queued = models.DateTimeField(default=timezone.now)
    started = models.DateTimeField(null=True)
    ended = models.DateTimeField(null=True)
    seconds = models.FloatField(null=True)
    peak_mb = models.FloatField(null=True)
    log_bytes = models.PositiveIntegerField(default=0)
    has_report = models.BooleanField(default=False)

    class Meta:
        indexes = [models.Index(fields=["state", "-priority", "id"], name="queue")]


class Score(models.Model):
    """What a run scored. Nothing but `reveal` may read `total`, `private` and `per_class`."""

    run = models.OneToOneField(Run, models.PROTECT)
    metric = models.CharField(max_length=32)
    total = models.FloatField()
    public = models.FloatField(null=True)
    private = models.FloatField(null=True)
    per_class = models.JSONField(default=dict)
    public_per_class = models.JSONField(default=dict)


class Token(models.Model):
    """Lets a program act as a person."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    token_hash = models.CharField(max_length=64, unique=True)
    label = models.CharField(max_length=64)
    created = models.DateTimeField(default=timezone.now)
    expires = models.DateTimeField()


class Audit(models.Model):
    """Who did what to what. The database itself refuses to change or remove a row."""

    at = models.DateTimeField(default=timezone.now)
    who = models.CharField(max_length=150)
    verb = models.CharField(max_length=40)
    object = models.CharField(max_length=200)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)


class Tally(models.Model):
    """How often a key was used in one minute: the rate limit's memory."""

    key = models.CharField(max_length=120)
    minute = models.BigIntegerField()
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "minute"], name="one_tally")]
