"""What data and models look like in numbers, before and beside any benchmark.

Of triplets: `motacli.analysis.triplet_statistics` describes a file of them, `motacli.analysis.annotation_sheet` asks
people about a sample, `motacli.analysis.annotator_agreement` says whether they agree, and `motacli.analysis.corruption`
writes a noisy copy.

Of adapters: `motacli.analysis.feature_analysis` compares distributions of features, before and after MDM and across
modalities; `motacli.analysis.routing_analysis` says which expert answers what.
"""
