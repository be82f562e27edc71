"""Changes where the picture is set and what is behind its things."""

from __future__ import annotations

from random import Random

from motacli.triplets.editing.caption import Caption
from motacli.triplets.editing.edit import Edit, Tail
from motacli.triplets.editing.phrases import NounPhrase
from motacli.triplets.editing.splices import Splice
from motacli.triplets.editing.vocabulary import Vocabulary

KIND = "background"
ALIKE = {
    "nature": ("nature",),
    "urban": ("urban",),
    "room": ("room",),
    "tabletop": ("tabletop",),
    "floor": ("floor",),
    "road": ("road",),
    "backdrop": ("backdrop",),
}
"""The scenes that can stand in place of those that are found in a caption."""
MANY_WORDS = 16
TOWARDS = ("to", "into", "onto", "toward", "towards", "from", "for", "out", "down", "up")
BEHIND = ("background", "backdrop", "behind", "foreground")
TRANSPORT = frozenset(("road_vehicle", "cycle", "train", "boat", "aircraft"))
WILD = ("land_word", "water", "height")
AFLOAT = frozenset(("sky", "sea_animal", "aircraft", "spacecraft"))
FLAT = frozenset(("graphic", "text", "part", "abstract", "measure", "unknown"))


def edits(caption: Caption, words: Vocabulary, rng: Random) -> list[Edit]:
    """Other scenes, and things behind."""
    return [
        edit
        for edit in (_other_scene(caption, words, rng) or _new_scene(caption, words, rng), _behind(caption, words, rng))
        if edit
    ]


def _other_scene(caption: Caption, words: Vocabulary, rng: Random) -> Edit | None:
    scene = caption.scene
    if scene is None or scene.group not in ALIKE or is_bound(caption, words):
        return None
    if caption.main is not None and caption.main.kind in ("landscape", "room", "building", "sky", "structure"):
        return None
    group = scene.group
    if group == "nature" and caption.main is not None and caption.main.kind in TRANSPORT:
        return None
    choices = [c for c in words.scenes["scenes"][group] if not _says_place(caption, c[1])]
    if not choices:
        return None
    phrase, background = rng.choice(choices)
    texts = {"phrase": phrase, "background": background}
    wording = GROUNDS.get(group, "background_new")
    if rng.random() < 0.5 and len(scene.text.split()) <= 5:
        wording = "background_from"
        texts |= {"old_phrase": scene.text.lower(), "old": scene.place.lower()}
    return Edit(KIND, wording, texts, (Splice(scene.start, scene.end, phrase),), touches=SCENE, context=phrase)


GROUNDS = {
    "backdrop": "ground",
    "tabletop": "surface",
    "floor": "surface",
    "windowsill": "surface",
    "ground": "surface",
}
"""Scenes that are not so much behind things as under them, by their wording."""
SCENE = frozenset(("scene", "backdrop"))


def is_bound(caption: Caption, words: Vocabulary) -> bool:
    """Whether what happens belongs to its place."""
    bound = words.lists["bound"]
    return any(
        t.low in words.verbs and words.verbs[t.low].base in bound
        for t in caption.tokens
        if t.tag in ("verb", "ing", "part")
    )


def _says_place(caption: Caption, background: str) -> bool:
    return caption.says(
        [word for word in background.split() if len(word) > 3 and word not in ("full", "white", "wooden")]
    )


def _new_scene(caption: Caption, words: Vocabulary, rng: Random) -> Edit | None:
    main = caption.main
    if (
        main is None
        or caption.placed
        or caption.scene
        or caption.light
        or len(caption.tokens) > MANY_WORDS
        or is_bound(caption, words)
    ):
        return None
    if not _is_anywhere(caption, words) or any(p.kind == "sport_item" for p in caption.phrases):
        return None
    if caption.says((*BEHIND, *TOWARDS, "floating", "underwater", "in the air")) or caption.sentences > 2:
        return None
    groups = [g for g in words.allows(main.noun).get("scenes", ()) if _fits(g, caption)]
    choices = [c for group in groups for c in words.scenes["scenes"][group] if not _says_place(caption, c[1])]
    if not choices:
        return None
    phrase, background = rng.choice(choices)
    group = next(g for g in groups if [phrase, background] in words.scenes["scenes"][g])
    what = "everything" if group in ("tabletop", "floor", "backdrop", "windowsill") else "the scene"
    tail = Tail(phrase, f"{what} is {phrase}.", 4)
    texts = {"phrase": phrase, "background": background}
    wording = GROUNDS.get(group, "background_new")
    return Edit(KIND, wording, texts, tails=(tail,), touches=SCENE, context=phrase)


def _is_anywhere(caption: Caption, words: Vocabulary) -> bool:
    """Whether all that happens could happen anywhere."""
    verbs = [
        t
        for at, t in enumerate(caption.tokens)
        if t.tag in ("verb", "ing", "part") or (t.tag == "unk" and at in caption.finite)
    ]
    inside = {at for p in caption.phrases for at in range(p.first, p.last)}
    known = words.verbs
    verbs = [t for t in verbs if not any(caption.tokens[at] is t for at in inside)]
    return all(t.low in known and known[t.low].base in words.lists["anywhere"] for t in verbs)


def _fits(group: str, caption: Caption) -> bool:
    outdoors = any(
        p.kind in ("landscape", "tree", "building", "road_vehicle", "train", "boat") for p in caption.phrases
    )
    indoors = any(p.kind in ("furniture", "room", "device", "textile") for p in caption.phrases[1:])
    if group in ("tabletop", "floor") and any(t.tag in ("ing", "verb") for t in caption.tokens):
        return False
    if group in ("tabletop", "floor") and any(p.kind in ("furniture", "person", "people") for p in caption.phrases[1:]):
        return False
    if group in ("backdrop", "windowsill", "leafy"):
        return not indoors and not outdoors and len(caption.phrases) <= 3
    if group == "room" or group == "kitchen":
        return not outdoors
    return not indoors


def _behind(caption: Caption, words: Vocabulary, rng: Random) -> Edit | None:
    main = caption.main
    if (
        main is None
        or main.kind in FLAT
        or caption.says(BEHIND)
        or (caption.scene and caption.scene.group == "backdrop")
    ):
        return None
    details = words.scenes["backdrop"]
    outdoors = is_outdoors(caption, words)
    indoors = is_indoors(caption, words)
    if outdoors == indoors or main.kind in AFLOAT or caption.says(words.lists["nothing_behind"]):
        return None
    wild = any(p.kind == "landscape" and p.noun and p.noun.group in WILD for p in caption.phrases)
    choices = [
        d
        for d in details["wild" if wild else "outdoors" if outdoors else "indoors"]
        if not _says_place(caption, d) and not caption.says((d.rstrip("s"),))
    ]
    if not choices:
        return None
    thing = rng.choice(choices)
    verb = "are" if thing.endswith("s") else "is"
    tail = Tail(f"with {thing} in the background", f"there {verb} {thing} in the background.", 3)
    texts = {"background": thing, "is": verb}
    return Edit(
        KIND,
        "backdrop",
        texts,
        tails=(tail,),
        touches=frozenset(("backdrop",)),
        context=f"with {thing} in the background",
    )


def is_outdoors(caption: Caption, words: Vocabulary) -> bool:
    """Whether the caption is set under the sky."""
    kinds = ("landscape", "road_vehicle", "boat", "train", "tree", "building", "aircraft", "cycle")
    return caption.says(words.scenes["outdoors"]["words"]) or any(
        p.kind in kinds and not _is_inside(p, caption) for p in caption.phrases
    )


def is_indoors(caption: Caption, words: Vocabulary) -> bool:
    """Whether the caption is set in a room."""
    return caption.says(words.scenes["indoors"]["words"]) or any(
        p.kind in ("room", "furniture") or _is_inside(p, caption) for p in caption.phrases
    )


def _is_inside(phrase: NounPhrase, caption: Caption) -> bool:
    """Whether things are said to be in a building."""
    return phrase.kind == "building" and caption.low(phrase.first - 1) in ("in", "inside", "through", "at", "within")
