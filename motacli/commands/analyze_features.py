"""`mota analyze features`: how features are distributed, across modalities, before and after MDM."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motacli.commands import analyze_parts as parts_of
from motacli.commands import options
from motacli.commands.session import session

Features = Annotated[Path, typer.Option("--features", help="Features that `mota cache --data` wrote.")]


def features(
    ctx: typer.Context,
    inversion: options.InversionName,
    adapter: parts_of.Adapter,
    features: Features,
    triplets: parts_of.Triplets = None,
    sample: parts_of.Sample = 2000,
    seed: options.Seed = 0,
    out: parts_of.Out = None,
    plots: parts_of.Plots = None,
    inversion_weights: parts_of.InversionWeights = None,
    model: options.Model = "tiny",
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    precision: options.PrecisionOption = options.Precision.fp32,
    preprocess: options.PreprocessOption = options.Preprocess.clip,
    batch_size: options.BatchSize = 256,
) -> None:
    """Where features lie: pictures, captions and queries; before and after MDM, with the adapter and without."""
    from motacli.analysis.adapter_run import SEEN, was_trained_on
    from motacli.analysis.feature_analysis import analyse_features
    from motacli.analysis.feature_page import feature_plots, render_feature_page
    from motacli.analysis.feature_sets import gather_sets
    from motacli.analysis.feature_tables import feature_tables, verdicts, warnings
    from motacli.cache import FeatureCache

    current = session(ctx)
    parts_of.refuse_early(out, plots)
    cache = FeatureCache(features)
    parts = parts_of.load_parts(ctx)
    sets = gather_sets(
        parts, cache, triplets, sample=sample, seed=seed, batch_size=batch_size, progress=current.console
    )
    found = analyse_features(sets, seed, current.console)
    digests = parts_of.digests_of(parts, adapter, {"features": features, "triplets": triplets})
    about = {**parts_of.about_parts(parts, adapter), "features": str(features)}
    if triplets is not None:
        about["triplets"] = str(triplets)
        if was_trained_on(adapter, digests["triplets"]):
            about["triplets seen"] = SEEN
            current.console.warn(SEEN)
    for warning in warnings(found):
        current.console.warn(warning)
    parts_of.write_out(
        ctx, "features", found, lambda made: render_feature_page(found, about, made), digests, feature_plots(found)
    )
    parts_of.print_found(current, found, feature_tables(found))
    for verdict in verdicts(found):
        current.console.log(verdict)
