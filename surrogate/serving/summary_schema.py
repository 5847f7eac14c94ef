"""The structure of summary.json (REST serves the same). Numbers are SI; the unit is in the name."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from surrogate.fields import Method

Position = tuple[float, float, float]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Value(_Part):
    """A computed number; null where unbounded (the safety factor of an unloaded part)."""

    value: float | None


class Interval(Value):
    """A predicted number with its 90 % interval."""

    low: float | None
    high: float | None


Quantity = Interval | Value


class PartSummary(_Part):
    """The part; `faces` counts them."""

    name: str
    points: int
    cells: int
    volume_m3: float
    mass_kg: float
    size_m: Position
    faces: int


class MaterialSummary(_Part):
    """The material's constants and where they come from."""

    name: str
    youngs_modulus_pa: float
    poissons_ratio: float
    density_kg_m3: float
    yield_strength_pa: float
    ultimate_strength_pa: float
    hardening_modulus_pa: float
    source: str


class ModelSummary(_Part):
    """The model that answered."""

    name: str
    version: str


class StepSummary(_Part):
    """One step; the peak is over quadrature points, extrapolated nowhere and averaged nowhere."""

    factors: dict[str, float]
    peak_von_mises_pa: Quantity
    p999_von_mises_pa: Quantity
    peak_at_m: Position
    max_displacement_m: Quantity
    peak_plastic_strain: Quantity
    yielded_volume_fraction: Quantity
    equilibrium_residual: float


class CollapseSummary(_Part):
    """The step during which plastic collapse was met, and the last state in equilibrium.

    Where a share of the step was carried, and always in the first step, that state is the last entry of the steps.
    """

    step: int
    fraction: float
    reason: str
    factors: Annotated[dict[str, float], Field(description="load factors of the last state that was carried")]
    load_factor: Annotated[float, Field(description="load carried, over the largest of the history as asked")]


class BalanceSummary(_Part):
    """Checks of a solved history: work and energy at its last step, and the worst imbalance of its steps."""

    external_work_j: float
    elastic_energy_j: float
    plastic_work_j: float
    energy_imbalance: Annotated[float | None, Field(description="work less energy less plastic work, over their sum")]
    reaction_imbalance: Annotated[float | None, Field(description="support forces and moments plus loads, over loads")]


class DifferenceSummary(_Part):
    """Relative differences to the reference at one step; null where the reference vanishes and the answer does not."""

    step: int
    stress_rel_l2: float | None
    von_mises_rel_l2: float | None
    displacement_rel_l2: float | None
    plastic_strain_rel_l2: float | None
    peak_von_mises_rel: float | None
    p999_von_mises_rel: float | None


class LastDifferenceSummary(DifferenceSummary):
    """The differences at the last step, and of the permanent set after it."""

    permanent_set_rel: float | None


class HistoryDifferenceSummary(_Part):
    """Differences at the reference's peak step and at the last step."""

    peak: DifferenceSummary
    last: LastDifferenceSummary


class HistorySummary(_Part):
    """One load history."""

    name: str
    steps: tuple[StepSummary, ...]
    peak_step: Annotated[int | None, Field(description="index of the decisive step; null where no step was reached")]
    safety_factor_yield: Quantity
    safety_factor_ultimate: Quantity
    permanent_set_m: Quantity
    max_residual_von_mises_pa: Quantity
    collapse: CollapseSummary | None = None
    balance: BalanceSummary | None = None
    difference: HistoryDifferenceSummary | None = None


class DomainSummary(_Part):
    """Whether the model should be believed here; a score of 1 is the edge of the training domain."""

    score: float | None
    inside: bool
    reason: str


class Summary(_Part):
    """The answer in numbers.

    `ranking` lists the history names, worst first: collapsed ones, then by peak plastic strain, then by peak von
    Mises stress. `reference` is the solved answer where one was compared with.
    """

    part: PartSummary
    material: MaterialSummary
    method: Method
    model: ModelSummary | None = None
    histories: tuple[HistorySummary, ...]
    ranking: tuple[str, ...]
    domain: DomainSummary | None = None
    warnings: tuple[str, ...]
    timings_s: dict[str, float]
    reference: "Summary | None" = None
