"""`doctor`: each check in each framework tells of the broken model and not of the mended one, and harms neither."""

import copy

import keras
import numpy as np
import pytest
import torch
from torch import nn

import bn_lib

K = keras.layers

# Keras, on PyTorch, asks tensors for arrays in NumPy 1's way.
# PyTorch deprecates TorchScript, and imports what is left of it for `torch.compile`.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
]


def rng():
    return np.random.default_rng(0)


# A network of each framework: a weighted sum, BN, ReLU, a weighted sum. `bn` is its BN layer.


def ours(*, before=(), bias=False, **options):
    layers = [bn_lib.Dense(3, 4, bias=bias, rng=rng()), *before, bn_lib.BatchNorm(4, **options), bn_lib.ReLU()]
    model = bn_lib.Sequential(*layers, bn_lib.Dense(4, 2, rng=rng()))
    return model, next(layer for layer in model if isinstance(layer, bn_lib.BatchNorm))


def pytorch(*, before=(), bias=False, **options):
    bn = nn.BatchNorm1d(4, **options)
    return nn.Sequential(nn.Linear(3, 4, bias=bias), *before, bn, nn.ReLU(), nn.Linear(4, 2)), bn


def of_keras(*, before=(), bias=False, **options):
    bn = K.BatchNormalization(**options)
    model = keras.Sequential([keras.Input((3,)), K.Dense(4, use_bias=bias), *before, bn, K.ReLU(), K.Dense(2)])
    return model, bn


def set_values(bn, name, values):
    """Write into gamma, beta, the running mean or variance of a BN layer of any framework."""
    theirs = {"gamma": "weight", "beta": "bias"}
    keras_names = {"running_mean": "moving_mean", "running_var": "moving_variance"}
    if isinstance(bn, bn_lib.Layer):
        setattr(bn, name, np.array(values))
    elif isinstance(bn, keras.layers.Layer):
        getattr(bn, keras_names.get(name, name)).assign(np.array(values))
    else:
        getattr(bn, theirs.get(name, name)).data = torch.tensor(values)


def told(model, *arguments, **named):
    return [finding.check for finding in bn_lib.doctor(model, *arguments, **named)]


MAKE = {"ours": ours, "torch": pytorch, "keras": of_keras}
every = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
DROPOUT = {
    ours: lambda rate: bn_lib.Dropout(rate, rng=rng()),
    pytorch: nn.Dropout,
    of_keras: K.Dropout,
}
RELU = {ours: bn_lib.ReLU, pytorch: nn.ReLU, of_keras: K.ReLU}
TWO = [0.5, 2.0, 1.5, 1.0]


@every
def test_a_healthy_model_gives_nothing_before_and_after_training(make):
    model, bn = make()
    assert told(model, batch_size=2) == []
    set_values(bn, "gamma", TWO)
    set_values(bn, "beta", TWO)
    set_values(bn, "running_mean", TWO)
    set_values(bn, "running_var", TWO)
    assert told(model, batch_size=2) == []
    if make is not of_keras:
        assert told(model.eval()) == []


@every
def test_statistics_never_updated(make):
    model, bn = make()
    set_values(bn, "beta", TWO)  # it has been trained, and its statistics have not moved
    assert told(model) == ["never updated"]
    set_values(bn, "running_mean", TWO)
    assert told(model) == []


def test_statistics_never_updated_where_inference_would_use_them():
    for model, _ in (ours(), pytorch()):
        assert told(model.eval()) == ["never updated"]
    model, _ = of_keras()
    model.trainable = False
    assert told(model) == ["never updated"]


def test_statistics_never_updated_while_an_optimizer_took_steps():
    model, bn = pytorch(affine=False)
    model.train()
    bn.eval()
    adam = torch.optim.Adam(model.parameters())
    model(torch.ones(2, 3)).sum().backward()
    adam.step()
    model.zero_grad()
    bn.train()
    assert told(model, adam) == ["never updated"]


@pytest.mark.parametrize(
    ("make", "wrong", "right"),
    [(ours, 0.9, 0.1), (pytorch, 0.99, 0.01), (of_keras, 0.1, 0.9), (ours, 0.0, None), (pytorch, 0.0, None)],
)
def test_momentum_of_the_other_convention(make, wrong, right):
    (found,) = bn_lib.doctor(make(momentum=wrong)[0])
    assert (found.check, f"{wrong:g}" in found.seen) == ("momentum", True)
    assert told(make(momentum=right)[0]) == []


def test_momentum_of_keras_that_never_moves():
    assert told(of_keras(momentum=1.0)[0]) == ["momentum"]


@every
def test_dropout_before_it(make):
    drop = DROPOUT[make]
    assert told(make(before=[drop(0.5)])[0]) == ["after dropout"]
    assert told(make(before=[drop(0.5), RELU[make]()])[0]) == ["after dropout"]
    assert told(make(before=[drop(0.0)])[0]) == []


def test_dropout_after_it_or_behind_a_normalizer_is_fine():
    assert told(nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(), nn.Linear(3, 3))) == []
    assert told(nn.Sequential(nn.Dropout(), nn.LayerNorm(3), nn.BatchNorm1d(3))) == []
    assert told(nn.Sequential(nn.AlphaDropout(), nn.BatchNorm1d(3))) == []


@every
def test_a_bias_before_it(make):
    assert told(make(bias=True)[0]) == ["bias"]
    assert told(make(bias=True, before=[RELU[make]()])[0]) == []


def test_a_bias_that_does_something_is_not_told():
    assert told(keras.Sequential([keras.Input((3,)), K.Dense(4, activation="relu"), K.BatchNormalization()])) == []
    dense = bn_lib.Dense(3, 4, rng=rng())
    assert told(bn_lib.Sequential(dense, bn_lib.AdaptiveBatchNorm(4))) == []
    assert told(bn_lib.Sequential(dense, bn_lib.ConditionalBatchNorm(2, 4))) == ["bias"]
    assert told(bn_lib.Sequential(bn_lib.WeightStandardized(dense), bn_lib.BatchNorm(4))) == ["bias"]


class Calls(nn.Module):
    """Layers by name, and what a function does with them and x."""

    def __init__(self, call, **layers):
        super().__init__()
        self.call = call
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        return self.call(self, x)


def test_channels_along_another_axis():
    """Then a bias is not taken out, so nothing is said of it."""

    def of_keras(shape, *layers):
        return keras.Sequential([keras.Input(shape), *layers])

    image, first = (8, 6, 3), {"data_format": "channels_first"}
    conv = bn_lib.Conv2d(3, 4, 3, rng=rng())
    models = {
        ("axis -3", "axis -1"): [
            of_keras(image, K.Conv2D(4, 3), K.BatchNormalization(axis=1)),
            of_keras(image, K.Conv2D(4, 3, activation="relu"), K.MaxPooling2D(), K.BatchNormalization(axis=1)),
        ],
        ("axis -1", "axis -3"): [
            of_keras(image, K.Conv2D(4, 3, **first), K.BatchNormalization()),
            bn_lib.Sequential(conv, bn_lib.ReLU(), bn_lib.BatchNorm(4, channel_axis=-1)),
            bn_lib.Sequential(conv, bn_lib.DomainBatchNorm(1, 4, channel_axis=3)),
        ],
        ("axis -2", "axis -1"): [of_keras((8, 3), K.Dense(4), K.BatchNormalization(axis=1))],
        ("an axis of 8", "an axis of 4"): [nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.BatchNorm1d(8))],
    }
    for (ours, before), wrong in models.items():
        for model in wrong:
            (found,) = bn_lib.doctor(model)
            assert found.check == "axis"
            assert found.seen.startswith(f"its channels are {ours}, those of the ")
            assert found.seen.endswith(before)
    for shape, *layers in (
        (image, K.Conv2D(4, 3), K.BatchNormalization(axis=3)),
        (image, K.Conv2D(4, 3, **first), K.BatchNormalization(axis=1)),
        (image, K.Conv2D(4, 3), K.Flatten(), K.BatchNormalization(axis=1)),
        ((3,), K.Dense(4), K.BatchNormalization(axis=1)),
        ((8, 3), K.EinsumDense("abc,cd->abd", (None, 4), bias_axes="d"), K.BatchNormalization()),
    ):
        assert told(of_keras(shape, *layers)) == ["bias"]
    for shape, *layers in (
        (image, K.Conv2D(4, 3), K.Permute((3, 1, 2)), K.BatchNormalization(axis=1)),
        ((8, 3), K.EinsumDense("abc,cd->abd", (8, 4), bias_axes="bd"), K.BatchNormalization()),
        ((8, 3), K.EinsumDense("abc,cd->abd", (None, 4)), K.BatchNormalization()),
        ((5, *image), K.ConvLSTM2D(4, 3, activation=None), K.BatchNormalization()),
    ):
        assert told(of_keras(shape, *layers)) == []
    assert told(bn_lib.Sequential(conv, bn_lib.BatchNorm(4, channel_axis=-3))) == ["bias"]


def test_a_bias_that_something_else_gets_is_not_told():
    def both(net, x):
        y = net.dense(x)
        return net.bn(y) + net.head(y)

    def twice(net, x):
        return net.bn(net.dense(x)) + net.dense(x)

    def shape(net, x):
        y = net.dense(x)
        return net.bn(y).view(y.shape[0], -1)

    for call, expected in ((both, []), (twice, []), (shape, ["bias"])):
        layers = {"dense": nn.Linear(4, 4), "bn": nn.BatchNorm1d(4), "head": nn.Linear(4, 4)}
        assert told(Calls(call, **layers)) == expected, call.__name__
    dense = bn_lib.Dense(4, 4, rng=rng())
    assert told(bn_lib.Sequential(dense, bn_lib.Residual(bn_lib.BatchNorm(4)))) == []
    x, y, dense, bn = keras.Input((4,)), keras.Input((4,)), K.Dense(4), K.BatchNormalization()
    assert told(keras.Model([x, y], K.Add()([bn(dense(x)), bn(dense(y))]))) == ["bias"]
    once = dense(x)
    assert told(keras.Model(x, K.Add()([bn(once), K.Dense(4)(once)]))) == []


@every
def test_a_bias_before_statistics_that_stay_is_not_told(make):
    model, bn = make(bias=True)
    set_values(bn, "running_mean", TWO)
    if make is of_keras:
        bn.trainable = False
    elif make is pytorch:
        bn.eval().requires_grad_(False)
    else:
        bn.freeze()
    assert told(model) == []
    if make is not of_keras:
        assert told(model.eval()) == ["bias"]  # it was trained in one go, as far as anyone can tell


def test_dropout_that_is_a_call():
    def dropping(function, *arguments, **named):
        return told(Calls(lambda net, x: net.bn(function(x, *arguments, **named)), bn=nn.BatchNorm1d(4)))

    F = nn.functional
    assert dropping(F.dropout) == dropping(torch.dropout, 0.5, True) == dropping(F.dropout, p=0.1) == ["after dropout"]
    assert dropping(F.dropout, training=False) == dropping(F.dropout, 0.5, False) == dropping(F.dropout, 0.0) == []
    assert dropping(torch.dropout, 0.5, train=False) == dropping(F.alpha_dropout) == []
    net = Calls(lambda net, x: net.bn(F.dropout(x, 0.5, net.training)), bn=nn.BatchNorm1d(4))
    set_values(net.bn, "running_mean", TWO)
    assert told(net.eval()) == told(net.train()) == ["after dropout"]


def test_stochastic_depth_is_not_dropout():
    x = keras.Input((8, 8, 2))
    for shape, expected in (((None, 1, 1, 1), []), ((None, 1, 1, 2), ["after dropout"])):
        assert told(keras.Model(x, K.BatchNormalization()(K.Dropout(0.2, noise_shape=shape)(x)))) == expected


def test_a_branch_that_starts_from_nothing_and_may_be_dropped():
    class DropPath(nn.Module):
        def forward(self, x):
            return x

    def branch(net, x):
        return x + net.drop(net.bn(net.conv(x)))

    bn = nn.BatchNorm2d(2)
    nn.init.zeros_(bn.weight)
    conv = nn.Conv2d(2, 2, 1, bias=False)
    assert told(Calls(branch, conv=conv, bn=bn, drop=DropPath())) == []
    assert told(Calls(branch, conv=conv, bn=bn, drop=nn.Conv2d(2, 2, 1))) == ["dead channels"]
    unknown = Calls(lambda net, x: x + net.inner(x) if x.sum() > 0 else x, inner=nn.Sequential(conv, bn))
    assert told(unknown) == []


def test_wrapped_models_are_looked_at_like_those_inside():
    inside = ResNet(bias=True)
    for wrap in (torch.compile, nn.DataParallel, torch.optim.swa_utils.AveragedModel, lambda m: Calls(None, net=m)):
        (found,) = bn_lib.doctor(wrap(inside))
        assert (found.check, found.layers[0].endswith("blocks.1.bn2")) == ("bias", True), wrap


def test_a_sequential_with_a_forward_of_its_own_is_not_a_sequence():
    class Backwards(nn.Sequential):
        def forward(self, x):
            for layer in reversed(list(self)):
                x = layer(x)
            return x

    assert told(Backwards(nn.Linear(4, 4), nn.BatchNorm1d(4))) == []
    assert told(Backwards(nn.BatchNorm1d(4), nn.Linear(4, 4))) == ["bias"]


def test_torchscript_is_refused_and_left_alone_inside():
    script = torch.jit.trace(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), torch.ones(2, 3))
    with pytest.raises(TypeError, match="expected the module it was made from"):
        bn_lib.doctor(script)
    layers = {"script": script, "dense": nn.Linear(4, 4), "bn": nn.BatchNorm1d(4, momentum=0.9)}
    assert "momentum" in told(Calls(lambda net, x: net.bn(net.dense(net.script(x))), **layers))


def test_decay_of_gamma_and_beta_in_ours():
    model, bn = ours()
    assert told(model, bn_lib.SGD(model, 0.1, weight_decay=0.1)) == ["decay"]
    assert told(model, bn_lib.SGD(model, 0.1)) == []
    apart = [{"names": ("gamma", "beta"), "weight_decay": 0.0}]
    assert told(model, bn_lib.SGD(model, 0.1, weight_decay=0.1, groups=apart)) == []
    assert told(model, bn_lib.SGD(model[-1], 0.1, weight_decay=0.1)) == []
    set_values(bn, "running_mean", TWO)
    bn.freeze()
    assert told(model, bn_lib.SGD(model, 0.1, weight_decay=0.1)) == []


def test_decay_of_gamma_and_beta_in_pytorch():
    model, _ = pytorch()
    assert told(model, torch.optim.AdamW(model.parameters())) == ["decay"]  # by default
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    assert told(model, torch.optim.SGD(groups, lr=0.1)) == []
    groups[1]["weight_decay"] = 0.1
    assert told(model, torch.optim.SGD(groups, lr=0.1)) == ["decay"]


def test_decay_of_gamma_and_beta_in_keras():
    model, _ = of_keras()
    model.compile(keras.optimizers.AdamW(), "mse")  # found in the compiled model
    assert told(model) == ["decay"]
    apart = keras.optimizers.AdamW()
    apart.exclude_from_weight_decay(var_names=["gamma", "beta"])
    assert told(model, apart) == []
    assert told(model, keras.optimizers.SGD()) == []
    assert told(of_keras(gamma_regularizer="l2")[0]) == ["decay"]


@every
def test_a_batch_of_one(make):
    model, _ = make()
    assert told(model, batch_size=1) == ["batch of one"]
    assert told(model, batch_size=2) == []


def test_a_row_on_each_device_is_fine_where_they_share_their_statistics():
    assert told(nn.SyncBatchNorm.convert_sync_batchnorm(pytorch()[0]), batch_size=1) == []
    assert told(bn_lib.SyncBatchNorm(3), batch_size=1) == []


def test_a_batch_of_one_is_fine_where_statistics_are_stored():
    model, bn = pytorch()
    set_values(bn, "running_mean", TWO)
    assert told(model.eval(), batch_size=1) == []
    assert told(bn_lib.GhostBatchNorm(3, 1), batch_size=64) == ["batch of one"]


@pytest.mark.parametrize("make", [ours, pytorch])
def test_inference_while_its_parameters_train(make):
    model, bn = make()
    set_values(bn, "running_mean", TWO)
    bn.eval()
    assert told(model) == ["inference"]
    if make is ours:
        bn.freeze()
    else:
        bn.requires_grad_(False)
    assert told(model) == []


def test_training_overrules_a_call_in_inference_in_keras():
    base, bn = of_keras()
    x = keras.Input((3,))
    model = keras.Model(x, K.Dense(2)(base(x, training=False)))
    set_values(bn, "running_mean", TWO)
    assert told(model) == []
    model(torch.ones(4, 3), training=True)
    assert not np.array_equal(bn.moving_mean.numpy(), TWO), "if it stays, doctor should say so"
    base.trainable = False
    assert told(model) == []


def test_gamma_and_beta_fixed_and_statistics_that_move():
    model, bn = pytorch()
    bn.requires_grad_(False)
    assert told(model) == ["not frozen"]
    set_values(bn, "running_mean", TWO)
    bn.eval()
    assert told(model) == []
    assert told(nn.BatchNorm1d(3, affine=False)) == []
    model, bn = of_keras()
    bn.gamma.trainable = bn.beta.trainable = False
    assert told(model) == ["not frozen"]
    set_values(bn, "running_mean", TWO)
    bn.trainable = False
    assert told(model) == []


@every
@pytest.mark.parametrize("name", ["running_mean", "running_var", "gamma", "beta"])
def test_what_is_not_finite(make, name):
    model, bn = make()
    set_values(bn, "running_mean", TWO)
    set_values(bn, name, [1.0, float("nan"), 1.0, 1.0])
    assert told(model) == ["not finite"]


@every
@pytest.mark.parametrize("value", [0.0, 1e-9, -1.0])
def test_a_variance_of_nothing(make, value):
    model, bn = make()
    set_values(bn, "running_var", [value, 1.0, 1.0, 1.0])
    (found,) = bn_lib.doctor(model)
    assert (found.check, "1 of 4 channels" in found.seen) == ("variance", True)


@every
def test_dead_channels(make):
    model, bn = make()
    set_values(bn, "running_mean", TWO)
    set_values(bn, "gamma", [0.0, 1.0, 0.0, 1.0])
    (found,) = bn_lib.doctor(model)
    assert (found.check, "2 of 4 channels" in found.seen) == ("dead channels", True)
    set_values(bn, "gamma", [0.0] * 4)
    assert told(model) == ["dead channels"]


@pytest.mark.parametrize(
    "make", [lambda: ours(eps=0.0), lambda: pytorch(eps=0.0), lambda: of_keras(epsilon=0.0)], ids=MAKE
)
def test_eps_of_zero(make):
    assert told(make()[0]) == ["eps"]


# Residual networks, where what is defined next is not what comes next


class Block(nn.Module):
    """Layers are defined in another order than they are used in; a ReLU and the sum are no modules."""

    def __init__(self, inside, out, dropout=False, bias=False):
        super().__init__()
        self.conv1, self.conv2 = (
            nn.Conv2d(inside, out, 3, padding=1, bias=False),
            nn.Conv2d(out, out, 3, padding=1, bias=bias),
        )
        self.bn1, self.bn2 = nn.BatchNorm2d(out), nn.BatchNorm2d(out)
        nn.init.zeros_(self.bn2.weight)
        self.shortcut = nn.Sequential(nn.Conv2d(inside, out, 1, bias=False), nn.BatchNorm2d(out))
        self.dropout = dropout

    def forward(self, x):
        self.seen = x.shape
        y = nn.functional.relu(self.bn1(self.conv1(x)))
        if self.dropout:
            y = nn.functional.dropout(y, 0.3, self.training)
        return nn.functional.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2)
        self.blocks = nn.Sequential(Block(2, 2), Block(2, 4, **options))
        self.drop, self.dense = nn.Dropout(), nn.Linear(4, 10)

    def forward(self, x):
        x = self.blocks(nn.functional.relu(self.bn(self.conv(x)))).mean((2, 3))
        return self.dense(self.drop(x))


def test_a_resnet_of_pytorch():
    model = ResNet()
    keys = set(vars(model.blocks[0]))
    generator = torch.get_rng_state()
    assert told(model, torch.optim.SGD(model.parameters(), lr=0.1), 16) == []  # gamma 0 at the end of a branch is meant
    assert set(vars(model.blocks[0])) == keys  # what `forward` left there is gone
    assert torch.equal(torch.get_rng_state(), generator)
    (found,) = bn_lib.doctor(ResNet(dropout=True))
    assert (found.check, found.layers) == ("after dropout", ("blocks.1.bn2",))
    (found,) = bn_lib.doctor(ResNet(bias=True))
    assert (found.check, found.layers) == ("bias", ("blocks.1.bn2",))


def test_a_model_that_cannot_be_traced_is_looked_at_all_the_same():
    class Dynamic(ResNet):
        def forward(self, x):
            return super().forward(x if x.sum() > 0 else -x)

    (found,) = bn_lib.doctor(Dynamic(bias=True))  # its blocks can be traced
    assert (found.check, found.layers) == ("bias", ("blocks.1.bn2",))
    model = Dynamic()
    model.conv = nn.Conv2d(1, 2, 3)
    assert told(model) == []
    model.blocks[0].shortcut[0] = nn.Conv2d(2, 2, 1)
    assert told(model) == ["bias"]  # inside a Sequential the order is known
    model = ResNet()
    model.unused = nn.BatchNorm1d(2, momentum=0.99)
    assert told(model) == ["momentum"]


def resnet_of_keras(bias=False, zero=True):
    x = keras.Input((8, 8, 1))
    y = K.Conv2D(2, 3, padding="same", use_bias=bias, name="conv")(x)
    side = K.Conv2D(2, 1, use_bias=False)(x)
    y = K.BatchNormalization(gamma_initializer="zeros" if zero else "ones", name="bn")(y)
    y = K.Add()([y, K.BatchNormalization()(side)])
    y = K.GlobalAveragePooling2D()(K.ReLU()(y))
    return keras.Model(x, K.Dense(10)(K.Dropout(0.5)(y)))


def test_a_resnet_of_keras():
    model = resnet_of_keras()
    model.compile("sgd", "mse")
    assert told(model, batch_size=16) == []
    (found,) = bn_lib.doctor(resnet_of_keras(bias=True))
    assert (found.check, found.layers) == ("bias", ("bn",))
    x = rng().normal(size=(8, 8, 8, 1))
    model.fit(x, rng().normal(size=(8, 10)), verbose=0)
    model.predict(x, verbose=0)
    assert told(model) == []


def test_a_resnet_of_ours():
    def conv(**options):
        return bn_lib.Conv2d(2, 2, 3, padding=1, rng=rng(), **options)

    last = bn_lib.BatchNorm(2)
    block = bn_lib.Residual(conv(bias=False), bn_lib.BatchNorm(2), bn_lib.ReLU(), conv(bias=False), last)
    model = bn_lib.Sequential(block, bn_lib.ReLU(), bn_lib.Flatten(), bn_lib.Dense(32, 10, rng=rng()))
    last.gamma = np.zeros(2)
    assert told(model, bn_lib.SGD(model, 0.1), 16) == []
    (found,) = bn_lib.doctor(bn_lib.Sequential(block, conv(), bn_lib.BatchNorm(2)))
    assert (found.check, found.layers) == ("bias", ("2",))


def test_the_statistics_of_each_domain_are_looked_at():
    layer = bn_lib.DomainBatchNorm(3, 2)
    layer.forward(np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([1, 1]))
    (found,) = bn_lib.doctor(bn_lib.Sequential(layer).eval())
    assert (found.check, found.layers) == ("never updated", ("0.0", "0.2"))


# What it is made of


def test_equal_findings_are_joined_and_read_as_sentences():
    model = nn.Sequential(*(nn.BatchNorm1d(3, momentum=0.9) for _ in range(5)))
    (found,) = findings = bn_lib.doctor(model)
    assert found.layers == ("0", "1", "2", "3", "4")
    assert str(found).startswith("0, 1, 2 and 2 more: momentum is 0.9, so a batch makes up 90 %")
    assert "5 layers of Batch Normalization" in repr(findings)
    assert str(found) in repr(findings)


def test_nothing_found_is_false_and_does_not_say_that_all_is_well():
    findings = bn_lib.doctor(pytorch()[0])
    assert not findings
    assert "1 layer of Batch Normalization" in repr(findings)
    assert "does not mean that all is well" in repr(findings)
    assert "0 layers" in repr(bn_lib.doctor(nn.Linear(2, 2)))


def test_what_is_not_known_yet_is_left_out():
    assert told(nn.Sequential(nn.LazyLinear(4, bias=False), nn.LazyBatchNorm1d())) == []
    assert told(keras.Sequential([K.Dense(4, use_bias=False), K.BatchNormalization()])) == []
    assert told(nn.BatchNorm1d(3, device="meta")) == []
    assert told(nn.BatchNorm1d(3, track_running_stats=False, momentum=0.99)) == []
    assert told(bn_lib.BatchNorm(3, track_running_stats=False, affine=False)) == []


def test_subclassed_models_of_keras_are_looked_at():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.bn = K.BatchNormalization(momentum=0.1, name="inside")

        def call(self, x):
            return self.bn(x)

    (found,) = bn_lib.doctor(Net())
    assert (found.check, found.layers) == ("momentum", ("inside",))


@pytest.mark.parametrize("make", [ours, pytorch])
def test_it_changes_nothing(make):
    model, _ = make(bias=True)
    before = copy.deepcopy(model.state_dict())
    bn_lib.doctor(model)
    assert all(np.array_equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("bad", [None, 3, nn.Module, "model"])
def test_what_is_no_model_is_refused(bad):
    with pytest.raises(TypeError, match="expected one of PyTorch, of Keras or a Layer"):
        bn_lib.doctor(bad)


@every
def test_the_optimizer_is_one_of_that_model(make):
    model, _ = make()
    others = {
        ours: bn_lib.SGD(ours()[0], 0.1),
        pytorch: torch.optim.SGD(pytorch()[0].parameters(), lr=0.1),
        of_keras: keras.optimizers.SGD(),
    }
    others[of_keras].build(of_keras()[0].trainable_variables)
    for framework, optimizer in others.items():
        with pytest.raises(ValueError if framework is make else TypeError, match="optimizer"):
            bn_lib.doctor(model, optimizer)


def test_a_batch_size_is_a_whole_number():
    with pytest.raises(ValueError, match="batch_size is 0"):
        bn_lib.doctor(pytorch()[0], batch_size=0)
