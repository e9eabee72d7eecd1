"""Training loops written by hand, with no Keras in the step: what `steps.py` measures against."""
