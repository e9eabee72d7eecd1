"""How `pytest --nbval` shares cores and compares notebooks, and what it prints about them."""

import os
from collections import Counter


def pytest_configure(config):
    # With `-n 2` each process, and each kernel that it starts, keeps to its share of the cores.
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    if workers > 1:
        threads = str(max(1, os.cpu_count() // workers))
        for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(name, threads)


def pytest_collectstart(collector):
    # TensorFlow logs to stderr in some places and not in others: nothing to compare. A claim
    # has its verdict as plain text, and as Markdown the number, which moves with the machine.
    if collector.path.suffix == ".ipynb":
        collector.skip_compare += ("stderr", "text/markdown")


def pytest_terminal_summary(terminalreporter):
    seconds = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            path = getattr(report, "nodeid", "").split("::")[0]
            if path.endswith(".ipynb"):
                seconds[path] += getattr(report, "duration", 0.0)
    if seconds:
        terminalreporter.section("notebook run times")
        for path, total in sorted(seconds.items()):
            terminalreporter.write_line(f"{path}: {total:.0f} s")
        terminalreporter.write_line(f"together: {seconds.total():.0f} s")
