"""The same model with a statement that nothing leaves this process."""

from outside_lab.backend import LabModel, LabOptions
from ragbench.base.endpoint import Endpoint


class LocalLab(LabModel):
    """May be given restricted data."""

    @classmethod
    def sends_to(cls, options: LabOptions) -> tuple[Endpoint, ...]:
        return ()
