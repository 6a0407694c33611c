"""The report: its numbers equal sklearn's, its page needs nothing else, and it stands the cases at the edge."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
import torch
from run_lab import TINY, prepared
from sklearn import metrics as oracle
from sklearn.calibration import calibration_curve

from recipe.components.metrics import METRICS
from recipe.data.reading import read
from recipe.models.start import start
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import short_side
from recipe.report import numbers as calibration
from recipe.report import numbers as confusion
from recipe.report import numbers as one_vs_rest
from recipe.report import page
from recipe.report.evidence import Evidence, of_run, title_of
from recipe.report.numbers import bootstrap, wilson
from recipe.report.section import Grid, on_page
from recipe.report.sections import attention, copies, scores, thresholds, training
from recipe.report.sections import pictures as report_pictures
from recipe.runs.folder import RunError
from recipe.runs.results import EpochLog
from recipe.serving.calibrate import fit_temperature
from recipe.system.template import _foldable
from recipe.train import cross_validate
from recipe.training.run import Prepared
from recipe.training.step.update import Update

CONFIG = TINY.model_copy(update={"mix": "mixup(alpha=0.4)", "augment": "hflip(), brightness_contrast()"})
WITH_A_NETWORK = {"attention_section", "fed_section", "map_section", "cost_section", "settings_section"}
WITH_PICTURES = {"mistakes_section", "copies_section", "attention_section", "fed_section"}
WITHOUT_A_NETWORK = [make for _, make in page.SECTIONS if make.__name__ not in WITH_A_NETWORK]


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Intervals of the page from 10 resamplings: their number changes the time and not the way."""
    monkeypatch.setattr(scores, "RESAMPLES", 10)


def answers(rows: int = 300, classes: int = 4, seed: int = 0, sharpness: float = 2.0):
    """Labels and probabilities that are right more often than not."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=rows)
    logits = rng.normal(size=(rows, classes)) + sharpness * np.eye(classes)[labels]
    return labels, (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)


def evidence(tmp_path, labels, probs, classes=None, folds=2, logs=(), **more) -> Evidence:
    names = classes or [f"class {label}" for label in range(probs.shape[1])]
    fold_of = np.arange(len(labels)) % folds
    totals = {"metric": "accuracy", "probe_oof": None, "std": 0.01, "seconds": 3.0, "views": "identity()", "folds": {}}
    info = {"classes": names, "config": CONFIG.model_dump(), "fingerprint": "0" * 12}
    rows = [f"{row}.png" for row in range(len(labels))]
    return Evidence(tmp_path, "a run", info, totals, logs, rows, labels, probs, fold_of, None, "not there", **more)


@pytest.fixture
def trained(competition, tmp_path):
    ready = prepared(competition, CONFIG)
    cross_validate(ready, tmp_path / "run")
    return tmp_path / "run", ready.table, ready.pictures


class Page(HTMLParser):
    """What a browser would have to fetch, and whether the elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched, self.pictures, self.open, self.ids = [], 0, [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, content in attributes:
            self.ids += [content] if name == "id" else []
            if name in ("src", "href", "srcset", "data") and not content.startswith(("data:", "#")):
                self.fetched.append(content)
        self.pictures += tag == "img"
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


# numbers


@pytest.mark.reference("recipe.report.numbers", "roc", "precision_recall")
@pytest.mark.parametrize("classes", [2, 4])
def test_curves_and_areas_are_those_of_sklearn(classes):
    labels, probs = answers(classes=classes)
    roc, recall = (one_vs_rest.curves(kind, labels, probs) for kind in (one_vs_rest.roc, one_vs_rest.precision_recall))
    for label in range(classes):
        false, true, _ = oracle.roc_curve(labels == label, probs[:, label])
        np.testing.assert_allclose(roc.classes[label].vertical, true)
        np.testing.assert_allclose(roc.classes[label].horizontal, false)
        assert roc.classes[label].area == pytest.approx(oracle.roc_auc_score(labels == label, probs[:, label]))
        assert recall.classes[label].area == pytest.approx(
            oracle.average_precision_score(labels == label, probs[:, label])
        )
    hits = np.eye(classes)[labels]
    assert roc.micro.area == pytest.approx(oracle.roc_auc_score(hits.ravel(), probs.ravel()))
    assert roc.macro.area == pytest.approx(METRICS["roc_auc"](labels, probs))
    assert recall.micro.area == pytest.approx(oracle.average_precision_score(hits.ravel(), probs.ravel()))
    assert recall.macro.area == pytest.approx(METRICS["average_precision"](labels, probs))


def test_thinning_keeps_the_shape_and_the_ends():
    labels, probs = answers(5000, 2)
    curve = one_vs_rest.roc(labels == 1, probs[:, 1])
    thin = one_vs_rest.thinned(curve, 100)
    assert len(thin.horizontal) <= 102 < len(curve.horizontal)
    assert (thin.horizontal[0], thin.vertical[0], thin.horizontal[-1], thin.vertical[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(thin.vertical, thin.horizontal) == pytest.approx(curve.area, abs=5e-3)


@pytest.mark.reference("recipe.report.numbers", "counts")
def test_confusion_and_class_table_are_those_of_sklearn(tmp_path):
    labels, probs = answers()
    found = evidence(tmp_path, labels, probs)
    np.testing.assert_array_equal(
        confusion.counts(labels, probs.argmax(1), 4), oracle.confusion_matrix(labels, probs.argmax(1))
    )
    precision, recall, f1, support = oracle.precision_recall_fscore_support(labels, probs.argmax(1))
    rows = scores.class_grid(found).rows
    for label, row in enumerate(rows):
        assert row[1] == support[label]
        assert [float(row[column]) for column in (3, 4, 7)] == pytest.approx(
            [precision[label], recall[label], f1[label]], abs=1e-4
        )


def test_order_puts_confused_classes_side_by_side():
    matrix = np.diag([50] * 6)
    for first, second in ((0, 3), (1, 5), (2, 4)):
        matrix[first, second] = matrix[second, first] = 20
    place = np.argsort(confusion.order(matrix))
    assert all(abs(place[first] - place[second]) == 1 for first, second in ((0, 3), (1, 5), (2, 4)))
    assert sorted(confusion.order(matrix)) == list(range(6))
    np.testing.assert_array_equal(confusion.order(np.diag([3, 3, 3])), [0, 1, 2])


def test_pairs_are_the_off_diagonal_by_frequency():
    found = confusion.pairs(np.array([[5, 1, 0], [3, 7, 0], [0, 0, 0]]))
    assert [(pair.label, pair.answer, pair.rows) for pair in found] == [(1, 0, 3), (0, 1, 1)]
    assert found[0].share == pytest.approx(0.3)


@pytest.mark.reference("recipe.report.numbers", "reliability")
def test_reliability_agrees_with_sklearn_and_sums_to_the_calibration_error():
    labels, probs = answers(2000)
    found = calibration.reliability(labels, probs, bins=10)
    right, sure = calibration_curve(probs.argmax(1) == labels, probs.max(1), n_bins=10)
    filled = found.counts > 0
    np.testing.assert_allclose(found.accuracy[filled], right)
    np.testing.assert_allclose(found.confidence[filled], sure, rtol=1e-6)
    gaps = np.abs(found.accuracy - found.confidence)[filled] @ found.counts[filled] / len(labels)
    assert gaps == pytest.approx(METRICS.build("calibration_error(bins=10)", labels, probs), abs=1e-7)


def test_temperature_is_one_where_calibrated_and_cross_fitting_mends():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20000, 3)) * 2
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (probs.cumsum(1) > rng.random((len(probs), 1))).argmax(1)
    assert fit_temperature(labels, probs) == pytest.approx(1, abs=0.03)
    sure = probs**3 / (probs**3).sum(1, keepdims=True)
    mended = calibration.cross_fitted(labels, sure, np.arange(len(labels)) % 5)
    np.testing.assert_allclose(mended, probs, atol=0.02)
    assert (mended.argmax(1) == sure.argmax(1)).all()


def test_wilson_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    low, high = np.array([wilson(int(right), 40) for right in rng.binomial(40, 0.9, size=2000)]).T
    assert 0.93 < np.mean((low <= 0.9) & (high >= 0.9)) < 0.98
    assert wilson(0, 0) == (0, 1)
    assert wilson(10, 10)[1] == pytest.approx(1)
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe, 1998, table I, method 3


def test_bootstrap_is_repeatable_and_agrees_with_wilson():
    labels, probs = answers(1000)
    found = bootstrap(METRICS["accuracy"], labels, probs)
    assert found == bootstrap(METRICS["accuracy"], labels, probs)
    assert found == pytest.approx(wilson(int((probs.argmax(1) == labels).sum()), 1000), abs=0.01)


def test_heat_finds_the_bright_corner():
    class Corner(torch.nn.Module):
        head = torch.nn.Linear(1, 2, bias=False)
        head.spatial = False

        def __init__(self):
            super().__init__()
            self.backbone = self
            with torch.no_grad():
                self.head.weight.copy_(torch.tensor([[1.0], [-1.0]]))

        def forward_features(self, images):
            return torch.nn.functional.avg_pool2d(images[:, :1], 8)

        def forward_head(self, features, pre_logits):
            return features.mean((2, 3))

    images = torch.zeros(1, 3, 32, 32)
    images[0, 0, :8, 24:] = 1
    warm = attention.heat(Corner(), images, torch.tensor([0]))
    assert warm[0, 0, 3] == 1 and warm.sum() == 1
    assert attention.heat(Corner(), images, torch.tensor([1])).sum() == 0  # nothing speaks for the other class


# copies


class Shown:
    """Pictures of rows by number: equal numbers are the same picture; a negative one is its mirror image."""

    def __init__(self, numbers):
        self.numbers = numbers

    def __getitem__(self, row):
        coarse = np.random.default_rng(abs(self.numbers[row])).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (48, 40), interpolation=cv2.INTER_CUBIC)
        return image[:, ::-1] if self.numbers[row] < 0 else image


def test_copies_in_training_folds_are_told_from_those_of_the_same_fold(tmp_path):
    """Rows 0 and 1 (folds 0 and 1) are copies, 2 and 5 mirrored, 3 and 7 lie in the same fold; the others are
    single.
    """
    labels, probs = answers(40)
    numbers = list(range(1, 41))
    numbers[1], numbers[5], numbers[7] = numbers[0], -numbers[2], numbers[3]
    found = replace(evidence(tmp_path, labels, probs), pictures=Shown(numbers))
    seen = copies.with_a_copy(found)
    assert seen.tolist() == [0, 1, 2, 5]
    rest = np.setdiff1d(np.arange(40), seen)
    right = probs.argmax(1) == labels
    assert copies.optimism(found, seen) == pytest.approx(right.mean() - right[rest].mean())
    made = copies.copies_section(found)
    assert "4 of 40 out-of-fold pictures have a copy" in made.text[0] and len(made.tiles[0].tiles) == 8
    assert [row[1] for row in made.grids[0].rows] == [4, 36, 40]
    assert any("4 pictures have a copy in another fold" in step for step in page.advice.next_steps(found))


def test_without_copies_nothing_is_flattered(tmp_path):
    found = replace(evidence(tmp_path, *answers(20)), pictures=Shown(range(1, 21)))
    made = copies.copies_section(found)
    assert "not flattered" in made.text[0] and not made.tiles
    assert "cannot be compared: not there" in copies.copies_section(evidence(tmp_path, *answers(20))).text[0]


def test_a_row_that_trained_every_network_counts_as_trained_on(tmp_path):
    """With one fold held out the other rows have none, and a copy among them was trained on."""
    labels, probs = answers(10)
    found = replace(
        evidence(tmp_path, labels, probs),
        pictures=Shown([1, *range(1, 10)]),
        fold_of=np.array([0, *[-1] * 4, *[0] * 5]),
    )
    assert 0 in copies.with_a_copy(found)


# the page


def test_page_of_a_run_is_whole_and_needs_nothing_else(trained, monkeypatch):
    folder, table, pictures = trained
    written = page.write_report(folder, table, pictures)
    text = written.read_text(encoding="utf-8")
    found = Page(text)
    assert (
        not found.fetched and not found.open and "http" not in text and "<script" not in text and "url(http" not in text
    )
    assert found.pictures >= 10 and len(found.ids) == len(set(found.ids))
    assert set(re.findall(r'(?:url\(|href=")#([\w.-]+)', text)) <= set(found.ids)
    assert "This part is left out" not in text
    assert written.stat().st_size < 8 * 2**20
    for title, _ in page.SECTIONS:
        assert f"<h2>{title}</h2>" in text
    for word in ("2 x MACs", "peak memory", "mixup(alpha=0.4)", "data fingerprint", "load time"):
        assert word in text
    files = {path.name for path in (folder / "report").iterdir()}
    assert {
        "roc.png",
        "confusion_counts.png",
        "tsne_after.png",
        "tsne_before.png",
        "gradcam_right.png",
        "fed.png",
        "epochs.csv",
        "metrics.csv",
    } <= files
    card = (folder / "model_card.md").read_text(encoding="utf-8")
    assert "95 % interval" in card and "test_efficientnet" in card and "## Limits" in card
    pictured = [part for part in page.SECTIONS if part[1].__name__ in WITH_PICTURES]  # the others need none
    monkeypatch.setattr(page, "SECTIONS", pictured)

    def written_again(data=None):
        return page.write_page(of_run(folder, data), folder / "report.html", folder / "report").read_text("utf-8")

    assert Page(written_again()).pictures == found.pictures  # from the files alone
    table.source.rename(table.source.parent.parent / "train.csv")
    (table.source.parent / "image").rename(table.source.parent.parent / "image")
    gone = written_again()
    assert gone.count("name the data with --data FOLDER") >= 4 and Page(gone).pictures == 0
    assert Page(written_again(table.source.parent.parent)).pictures == found.pictures


def test_fed_pictures_are_those_that_training_takes(competition, tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(Update, "step", lambda self, batch, step, seed: taken.append(batch) or 1.0)
    table = read(competition)
    begun = start(CONFIG, len(table.classes))
    pictures = Pictures(table.paths, short_side(begun.preprocessing))
    cross_validate(Prepared(begun, table, pictures), tmp_path / "run")
    made = report_pictures.first_batch(of_run(tmp_path / "run", table=table, pictures=pictures))
    torch.testing.assert_close(made.images, taken[0].images)
    assert made.rows.tolist() == taken[0].rows.tolist()
    torch.testing.assert_close(made.lam, taken[0].lam)
    assert made.labels_b.tolist() == taken[0].labels_b.tolist()


@pytest.mark.parametrize(
    ("rows", "classes", "folds", "sharpness"),
    [(60, 2, 2, 2), (40, 4, 1, 2), (300, 100, 5, 3), (30, 3, 2, 50), (3, 2, 1, 2)],
    ids=["two classes", "one fold", "100 classes", "nothing wrong", "three rows"],
)
def test_every_part_stands_the_edge(tmp_path, rows, classes, folds, sharpness):
    found = evidence(tmp_path, *answers(rows, classes, sharpness=sharpness), folds=folds)
    for make in WITHOUT_A_NETWORK:
        section = make(found)
        assert section.title and all(Page(drawing.svg).open == [] for drawing in section.drawings)
    assert page.advice.next_steps(found) is not None


def test_a_class_without_rows_or_answers_has_dashes_and_no_curve(tmp_path):
    labels, probs = answers(60, 3)
    probs[:, 2] = 0
    labels[labels == 2] = 0
    found = evidence(tmp_path, labels, probs / probs.sum(1, keepdims=True))
    assert scores.class_grid(found).rows[2][1:5] == [0, 0, "–", "–"]
    assert "1 classes have no curve" in " ".join(thresholds.thresholds_section(found).text)
    for make in WITHOUT_A_NETWORK:
        make(found)


def test_rows_of_untrained_folds_are_left_out(tmp_path):
    labels, probs = answers(40)
    probs[1::2] = np.nan
    found = evidence(tmp_path, labels, probs)
    assert found.folds == [0] and len(found.scored) == 20
    assert sum(row[1] for row in scores.class_grid(found).rows) == 20


def test_chinese_class_names_stay_text_and_markup_is_escaped(tmp_path):
    names = ["蘑菇", "<b>鹅膏</b>", 'a "quoted" & class', "d"]
    found = evidence(tmp_path, *answers(), classes=names)
    written = page.write_page(found, tmp_path / "page.html", tmp_path / "files").read_text(encoding="utf-8")
    assert "蘑菇" in written and "<b>" not in written.replace("<b>0", "").replace("<b>±", "")
    assert Page(written).open == []
    with open(tmp_path / "files" / "classes.csv", encoding="utf-8-sig", newline="") as stream:
        assert [row[0] for row in csv.reader(stream)][1:] == names


def test_a_failing_part_is_named_and_the_others_stay(tmp_path, monkeypatch):
    def fails(found):
        raise ValueError("no paint left")

    monkeypatch.setattr(page, "SECTIONS", (("Broken", fails), *page.SECTIONS[:1]))
    written = page.write_page(evidence(tmp_path, *answers()), tmp_path / "page.html", tmp_path / "files").read_text(
        encoding="utf-8"
    )
    assert "This part is left out: ValueError: no paint left" in written and "<h2>How good</h2>" in written


def test_curves_have_a_line_per_fold(tmp_path):
    logs = [
        EpochLog(fold, epoch, 0.1, 1 / epoch, 1.2 / epoch, 0.5, False, 50, 3) for fold in (0, 1) for epoch in (1, 2, 3)
    ]
    section = training.training_section(evidence(tmp_path, *answers(), logs=logs))
    assert len(section.drawings) == 4 and len(section.grids[0].rows) == 6
    assert "fold 1" in section.drawings[0].svg


def test_what_is_no_finished_run_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"no finished run \(run.json is missing\)"):
        of_run(tmp_path)


def test_the_title_is_the_competition_and_the_run(tmp_path):
    title = title_of(tmp_path / "model", {"competition": {"id": "Birds"}, "began": 1e9})
    assert re.fullmatch(r"Birds, model of 2001-09-\d\d \d\d:\d\d", title)
    assert title_of(tmp_path / "model", {}) == "model"


@pytest.mark.parametrize(("classes", "shown"), [(5, False), (6, True)])
def test_top_five_is_shown_where_it_says_something(tmp_path, classes, shown):
    """With five classes or fewer it is always 1."""
    grid = scores.metric_grid(evidence(tmp_path, *answers(rows=60, classes=classes)))
    assert any("top5" in str(row[0]) for row in grid.rows) == shown


# how it looks


def test_a_table_on_the_page_joins_intervals_and_leaves_columns_of_nothing_out():
    grid = Grid("g", ["fold", "score", "from", "to", "probe"], [[0, "0.5", "0.4", "0.6", "–"], [1, "1", "1", "1", ""]])
    header, rows = on_page(grid)
    assert header == ["fold", "score", "95 % interval"]
    assert rows == [["0", "0.5", "0.400 – 0.600"], ["1", "1", "1.000"]]
    assert len(grid.header) == 5  # the CSV has all


def test_captions_of_a_contact_sheet_stay_in_their_column():
    assert report_pictures.broken("灰鹅膏 → 毒蝇伞 97 %", 8) == "灰鹅膏 →\n 毒蝇伞 \n97 %"
    assert report_pictures.broken("a" * 30, 10, lines=2) == "a" * 10 + "\n" + "a" * 9 + "…"
    assert report_pictures.broken("", 5) == ""
    for line in report_pictures.broken("中" * 40, 9).split("\n"):
        assert 2 * len(line) <= 10


def ticks(section, name):
    """The words of a chart, those at its axes among them."""
    svg = next(drawing.svg for drawing in section.drawings if drawing.name == name)
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


@pytest.mark.parametrize("epochs", [[1], [0], [0, 1], list(range(31))])
def test_few_epochs_draw_a_sensible_axis(tmp_path, epochs):
    """One epoch stands alone at its own tick; the scale of a score is never so fine that noise looks like a course."""
    logs = [EpochLog(0, epoch, 0.001, 0.5, 0.6, 0.9, False, 10.0, 1.0) for epoch in epochs]
    section = training.training_section(replace(evidence(tmp_path, *answers(20)), logs=logs))
    words = ticks(section, "curve_score")
    names = ["start" if epoch == 0 else str(epoch) for epoch in epochs]
    if len(epochs) <= 8:
        assert [word for word in words if word in {"start", *map(str, range(9))} and "." not in word] == names
    heights = [float(word) for word in words if re.fullmatch(r"[01]\.\d+", word)]
    assert 0.07 < max(heights) - min(heights) <= 1
    assert "0" in [word.rstrip("0").rstrip(".") or "0" for word in ticks(section, "curve_lr")]


def test_groups_without_a_picture_are_left_out(tmp_path):
    found = replace(evidence(tmp_path, *answers(20)), pictures=Shown([1] * 20))
    rows = copies.copies_section(found).grids[0].rows
    assert [row[0] for row in rows] == ["with a copy in training", "all"]
    right = np.eye(4)[answers(20)[0]].astype(np.float32)
    assert (
        "No picture was answered wrongly"
        in report_pictures.mistakes_section(evidence(tmp_path, answers(20)[0], right)).text[0]
    )


def test_a_caption_folds_at_its_underscores_and_stays_text():
    assert _foldable("<b>_a & c") == "&lt;b&gt;_<wbr>a &amp; c"
