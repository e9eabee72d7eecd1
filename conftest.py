"""What `pytest --nbval notebooks/` compares, for every notebook."""


def pytest_collectstart(collector):
    # TensorFlow logs to stderr in some places and not in others: nothing to compare.
    if collector.fspath and collector.fspath.ext == ".ipynb":
        collector.skip_compare += ("stderr",)
