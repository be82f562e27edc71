"""How a query becomes text: the published prompt protocols as data, and the code that renders any of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from motacli.contracts import Prompt, Query
from motacli.errors import UnknownNameError

CAPTION = "{caption}"
DEFAULT_PROTOCOL = "searle"


@dataclass(frozen=True, slots=True)
class PromptProtocol:
    """A template around ``slot`` (the pseudo-words) and ``{caption}``, and how a pair of captions becomes one.

    ``strip`` lists the characters taken off both ends of each caption of a pair before ``joiner`` joins them; a single
    caption is used exactly as annotated. ``orders`` lists the orders in which a pair is read: one prompt per order.
    """

    name: str
    template: str
    slot: str
    strip: str
    orders: tuple[tuple[int, int], ...]
    source: str
    joiner: str = " and "

    def captions(self, captions: Sequence[str]) -> tuple[str, ...]:
        """The texts that a query's captions stand for, one per prompt."""
        if len(captions) == 1:
            return (captions[0],)
        stripped = [caption.strip(self.strip) if self.strip else caption for caption in captions]
        return tuple(self.joiner.join(stripped[index] for index in order) for order in self.orders)

    def render(self, captions: Sequence[str]) -> tuple[Prompt, ...]:
        """The prompts of a query with these captions."""
        # The template is cut before the caption is put in, so a slot sign or brace inside a caption stays text.
        prefix, _, rest = self.template.partition(self.slot)
        before, _, after = rest.partition(CAPTION)
        return tuple(Prompt(prefix, before + caption + after) for caption in self.captions(captions))


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        PromptProtocol(
            name="searle",
            template="a photo of $ that {caption}",
            slot="$",
            strip=".?, ",
            orders=((0, 1), (1, 0)),
            source="SEARLE (Baldrati et al., ICCV 2023), also the evaluation of LinCIR and RTD",
        ),
        PromptProtocol(
            name="pic2word",
            template="a photo of * , {caption}",
            slot="*",
            strip="",
            orders=((1, 0),),
            source="Pic2Word (Saito et al., CVPR 2023)",
        ),
    )
}


def find_protocol(name: str) -> PromptProtocol:
    """The protocol of that name."""
    if name not in PROTOCOLS:
        raise UnknownNameError("prompt protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


def find_choice(kind: str, name: str, known: Sequence[str]) -> str:
    """``name`` if it is one of ``known``, such as a benchmark's splits."""
    if name not in known:
        raise UnknownNameError(kind, name, known)
    return name


class ProtocolPrompts:
    """The two text methods of a `Benchmark` whose captions follow a named protocol."""

    def prompts(self, query: Query, protocol: str = DEFAULT_PROTOCOL) -> tuple[Prompt, ...]:
        """The prompts of a query; several are encoded, normalised and averaged."""
        return find_protocol(protocol).render(query.captions)

    def text(self, query: Query, protocol: str = DEFAULT_PROTOCOL) -> str:
        """The relative caption alone, for the text-only baseline; a pair is read in the protocol's first order."""
        return find_protocol(protocol).captions(query.captions)[0]
