"""Shows where a network does not know: twenty networks agree near the data and part elsewhere."""

from concurrent.futures import ThreadPoolExecutor

import matplotlib.pyplot as plt
import numpy as np

import fastmlp

rng = np.random.default_rng(0)
x = np.concatenate([rng.uniform(-3, -0.5, 60), rng.uniform(1, 2.5, 40)])[:, np.newaxis]
y = np.sin(2 * x[:, 0]) + rng.normal(scale=0.1, size=100)
line = np.linspace(-4, 4, 300)[:, np.newaxis]


def answers(seed):
    """Train one network and return its answers along the line."""
    net = fastmlp.Network([1, 32, 32, 1], hidden="tanh", output="identity", seed=seed)
    net.fit(x, y, epochs=400, optimizer="adam", learning_rate=0.01)
    return net.predict(line)


with fastmlp.threads(1), ThreadPoolExecutor() as pool:  # one thread for each network
    all_answers = np.array(list(pool.map(answers, range(20))))

figure, ax = plt.subplots(layout="constrained")
ax.plot(line, all_answers.T, color="C0", alpha=0.25, linewidth=1)
ax.plot(line, all_answers.mean(axis=0), color="C0", linewidth=2.5, label="mean of 20 networks")
ax.plot(x, y, ".", color="C1", label="training rows")
ax.set(xlabel="x", ylabel="y", ylim=(-2.5, 2.5))
ax.legend(loc="upper left")
plt.savefig("ensemble.png")
