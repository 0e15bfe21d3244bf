"""Watches a network learn: a callback draws the decision boundary after some epochs."""

import matplotlib.pyplot as plt
import numpy as np

import fastmlp

rng = np.random.default_rng(0)
angle = rng.uniform(0, np.pi, 300)
y = np.arange(300) % 2
X = np.column_stack([np.cos(angle) + y, np.where(y == 1, 0.4 - np.sin(angle), np.sin(angle))])
X += rng.normal(scale=0.15, size=X.shape)

figure, axes = plt.subplots(1, 4, figsize=(10, 2.6), layout="constrained")
shown = dict(zip((1, 5, 20, 200), axes, strict=True))


def draw(network, epoch, logs):
    """Draw the network after this epoch, if it is one of those shown."""
    if ax := shown.get(epoch + 1):
        fastmlp.plot.decision_boundary(network, X, y, ax, names=("", ""))
        ax.set_title(f"epoch {epoch + 1}, loss {logs['loss']:.2f}", fontsize=10)
        ax.get_legend().remove()


net = fastmlp.Network([2, 32, 32, 1], seed=0)
net.fit(X, y, epochs=200, optimizer="adam", learning_rate=0.005, callbacks=[draw])
plt.savefig("moons.png")
