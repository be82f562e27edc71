"""`mota cache`: the source is listed, pictures and captions are encoded, the file is finished."""

from __future__ import annotations

from motacli.planning.situation import Situation
from motacli.planning.sizes import cache_bytes, listing_bytes, parts_bytes, texts_memory, virtual_bytes
from motacli.planning.steps import Lane, Sizes, Step


def draw_steps(now: Situation) -> list[Step]:
    """`mota tiny make`, one process."""
    pictures = now.work.pictures
    kept = Sizes(kept=pictures * now.size("picture_bytes"))
    return [
        Step(now.stage, "pictures", (Lane("draw", "process", pictures / now.rate("draw.pictures_per_second")),), kept)
    ]


def cache_steps(now: Situation) -> list[Step]:
    """One cache, or one of each build, and one of all where they are merged."""
    steps = [now.start(on_ray=True), _listing(now), pictures_step(now, now.work.pictures)]
    if now.work.captions:
        steps.append(_captions(now))
    steps.append(_finishing(now))
    if now.work.merge and now.machines.builds > 1:
        steps.append(_merging(now))
    return steps


def pictures_step(now: Situation, pictures: float) -> Step:
    """Pictures through the image tower; reading, decoding, encoding and writing go on side by side."""
    machines, builds = now.machines, now.machines.builds
    per_build = pictures / builds
    lanes = [
        Lane("decode", "cores", pictures / (now.rate("decode.pictures_per_second_per_core") * machines.cores_used)),
        now.on_model("encode.pictures_per_second", "encode", pictures),
    ]
    if machines.engine == "ray":
        lanes.append(Lane("write", "driver", per_build / now.rate("build.parts_per_second")))
    else:  # the process that feeds the encoder does all of this between two batches
        lanes.append(Lane("rows", machines.encoder, per_build / now.rate("build.rows_per_second")))
    network = 0.0
    if now.work.remote != "no":
        network = pictures * now.size("picture_bytes")
        speed = now.rate("read.bytes_per_second_per_machine") * machines.machines_used
        lanes.append(Lane("read", "network", network / speed))
    if machines.engine == "ray" and machines.machines > 1:
        network += pictures * now.size("joint_dim") * 4
    return Step(now.stage, "pictures", tuple(lanes), Sizes(network=network))


def _listing(now: Situation) -> Step:
    rows, work = now.work.pictures / now.machines.builds, now.work
    caption = now.size("caption_bytes") if work.captions else 0
    size = listing_bytes(work.pictures, now.size("id_bytes"), now.size("path_bytes"), caption)
    lanes, network = [Lane("list", "process", rows / now.rate("listing.rows_per_second"))], 0.0
    if work.remote == "tar":
        network = work.pictures * now.size("picture_bytes")
        machines = min(now.machines.builds, now.machines.machines)
        speed = now.rate("read.bytes_per_second_per_machine") * machines
        lanes.append(Lane("go through shards", "network", network / speed))
    return Step(now.stage, "listing", tuple(lanes), Sizes(meanwhile=size, network=network))


def _captions(now: Situation) -> Step:
    return Step(now.stage, "captions", (now.on_model("captions.texts_per_second", "encode", now.work.pictures),))


def _finishing(now: Situation) -> Step:
    lane = Lane("finish", "process", now.work.pictures / now.machines.builds / now.rate("finishing.rows_per_second"))
    return Step(now.stage, "finishing", (lane,), _sizes(now))


def _sizes(now: Situation) -> Sizes:
    work = now.work
    texts = (now.size("id_bytes"), *((now.size("caption_bytes"),) if work.captions else ()))
    parts = parts_bytes(work.pictures, now.size("joint_dim"), work.number_bytes, texts)
    memory = texts_memory(work.pictures / now.machines.builds, texts[0])
    if work.layout == "parts":
        return Sizes(parts + virtual_bytes(work.pictures, texts), 0, memory)
    return Sizes(cache_bytes(work.pictures, now.size("joint_dim"), work.number_bytes, texts), parts, memory)


def _merging(now: Situation) -> Step:
    """The files of the builds are there until the merged one is."""
    sizes = _sizes(now)
    memory = texts_memory(now.work.pictures, now.size("id_bytes"))
    lane = Lane("merge", "process", now.work.pictures / now.rate("finishing.merged_per_second"))
    return Step(now.stage, "merging", (lane,), Sizes(0, sizes.kept, memory))
