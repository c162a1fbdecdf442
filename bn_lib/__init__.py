"""Batch Normalization and its relatives in readable NumPy; on a GPU through optional CuPy.

Read in this order: `moments` (statistics that merge), `standardize` (the one step all normalizers share), `normalizers`
(the functions), `batchnorm` (the layers), `network` and `training` (the small network the book trains), `modulation`
and `statistics` (other places that gamma and beta, or mean and variance, come from), `folding` (a smaller network for
inference), `curvature` (how a loss curves), `frameworks` (networks that come from PyTorch or Keras, and go there),
`doctor` (what is often wrong in a model, also one of theirs). Then how it is made fast: `backends` (the same
mathematics as four loops over memory, for each kind of array) and `fast` (what brings arrays there). For more than one
machine: `population` (statistics of a data set) and `sync` (a layer whose mini-batch is spread over workers).
"""

from bn_lib.backends import backend, use_backend
from bn_lib.batchnorm import (
    BatchNorm,
    BatchRenorm,
    GhostBatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    RMSNorm,
    WeightStandardized,
)
from bn_lib.convention import Convention
from bn_lib.curvature import (
    hessian_eigenvalues,
    hessian_vector_product,
    loss_and_gradient,
    parameter_vector,
    set_parameter_vector,
)
from bn_lib.doctor import doctor
from bn_lib.folding import fold_batch_norm
from bn_lib.frameworks import from_keras, from_torch, to_keras, to_torch
from bn_lib.layer import Layer
from bn_lib.modulation import (
    AdaptiveBatchNorm,
    AttentiveNorm,
    ConditionalBatchNorm,
    adaptive_instance_norm,
    adaptive_instance_norm_backward,
    given,
    modulated_norm,
    modulated_norm_backward,
)
from bn_lib.moments import Moments
from bn_lib.network import (
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Tanh,
    softmax_cross_entropy,
)
from bn_lib.normalizers import (
    batch_norm,
    batch_norm_backward,
    batch_norm_inference,
    conditional_batch_norm,
    conditional_batch_norm_backward,
    group_norm,
    group_norm_backward,
    instance_norm,
    instance_norm_backward,
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
    weight_standardization,
    weight_standardization_backward,
)
from bn_lib.population import population_moments, recompute_statistics
from bn_lib.standardize import standardize, standardize_backward
from bn_lib.statistics import DomainBatchNorm, HistogramPreservingNorm, SwitchableNorm, match_histogram
from bn_lib.sync import SyncBatchNorm
from bn_lib.training import SGD, History, Recorder, accumulate_gradients, accuracy, fit, train_step

__all__ = [
    "SGD", "AdaptiveBatchNorm", "AttentiveNorm", "BatchNorm", "BatchRenorm", "ConditionalBatchNorm", "Conv2d",
    "Convention", "Dense", "DomainBatchNorm", "Dropout", "Flatten", "GhostBatchNorm", "GroupNorm",
    "HistogramPreservingNorm", "History", "InstanceNorm", "Layer", "LayerNorm", "Moments", "RMSNorm", "ReLU",
    "Recorder", "Residual", "Sequential", "Sigmoid", "SwitchableNorm", "SyncBatchNorm", "Tanh",
    "WeightStandardized", "accumulate_gradients", "accuracy", "adaptive_instance_norm",
    "adaptive_instance_norm_backward", "backend", "batch_norm", "batch_norm_backward", "batch_norm_inference",
    "conditional_batch_norm", "conditional_batch_norm_backward", "doctor", "fit", "fold_batch_norm", "from_keras",
    "from_torch", "given", "group_norm", "group_norm_backward", "hessian_eigenvalues", "hessian_vector_product",
    "instance_norm", "instance_norm_backward", "layer_norm", "layer_norm_backward", "loss_and_gradient",
    "match_histogram", "modulated_norm", "modulated_norm_backward", "parameter_vector", "population_moments",
    "recompute_statistics", "rms_norm", "rms_norm_backward", "set_parameter_vector", "softmax_cross_entropy",
    "standardize", "standardize_backward", "to_keras", "to_torch", "train_step", "use_backend",
    "weight_standardization", "weight_standardization_backward",
]  # fmt: skip
