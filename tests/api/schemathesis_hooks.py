"""What schemathesis cannot know of this service: objects that there are, and files that are parts.

Loaded by its command line (SCHEMATHESIS_HOOKS); `OBJECTS` names a JSON file with the ids and a problem.
"""

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, HookContext

from tests.geometry.hostile_files import FILES, tetrahedron_of, vtu

_OBJECTS: dict[str, object] = json.loads(Path(os.environ["OBJECTS"]).read_text())
# Small, so that thousands of uploads are no load test.
_MOST_FILE_BYTES = 50_000
# Objects that other cases need are not deleted; those that schemathesis makes itself are.
_KEPT = ("DELETE",)


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: dict[str, dict[str, object]]) -> None:
    """Uploads are called a part: by its name alone the service would refuse each of them."""
    media = raw_schema["paths"]["/v1/meshes"]["post"]["requestBody"]["content"]["multipart/form-data"]  # type: ignore[index]
    disposition = {"schema": {"type": "string"}, "example": 'form-data; name="file"; filename="part.vtu"'}
    media["encoding"] = {"file": {"headers": {"Content-Disposition": disposition}}}


@schemathesis.hook
def before_generate_path_parameters(
    context: HookContext, strategy: "st.SearchStrategy[dict[str, object]]"
) -> "st.SearchStrategy[dict[str, object]]":
    """Half of the time an object that there is."""
    operation = context.operation
    if operation is None or operation.method.upper() in _KEPT:
        return strategy
    known = {name: _OBJECTS[name] for name in _parameters(operation.path) if name in _OBJECTS}
    return st.one_of(st.just(known), strategy) if known else strategy


@schemathesis.hook
def before_generate_body(context: HookContext, strategy: "st.SearchStrategy[object]") -> "st.SearchStrategy[object]":
    """Half of the time a file that a reader takes, or a problem of a part that there is."""
    operation = context.operation
    if operation is None or operation.method.upper() != "POST":
        return strategy
    if operation.path == "/v1/meshes":
        return st.one_of(_uploads(), strategy)
    return st.one_of(_problems(), strategy) if operation.path == "/v1/predictions" else strategy


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: Mapping[str, object]) -> None:
    """The same problem again is the same prediction: what counts here is how it is asked, not how much is computed."""
    if case.operation.path == "/v1/predictions" and case.method == "POST" and isinstance(case.body, dict):
        key = sha256(json.dumps(case.body, default=str, sort_keys=True).encode()).hexdigest()
        if case.body.get("mesh") == _OBJECTS["mesh_id"]:
            case.headers["Idempotency-Key"] = key
    # A request that may wait for its result would wait.
    if case.headers and "prefer" in {name.lower() for name in case.headers}:
        case.headers["Prefer"] = "wait=0"


def _parameters(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def _uploads() -> "st.SearchStrategy[object]":
    """Sound and hostile files with all the units."""
    files = [file.content() for file in FILES if file.name.endswith(".vtu")]
    sound = [vtu().encode(), *(tetrahedron_of(size)() for size in ("1", "10", "1e-3", "1e30"))]
    return st.fixed_dictionaries(
        {
            "file": st.sampled_from([*(file for file in files if len(file) < _MOST_FILE_BYTES), *sound]),
            "length_unit": st.sampled_from(["m", "mm", "in", "parsec", ""]),
        }
    )


def _problems() -> "st.SearchStrategy[object]":
    """The sample problem with one part of it another."""
    problem = _OBJECTS["problem"]
    assert isinstance(problem, dict)
    changes: dict[str, st.SearchStrategy[object]] = {
        "name": st.sampled_from(["a", "ä", "x" * 200]),
        "fidelity": st.sampled_from(["surrogate", "nothing", None]),
        "model": st.sampled_from([None, "nothing", "../../x"]),
        "outputs": st.sampled_from([["fields"], [], ["png", "png"], "fields"]),
        "load_histories": st.sampled_from([[], [{"name": "h", "factors": {}}], [{"name": "h", "factors": {"x": [1]}}]]),
        "supports": st.lists(st.dictionaries(st.sampled_from(["faces", "fixed", "meeting"]), _selectors()), max_size=2),
        "mesh": st.sampled_from([_OBJECTS["mesh_id"], "nothing"]),
    }
    return st.one_of(
        [changed.map(lambda value, name=name: {**problem, name: value}) for name, changed in changes.items()]
    )


def _selectors() -> "st.SearchStrategy[object]":
    """Selectors of every kind, right and wrong."""
    number = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-3, 3), st.just(10**400))
    vector = st.lists(number, min_size=2, max_size=4)
    plane = st.fixed_dictionaries({"normal": vector, "at": st.sampled_from(["min", 1])})
    return st.recursive(
        st.one_of(
            st.fixed_dictionaries({"name": st.text(max_size=5)}),
            st.fixed_dictionaries({"face_ids": st.lists(st.integers(-1, 30), max_size=4)}),
            st.fixed_dictionaries({"cylinder": st.fixed_dictionaries({"radius_m": number, "axis": vector})}),
            st.fixed_dictionaries({"plane": plane}),
            st.fixed_dictionaries({"box": st.lists(vector, min_size=1, max_size=3)}),
        ),
        lambda inner: st.one_of(
            st.fixed_dictionaries({"any": st.lists(inner, max_size=3)}), st.fixed_dictionaries({"not": inner})
        ),
        max_leaves=4,
    )
