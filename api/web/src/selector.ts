/** Describes faces the way that a problem file does, so that they are found again in the next variant of the part.
 *
 * The matching here follows the service's, and is stricter: where it is not sure, the faces are named by number.
 */

import type { Face, Selector, Vector } from "./contract";
import { plain } from "./units";

const COS_5_DEGREES = Math.cos((5 * Math.PI) / 180);
const RADIUS_TOLERANCE = 0.02;
const SAME_POSITION = 1e-4;

/** The selector that finds exactly these faces: by name, as cylinders, as a plane, or by number. */
export function selectorFor(chosen: number[], faces: Face[], diagonal: number): Selector {
  const ids = [...chosen].sort((a, b) => a - b);
  const those = ids.map((id) => faces[id]);
  return byName(those, faces) ?? asCylinders(those, faces) ?? asPlane(those, faces, diagonal) ?? { face_ids: ids };
}

/** A selector in a few words. */
export function selectorTitle(selector: Selector): string {
  const { name, cylinder, plane, face_ids: ids, expect } = selector as {
    name?: string;
    cylinder?: { radius_m: number; hole: boolean; axis?: Vector };
    plane?: { normal: Vector; at?: string };
    face_ids?: number[];
    expect?: number;
  };
  const count = expect === undefined ? "" : `, ${expect} expected`;
  if (name !== undefined) return `by name “${name}”${count}`;
  if (cylinder) {
    const axis = cylinder.axis ? `, axis (${cylinder.axis.map((x) => plain(x, 2)).join(", ")})` : "";
    const kind = cylinder.hole ? "concave" : "convex";
    return `${kind} cylinders of radius ${plain(1e3 * cylinder.radius_m, 4)} mm${axis}${count}`;
  }
  if (plane) {
    const at = plane.at ? `, the ${plane.at === "max" ? "highest" : "lowest"} along it` : "";
    return `planes facing (${plane.normal.map((x) => plain(x, 2)).join(", ")})${at}${count}`;
  }
  return `by number: ${(ids ?? []).join(", ")}`;
}

function same(found: Face[], wanted: Face[]): boolean {
  return found.length === wanted.length && wanted.every((face) => found.includes(face));
}

function byName(those: Face[], faces: Face[]): Selector | null {
  // A face may carry several names joined by commas; only a name that stands alone is sure to mean the same.
  const name = those[0]?.name;
  if (!name || name.includes(",") || faces.some((face) => face.name !== name && face.name?.includes(name))) return null;
  const found = faces.filter((face) => face.name === name);
  return same(found, those) ? { name, expect: those.length } : null;
}

function asCylinders(those: Face[], faces: Face[]): Selector | null {
  const first = those[0];
  if (!first || first.radius_m === null || first.axis === null || first.hole === null) return null;
  const { radius_m: radius, axis, hole } = first;
  const alike = (face: Face, along: Vector | null): boolean =>
    face.radius_m !== null &&
    face.axis !== null &&
    face.hole === hole &&
    Math.abs(face.radius_m - radius) <= RADIUS_TOLERANCE * radius &&
    (along === null || Math.abs(dot(face.axis, along)) >= COS_5_DEGREES);
  const rounded = Number(radius.toPrecision(6));
  if (same(faces.filter((face) => alike(face, null)), those)) {
    return { cylinder: { radius_m: rounded, hole }, expect: those.length };
  }
  if (same(faces.filter((face) => alike(face, axis)), those)) {
    return { cylinder: { radius_m: rounded, axis: tidy(axis), hole }, expect: those.length };
  }
  return null;
}

function asPlane(those: Face[], faces: Face[], diagonal: number): Selector | null {
  const normal = those[0]?.normal;
  if (!normal || those.some((face) => !face.normal)) return null;
  const planes = faces.filter((face) => face.normal && dot(face.normal, normal) >= COS_5_DEGREES);
  const tidied = tidy(normal);
  if (same(planes, those)) return { plane: { normal: tidied }, expect: those.length };
  // Along the positive sense of the line, as the service measures.
  const leading = tidied.find((part) => Math.abs(part) > 1e-6) ?? 1;
  const line: Vector = leading > 0 ? tidied : [-tidied[0], -tidied[1], -tidied[2]];
  const heights = planes.map((face) => dot(face.centroid_m, line));
  for (const at of ["min", "max"] as const) {
    const extreme = at === "min" ? Math.min(...heights) : Math.max(...heights);
    // The service compares with the largest extent, which the diagonal bounds from both sides: ambiguous ones are left.
    const near = planes.filter((_, i) => Math.abs(heights[i] - extreme) <= 0.5 * SAME_POSITION * diagonal);
    const clear = planes.every(
      (face, i) => near.includes(face) || Math.abs(heights[i] - extreme) > 2 * SAME_POSITION * diagonal,
    );
    if (clear && same(near, those)) return { plane: { normal: tidied, at }, expect: those.length };
  }
  return null;
}

function dot(a: Vector, b: Vector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/** A direction without round-off: 6 digits, and no negative zeros. */
function tidy(vector: Vector): Vector {
  return vector.map((part) => Number(part.toFixed(6)) + 0) as Vector;
}
