"""The classifier of pictures: bytes in, calibrated probabilities out, on two cores in minutes.

Read it from top to bottom: the settings, the loop, the export, the figures. torch is imported
where the work begins, so that looking at the settings costs nothing.
"""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from volano.data.formats import pixels
from volano.evaluation import coverage
from volano.harness.model import Model, Param, Run
from volano.harness.phases import peak_rss
from volano.schemas.registry import ClassesSpec, ImageSpec, Signature, VersionFile
from volano.training.measuring import Measurement, figures, metrics
from volano.training.networks.schedule import (
    Rows,
    Schedule,
    batches,
    update_average,
    warmed_cosine,
)
from volano.training.networks.validation import Validation
from volano.training.recipes.image import baseline, cautions, form
from volano.training.recipes.image.baseline import Baseline
from volano.training.recipes.image.staged import READ, Images, Known
from volano.training.staged import count_unlabelled, label_counts

if TYPE_CHECKING:
    import torch

    from volano.training.recipes.image.network import Classifier

GOLDEN = 4
"""Pictures that the version carries with the expected answer."""
LEAST_STRENGTH, SEEN_OFTEN = 0.15, 300
"""Pictures that are seen so many times are varied in full, others in proportion, or this little."""
LOOKED_AT = 1000
"""Validation pictures that one look takes in, at most."""
MIRRORED_NAMES = ("left", "right")
"""A label with one of these words would be wrong for the mirrored picture."""
BASELINE = "baseline.npz"


class Image(Model):
    """A small convolutional network on pictures of any size, gray or in colour."""

    input_kind, output_kind = "image", "classes"

    size_px = Param(0, ge=0, le=512, doc="longer side that the network sees; 0: by the pictures")
    width = Param(16, ge=4, le=128, doc="channels of the first layers")
    flip = Param("auto", choices=("auto", "yes", "no"), doc="learn mirrored pictures too")
    seconds = Param(3600.0, ge=0.1, doc="of training, at most; the run may allow less")
    epochs = Param(60, ge=1, doc="times that each picture is seen, if time allows")
    steps = Param(600, ge=1, doc="of training at least, however few pictures there are")
    batch = Param(64, ge=2, le=4096, doc="pictures a step")
    learning_rate = Param(8e-3, ge=1e-6, le=1.0, doc="at its height")
    weight_decay = Param(0.05, ge=0.0, le=1.0, doc="of matrices, not of biases")
    dropout = Param(0.1, ge=0.0, le=0.9, doc="before the last layer")
    smoothing = Param(0.05, ge=0.0, le=0.5, doc="share of the truth given to other classes")
    averaging = Param(0.995, ge=0.0, le=0.9999, doc="memory of the averaged weights, a step")
    strength = Param(1.0, ge=0.0, le=3.0, doc="how much pictures are varied that are seen often")
    balance = Param(0.5, ge=0.0, le=1.0, doc="0: pictures count alike; 1: classes count alike")
    settled = Param(0.75, ge=0.1, le=1.0, doc="share after which it learns from valid as well")
    patience = Param(12, ge=1, le=40, doc="looks, of 40, without a better loss")
    reserve = Param(5.0, ge=0.0, doc="seconds kept for export, besides those for the test")
    threads = Param(2, ge=1, le=64, doc="cores to use")

    def train(self, run: Run) -> None:
        """Write `model.onnx`, `version.json` and the baseline; choose on train and valid alone.

        Raises: NoRecords, OneClass, BadData (no pictures), ArtefactRefused (the graph does not
        answer as the network).
        """
        run.progress(0, 1, "reading pictures")
        counts = label_counts(run.data)
        classes = coverage.learnable(counts, needed=("train",))
        seen = form.look(run.data / "train.parquet")
        spec = form.choose(seen, self.size_px)
        for text in (
            *cautions.of_labels(counts, count_unlabelled(run.data)),
            *cautions.of_pictures(seen, spec),
        ):
            run.warn(text)
        before_s = run.seconds_left()
        known = Known.read(run.data, counts, classes, spec, threads=self.threads)
        picture_s = (before_s - run.seconds_left()) / len(known.images)
        for text in cautions.of_unreadable(known.images.unreadable):
            run.warn(text)
        run.progress(0, 1, "fitting the baseline")
        simple = baseline.fit(known)
        simple.save(run.artefact / BASELINE)
        classifier = self._fit(run, known, tests=sum(counts["test"].values()), picture_s=picture_s)
        run.progress(1, 1, "exporting")
        self._export(run, classifier, known)

    def evaluate(self, run: Run) -> dict[str, Any]:
        """Return figures of the exported graph on the test split, the baseline's beside them.

        Write `evaluation.json`, and what was answered for each record into a file of its own.

        Raises: NoRecords.
        """
        from volano.training.networks import onnx_graph
        from volano.training.recipes.image import export

        told = msgspec.json.decode((run.artefact / "version.json").read_bytes(), type=VersionFile)
        graph = onnx_graph.session(run.artefact / "model.onnx")
        simple = Baseline.load(run.artefact / BASELINE)
        counts = label_counts(run.data)
        never_seen = sorted(set(counts["test"]) - set(told.signature.classes))
        unreadable: list[str] = []
        with Measurement(run.artefact, told.signature.classes, never_seen) as measurement:
            for part in self._measured_on(run, counts, told.signature, measurement.classes):
                probabilities, logits = export.scores(graph, part.pixels)
                answered = simple.predict(part.pixels)
                measurement.add(part.record_ids, part.truth, probabilities, logits, answered)
                unreadable += part.unreadable
                run.progress(measurement.measured, sum(counts["test"].values()), "testing")
        cautious = [
            *cautions.of_labels(counts, count_unlabelled(run.data)),
            *cautions.of_unreadable(unreadable),
        ]
        report = measurement.report(told.temperature, baseline=baseline.NAME, warnings=cautious)
        for text in cautions.of_figures(report):
            run.warn(text)
        (run.artefact / "evaluation.json").write_bytes(msgspec.json.encode(report))
        run.log(0, **metrics(report))
        return figures(report)

    def _fit(self, run: Run, known: Known, *, tests: int, picture_s: float) -> Classifier:
        """Train; leave time to test on `tests` pictures that take `picture_s` each to read."""
        import torch

        from volano.training.networks.optimiser import AdamW
        from volano.training.recipes.image.network import Classifier

        torch.manual_seed(run.seed)
        torch.set_num_threads(min(self.threads, torch.get_num_threads()))
        rng = np.random.default_rng(run.seed)
        learn, valid = known.learn, known.valid
        learner = Classifier(len(known.classes), known.spec, width=self.width, dropout=self.dropout)
        learner.normalise_by(known.images.pixels[np.sort(rng.permutation(learn)[:LOOKED_AT])])
        average = copy.deepcopy(learner)
        optimiser = AdamW(learner.parameters(), self.weight_decay)
        loss_of = self._losses(run, known)
        picture_s += _answering_s(run, learner, known.images)
        schedule = Schedule(
            run,
            seconds=self.seconds,
            reserve=self.reserve + 1.5 * picture_s * tests,
            steps=max(self.steps, self.epochs * len(learn) // self.batch),
        )
        some = np.sort(rng.permutation(valid)[:LOOKED_AT])
        validation = Validation[Classifier](
            known.images.truth[some], lambda one: _logits(one, known.images, some), self.patience
        )
        # Where there is no test, the figures are those of the validation pictures: never learned.
        settled = self.settled if tests else 1.0
        rows, strength = batches(rng, len(learn), self.batch), LEAST_STRENGTH
        for step in itertools.count():
            share = schedule.share(step)
            if share >= 1 or validation.has_stalled:
                break
            loss = loss_of(learner, learn[next(rows)], self.strength * strength)
            loss.backward()
            optimiser.step(self.learning_rate * warmed_cosine(share))
            memory = min(self.averaging, (1 + step) / (10 + step))
            update_average(average.network, learner.network, memory)
            if not schedule.time_to_look(share):
                continue
            strength = _strength(times_seen=step / share * self.batch / len(learn))
            run.progress(share, 1, "training")
            run.log(step, loss=loss.item(), peak_mb=peak_rss() / 1e6, **validation.measure(average))
            if share >= settled and not validation.is_settled:
                validation.settle(average)
                learn = np.union1d(learn, valid)
                rows = batches(rng, len(learn), self.batch)
        return validation.best(average).eval()

    def _losses(self, run: Run, known: Known) -> Callable[[Classifier, Rows, float], torch.Tensor]:
        """Return the loss of a batch of pictures, by network, rows and strength of variation."""
        import torch
        from torch.nn import functional

        from volano.training.networks.precision import fastest
        from volano.training.recipes.image.augment import Variation, augment

        images, generator = known.images, torch.Generator().manual_seed(run.seed)
        flip = self.learns_mirrored(known.spec, known.classes)
        share = np.bincount(images.truth, minlength=len(known.classes)) / len(images)
        weight = torch.from_numpy(np.maximum(share, 1 / len(images)) ** -self.balance).float()

        def loss_of(network: Classifier, rows: Rows, strength: float) -> torch.Tensor:
            pictures = network.normalised(torch.from_numpy(images.pixels[rows]))
            varied = augment(generator, pictures, Variation().times(strength), flip=flip)
            truth = torch.from_numpy(images.truth[rows])
            with fastest():
                logits = network.network(varied)
            return functional.cross_entropy(
                logits.float(), truth, weight, label_smoothing=self.smoothing
            )

        return loss_of

    def learns_mirrored(self, spec: ImageSpec, classes: Sequence[str]) -> bool:
        """Return True where mirrored pictures are to be learned too.

        By itself, of pictures in colour whose labels know no left and right: gray ones are often
        digits, letters or X-rays, which are something else when mirrored.
        """
        if self.flip != "auto":
            return self.flip == "yes"
        words = {word for name in classes for word in re.split(r"[\W_]+", name.lower())}
        return spec.channels == 3 and words.isdisjoint(MIRRORED_NAMES)

    def _export(self, run: Run, classifier: Classifier, known: Known) -> None:
        from volano.training.networks import onnx_graph
        from volano.training.recipes.image import export

        path = run.artefact / "model.onnx"
        export.write(classifier, path)
        graph = onnx_graph.session(path)
        told = VersionFile(
            signature=Signature(
                params=self.specs(),
                input=known.spec,
                output=ClassesSpec(classes=known.classes),
            ),
            temperature=classifier.temperature.item(),
            parity=export.parity(classifier, graph, known.images.pixels[-READ:]),
            golden=export.golden(graph, known.spec, GOLDEN),
            facts={"bytes": path.stat().st_size, "pixels": pixels.DIGEST},
        )
        (run.artefact / "version.json").write_bytes(msgspec.json.encode(told))

    def _measured_on(
        self, run: Run, counts: coverage.Counts, signature: Signature, classes: list[str]
    ) -> Iterator[Images]:
        """Yield the pictures to measure on: the test's, else those that training validated on."""
        spec = signature.input
        assert isinstance(spec, ImageSpec), "written by train"
        if counts["test"]:
            yield from Images.stream(run.data, "test", classes, spec, threads=self.threads)
            return
        known = Known.read(run.data, counts, classes, spec, threads=self.threads)
        for at in range(0, len(known.valid), READ):
            yield known.images[known.valid[at : at + READ]]


def _strength(times_seen: float) -> float:
    """Return how much to vary pictures that are seen so often: few repeats need little variety."""
    return min(1.0, max(LEAST_STRENGTH, times_seen / SEEN_OFTEN))


def _answering_s(run: Run, classifier: Classifier, images: Images) -> float:
    """Return the seconds that an answer takes, of a few hundred at once."""
    rows = np.arange(min(len(images), READ))
    before_s = run.seconds_left()
    _logits(classifier, images, rows)
    return (before_s - run.seconds_left()) / len(rows)


def _logits(classifier: Classifier, images: Images, rows: Rows) -> NDArray[np.float64]:
    """Return the logits (n, classes) of some pictures."""
    import torch

    from volano.training.networks.precision import fastest

    classifier.eval()
    with torch.no_grad(), fastest():
        parts = [
            classifier.logits(torch.from_numpy(images.pixels[rows[at : at + READ]]))
            for at in range(0, len(rows), READ)
        ]
    logits: NDArray[np.float64] = torch.cat(parts).double().numpy()
    return logits
