"""Backpropagation in four steps, by hand, and the same from the tape.

For a network a_l = sigma(z_l), z_l = a_(l-1) W_l^T + b_l with the loss L = mean (a_n - y)^2 and delta_l = dL/dz_l:

1. the error at the output:       delta_n = dL/da_n * sigma'(z_n)
2. backward through the layers:   delta_l = (delta_(l+1) W_(l+1)) * sigma'(z_l)
3. chain rule for the parameters: dL/dW_l = delta_l^T a_(l-1),  dL/db_l = the sum of delta_l over the examples
4. gradient descent:              W_l = W_l - lr dL/dW_l,  b_l = b_l - lr dL/db_l

`loss.backward()` and `optimizer.step()` do exactly this, for any network.
"""

import numpy as np
from _show import start, table

import fastnn
from fastnn import models, nn, optim
from fastnn.nn import functional as F

LR = 5.0


def sigma(z):
    return 1 / (1 + np.exp(-z))


def by_hand(weights, biases, x, y):
    """One step of gradient descent in NumPy. Returns the loss, the gradients, and the new parameters."""
    a = [x]  # a[0] is the input, a[l] what layer l gives
    for w, b in zip(weights, biases, strict=True):
        a.append(sigma(a[-1] @ w.T + b))
    loss = np.mean((a[-1] - y) ** 2)
    slope = [out * (1 - out) for out in a[1:]]  # sigma'(z) = sigma(z) (1 - sigma(z))

    delta = [2 * (a[-1] - y) / y.size * slope[-1]]  # 1
    for w, s in zip(weights[:0:-1], slope[-2::-1], strict=True):
        delta.insert(0, (delta[0] @ w) * s)  # 2
    dweights = [d.T @ before for d, before in zip(delta, a[:-1], strict=True)]  # 3
    dbiases = [d.sum(0) for d in delta]
    new = [p - LR * dp for p, dp in zip(weights + biases, dweights + dbiases, strict=True)]  # 4
    return loss, dweights, dbiases, new


def main(quick=False):
    """Backpropagation in four steps, by hand, and the same from the tape."""
    fastnn.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (32, 2))
    y = (x[:, :1] * x[:, 1:] > 0).astype(np.float64)  # whether both have the same sign
    model = nn.Sequential(*models.mlp(2, [8, 8], 1, activation="sigmoid", dtype="float64"), nn.Sigmoid())
    layers = [layer for layer in model if isinstance(layer, nn.Linear)]
    optimizer = optim.SGD(model.parameters(), lr=LR)

    losses, gaps = [], {"loss": 0.0, "dW": 0.0, "db": 0.0, "new parameters": 0.0}
    for _ in range(50 if quick else 1000):
        weights, biases = [layer.weight.numpy().copy() for layer in layers], [layer.bias.numpy().copy() for layer in layers]
        hand, dweights, dbiases, new = by_hand(weights, biases, x, y)

        loss = F.mse_loss(model(x), y)  # the forward pass
        optimizer.zero_grad()
        loss.backward()  # steps 1 to 3
        optimizer.step()  # step 4

        pairs = {
            "loss": [(hand, loss.item())],
            "dW": [(dw, layer.weight.grad.numpy()) for dw, layer in zip(dweights, layers, strict=True)],
            "db": [(db, layer.bias.grad.numpy()) for db, layer in zip(dbiases, layers, strict=True)],
            "new parameters": list(zip(new, [m.weight.numpy() for m in layers] + [m.bias.numpy() for m in layers], strict=True)),
        }
        for name, compared in pairs.items():
            gaps[name] = max(gaps[name], *[float(np.abs(one - other).max()) for one, other in compared])
        losses.append(hand)
    table(("by hand against the tape", f"largest difference in {len(losses)} steps"), *gaps.items())
    print(f"\nloss {losses[0]:.4f} before the first step, {losses[-1]:.4f} before the last")
    return {"gaps": gaps, "losses": losses}


def draw(figure, numbers):
    axes = figure.subplots()
    axes.plot(numbers["losses"])
    axes.set(xlabel="step", ylabel="loss", title="gradient descent by hand")


if __name__ == "__main__":
    start(main, draw)
