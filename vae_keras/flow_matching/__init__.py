"""Flow matching: the distribution of codes, learned as a flow from noise to them."""

from vae_keras.flow_matching.model import FlowMatching

__all__ = ["FlowMatching"]
