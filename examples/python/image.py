"""Learns a picture: two coordinates in, a brightness out, and then at any resolution."""

import matplotlib.pyplot as plt
import numpy as np

import fastmlp


def coordinates(pixels):
    """Return the places of the pixels as sines of several frequencies, (pixels ** 2, 20)."""
    line = np.linspace(-1, 1, pixels)
    place = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    waves = np.pi * place[:, :, np.newaxis] * [0.5, 1, 2, 3, 4]
    return np.concatenate([np.sin(waves), np.cos(waves)], axis=2).reshape(len(place), -1)


def picture(pixels):
    """Return the original: rings, and a bright disc in front of them."""
    line = np.linspace(-1, 1, pixels)
    x, y = np.meshgrid(line, line)
    rings = 0.5 + 0.5 * np.cos(16 * np.hypot(x + 0.3, y + 0.2))
    return np.where(np.hypot(x - 0.4, y - 0.4) < 0.35, 1.0, rings)


small = picture(48)
net = fastmlp.Network([20, 128, 128, 1], output="identity", seed=0)
net.fit(coordinates(48), small.ravel(), epochs=200, batch_size=64, optimizer="adam")
large = net.predict(coordinates(192)).reshape(192, 192)

figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.8), layout="constrained")
titles = "48 x 48 pixels to learn from", "the network at 192 x 192"
for ax, image, title in zip(axes, (small, large), titles, strict=True):
    ax.imshow(image, cmap="gray", vmin=0, vmax=1)
    ax.set_title(title)
    ax.axis("off")
plt.savefig("image.png")
