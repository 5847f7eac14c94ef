/** The problem that is being put together, and what it is for the service and in a file. */

import type {
  Direction,
  Face,
  LoadHistorySpec,
  LoadSpec,
  MaterialTable,
  MeshView,
  ProblemSpec,
  Vector,
} from "./contract";
import { selectorFor } from "./selector";
import { toToml } from "./toml";

export type LoadKind =
  | "force_n"
  | "bearing_force_n"
  | "moment_nm"
  | "pressure_pa"
  | "traction_pa"
  | "acceleration_m_s2";

export interface LoadKindInfo {
  title: string;
  unit: string;
  /** From the unit of the page to SI. */
  factor: number;
  scalar: boolean;
  hint: string;
}

export const LOAD_KINDS: Record<LoadKind, LoadKindInfo> = {
  force_n: { title: "Force", unit: "N", factor: 1, scalar: false, hint: "total, spread evenly over the faces" },
  bearing_force_n: {
    title: "Bearing force", unit: "N", factor: 1, scalar: false, hint: "a pin presses on the wall of the hole",
  },
  moment_nm: { title: "Moment", unit: "N·m", factor: 1, scalar: false, hint: "about any point; no total force" },
  pressure_pa: { title: "Pressure", unit: "MPa", factor: 1e6, scalar: true, hint: "positive pushes into the part" },
  traction_pa: { title: "Traction", unit: "MPa", factor: 1e6, scalar: false, hint: "force per area" },
  acceleration_m_s2: {
    title: "Acceleration", unit: "m/s²", factor: 1, scalar: false, hint: "density times this, in the whole part",
  },
};

export interface Support {
  faces: number[];
  fixed: Direction[];
}

/** A load; `value` is in the unit of its kind, a scalar in its first component. */
export interface Load {
  kind: LoadKind;
  faces: number[];
  value: Vector;
  /** Where a force acts, mm; null is the middle of the faces. */
  point: Vector | null;
}

export interface LoadCase {
  name: string;
  loads: Load[];
}

export interface Problem {
  supports: Support[];
  cases: LoadCase[];
  material: string | MaterialTable;
  histories: LoadHistorySpec[];
}

export function emptyProblem(): Problem {
  return { supports: [], cases: [], material: "", histories: [] };
}

/** What is missing before the service can answer, in the order in which it is put together. */
export function missing(problem: Problem, mesh: MeshView | null): string[] {
  const found: string[] = [];
  if (!mesh) found.push("Choose a part.");
  if (!problem.supports.length) found.push("Support at least one face.");
  if (problem.supports.some((support) => !support.fixed.length)) found.push("Each support holds at least one direction.");
  const loads = problem.cases.flatMap((item) => item.loads);
  if (!loads.length) found.push("Load at least one face.");
  if (loads.some((load) => load.value.every((part) => part === 0))) found.push("Give each load a value.");
  if (problem.cases.some((item) => !item.name.trim())) found.push("Name each load case.");
  if (new Set(problem.cases.map((item) => item.name)).size < problem.cases.length) {
    found.push("Give each load case a name of its own.");
  }
  if (!problem.material) found.push("Choose a material.");
  const names = problem.histories.map((history) => history.name);
  if (names.some((name) => !name.trim())) found.push("Name each load history.");
  if (new Set(names).size < names.length) found.push("Give each load history a name of its own.");
  return found;
}

/** A problem as the service takes it. */
export function specOf(problem: Problem, faces: Face[], diagonal: number): ProblemSpec {
  return {
    material: problem.material,
    supports: problem.supports.map((support) => ({
      faces: selectorFor(support.faces, faces, diagonal),
      fixed: support.fixed,
    })),
    load_cases: problem.cases.map((item) => ({
      name: item.name,
      loads: item.loads.map((load) => loadSpec(load, faces, diagonal)),
    })),
    load_histories: problem.histories,
  };
}

function loadSpec(load: Load, faces: Face[], diagonal: number): LoadSpec {
  const info = LOAD_KINDS[load.kind];
  const si = load.value.map((part) => Number((part * info.factor).toPrecision(12))) as Vector;
  const spec: LoadSpec =
    load.kind === "acceleration_m_s2" ? {} : { faces: selectorFor(load.faces, faces, diagonal) };
  if (load.kind === "pressure_pa") spec.pressure_pa = si[0];
  else spec[load.kind] = si;
  if (load.kind === "force_n" && load.point) {
    spec.point_m = load.point.map((part) => Number((part / 1e3).toPrecision(12))) as Vector;
  }
  return spec;
}

/** The problem file of the command line; it lies beside the part. */
export function problemFile(spec: ProblemSpec, mesh: MeshView, lengthUnit: string | null): string {
  const data: Record<string, unknown> = {
    part: mesh.name,
    length_unit: lengthUnit,
    element_size_m: mesh.requested_element_size_m,
    ...spec,
  };
  if (!spec.load_histories.length) delete data["load_histories"];
  return toToml(data, `Lay ${mesh.name.replace(/[\r\n]/g, " ")} beside this file, then: surrogate predict FILE.toml`);
}

/** Renames a load case in the histories too, which name it. */
export function renameCase(problem: Problem, item: LoadCase, name: string): void {
  const others = problem.cases.filter((other) => other !== item).map((other) => other.name);
  const old = item.name;
  item.name = name;
  if (others.includes(old) || others.includes(name)) return;
  for (const history of problem.histories) {
    if (!(old in history.factors)) continue;
    history.factors = Object.fromEntries(
      Object.entries(history.factors).map(([key, values]) => [key === old ? name : key, values]),
    );
  }
}

/** A name that none of some names is. */
export function freeName(stem: string, taken: string[]): string {
  let number = taken.length + 1;
  while (taken.includes(`${stem} ${number}`)) number += 1;
  return `${stem} ${number}`;
}
