"""The words for edits, a bank for each split.

``pretrain`` is what the tiny CLIP reads in its captions, ``val`` and ``test`` belong to the mini benchmarks; the rule
generator has a fourth set (``motacli/triplets/rules.toml``). No two banks share a phrase.
"""

PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    "pretrain": {
        "colour": (
            "is now {colour}", "turned {colour}", "but in {colour}", "becomes {colour} instead of {old_colour}",
            "has the colour {colour} now", "with the same look but {colour}", "and make that {colour}",
            "someone wants to come in {colour}",
        ),
        "shape": (
            "is now {a_shape}", "turned into {a_shape}", "but as {a_shape}", "changed from {an_old_shape} to {a_shape}",
            "took the shape of {a_shape} in this place", "one would swap and replace by {a_shape}",
        ),
        "texture": (
            "is now {texture}", "but {with_texture}", "was made to look {texture}", "appears {texture} in this version",
            "one would like to make {texture}",
        ),
        "size": (
            "is now {size}", "but {comparative}", "was made {comparative}", "of a {size} size", "looks {comparative}",
        ),
        "position": (
            "is now {position}", "but {position}", "was put {position}", "and move it so that it sits {position}",
            "should be seen {position} instead", "has its place {position}", "moved and placed to sit {position}",
        ),
        "background": (
            "is now on a {background} background", "but on {background}", "now has {background} behind it",
            "got a {background} backdrop", "and change the backdrop to {background}",
        ),
        "pattern": (
            "now has a {pattern} background", "but on a {pattern} background", "and make the backdrop {pattern}",
        ),
        "style": (
            "is now {style}", "but as {style}", "was turned into {style}", "is shown in the form of {style} now",
            "one would turn into {style}",
        ),
        "addition": (
            "is now with {second} next to it", "but with {second} added", "and also {second}",
            "and there is {second} as well", "comes together with {second} now", "and add {second} too",
            "got {second} put beside it",
        ),
        "removal": (
            "is now without the {old_second}", "but no {old_second}", "lost the {old_second} and is alone",
            "and remove the {old_second}", "and take away the {old_second}", "has the {old_second} gone",
        ),
        "count": (
            "is now {count} of them", "but {count} {shapes}", "shows {count} of these in all",
            "and there are {count} now", "has the number {count}",
        ),
        "second": (
            "now has {second} instead of the {old_second}", "but {second} and not the {old_second}",
            "had the {old_second} swapped and has {second} now", "got the {old_second} replaced by {second}",
            "would have {second} for the {old_second}",
        ),
        "negation": (
            "is not {old_colour} any more but {colour}", "isn't {old_colour} now, it should be {colour}",
            "was {old_colour} and no longer is but {colour}", "is {colour} with no {old_colour}",
        ),
    },
    "val": {
        "colour": ("is made {colour}", "comes in {colour} instead", "the colour should be {colour}"),
        "shape": ("becomes {a_shape}", "the shape should be {a_shape}", "was swapped for {a_shape}"),
        "texture": ("in a {texture} version", "is made {texture}", "the {old_shape} comes {with_texture}"),
        "size": ("has a {size} size", "is seen {comparative}"),
        "position": ("is shown {position}", "now sits {position}"),
        "background": ("the background is {background}", "with a {background} backdrop instead"),
        "pattern": ("is against a {pattern} background", "got a {pattern} backdrop"),
        "style": ("in the form of {style}", "make this {style}"),
        "addition": ("and there is {second} too", "got {second} as well"),
        "removal": ("is alone, without the {old_second}", "the {old_second} is gone"),
        "count": ("has {count} {shapes} in all", "make that {count} {shapes}"),
        "second": ("the {old_second} becomes {second}", "got {second}, not the {old_second}"),
        "negation": ("is {colour}, not {old_colour}", "was {old_colour} and is made {colour}"),
    },
    "test": {
        "colour": (
            "is {colour}", "should be {colour} now", "change it to a {colour} one",
            "the {old_shape} should be {colour}",
        ),
        "shape": ("is {a_shape}", "swap the {old_shape} for {a_shape}", "has {a_shape} in its place"),
        "texture": (
            "is {texture}", "comes {with_texture}", "should look {texture}", "{with_texture} on the {old_shape}",
        ),
        "size": ("should be {size}", "is {comparative} now", "the {old_shape} looks {comparative}"),
        "position": ("is {position}", "should sit {position}", "has moved and is {position}"),
        "background": ("is on a {background} background instead", "make the background {background}"),
        "pattern": ("the background is {pattern}", "should have a {pattern} background"),
        "style": ("appears as {style}", "should be {style} instead", "turn this into {style}"),
        "addition": ("is together with {second}", "put {second} next to it", "also has {second}"),
        "removal": ("take the {old_second} away", "no longer has the {old_second}"),
        "count": ("shows {count} {shapes}", "should be {count} of them"),
        "second": ("has {second} in place of the {old_second}", "swap the {old_second} for {second}"),
        "negation": ("is no longer {old_colour}, it is {colour}", "isn't {old_colour} any more but {colour}"),
    },
}  # fmt: skip

WITH_FACTS: dict[str, tuple[str, ...]] = {
    "val": ("{edit} and it is {facts}", "{edit}, seen {facts}"),
    "test": ("{edit} and is {facts}", "{edit}, {facts}"),
}
"""Wordier relative captions that also say what the target's context is."""

WITH_SUBJECT: dict[str, tuple[str, ...]] = {
    "val": ("the {subject} {edit}", "this {subject} {edit}"),
    "test": ("same {subject}, {edit}", "a {subject} that {edit}"),
}
"""Wordier relative captions that also say what stays."""
