"""Learns the motion of a pendulum from single steps, and then follows it for twenty seconds."""

import matplotlib.pyplot as plt
import numpy as np

import fastmlp


def step(state, seconds=0.1):
    """Move pendulums on: state is (m, 2), the angle and its speed."""
    angle, speed = state.T
    for _ in range(100):
        speed = speed - seconds / 100 * (9.81 * np.sin(angle) + 0.1 * speed)
        angle = angle + seconds / 100 * speed
    return np.column_stack([angle, speed])


rng = np.random.default_rng(0)
now = rng.uniform([-3, -7], [3, 7], size=(5000, 2))
net = fastmlp.Network([2, 64, 64, 2], hidden="tanh", output="identity", seed=0)
net.fit(
    now,
    step(now) - now,  # the change is easier to learn than the next state
    epochs=100,
    optimizer="adam",
    learning_rate=0.005,
    schedule=fastmlp.schedules.Cosine(100),
    standardize=True,
)

true = learned = np.array([[2.5, 0.0]])
angles = [(2.5, 2.5)]
for _ in range(200):
    true, learned = step(true), learned + net.forward(learned)
    angles.append((true[0, 0], learned[0, 0]))

figure, ax = plt.subplots(figsize=(7.6, 3.4), layout="constrained")
time = 0.1 * np.arange(201)
physics, network = np.transpose(angles)
ax.plot(time, physics, label="physics")
ax.plot(time, network, "--", label="network")
ax.set(xlabel="time (s)", ylabel="angle (rad)")
ax.legend()
plt.savefig("pendulum.png")
