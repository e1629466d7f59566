"""PyTorch's twins of the networks; their parameters come in the order of ours."""

from __future__ import annotations

from typing import Any


def described(layers: tuple[tuple[Any, ...], ...], torch: Any) -> Any:
    """The network of a description."""
    nn = torch.nn

    class Residual(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, *body: Any) -> None:
            super().__init__()
            self.body = sequential(body)

        def forward(self, x: Any) -> Any:
            return self.body(x) + x

    kinds = {"linear": nn.Linear, "relu": nn.ReLU, "tanh": nn.Tanh, "layer_norm": nn.LayerNorm, "residual": Residual}

    def sequential(layers: Any) -> Any:
        return nn.Sequential(*(kinds[kind](*sizes) for kind, *sizes in layers))

    return sequential(layers)


def lenet5(torch: Any) -> Any:
    """LeNet-5 for 28x28 images with today's activation and pooling. LeCun et al. 1998, section II.B."""
    nn = torch.nn
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def resnet20(torch: Any, blocks: int = 3) -> Any:
    """ResNet-20 for small images with shortcuts without parameters. He et al. 2016, section 4.2."""
    return _resnet(torch, stem=(3, 1, 1), pool=False, widths=(16, 32, 64), blocks=blocks, outputs=10, projection=False)


def resnet8(torch: Any) -> Any:
    """The smallest net of that kind."""
    return resnet20(torch, blocks=1)


def resnet18(torch: Any) -> Any:
    """ResNet-18 with projections where shapes change. He et al. 2016, table 1."""
    return _resnet(torch, stem=(7, 2, 3), pool=True, widths=(64, 128, 256, 512), blocks=2, outputs=1000, projection=True)


def _resnet(
    torch: Any, stem: tuple[int, int, int], pool: bool, widths: tuple[int, ...], blocks: int, outputs: int, projection: bool
) -> Any:
    nn, F = torch.nn, torch.nn.functional

    def conv(inputs: int, channels: int, size: int, stride: int, padding: int) -> Any:
        return nn.Conv2d(inputs, channels, size, stride, padding, bias=False)

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, inputs: int, channels: int, stride: int) -> None:
            super().__init__()
            self.conv1, self.bn1 = conv(inputs, channels, 3, stride, 1), nn.BatchNorm2d(channels)
            self.conv2, self.bn2 = conv(channels, channels, 3, 1, 1), nn.BatchNorm2d(channels)
            self.stride, self.more = stride, channels - inputs
            self.downsample = None
            if projection and (stride > 1 or self.more):
                self.downsample = nn.Sequential(conv(inputs, channels, 1, stride, 0), nn.BatchNorm2d(channels))

        def forward(self, x: Any) -> Any:
            y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
            if self.downsample is not None:
                x = self.downsample(x)
            elif self.more or self.stride > 1:
                x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
            return F.relu(x + y)

    layers: list[Any] = [conv(3, widths[0], *stem), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    if pool:
        layers.append(nn.MaxPool2d(3, 2, 1))
    inputs = widths[0]
    for stage, channels in enumerate(widths):
        for block in range(blocks):
            layers.append(Block(inputs, channels, 2 if stage and not block else 1))
            inputs = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, outputs))
