"""The training step: two routes, precision, losses; and the epoch around it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any, ClassVar

import torch
from skorch import NeuralNet
from skorch.dataset import get_len, unpack_data
from skorch.utils import to_tensor
from torch.nn.modules.batchnorm import _BatchNorm

from sklearn_open._distributed.gradients import average_gradients
from sklearn_open._distributed.ranks import ALONE, Ranks, open_ranks
from sklearn_open._distributed.whole_batch import forward_together
from sklearn_open._random import keyed_seed, seeded_user_code
from sklearn_open._training.allocator import keep_freed_memory
from sklearn_open._training.building import with_defaults
from sklearn_open._training.fit_params import those_taken_by
from sklearn_open._training.hardware import autocast, autocast_dtype, tf32
from sklearn_open._training.health import check_losses, weights_put_back_if_diverged
from sklearn_open._training.interrupt import uninterrupted
from sklearn_open._training.learning import tell_if_nothing_was_learnt
from sklearn_open._training.momentum import begin_momentum
from sklearn_open._training.net import ScikitNet
from sklearn_open._training.objective import Objective, check_criterion, objective_of
from sklearn_open._training.run import NO_RUN, RunningFit
from sklearn_open._training.same import check_same_settings
from sklearn_open._training.settled import settle
from sklearn_open.batching._batches import Batch, EpochBatches, LoaderBatches
from sklearn_open.batching._dataset import ImageDataset
from sklearn_open.batching._mixing import Mix
from sklearn_open.calibration._prior import PriorDividedOut
from sklearn_open.callbacks._averaging import WeightAveraging
from sklearn_open.callbacks._epoch_log import EpochLog
from sklearn_open.callbacks._progress import TrainingProgress
from sklearn_open.callbacks._schedules import StepSchedule
from sklearn_open.nn import convert_norm
from sklearn_open.nn._aux_groups import add_auxiliary, convert_in_training, without_auxiliary
from sklearn_open.nn._outputs import main_output, map_rows
from sklearn_open.nn._routing import forward_natural_first
from sklearn_open.nn._unrouted import warn_of_unrouted

__all__ = ["TwoRouteNet"]

# Weight of each auxiliary head's loss (GoogLeNet, Szegedy et al. 2015, section 5).
AUX_HEAD_LOSS_WEIGHT = 0.3


class TwoRouteNet(ScikitNet):
    """Base of `OPeNClassifier`: how a batch trains the network, not where it comes from.

    Parameters are described there. A subclass sets `seed_` and `resampler_` before training.
    """

    seed_: int
    resampler_: Any
    class_count_: Any
    _run_: RunningFit = NO_RUN
    image_shape_: tuple[int, ...]
    lr_milestones: Any
    lr_decay: Any
    max_epochs_: int
    batch_size_: int
    warmup_epochs_: int
    _forward_takes_more_ = False  # whether the network's forward needs parameters of fit
    ranks_: Ranks = ALONE  # that train together
    _noise_rows_ = 0  # how many of the last rows of the batch in work are noise
    _mix_: Mix | None = None  # how the others were mixed
    _batch_: Batch | None = None  # that batch, in training
    _objective_ = Objective()  # of the running epoch
    own_teacher_: Any = None  # of a sampler that needs one and was given none, while it is of use
    _compiled_: Any = None  # the network as torch.compile returned it; training steps use it

    prefixes_: ClassVar[list[str]] = [*ScikitNet.prefixes_, "class_weight"]

    def __init__(
        self,
        module: Any,
        *,
        norm: str,
        noise_grad: str,
        precision: str,
        distributed: bool,
        class_weight: Any,
        mixup: float | None,
        averaging: str | None,
        logit_adjustment: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(module, **kwargs)
        self.norm = norm
        self.noise_grad = noise_grad
        self.precision = precision
        self.distributed = distributed
        self.class_weight = class_weight
        self.mixup = mixup
        self.averaging = averaging
        self.logit_adjustment = logit_adjustment

    # --- rows and epochs, when training begins; what was learnt, when it ends ---

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> TwoRouteNet:
        """Train from the beginning, and tell if nothing was learnt."""
        super().fit(X, y, **fit_params)
        tell_if_nothing_was_learnt(self)
        return self

    @contextmanager
    def _unchanged_unless_begun(self) -> Iterator[None]:
        """Join the other ranks as well, unless this is a part of a fit that has done so."""
        with ExitStack() as at_end:
            at_end.enter_context(super()._unchanged_unless_begun())
            if self.ranks_ is ALONE:
                self.ranks_ = at_end.enter_context(open_ranks(self.distributed, self.device_))
                at_end.callback(lambda: self.__dict__.pop("ranks_", None))
                check_same_settings(self.ranks_, self)
            yield

    def _settle(self, data: ImageDataset, fit_params: dict[str, Any]) -> None:
        """Hold rows out before a callback asks for epochs, which depend on how many are left."""
        self.__dict__.pop("_split_", None)  # of a training that was ended before it began
        self._split_ = self._rows_split(data, data.y, fit_params)

    def _rows_split(self, X: Any, y: Any, fit_params: dict[str, Any]) -> tuple[Any, Any]:
        """Return rows to train on and rows held out, as skorch splits them: once in a fit."""
        known: tuple[Any, Any] | None = self.__dict__.pop("_split_", None)
        if known is not None:
            return known
        for_split = those_taken_by(self.train_split, fit_params) if self.train_split else {}
        train, valid = NeuralNet.get_split_datasets(self, X, y, **for_split)
        settle(self, len(train))
        return train, valid

    def check_own_settings(self) -> None:
        """Raise ValueError for what a subclass cannot be trained with; called before training."""

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        *recorders, (print_log, _) = super()._default_callbacks
        schedule = StepSchedule(self.warmup_epochs, self.lr_milestones, self.lr_decay)
        shown = [("progress", TrainingProgress()), (print_log, EpochLog())]
        return [*recorders, ("lr_schedule", schedule), ("averaging", WeightAveraging()), *shown]

    # --- the network that is trained ---

    def _as_trained(
        self, module: torch.nn.Module, image_shape: tuple[int, ...] | None
    ) -> torch.nn.Module:
        """Return a new network as steps need it; saved weights of second layers can be loaded."""
        self._compiled_ = None
        may_use_noise = self._uses_noise or not hasattr(self, "resampler_")
        has_norm = any(isinstance(layer, _BatchNorm) for layer in module.modules())
        if self.norm == "aux" and may_use_noise and has_norm:
            convert_norm(module, "aux")
        if self.device_.type == "cuda" and image_shape is not None and len(image_shape) == 3:
            module = module.to(memory_format=torch.channels_last)  # no gain on a CPU
        return module

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Make the network fit the settings, which may have changed since it was made."""
        if hasattr(self, "classes_inferred_"):
            check_criterion(self)
        if self.scaler_.is_enabled() != (self.precision == "fp16"):
            self._initialize_scaler()
        if self._uses_noise:
            optimizers = list(self.parts_.optimizers.values())
            convert_in_training(self.module_, optimizers, self.norm, self.noise_grad)
            if hasattr(self, "image_shape_") and not self._forward_takes_more_:
                warn_of_unrouted(self.module_, self.image_shape_)
        self._compile()

    def _initialize_scaler(self) -> None:
        self.scaler_ = torch.amp.GradScaler(self.device_.type, enabled=self.precision == "fp16")

    def _compile(self) -> None:
        self._compiled_ = None
        if self.compile:
            params = self.get_params_for("compile")
            if isinstance(self.compile, str):
                params["mode"] = self.compile
            # Past skorch's setattr, which would keep it as one more module of the net.
            self.__dict__["_compiled_"] = torch.compile(self.module_, **params)

    def initialize_optimizer(self, *args: Any, **kwargs: Any) -> TwoRouteNet:
        """Make the optimiser, auxiliary norm layers in groups of their own."""
        with uninterrupted():
            import torch._dynamo  # noqa: F401 (as torch's optimisers do, which takes seconds)
        super().initialize_optimizer(*args, **kwargs)
        if hasattr(self, "module_"):  # nets of skorch's kind may name theirs otherwise
            add_auxiliary(self.module_, list(self.parts_.optimizers.values()))
        return self

    def get_params_for_optimizer(self, prefix: str, named_parameters: Any) -> Any:
        """Return the optimiser's arguments, with the paper's defaults for SGD.

        Auxiliary norm layers are added later, in groups of their own.
        """
        module = getattr(self, "module_", None)
        if module is not None:
            named_parameters = without_auxiliary(module, named_parameters)
        args, kwargs = super().get_params_for_optimizer(prefix, named_parameters)
        if module is None:  # nets of skorch's kind may name theirs otherwise
            return args, kwargs
        return args, with_defaults(self.optimizer, kwargs, self.device_, module)

    def torch_compile(self, module: Any, name: str) -> Any:
        """Leave modules as they are: state-dict keys stay, and only training steps are compiled."""
        return module

    def __getstate__(self) -> dict[str, Any]:
        # Compiled code belongs to the process, and so does what is there while a fit runs.
        of_the_process = {
            "_compiled_",
            "_run_",
            "_mix_",
            "_batch_",
            "batch_in_work_",
            "looked_at_",
            "ranks_",
        }
        of_the_process.add("own_teacher_")  # as large again; training that goes on makes another
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in of_the_process}

    def _get_predict_nonlinearity(self) -> Any:
        of_logits = super()._get_predict_nonlinearity()
        if self.logit_adjustment == 0:
            return of_logits
        if not hasattr(self, "class_count_"):
            raise ValueError(
                f"logit_adjustment={self.logit_adjustment} divides by the counts of the classes, "
                "and this estimator has none: it was not fitted, or its file is of a version that "
                "did not keep them. Set class_count_ to the training rows of each class."
            )
        return PriorDividedOut(of_logits, self.class_count_, self.logit_adjustment)

    @property
    def _uses_noise(self) -> bool:
        return getattr(getattr(self, "resampler_", None), "makes_noise", False)

    @property
    def _network(self) -> Any:
        if self.module_.training and self._compiled_ is not None:
            return self._compiled_
        return self.module_

    # --- the epoch ---

    def _epoch(self) -> int:
        return len(self.history) - 1

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Run an epoch; in training, every step has random numbers of its own.

        Losses stay on a GPU until the epoch's end, so that no step waits for the one before.

        Raises
        ------
        TrainingDivergedError
            When a training loss is not finite; the weights are then those of the epoch's beginning.
        """
        if iterator is None:
            return
        fit_params = those_taken_by(self.module_.forward, fit_params)  # the rest was for the split
        if training and self._run_.datasets is not None:
            self._objective_ = objective_of(self, self._run_.datasets[0], self._epoch())
        with tf32(self.precision, self.device_), keep_freed_memory(self.device_):
            if not training:
                self._run_steps(iterator, False, prefix, step_fn, fit_params)
                return
            # Closed here, as an error that somebody keeps would keep the random state of its step.
            with weights_put_back_if_diverged(self), closing(self._steps(iterator)) as steps:
                self._run_steps(steps, True, prefix, step_fn, fit_params)
                self._run_.end_epoch(self)

    def _run_steps(
        self, batches: Any, training: bool, prefix: str, step_fn: Any, fit_params: dict[str, Any]
    ) -> None:
        n_batches = 0
        try:
            for batch in batches:
                self.notify("on_batch_begin", batch=batch, training=training)
                step = step_fn(batch, **fit_params)
                loss = step["loss"].detach()
                self.history.record_batch(f"{prefix}_loss", loss)
                rows = batch[1] if self.ranks_.are_grouped else batch[0]  # of all ranks
                self.history.record_batch(f"{prefix}_batch_size", get_len(rows))
                if training and loss.device.type == "cpu":  # where looking at it costs nothing
                    check_losses(self, [loss], first=n_batches)
                self.notify("on_batch_end", batch=batch, training=training, **step)
                n_batches += 1
                self._run_.raise_if_interrupted()
        finally:
            losses = self._losses_to_numbers(f"{prefix}_loss")
        if training:
            check_losses(self, losses)
        self.history.record(f"{prefix}_batch_count", n_batches)

    def _losses_to_numbers(self, name: str) -> list[float]:
        recorded = [b for b in self.history[-1]["batches"] if isinstance(b.get(name), torch.Tensor)]
        losses = []
        if recorded:
            losses = torch.stack([b[name].double() for b in recorded]).tolist()
            for batch, loss in zip(recorded, losses, strict=True):
                batch[name] = loss
        return losses

    def _steps(self, batches: EpochBatches | LoaderBatches) -> Generator[Batch]:
        epoch = self._epoch()
        try:
            for b, batch in enumerate(batches):
                # Known here, not in train_step, so that an overridden train_step, closures called
                # more than once (LBFGS) and gradient accumulation all see the batch's own number.
                self._noise_rows_, self._mix_, self._batch_ = batch.n_noise, batch.mix, batch
                # Dropout draws from torch's global generator, other code from NumPy's.
                key: tuple[int | str, ...] = ("step", epoch, b, *batch.share.key)
                with seeded_user_code(self.device_, keyed_seed(self.seed_, *key)):
                    yield batch
        finally:
            self._noise_rows_, self._mix_, self._batch_ = 0, None, None

    # --- the step ---

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Run forward and backward on a batch, with scaled gradients under fp16."""
        self._set_training(True)
        x, y = unpack_data(batch)
        y_pred = self.infer(x, **fit_params)
        with self._drawing_alike():
            loss = self.get_loss(y_pred, y, X=x, training=True)
        self.scaler_.scale(loss).backward()
        if self.ranks_.are_grouped:
            trained = (p for part in self.parts_.modules.values() for p in part.parameters())
            average_gradients(trained, self.ranks_)
        for optimizer in self._each_optimizer():
            self.scaler_.unscale_(optimizer)  # callbacks see true gradients
        return {"loss": loss, "y_pred": y_pred}

    @contextmanager
    def _drawing_alike(self) -> Iterator[None]:
        """Let a loss that draws random numbers draw the same ones on all ranks."""
        if not self.ranks_.are_grouped:
            yield
            return
        key = ("loss", self._epoch(), len(self.history[-1]["batches"]))
        with seeded_user_code(self.device_, keyed_seed(self.seed_, *key)):
            yield

    def _step_optimizer(self, step_fn: Any) -> None:
        for optimizer in self._each_optimizer():
            begin_momentum(optimizer)
        if not self.scaler_.is_enabled():
            super()._step_optimizer(step_fn)
            return
        step_fn()  # fp16 takes optimisers that call it once
        for optimizer in self._each_optimizer():
            self.scaler_.step(optimizer)
        self.scaler_.update()

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Call the network on a batch: on two routes while training with noise, else on one."""
        x = to_tensor(x, device=self.device_).float()
        if x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        dtype = autocast_dtype(self.precision, self.device_, tuple(x.shape[1:]))
        # Both routes of a training step share its weights. (Training steps are one at a time, see
        # `seeded_global_rng`; predictions are not.)
        with autocast(self.device_, dtype, share_casts=self.module_.training):
            output = self._call(x, fit_params)
        output = map_rows(lambda rows: rows[0].float(), output)
        # skorch knows plain tuples, whose first part are the logits. Those with names are for the
        # loss in training (auxiliary heads); of all others the logits are what is wanted.
        with_names = hasattr(output, "_fields")
        keeps = self.module_.training if with_names else isinstance(output, (tuple, list))
        if keeps:
            return tuple(output) if isinstance(output, list) else output
        return main_output(output)

    def _call(self, x: torch.Tensor, fit_params: dict[str, Any]) -> Any:
        """Return what the network does; in training on several ranks, for the whole batch."""
        batch, is_training = self._batch_, self.module_.training
        if batch is None or not (is_training and self.ranks_.are_grouped):
            n_noise = self._noise_rows_ if is_training else 0
            return forward_natural_first(self._network, x, n_noise, **fit_params)
        return forward_together(self._network, x, batch, self.ranks_, **fit_params)

    def forward_iter(self, *args: Any, **kwargs: Any) -> Generator[Any]:
        """Yield the network's output for each batch of the rows to predict on."""
        with keep_freed_memory(self.device_):
            yield from super().forward_iter(*args, **kwargs)

    def get_loss(self, y_pred: Any, y_true: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the loss of the logits, plus that of auxiliary heads (GoogLeNet, Inception)."""
        codes = to_tensor(y_true, device=self.device_)
        loss = self._loss_of(main_output(y_pred), codes, *args, **kwargs)
        for name in getattr(y_pred, "_fields", ()):
            head = getattr(y_pred, name)
            if name.startswith("aux") and head is not None:
                loss = loss + AUX_HEAD_LOSS_WEIGHT * self._loss_of(head, codes, *args, **kwargs)
        return loss

    def _loss_of(self, logits: Any, codes: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        of_skorch = super().get_loss

        def criterion(codes: Any) -> torch.Tensor:
            return of_skorch(logits, codes, *args, **kwargs)

        mix = self._mix_ if self.module_.training else None
        return self._objective_.loss(getattr(self, "criterion_", None), criterion, codes, mix)
