"""Draws a map of handwritten digits: an autoencoder presses 64 pixels through two numbers."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import fastmlp

X, y = load_digits(return_X_y=True)
X = X / 16

layers = [64, 128, 32, 2, 32, 128, 64]
hidden = ["gelu", "gelu", "tanh", "gelu", "gelu"]  # tanh: both numbers are between -1 and 1
net = fastmlp.Network(layers, hidden=hidden, output="sigmoid", seed=1)
net.fit(X, X, epochs=200, optimizer="adam", schedule=fastmlp.schedules.Cosine(200))

# The first half of the network, with the identity matrix as its last layer, gives the two numbers.
encoder = fastmlp.Network([*layers[:4], 2], hidden=hidden[:3], output="identity")
for mine, trained in zip(encoder.weights[:3] + encoder.biases[:3],
                         net.weights[:3] + net.biases[:3], strict=True):  # fmt: skip
    mine[...] = trained
encoder.weights[3][...] = np.eye(2)
place = encoder.forward(X)

figure, ax = plt.subplots(figsize=(6.4, 5.2), layout="constrained")
dots = ax.scatter(*place.T, c=y, cmap="tab10", vmin=-0.5, vmax=9.5, s=14)
figure.colorbar(dots, ticks=range(10), label="digit")
ax.set(xlabel="first number", ylabel="second number")
plt.savefig("digits_map.png")
