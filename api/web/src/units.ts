/** Numbers as people read them: SI goes over the wire, engineering units stand on the page. */

import type { Face, Quantity, Vector } from "./contract";

/** A number with some digits, without an exponent as long as it is readable. */
export function plain(value: number, digits = 4): string {
  if (value === 0 || !Number.isFinite(value)) return Number.isFinite(value) ? "0" : "unbounded";
  const size = Math.abs(value);
  if (size >= 10 ** digits && size < 1e7) return value.toFixed(0);
  const text = value.toPrecision(digits);
  return size >= 1e-4 && size < 1e7 ? String(Number(text)) : Number(text).toExponential();
}

/** A number of the wire in a unit of the page. */
export function scaled(quantity: Quantity, factor: number, digits = 4): string {
  return quantity.value === null ? "unbounded" : plain(quantity.value * factor, digits);
}

/** "12 to 15", "±0" where the ends read the same, nothing where a number has no interval. */
export function interval(quantity: Quantity, factor: number, digits = 3): string {
  if (quantity.low === undefined || quantity.high === undefined) return "";
  const [low, high] = [quantity.low, quantity.high].map((end) => (end === null ? "unbounded" : plain(end * factor, digits)));
  return low === high ? "±0" : `${minus(low)} to ${minus(high)}`;
}

/** A number with a minus that is as wide as a plus. */
export function minus(text: string): string {
  return text.replace("-", "−");
}

export function percent(value: number | null, digits = 2): string {
  return value === null ? "–" : `${plain(100 * value, digits)} %`;
}

export function seconds(value: number): string {
  return value < 10 ? `${value.toFixed(1)} s` : value < 120 ? `${value.toFixed(0)} s` : `${(value / 60).toFixed(1)} min`;
}

export function bytes(value: number): string {
  return value < 1e6 ? `${plain(value / 1e3, 3)} kB` : `${plain(value / 1e6, 3)} MB`;
}

/** "70 × 60 × 62 mm". */
export function millimetres(size: Vector, separator = " × "): string {
  return `${size.map((extent) => plain(1e3 * extent, 3)).join(separator)} mm`;
}

const AXES: Vector[] = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
];

/** "+z", "−x", or the components of a direction; without a sign for an axis. */
export function direction(vector: Vector, signed: boolean): string {
  for (const [index, axis] of AXES.entries()) {
    const along = axis[0] * vector[0] + axis[1] * vector[1] + axis[2] * vector[2];
    if (Math.abs(along) > 0.9999) return (signed ? (along > 0 ? "+" : "−") : "") + "xyz"[index];
  }
  return `(${vector.map((part) => plain(part, 2)).join(", ")})`;
}

/** A face in words; `closed` tells whether it goes all the way around its axis. */
export function faceTitle(face: Face, closed: boolean): string {
  if (face.kind === "plane" && face.normal) return `plane facing ${direction(face.normal, true)}`;
  if (face.kind === "cylinder" && face.radius_m !== null) {
    const kind = face.hole ? (closed ? "hole" : "fillet") : closed ? "shaft" : "rounding";
    const axis = face.axis ? ` along ${direction(face.axis, false)}` : "";
    return `${kind}, radius ${plain(1e3 * face.radius_m, 3)} mm${axis}`;
  }
  return "free-form face";
}
