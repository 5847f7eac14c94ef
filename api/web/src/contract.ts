/** What goes over the wire; the service's OpenAPI document is the authority. Numbers are SI. */

export type Vector = [number, number, number];

export interface ProblemDetails {
  title: string;
  status: number;
  detail: string;
}

export interface MeshView {
  id: string;
  status: "queued" | "meshing" | "ready" | "failed";
  name: string;
  length_unit: string | null;
  points: number | null;
  cells: number | null;
  faces: number | null;
  volume_m3: number | null;
  size_m: Vector | null;
  requested_element_size_m: number | null;
  element_size_m: number | null;
  error: ProblemDetails | null;
}

export interface Face {
  id: number;
  name: string | null;
  kind: "plane" | "cylinder" | "other";
  area_m2: number;
  centroid_m: Vector;
  normal: Vector | null;
  axis: Vector | null;
  radius_m: number | null;
  hole: boolean | null;
}

export interface Hardening {
  linear_modulus_pa?: number | null;
  voce?: { saturation_pa: number; rate: number } | null;
  table?: [number, number][] | null;
}

export interface MaterialTable {
  name: string;
  youngs_modulus_pa: number;
  poissons_ratio: number;
  density_kg_m3: number;
  yield_strength_pa: number;
  ultimate_strength_pa: number;
  hardening: Hardening;
  source?: string;
}

export type Selector = Record<string, unknown>;
export type Direction = "x" | "y" | "z" | "normal";

export interface SupportSpec {
  faces: Selector;
  fixed: Direction[];
}

export interface LoadSpec {
  faces?: Selector;
  force_n?: Vector;
  point_m?: Vector;
  bearing_force_n?: Vector;
  moment_nm?: Vector;
  traction_pa?: Vector;
  pressure_pa?: number;
  acceleration_m_s2?: Vector;
}

export interface LoadHistorySpec {
  name: string;
  factors: Record<string, number[]>;
}

export interface ProblemSpec {
  material: string | MaterialTable;
  supports: SupportSpec[];
  load_cases: { name: string; loads: LoadSpec[] }[];
  load_histories: LoadHistorySpec[];
}

export type Fidelity = "surrogate" | "refined" | "solved" | "auto";
export type PredictionStatus = "queued" | "running" | "done" | "failed" | "cancelled";

/** A number; `low` and `high` are its 90 % interval where it is predicted; null is unbounded. */
export interface Quantity {
  value: number | null;
  low?: number | null;
  high?: number | null;
}

export interface StepSummary {
  factors: Record<string, number>;
  peak_von_mises_pa: Quantity;
  p999_von_mises_pa: Quantity;
  peak_at_m: Vector;
  max_displacement_m: Quantity;
  peak_plastic_strain: Quantity;
  yielded_volume_fraction: Quantity;
  equilibrium_residual: number;
}

export interface DifferenceSummary {
  step: number;
  stress_rel_l2: number | null;
  von_mises_rel_l2: number | null;
  displacement_rel_l2: number | null;
  plastic_strain_rel_l2: number | null;
  peak_von_mises_rel: number | null;
  permanent_set_rel?: number | null;
}

export interface HistorySummary {
  name: string;
  steps: StepSummary[];
  peak_step: number | null;
  safety_factor_yield: Quantity;
  safety_factor_ultimate: Quantity;
  permanent_set_m: Quantity;
  max_residual_von_mises_pa: Quantity;
  collapse?: { step: number; reason: string; load_factor: number } | null;
  difference?: { peak: DifferenceSummary; last: DifferenceSummary } | null;
}

export interface Summary {
  part: { name: string; points: number; cells: number; mass_kg: number; size_m: Vector };
  material: { name: string; yield_strength_pa: number; ultimate_strength_pa: number };
  method: "surrogate" | "refined" | "coarse" | "solved";
  model?: { name: string; version: string } | null;
  histories: HistorySummary[];
  ranking: string[];
  domain?: { score: number | null; inside: boolean; reason: string } | null;
  warnings: string[];
  timings_s: Record<string, number>;
  reference?: Summary | null;
}

export interface PredictionView {
  id: string;
  mesh: string;
  name: string;
  fidelity: Fidelity;
  status: PredictionStatus;
  stage: string | null;
  progress: number;
  summary: Summary | null;
  error: ProblemDetails | null;
}

/** The data of a `progress` event. */
export interface ProgressEvent {
  status: PredictionStatus;
  stage: string | null;
  progress: number;
}
