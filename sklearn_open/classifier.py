"""OPeNClassifier as a table of contents: its parameters, then skorch's hooks in the order of a fit.

What a hook decides lies in `_training` and the packages that it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from typing import Any, ClassVar

import torch
from sklearn.utils import check_random_state

from sklearn_open._persistence.export import to_network
from sklearn_open._persistence.saving import load_net, save_net
from sklearn_open._random import keyed_seed, seeded_user_code
from sklearn_open._recipes._names import recipe_parameters
from sklearn_open._training.building import build_module, check_output_width
from sklearn_open._training.fed import is_fed, plain
from sklearn_open._training.fit_params import check_fit_params
from sklearn_open._training.run import running_fit, tell_if_best_is_early
from sklearn_open._training.settled import forget
from sklearn_open._training.step import TwoRouteNet
from sklearn_open._training.training_set import (
    held_out,
    make_batches,
    make_train_set,
    rows_to_predict,
    take_in,
)
from sklearn_open._warnings import warn_user
from sklearn_open.batching._dataset import ImageDataset, TrainSet, taken
from sklearn_open.batching._transform import BatchTransform
from sklearn_open.over_sampling._pure_noise import PureNoiseOverSampler
from sklearn_open.plan import EpochPlan, EpochPlanner

__all__ = ["OPeNClassifier"]


class OPeNClassifier(TwoRouteNet):
    r"""Image classifier for imbalanced data: oversampling with pure noise images (OPeN).

    Trains any CNN. From `start_epoch` on, minority classes are over-sampled, partly with images of
    pure noise, and batch norm layers route noise and natural rows apart (DAR-BN). The defaults are
    the paper's recipe for CIFAR-10-LT and CIFAR-100-LT.

    Parameters
    ----------
    module : class, callable, str, torch.nn.Module or None, default=None
        The network, from images (n, n_channels, height, width) to logits (n, n_classes). A class or
        a factory function is called with ``module__...`` parameters, and with ``num_classes`` and
        the number of channels (``in_channels``, ``in_chans``) where it takes them. Its name will do
        for those of `sklearn_open.backbones` ("wrn28_10"), of torchvision ("resnet18",
        "torchvision:resnet18") and of timm ("timm:resnet18"). An instance is copied. None makes a
        small CNN, or a small MLP for a table.
    delta : float or None, default=None
        Share of the added samples that is pure noise, in [0, 1]. 0 is deferred over-sampling. None
        is that of a `resampler` instance, or else 1/3, the paper's. Short for
        ``resampler__delta``; an instance with another `delta` of its own is refused.
    resampler : class, instance or None, default=PureNoiseOverSampler
        Makes the rebalanced data set that epochs are taken from. None is plain training (ERM). Any
        sampler of imbalanced-learn works: those that pick rows by label alone
        (`RandomOverSampler`, `RandomUnderSampler`) draw anew in every epoch, from the classifier's
        `random_state`, not their own; others (`SMOTE`, ...) run once, on flattened pixels, before
        training. `PureNoiseAppender` adds noise to every batch instead of balancing, and
        `M2mOverSampler` moves images of large classes until they pass for small ones.
    start_epoch : int or float, default=0.8
        First rebalanced epoch (int, from 0), or the share of `max_epochs` before it (float);
        earlier epochs are plain training. The paper defers to epoch 160 of 200.
    norm : {"dar", "aux", "standard"}, default="dar"
        What batch norm does with noise rows. "dar": DAR-BN. For comparison (the paper's Table 4)
        "aux": a second layer beside each, for noise rows only (AdvProp); "standard": both kinds of
        rows share the layer, in one call.
    noise_grad : {"head", "all"}, default="head"
        What noise rows train, under ``norm="dar"``; the other norms do not read it, and noise rows
        train all that they pass. "head": what lies behind the last norm layer, as in the paper's
        listing. "all": everything but gamma and beta of the norm layers, as in its Eq. 13.
    composition : {"even", "bernoulli", "appended"}, default="even"
        "even": each epoch's noise rows are dealt evenly over its batches. "bernoulli": every row is
        drawn on its own, Algorithm 1 literally. "appended": every training row once, and the noise
        rows on top of the batches, no duplicates.
    epoch_length : {"n_samples", "resampled"}, default="n_samples"
        Rows of a rebalanced epoch: as many as there are training samples, or as many as the
        resampler returns (largest class times number of classes).
    augment : str, callable or None, default=None
        Applied to natural rows only, batch by batch: "flip_crop", "cutout", "simclr" (the paper's
        for small images), "large" (that for large ones), "color_rotation" (that for large ones
        that are cropped when they are read), "autoaugment", "autoaugment_imagenet", another preset
        of `sklearn_open.augment.check_augment`, or a callable from and to a float batch
        (n, n_channels, height, width) in [0, 1].
    normalize : "dataset", pair of array-likes or None, default="dataset"
        Mean and deviation per channel that all rows are normalised by, noise included: of the
        training set, as given (in units where pixels lie in [0, 1]), or none.
    precision : {"auto", "float32", "bf16", "fp16"}, default="auto"
        "auto" is bf16 autocast for images where the hardware has it (on a CPU, from 32x32 pixels
        on), else float32. "fp16" scales gradients (`scaler_`).
    distributed : bool, default=False
        Whether to train on all ranks of the running `torch.distributed` process group, as torchrun
        starts them: each takes its share of every batch, the result is that of one process. Every
        rank calls `fit` with the same rows and parameters; rank 0 reads and writes files.
    compile : bool or str, default=False
        Whether training steps run through `torch.compile`; a string is its mode, such as
        "reduce-overhead" (CUDA graphs). `module_` stays the plain network, and predicts as such.
    memory : None, str, path or joblib.Memory, default=None
        Folder in which the epochs before `start_epoch` are kept, as in scikit-learn's `Pipeline`:
        fits that differ only in what happens later (`delta`, `resampler`, `norm`, `class_weight`,
        a loss that is deferred, ...) train them once. Needs `random_state`, and arrays.
    checkpoint : None, str or path, default=None
        Folder in which training is kept, epoch by epoch. `fit` with the same folder, data and
        parameters goes on where the last one ended, for whatever reason, and gives the same bits as
        a fit that never stopped. Its files are pickles: do not take them from strangers.
    checkpoint_every : int, default=1
        Epochs between checkpoints. The two newest are kept.
    device : str or torch.device, default="auto"
        "auto" is the GPU where CUDA has one (under `distributed`, the rank's own), else the CPU.
    image_shape : tuple of int or None, default=None
        Shape (n_channels, height, width), or (height, width), of the images in a table's rows.
        None takes a table for a table and tells the layout of images from their shape.
    random_state : int, RandomState instance or None, default=None
        Fixes weights, plans, augmentation, noise and dropout. Global random states are left as
        found (None draws one number from NumPy's).
    warmup_epochs : int, float or "auto", default=0.025
        Epochs, or share of `max_epochs`, of linear warm-up; see `StepSchedule`. "auto": by steps.
    lr_milestones : sequence of int or float, default=(0.8, 0.9)
        Epochs, or shares of `max_epochs`, at which the learning rate drops.
    lr_decay : float or "cosine", default=0.01
        Factor at each milestone. "cosine" decays without milestones, see `StepSchedule`.
    criterion : class or str, default=torch.nn.CrossEntropyLoss
        The loss, the mean over all rows of a batch, noise rows included; or the name of one of
        `sklearn_open.losses`, as "balanced_softmax", which know how many rows each class has.
    class_weight : None, "balanced", "effective" or dict, default=None
        Weights of classes in the loss, from `start_epoch` on: N / (C n_c); by the effective number
        of samples (``class_weight__beta``, 0.9999); or by label. Rows are divided by the sum of
        their weights, or, with ``class_weight__reduction="mean"``, by how many they are.
    mixup : float or None, default=None
        Mixes natural rows of a batch with one another, and their losses, by a share drawn from
        Beta(mixup, mixup), in all epochs. Noise rows are not mixed.
    averaging : {"ema", "swa"} or None, default=None
        Averages weights from `start_epoch` on, step by step with exponential decay
        (``callbacks__averaging__decay``), or epoch by epoch evenly. When training ends the average
        takes the place of the weights, and batch norm's statistics are estimated anew on all rows.
    logit_adjustment : float, default=0.0
        Divides predicted probabilities by the class shares of the training rows, to this power;
        costs no training. 1 suits networks that were trained on rows as they are.
    optimizer : class, default=torch.optim.SGD
        With SGD, ``optimizer__momentum`` is 0.9, ``optimizer__weight_decay`` 2e-4 and
        ``optimizer__fused`` True unless set.
    lr : float, default=0.1
        Learning rate.
    max_epochs : int or "auto", default=200
        Number of epochs. Everything given as a share stretches with it. "auto": as many as so many
        training rows need, in batches of this size; the figures are in the user guide.
    batch_size : int or "auto", default=128
        Largest number of rows in a training batch; batches of an epoch differ by one row at most.
        "auto": by the number of training rows. Predictions choose their own size, unless
        ``iterator_valid__batch_size`` is set.
    train_split : None or callable, default=None
        None trains on all rows. skorch's `ValidSplit` holds rows out, minority samples included.
    classes : array-like or None, default=None
        All labels there are, when `y` may lack some, in the order of the columns of
        `predict_proba`; or the names of the classes of a `y` of codes 0, 1, ..., for displays and
        reports: predictions are of the kind that `y` holds.
    **kwargs : dict
        What else `skorch.NeuralNetClassifier` takes, among it ``module__...``, ``optimizer__...``,
        ``resampler__...``, ``callbacks``, ``warm_start`` and ``verbose`` (0: silent; 1: a line per
        epoch, but in scikit-learn's searches and cross-validation only in the refit; 2: lines
        everywhere, and on a terminal a progress bar with the time left). Batches come from the plan
        of each epoch; an ``iterator_train`` of your own needs ``resampler=None``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, in the order of the columns of `predict_proba`.
    class_names_ : ndarray of shape (n_classes,)
        What the classes are called: `classes` where they name codes, else `classes_`.
    class_count_ : ndarray of shape (n_classes,)
        Rows of each class that were trained on, those of all calls of `partial_fit`.
    image_reader_ : ImageReader
        How files become such images, if you set it after `fit`; `save` keeps it, `fit` forgets it.
    module_ : torch.nn.Module
        The trained network.
    image_shape_ : tuple of int
        Shape (n_channels, height, width) of an image, or (n_features,) of a table's row.
    n_features_in_ : int
        Number of values in a row.
    history_ : skorch.history.History
        Loss, learning rate and times of every epoch.
    max_epochs_, batch_size_, warmup_epochs_ : int
        What a fit trained by, where "auto" or a share was given. `partial_fit` keeps it.
    planner_ : EpochPlanner
        Makes the plan of any epoch; see `epoch_plan`.
    resampler_ : sampler or None
        The resampler that was used.
    device_ : torch.device
        Where the network is.
    seed_ : int
        Root of all random numbers of this fit.
    interrupted_ : bool
        Whether Ctrl-C ended the last fit. (A second Ctrl-C does not wait for the end of the step.)
    scaler_ : torch.amp.GradScaler
        Scales gradients under ``precision="fp16"``; does nothing otherwise.

    See Also
    --------
    PureNoiseOverSampler : The resampler on its own.
    sklearn_open.nn.forward_mixed : DAR-BN in a training loop of your own.

    References
    ----------
    .. [1] S. Zada, I. Benou, M. Irani, "Pure Noise to the Rescue of Insufficient Data: Improving
       Imbalanced Classification by Training on Random Noise Images", ICML 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_open import OPeNClassifier
    >>> from sklearn_open.datasets import make_long_tailed
    >>> digits = load_digits()
    >>> X, y = make_long_tailed(digits.images, digits.target, imbalance_ratio=10)
    >>> clf = OPeNClassifier(max_epochs=5, random_state=0, verbose=0).fit(X, y)
    >>> clf.predict(digits.images).shape
    (1797,)
    """

    prefixes_: ClassVar[list[str]] = [*TwoRouteNet.prefixes_, "resampler"]
    planner_: EpochPlanner
    transform_: BatchTransform

    def __init__(
        self,
        module: Any = None,
        *,
        delta: float | None = None,
        resampler: Any = PureNoiseOverSampler,
        start_epoch: int | float = 0.8,
        norm: str = "dar",
        noise_grad: str = "head",
        composition: str = "even",
        epoch_length: str = "n_samples",
        augment: str | Callable[[torch.Tensor], torch.Tensor] | None = None,
        normalize: Any = "dataset",
        precision: str = "auto",
        distributed: bool = False,
        compile: bool | str = False,
        memory: Any = None,
        checkpoint: Any = None,
        checkpoint_every: int = 1,
        device: Any = "auto",
        image_shape: Sequence[int] | None = None,
        random_state: Any = None,
        warmup_epochs: int | float | str = 0.025,
        lr_milestones: Sequence[int | float] = (0.8, 0.9),
        lr_decay: float | str = 0.01,
        criterion: Any = torch.nn.CrossEntropyLoss,
        class_weight: Any = None,
        mixup: float | None = None,
        averaging: str | None = None,
        logit_adjustment: float = 0.0,
        optimizer: Any = torch.optim.SGD,
        lr: float = 0.1,
        max_epochs: int | str = 200,
        batch_size: int | str = 128,
        train_split: Any = None,
        classes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            module,
            criterion=criterion,
            optimizer=optimizer,
            lr=lr,
            max_epochs=max_epochs,
            batch_size=batch_size,
            train_split=train_split,
            classes=classes,
            device=device,
            compile=compile,
            norm=norm,
            noise_grad=noise_grad,
            precision=precision,
            distributed=distributed,
            class_weight=class_weight,
            mixup=mixup,
            averaging=averaging,
            logit_adjustment=logit_adjustment,
            **kwargs,
        )
        self.delta = delta
        self.resampler = resampler
        self.start_epoch = start_epoch
        self.composition = composition
        self.epoch_length = epoch_length
        self.augment = augment
        self.normalize = normalize
        self.memory = memory
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.image_shape = image_shape
        self.random_state = random_state
        self.warmup_epochs = warmup_epochs
        self.lr_milestones = lr_milestones
        self.lr_decay = lr_decay

    @classmethod
    def from_recipe(cls, name: str, **overrides: Any) -> OPeNClassifier:
        """Return a classifier with the settings of a recipe: the paper's, or those of "folder".

        Parameters
        ----------
        name : str
            One of `sklearn_open.recipes.list_recipes`, such as "cifar10_lt_ir100".
        **overrides : dict
            Parameters in place of the recipe's, or beside them. With another ``module`` or
            ``optimizer`` the recipe's ``module__...`` or ``optimizer__...`` are left out, except
            for ``optimizer__param_groups``.

        Returns
        -------
        OPeNClassifier
            The estimator, not fitted.

        Raises
        ------
        ValueError
            If there is no such recipe.

        Examples
        --------
        >>> from sklearn_open import OPeNClassifier
        >>> clf = OPeNClassifier.from_recipe("imagenet_lt", random_state=0)
        >>> clf.module, clf.lr, clf.max_epochs
        ('resnext50_cosine', 0.05, 220)
        """
        return cls(**recipe_parameters(name, overrides))

    # --- fitting: everything that can be refused is refused before anything is initialised ---

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> OPeNClassifier:
        """Train on images and labels.

        Parameters
        ----------
        X : array-like, torch.Tensor, data frame or data set
            Images (n, height, width), (n, height, width, n_channels) or (n, n_channels, height,
            width), uint8 or float in any range; a list of PIL images; a table (n, n_features); or
            a data set of torch, torchvision or Hugging Face, which is read while training (by
            ``iterator_train__num_workers`` processes).
        y : array-like of shape (n,) or None, default=None
            Labels of any kind. None takes those of a data set.
        **fit_params : dict
            Passed on to the network's ``forward`` and to `train_split`.

        Returns
        -------
        OPeNClassifier
            The fitted estimator itself.

        Raises
        ------
        ValueError
            For parameters, images or labels that cannot be trained on, before a network is made.
        CheckpointError
            When the folder `checkpoint` holds another training, or cannot be written to.
        TrainingDivergedError
            When the loss, or a weight, becomes NaN or infinite; the network then has the weights
            from before that epoch.
        """
        with self._unchanged_unless_begun():
            goes_on = self.warm_start and self.initialized_
            dataset = self._take_in(X, y, fit_params, goes_on=goes_on)
            return super().fit(dataset, dataset.y, **fit_params)

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> Any:
        """Train for `max_epochs` more epochs, from where the network is.

        Parameters
        ----------
        X, y
            As for `fit`.
        classes : array-like or None, default=None
            All labels there are; read by the first call only.
        **fit_params : dict
            As for `fit`.

        Returns
        -------
        OPeNClassifier
            The estimator itself.
        """
        with self._unchanged_unless_begun():
            if not isinstance(X, ImageDataset):  # which `fit` hands on
                goes_on, known = self.initialized_, {"classes": classes, "chunk": True}
                X = self._take_in(X, y, fit_params, goes_on=goes_on, **known)
            self._settle(X, fit_params)
            return super().partial_fit(X, X.y, **fit_params)

    def _take_in(
        self, X: Any, y: Any, fit_params: dict[str, Any], *, goes_on: bool, **known: Any
    ) -> ImageDataset:
        goes_on = goes_on and hasattr(self, "image_shape_")
        data = take_in(self, X, y, goes_on=goes_on, **known)
        self._forward_takes_more_ = bool(fit_params)
        if not goes_on:
            self.__dict__.pop("transform_", None)  # it holds the statistics of earlier data
            forget(self)
        return data

    # --- skorch's components: network, optimiser, callbacks ---

    def initialize(self) -> OPeNClassifier:
        """Make network, optimiser and callbacks anew, from `random_state`."""
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        return self.initialize_from_seed(self.ranks_.from_first(lambda: seed))

    def initialize_from_seed(self, seed: int) -> OPeNClassifier:
        """Make network, optimiser and callbacks anew, from the root of all random numbers."""
        self.seed_ = int(seed)
        self._initialize_scaler()
        with seeded_user_code(self.device_, keyed_seed(self.seed_, "init")):
            return super().initialize()

    def initialize_module(self) -> OPeNClassifier:
        """Make the network and compare it with the data."""
        params, image_shape = self.get_params_for("module"), getattr(self, "image_shape_", None)
        n_classes = len(self.classes_inferred_) if image_shape is not None else None
        module = build_module(self.module, params, image_shape, n_classes)
        callable_now = self.max_epochs != 0 and not self._forward_takes_more_
        if image_shape is not None and n_classes is not None and callable_now:
            check_output_width(module, image_shape, n_classes)
        self.module_ = self._as_trained(module, image_shape)
        return self

    # --- data: plan -> batches -> what the network is fed ---

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        """Return rows to predict on, checked against what was fitted."""
        if isinstance(X, ImageDataset):
            return X
        self.check_is_fitted()
        if is_fed(X, self.batch_in_work_):  # a callback predicts on the batch that it was handed
            return super().get_dataset(plain(X), y)
        if not hasattr(self, "transform_"):
            warn_user(
                f"This {type(self).__name__} was initialized but never fitted: X goes to the "
                "network as it is, neither checked nor normalised."
            )
            return super().get_dataset(X, y)
        return rows_to_predict(self, X)

    def get_split_datasets(
        self, X: Any, y: Any = None, **fit_params: Any
    ) -> tuple[TrainSet, ImageDataset | None]:
        """Return the rows to train on, with their plans, and those held out, if any."""
        if self._run_.datasets is not None:  # a fit in parts splits once
            return self._run_.datasets
        train, valid = self._rows_split(X, y, fit_params)
        datasets = make_train_set(self, taken(train)), held_out(self, valid)
        self._run_.keep(self, datasets)
        return datasets

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return what yields the batches of a data set."""
        if not isinstance(dataset, ImageDataset):  # of a net that was never fitted
            return super().get_iterator(dataset, training)
        own_loader = partial(super().get_iterator, dataset, training)
        return make_batches(self, dataset, training, self._epoch, own_loader)

    def epoch_plan(self, epoch: int) -> EpochPlan:
        """Return which rows an epoch sees, which of them as noise, in which batch.

        Parameters
        ----------
        epoch : int
            Number of the epoch, 0 the first. Any epoch can be asked for, trained or not.

        Returns
        -------
        EpochPlan
            With arrays ``index``, ``is_noise`` and ``bounds``.
        """
        self.check_is_fitted(["planner_"])
        return self.planner_.plan(epoch)

    # --- files ---

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted estimator to one file without code: numbers and text, no pickle.

        The file is of the safetensors format. It has the weights, and all else that predictions
        need: classes, shape and scale of the pixels, and the parameters that are plain values
        (numbers, text, arrays, tuples, lists and dicts of these) or have a name in torch,
        torchvision or this library. It also has the history, epoch by epoch. Whatever else was
        passed (a network, loss or callback of your own) is passed to `load` again.

        Parameters
        ----------
        path : str or path
            Name of the file. There is always a whole file of this name: the old or the new one.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError
            For labels, or a state dict, that cannot be kept exactly.

        See Also
        --------
        load : The way back.
        """
        save_net(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str], module: Any = None, **params: Any) -> OPeNClassifier:
        """Return the fitted estimator that `save` wrote.

        It predicts as the one that was saved, and `partial_fit` goes on training it, with a new
        optimizer. Nothing in the file is run or imported, so a file may come from strangers.

        Parameters
        ----------
        path : str or path
            Name of the file.
        module : class, callable, torch.nn.Module or None, default=None
            What makes the network, as it was. None for this library's networks, by class or
            function, torchvision's functions, and the default network.
        **params : dict
            Parameters that are to differ from those saved, or that a file cannot hold. ``device``
            is "auto", and ``memory`` and ``checkpoint`` are None, unless given here.

        Returns
        -------
        OPeNClassifier
            Fitted.

        Raises
        ------
        SavedFileError
            For a file that `save` did not write, or a newer version did, or that was changed since.
        ValueError
            When the network, or a parameter that predictions depend on, has to be passed, and for
            a network that the weights do not fit.

        Warns
        -----
        UserWarning
            When other parameters could not be kept; they are at their defaults then.
        """
        return load_net(cls, path, module, params)

    def to_torch(self) -> torch.nn.Module:
        """Return a copy of the network that takes raw pixels and returns probabilities.

        It scales and normalises by itself, in float32, so it can be exported as it is
        (`torch.export`, `torch.onnx`).

        Returns
        -------
        torch.nn.Module
            On the CPU, in eval mode. From rows of the shape `image_shape_`, channels first, in the
            units that `fit` was given, to (n, n_classes) as from `predict_proba`.
        """
        return to_network(self)

    # --- training: what was trained before, the epochs that are left ---

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **kwargs: Any) -> Any:
        """Train for some epochs, from a checkpoint if there is one.

        Epochs that other fits have in common come from `memory`. Ctrl-C ends training after the
        step in work.
        """
        epochs = self.max_epochs if epochs is None else epochs
        check_fit_params(self.module_.forward, self.train_split, kwargs)
        train = partial(super().fit_loop, X, y, **kwargs)
        try:
            with running_fit(self, epochs) as self._run_:
                train(epochs=self._run_.take_up(self, train))
                self._run_.raise_if_interrupted()
        finally:
            self.__dict__.pop("_run_", None)
        return self

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call the callbacks, then keep what an epoch has reached."""
        # A callback that ends training raises here: a fit that goes on from the checkpoint before
        # ends at the same epoch, by the same callback.
        with self._run_.callbacks_end_together(method_name):
            super().notify(method_name, **kwargs)
        if method_name == "on_epoch_end":
            self._run_.after_epoch()
        if method_name == "on_train_end":
            tell_if_best_is_early(self)
