"""Units are read from STEP text, and element sizes do not depend on them."""

import pytest

from surrogate.errors import GeometryError
from surrogate.geometry.element_size import corrected_size, default_element_size, expected_points
from surrogate.geometry.length_units import METRES_PER_UNIT, metres_per_unit, step_length_unit, unit_name

CONTEXT = (
    "#9=(GLOBAL_UNIT_ASSIGNED_CONTEXT((#1,#2))REPRESENTATION_CONTEXT('',''));\n#2=(NAMED_UNIT(*)PLANE_ANGLE_UNIT());\n"
)


@pytest.mark.parametrize(
    ("text", "metres"),
    [
        ("#1=(LENGTH_UNIT()NAMED_UNIT(*)SI_UNIT(.MILLI.,.METRE.));", 1e-3),
        ("#1 = ( LENGTH_UNIT ( )\n NAMED_UNIT ( * )\n SI_UNIT ( $, .METRE. ) );", 1.0),
        (
            "#1=(CONVERSION_BASED_UNIT('INCH',#7)LENGTH_UNIT()NAMED_UNIT(#5));"
            "#7=LENGTH_MEASURE_WITH_UNIT(LENGTH_MEASURE(25.4),#8);#8=(LENGTH_UNIT()NAMED_UNIT(*)SI_UNIT(.MILLI.,.METRE.));",
            0.0254,
        ),
        ("#3=(LENGTH_UNIT()NAMED_UNIT(*)SI_UNIT(.MILLI.,.METRE.));", None),  # stated, but not used
        ("", None),
    ],
)
def test_the_unit_of_a_step_file(text: str, metres: float | None) -> None:
    assert step_length_unit(CONTEXT + text) == (metres if metres is None else pytest.approx(metres, rel=1e-12))


def test_contexts_that_disagree_state_no_unit() -> None:
    two = "#1=(LENGTH_UNIT()NAMED_UNIT(*)SI_UNIT(.MILLI.,.METRE.));#2=(LENGTH_UNIT()NAMED_UNIT(*)SI_UNIT($,.METRE.));"
    assert step_length_unit(CONTEXT.split("\n")[0] + two) is None


def test_names_of_units_round_trip() -> None:
    assert [unit_name(metres_per_unit(name)) for name in METRES_PER_UNIT] == list(METRES_PER_UNIT)
    with pytest.raises(GeometryError, match="'yd' is unknown; give one of m, mm"):
        metres_per_unit("yd")


def test_the_default_size_scales_with_the_part_and_resolves_thin_walls() -> None:
    cube = default_element_size(1.0, 6.0)
    assert default_element_size(1e9, 6e6) == pytest.approx(1000 * cube, rel=1e-6)
    assert 4000 < expected_points(cube, 1.0, 6.0) <= 5000
    plate = default_element_size(0.05, 2.2)  # 1 x 1 x 0.05
    assert plate < default_element_size(1.0, 6.0) and expected_points(plate, 0.05, 2.2) <= 7001


def test_a_size_is_corrected_towards_the_target_only_when_far_off() -> None:
    assert corrected_size(1.0, 5000) is None
    finer, coarser = corrected_size(1.0, 1000), corrected_size(1.0, 40_000)
    assert finer is not None and finer < 1 and coarser is not None and coarser > 1
