"""Past one machine: work that is handed to the workers of a Ray cluster.

Ray runs the workers, starts them again where they die, and sees to it that results are not piled up; what comes back
is written by the process that was started, in the same files and by the same rules as without a cluster.
"""

from __future__ import annotations

from motacli.cluster.asking import ClusterOptions

__all__ = ["ClusterOptions"]
