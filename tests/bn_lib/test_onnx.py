"""Forward passes agree with the definitions of the ONNX operators, as ONNX's own reference evaluator runs them.

epsilon and momentum are powers of two here: ONNX stores them as float32, and 1e-5 would be another number there.
"""

import numpy as np
import onnx
import pytest
from agreement import assert_agrees, both_precisions
from normalizer_cases import BY_NAME, groups_for, typical
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import bn_lib
from bn_lib import BatchNorm

EPS = 2.0**-10
OPSET = 21  # the first in which GroupNormalization has a scale per channel, not per group

shapes = pytest.mark.parametrize("shape", [(6, 4, 5), (4, 6, 3, 2), (2, 4, 2, 3, 2)], ids=str)


def run(operator, inputs, outputs, **attributes):
    """Outputs of a model of one operator; `inputs` by name, `outputs` as {name: shape}."""
    kind = helper.np_dtype_to_tensor_dtype(next(iter(inputs.values())).dtype)
    graph = helper.make_graph(
        [helper.make_node(operator, list(inputs), list(outputs), **attributes)],
        operator,
        [helper.make_tensor_value_info(name, kind, value.shape) for name, value in inputs.items()],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model)
    return ReferenceEvaluator(model).run(None, inputs)


@both_precisions
@shapes
def test_batch_normalization_in_inference(shape, dtype):
    x, gamma, beta, _ = typical(BY_NAME["batch"], shape, dtype)
    mean, var = np.linspace(-1, 4, shape[1]).astype(dtype), np.linspace(0.1, 9, shape[1]).astype(dtype)
    inputs = {"X": x, "scale": gamma, "B": beta, "input_mean": mean, "input_var": var}
    (y,) = run("BatchNormalization", inputs, {"Y": shape}, epsilon=EPS)
    assert_agrees(bn_lib.batch_norm_inference(x, gamma, beta, mean, var, eps=EPS), y)

    layer = BatchNorm(shape[1], eps=EPS, dtype=dtype)
    layer.gamma, layer.beta, layer.running_mean, layer.running_var = (
        gamma,
        beta,
        mean.astype(np.float64),
        var.astype(np.float64),
    )
    assert_agrees(layer.eval().forward(x), y)


@both_precisions
@shapes
def test_batch_normalization_in_training_and_its_running_statistics(shape, dtype):
    """In ONNX momentum is the weight of the old value (as in Keras) and running_var the average of biased variances."""
    _, gamma, beta, _ = typical(BY_NAME["batch"], shape, dtype)
    layer = BatchNorm(shape[1], eps=EPS, momentum=1 - 0.875, unbiased_running_var=False, dtype=dtype)
    layer.gamma, layer.beta = gamma, beta
    mean, var = np.zeros(shape[1], dtype), np.ones(shape[1], dtype)
    for seed in range(4):
        x = typical(BY_NAME["batch"], shape, dtype, seed)[0]
        inputs = {"X": x, "scale": gamma, "B": beta, "input_mean": mean, "input_var": var}
        outputs = {"Y": shape, "running_mean": mean.shape, "running_var": var.shape}
        y, mean, var = run("BatchNormalization", inputs, outputs, epsilon=EPS, momentum=0.875, training_mode=1)
        assert_agrees(layer.forward(x), y, "y")
        assert_agrees(layer.running_mean, mean, "running_mean")
        assert_agrees(layer.running_var, var, "running_var")


@both_precisions
@shapes
def test_layer_normalization(shape, dtype):
    x, gamma, beta, _ = typical(BY_NAME["layer, per element"], shape, dtype)
    (y,) = run("LayerNormalization", {"X": x, "Scale": gamma, "B": beta}, {"Y": shape}, axis=1, epsilon=EPS)
    assert_agrees(bn_lib.layer_norm(x, gamma, beta, eps=EPS)[0], y)


@both_precisions
@pytest.mark.parametrize("shape", [(4, 16), (3, 5, 16), (2, 3, 5, 16)], ids=str)
def test_layer_normalization_over_the_last_axis(shape, dtype):
    x, gamma, beta, _ = typical(BY_NAME["layer, last axis"], shape, dtype)
    (y,) = run("LayerNormalization", {"X": x, "Scale": gamma, "B": beta}, {"Y": shape}, axis=-1, epsilon=EPS)
    assert_agrees(bn_lib.layer_norm(x, gamma, beta, axis=-1, eps=EPS)[0], y)


@both_precisions
@shapes
def test_instance_normalization(shape, dtype):
    x, gamma, beta, _ = typical(BY_NAME["instance"], shape, dtype)
    (y,) = run("InstanceNormalization", {"input": x, "scale": gamma, "B": beta}, {"output": shape}, epsilon=EPS)
    assert_agrees(bn_lib.instance_norm(x, gamma, beta, eps=EPS)[0], y)


@both_precisions
@shapes
def test_group_normalization(shape, dtype):
    x, gamma, beta, _ = typical(BY_NAME["group"], shape, dtype)
    groups = groups_for(shape[1])
    # The type in which ONNX keeps the statistics: float32 unless told otherwise, whatever the type of x.
    stash = TensorProto.DOUBLE if dtype == np.float64 else TensorProto.FLOAT
    options = {"num_groups": groups, "epsilon": EPS, "stash_type": stash}
    (y,) = run("GroupNormalization", {"X": x, "scale": gamma, "bias": beta}, {"Y": shape}, **options)
    assert_agrees(bn_lib.group_norm(x, gamma, beta, groups, eps=EPS)[0], y)
