"""The drawing recogniser: strokes in, calibrated probabilities out, on two cores in minutes.

Read it from top to bottom: the settings, the loop, the export, the figures. torch is imported
where the work begins, so that looking at the settings costs nothing.
"""

from __future__ import annotations

import copy
import itertools
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from volano.data.formats import line_segments as form
from volano.evaluation import coverage
from volano.harness.model import Model, Param, Run
from volano.harness.phases import peak_rss
from volano.schemas.registry import ClassesSpec, DrawingSpec, Signature, VersionFile
from volano.training.measuring import Measurement, figures, metrics
from volano.training.networks.schedule import (
    Rows,
    Schedule,
    batches,
    update_average,
    warmed_cosine,
)
from volano.training.networks.validation import Validation
from volano.training.recipes.drawing.augment import Variation, augment
from volano.training.recipes.drawing.staged import READ, Drawings
from volano.training.staged import label_counts, size

if TYPE_CHECKING:
    import torch

    from volano.training.recipes.drawing.network import Recogniser

GOLDEN = 4
"""Drawings that the artefact carries with the expected answer."""


class Drawing(Model):
    """A small convolutional network on pictures that the graph draws itself."""

    input_kind, output_kind = "drawing", "classes"

    size_px = Param(32, choices=(32, 64, 128), doc="side of the picture that the network sees")
    width = Param(
        32, ge=4, le=128, doc="channels of the first layers: twice as many, four times the work"
    )
    seconds = Param(3600.0, ge=0.1, doc="of training, at most; the run may allow less")
    epochs = Param(200, ge=1, doc="times that each drawing is seen, if time allows")
    batch = Param(32, ge=2, le=4096, doc="drawings a step")
    learning_rate = Param(4e-3, ge=1e-6, le=1.0, doc="how far a step goes, at its largest")
    weight_decay = Param(0.05, ge=0.0, le=1.0, doc="how strongly weights are pulled to zero")
    dropout = Param(
        0.3, ge=0.0, le=0.9, doc="share of the features left out, before the last layer"
    )
    smoothing = Param(
        0.1, ge=0.0, le=0.5, doc="label smoothing: share of the truth given to other classes"
    )
    averaging = Param(
        0.995, ge=0.0, le=0.9999, doc="what the averaged weights keep of themselves in a step"
    )
    strength = Param(1.0, ge=0.0, le=3.0, doc="how much the drawings are varied")
    settled = Param(
        0.75,
        ge=0.1,
        le=1.0,
        doc="share of the training after which it learns from the valid split, too",
    )
    patience = Param(12, ge=1, le=40, doc="stop after so many checks, of 40, without a better loss")
    reserve = Param(10.0, ge=0.0, doc="seconds kept for export and evaluation")
    threads = Param(2, ge=1, le=64, doc="cores to use; more than two gain little")

    def train(self, run: Run) -> None:
        """Write `model.onnx` and `version.json`; every choice is made on train and valid alone.

        Raises: NoRecords, OneClass, ArtefactRefused (the graph does not answer as the network).
        """
        run.progress(0, 1, "reading drawings")
        counts = label_counts(run.data)
        classes = coverage.learnable(counts)
        for warning in coverage.warnings(counts):
            run.warn(warning)
        known = Drawings.read(run.data, ("train", "valid"), classes)
        recogniser = self._fit(run, known, len(classes))
        run.progress(1, 1, "exporting")
        self._export(run, recogniser, classes, known)

    def evaluate(self, run: Run) -> dict[str, Any]:
        """Return figures of the exported graph on the test split.

        Write `evaluation.json`, and what was answered for each record into `test_outputs.parquet`.

        Raises: NoRecords.
        """
        from volano.training.networks import onnx_graph
        from volano.training.recipes.drawing import export

        told = msgspec.json.decode((run.artefact / "version.json").read_bytes(), type=VersionFile)
        graph = onnx_graph.session(run.artefact / "model.onnx")
        counts = label_counts(run.data)
        never_seen = sorted(set(counts["test"]) - set(told.signature.classes))
        total = size(run.data, "test")
        with Measurement(run.artefact, told.signature.classes, never_seen) as measurement:
            for part in Drawings.stream(run.data, "test", measurement.classes):
                probabilities, logits = export.scores(graph, part.segments, part.count)
                measurement.add(part.record_ids, part.truth, probabilities, logits)
                run.progress(measurement.measured, total, "testing")
        report = measurement.report(told.temperature, warnings=coverage.warnings(counts))
        (run.artefact / "evaluation.json").write_bytes(msgspec.json.encode(report))
        run.log(0, **metrics(report))
        return figures(report)

    def _fit(self, run: Run, known: Drawings, classes: int) -> Recogniser:
        import torch

        from volano.training.networks.optimiser import AdamW
        from volano.training.recipes.drawing.network import Recogniser

        torch.manual_seed(run.seed)
        torch.set_num_threads(min(self.threads, torch.get_num_threads()))
        rng = np.random.default_rng(run.seed)
        learner = Recogniser(classes, size_px=self.size_px, width=self.width, dropout=self.dropout)
        average = copy.deepcopy(learner)
        optimiser = AdamW(learner.parameters(), self.weight_decay)
        learn, valid = known[: known.sizes[0]], known[known.sizes[0] :]
        rows = batches(rng, len(learn), self.batch)
        steps = self.epochs * max(1, len(learn) // self.batch)
        schedule = Schedule(run, seconds=self.seconds, reserve=self.reserve, steps=steps)
        validation = Validation[Recogniser](
            valid.truth, lambda network: _logits(network, valid), self.patience
        )
        for step in itertools.count():
            share = schedule.share(step)
            if share >= 1 or validation.has_stalled:
                break
            loss = self._loss(rng, learner, known, next(rows))
            loss.backward()
            optimiser.step(self.learning_rate * warmed_cosine(share))
            update_average(
                average.network, learner.network, min(self.averaging, (1 + step) / (10 + step))
            )
            if not schedule.time_to_look(share):
                continue
            run.progress(share, 1, "training")
            run.log(step, loss=loss.item(), peak_mb=peak_rss() / 1e6, **validation.measure(average))
            if share >= self.settled and not validation.is_settled:
                validation.settle(average)
                rows = batches(rng, len(known), self.batch)
        return validation.best(average)

    def _loss(
        self, rng: np.random.Generator, learner: Recogniser, known: Drawings, rows: Rows
    ) -> torch.Tensor:
        """Return the loss of one batch of varied drawings, its second half upside down."""
        import torch
        from torch.nn import functional

        variation = Variation().times(self.strength)
        segments, count = augment(rng, known.segments[rows], known.count[rows], variation)
        half = len(rows) // 2
        segments[half:] *= -1
        truth = torch.from_numpy(known.truth[rows])
        truth[half:] += learner.classes
        views = learner.views(torch.from_numpy(segments), torch.from_numpy(count))
        logits = learner.network(*views).flatten(0, 1)
        return functional.cross_entropy(logits, truth.repeat(2), label_smoothing=self.smoothing)

    def _export(
        self, run: Run, recogniser: Recogniser, classes: list[str], known: Drawings
    ) -> None:
        from volano.training.networks import onnx_graph
        from volano.training.recipes.drawing import export

        path = run.artefact / "model.onnx"
        export.write(recogniser, path)
        graph = onnx_graph.session(path)
        few = known.segments[-READ:], known.count[-READ:]
        takes = DrawingSpec(max_segments=form.MAX_SEGMENTS, tolerance=form.TOLERANCE)
        told = VersionFile(
            signature=Signature(
                params=self.specs(), input=takes, output=ClassesSpec(classes=classes)
            ),
            temperature=recogniser.temperature.item(),
            parity=export.parity(recogniser, graph, *few),
            golden=export.golden(graph, few[0][:GOLDEN], few[1][:GOLDEN]),
            facts={"size_px": self.size_px, "bytes": path.stat().st_size},
        )
        (run.artefact / "version.json").write_bytes(msgspec.json.encode(told))


def _logits(recogniser: Recogniser, drawings: Drawings) -> NDArray[np.float64]:
    """Return the logits (n, classes) of a whole split."""
    import torch

    recogniser.eval()
    with torch.no_grad():
        parts = [
            recogniser.logits(
                torch.from_numpy(drawings.segments[at : at + READ]),
                torch.from_numpy(drawings.count[at : at + READ]),
            )
            for at in range(0, len(drawings), READ)
        ]
    logits: NDArray[np.float64] = torch.cat(parts).double().numpy()
    return logits
