"""How long `import vae_keras` takes, and how much of that is Keras.

    python benchmarks/imports.py

For each Keras backend that is installed: fresh processes in turns, the medians of their seconds.
"""

import itertools
import json
import statistics
import sys
import time

import processes

ROUNDS = 7


def seconds(module):
    start = time.perf_counter()
    __import__(module)
    return time.perf_counter() - start


def main():
    if len(sys.argv) > 1:
        print(json.dumps(seconds(sys.argv[1])))
        return
    print(f"{'backend':<12}{'keras':>10}{'vae_keras':>12}{'more':>10}")
    for backend in processes.BACKENDS:
        times = {"keras": [], "vae_keras": []}
        for turn, module in itertools.product(range(ROUNDS + 1), times):
            value, reason = processes.measure(__file__, backend, module)
            if reason:
                break
            if turn:  # the first fills the disk's cache
                times[module].append(value)
        if reason:
            print(f"{backend:<12} not measured: {reason}")
            continue
        alone, ours = map(statistics.median, times.values())
        print(f"{backend:<12}{alone:>8.2f} s{ours:>10.2f} s{1e3 * (ours - alone):>7.0f} ms")


if __name__ == "__main__":
    main()
