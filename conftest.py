"""How `pytest --nbval` compares notebooks, and what it prints about them."""

from collections import Counter


def pytest_collectstart(collector):
    # TensorFlow logs to stderr in some places and not in others: nothing to compare.
    if collector.path.suffix == ".ipynb":
        collector.skip_compare += ("stderr",)


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
