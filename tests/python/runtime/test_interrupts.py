"""Ctrl-C stops long operations of `fastmlp.ops`, conversions, and calls that wait for others."""

import os
import signal
import subprocess
import sys
import time

import pytest

PATIENCE = 20  # seconds after which a child is taken to hang

# Calls that take many seconds. Their operands repeat one element, so that they take no memory.
WAIT = "network.step(rows[:2], [0, 1], 0.1)"  # for another thread's call, which reads the network
CALLS = {
    "matmul": "ops.matmul(repeated(8_000, 40_000), repeated(40_000, 8_000))",
    "sigmoid": "ops.sigmoid(repeated(10_000, 15_000))",
    "binary_cross_entropy": "ops.binary_cross_entropy(repeated(100_000, 100_000), "
    "repeated(100_000, 100_000))",
    "the conversion of a dtype": "ops.sigmoid(repeated(500_000_000, dtype='>f4'))",
    "backward": "network.backward(rows, rows[:, 0])",
    "jacobian": "network.jacobian(rows)",
    "a batch of many rows with a loss of the user": "network.train_epoch(rows, rows, "
    "np.arange(2**21), batch_size=2**21, optimizer=SGD(), loss=lambda Y, y: (0.0, Y))",
    "a wait for a reader": WAIT,
}
CHILD = """
import threading, time
import numpy as np
from fastmlp import SGD, Network, ops
def repeated(*shape, dtype="f4"):
    return np.broadcast_to(np.array(0.5, dtype), shape)
network, rows = Network([20, 128, 128, 1]), repeated(2**21, 20)
if {waits}:
    threading.Thread(target=network.forward, args=(rows,), daemon=True).start()
    time.sleep(0.5)  # until it reads
print("ready", flush=True)
try:
    {call}
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for a child here")
@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_stops_an_operation_within_a_second(call):
    with subprocess.Popen(
        [sys.executable, "-c", CHILD.format(call=CALLS[call], waits=CALLS[call] == WAIT)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"FASTMLP_ISA": "scalar", "OMP_NUM_THREADS": "1"},
    ) as child:
        try:
            assert child.stdout.readline() == "ready\n"
            time.sleep(0.3)
            sent = time.monotonic()
            child.send_signal(signal.SIGINT)
            printed, _ = child.communicate(timeout=PATIENCE)
            went_on = time.monotonic() - sent
        finally:
            child.kill()
    assert printed == "interrupted\n"
    assert went_on < 1.5, "a second, and the end of the process"
