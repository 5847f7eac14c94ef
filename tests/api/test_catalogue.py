"""The listing of materials gives what a problem takes."""

import httpx

from surrogate import MaterialSpec, library, material_spec


def test_each_listed_material_is_a_table_that_a_problem_takes(client: httpx.Client) -> None:
    listed = client.get("/v1/materials").json()["materials"]
    assert len(listed) == len(library())
    for table, material in zip(listed, library(), strict=True):
        assert table.pop("hardening_modulus_pa") == material.hardening_modulus_pa
        assert len(table["hardening"]) == 1
        assert MaterialSpec.model_validate(table) == material_spec(material)
