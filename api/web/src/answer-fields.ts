/** The fields of one load history on the surface, and what is drawn of them.
 *
 * Shape letters: N points of the surface, S stored steps.
 */

import { floats, indices, type TensorFile } from "./tensor-file";

export type FieldName = "von_mises" | "plastic_strain" | "displacement" | "interval";
export type Source = "predicted" | "solved" | "difference";

export interface FieldKind {
  title: string;
  unit: string;
  /** From SI to the unit. */
  factor: number;
  /** Below this a range counts as nothing, in SI. */
  nothing: number;
  note: string;
}

export const FIELDS: Record<FieldName, FieldKind> = {
  von_mises: { title: "von Mises stress", unit: "MPa", factor: 1e-6, nothing: 1, note: "" },
  plastic_strain: { title: "plastic strain", unit: "%", factor: 100, nothing: 1e-9, note: "equivalent, accumulated" },
  displacement: { title: "displacement", unit: "mm", factor: 1e3, nothing: 1e-12, note: "magnitude" },
  interval: {
    title: "interval width",
    unit: "MPa",
    factor: 1e-6,
    nothing: 1,
    note: "width of the 90 % interval of the step's peak stress, scaled to each point; not calibrated point by point",
  },
};

/** The stored steps of one history; each field [S, N] but the displacement [S, N, 3]; SI. */
export interface HistoryFrames {
  history: string;
  steps: number[];
  pointCount: number;
  displacement: Float32Array;
  von_mises: Float32Array;
  plastic_strain: Float32Array;
  interval: Float32Array | null;
}

export function framesOf(file: TensorFile, history: string): HistoryFrames {
  const steps = Array.from(indices(file, "steps"));
  const vonMises = floats(file, "von_mises");
  return {
    history,
    steps,
    pointCount: steps.length ? vonMises.length / steps.length : 0,
    displacement: floats(file, "displacement"),
    von_mises: vonMises,
    plastic_strain: floats(file, "plastic_strain"),
    interval: file.tensors.has("von_mises_interval") ? floats(file, "von_mises_interval") : null,
  };
}

/** Predicted less solved at the steps that both have; the shape is the predicted one. */
export function difference(predicted: HistoryFrames, solved: HistoryFrames): HistoryFrames {
  const n = predicted.pointCount;
  const common = predicted.steps.filter((step) => solved.steps.includes(step));
  const made: HistoryFrames = {
    history: predicted.history,
    steps: common,
    pointCount: n,
    displacement: new Float32Array(3 * n * common.length),
    von_mises: new Float32Array(n * common.length),
    plastic_strain: new Float32Array(n * common.length),
    interval: null,
  };
  for (const [row, step] of common.entries()) {
    const [a, b] = [predicted.steps.indexOf(step), solved.steps.indexOf(step)];
    for (const name of ["von_mises", "plastic_strain", "displacement"] as const) {
      const width = name === "displacement" ? 3 * n : n;
      const [out, first, second] = [made[name], predicted[name], solved[name]];
      for (let i = 0; i < width; i += 1) out[row * width + i] = first[a * width + i] - second[b * width + i];
    }
  }
  return made;
}

/** What the viewer shows: one field of some frames, over the shape of others. */
export interface Shown {
  field: FieldName;
  source: Source;
  /** Frames that the colours come from. */
  frames: HistoryFrames;
  /** Frames that the deformation comes from, with the same steps. */
  shape: HistoryFrames;
  /** Values [S, N], SI. */
  values: Float32Array;
}

/** Values [S, N] of a field, null where these frames do not have it. */
export function valuesOf(frames: HistoryFrames, field: FieldName): Float32Array | null {
  return field === "displacement" ? magnitudes(frames.displacement) : frames[field];
}

function magnitudes(vectors: Float32Array): Float32Array {
  const made = new Float32Array(vectors.length / 3);
  for (let i = 0; i < made.length; i += 1) {
    made[i] = Math.hypot(vectors[3 * i], vectors[3 * i + 1], vectors[3 * i + 2]);
  }
  return made;
}

export interface Range {
  low: number;
  high: number;
}

/** The range of the colours: from zero for what cannot be negative, symmetric for a difference. */
export function rangeOf(shown: Shown, row: number | null): Range {
  const n = shown.frames.pointCount;
  const [from, to] = row === null ? [0, shown.values.length] : [row * n, (row + 1) * n];
  let largest = 0;
  for (let i = from; i < to; i += 1) largest = Math.max(largest, Math.abs(shown.values[i]));
  if (largest < FIELDS[shown.field].nothing) largest = 0;
  return { low: shown.source === "difference" ? -largest : 0, high: largest };
}

/** Index of the point where the size of the shown field is largest in a row. */
export function hottestPoint(shown: Shown, row: number): number {
  const n = shown.frames.pointCount;
  let best = 0;
  for (let i = 1; i < n; i += 1) {
    if (Math.abs(shown.values[row * n + i]) > Math.abs(shown.values[row * n + best])) best = i;
  }
  return best;
}

/** Largest displacement of all rows, m. */
export function largestDisplacement(frames: HistoryFrames): number {
  let squared = 0;
  const d = frames.displacement;
  for (let i = 0; i < d.length; i += 3) {
    squared = Math.max(squared, d[i] * d[i] + d[i + 1] * d[i + 1] + d[i + 2] * d[i + 2]);
  }
  return Math.sqrt(squared);
}

/** A round factor that draws the largest displacement as a twentieth of the part; 1 where that is larger anyway. */
export function automaticScale(displacement: number, diagonal: number): number {
  if (displacement <= 0) return 1;
  const wanted = (0.05 * diagonal) / displacement;
  if (wanted <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(wanted));
  return power * (wanted / power >= 5 ? 5 : wanted / power >= 2 ? 2 : 1);
}
