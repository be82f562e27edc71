"""The plugin: one hook. The network is in a module of its own, so that ``mota --help`` does not import torch."""

from motacli import Register, hookimpl


@hookimpl
def register_inversions(register: Register) -> None:
    """Offer ``fine-words``."""
    summary = "a subject and three attributes per image, after FTI4CIR"
    register("fine-words", "mota_example_inversion.network:FineWords", summary=summary)
