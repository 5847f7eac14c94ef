/** Which triangle a ray meets first, on plain arrays: no library walks a hundred thousand triangles faster. */

import type { Vector } from "./contract";

export interface Ray {
  origin: Vector;
  direction: Vector;
}

/** Points with `normal . p + offset < 0` are cut away. */
export interface CutPlane {
  normal: Vector;
  offset: number;
}

export interface Hit {
  triangle: number;
  /** Weights of the triangle's three corners. */
  weights: Vector;
  position: Vector;
  distance: number;
}

/** The nearest hit (Möller and Trumbore, 1997), what is cut away left out.
 *
 * @param positions of the points [N, 3]
 * @param triangles [F, 3]
 */
export function pick(ray: Ray, positions: Float32Array, triangles: Uint32Array, cut: CutPlane | null): Hit | null {
  const [ox, oy, oz] = ray.origin;
  const [dx, dy, dz] = ray.direction;
  let best: Hit | null = null;
  for (let t = 0; t < triangles.length; t += 3) {
    const [a, b, c] = [3 * triangles[t], 3 * triangles[t + 1], 3 * triangles[t + 2]];
    const [ax, ay, az] = [positions[a], positions[a + 1], positions[a + 2]];
    const [ux, uy, uz] = [positions[b] - ax, positions[b + 1] - ay, positions[b + 2] - az];
    const [vx, vy, vz] = [positions[c] - ax, positions[c + 1] - ay, positions[c + 2] - az];
    const px = dy * vz - dz * vy;
    const py = dz * vx - dx * vz;
    const pz = dx * vy - dy * vx;
    const determinant = ux * px + uy * py + uz * pz;
    if (determinant === 0) continue;
    const [sx, sy, sz] = [ox - ax, oy - ay, oz - az];
    const u = (sx * px + sy * py + sz * pz) / determinant;
    if (u < 0 || u > 1) continue;
    const qx = sy * uz - sz * uy;
    const qy = sz * ux - sx * uz;
    const qz = sx * uy - sy * ux;
    const v = (dx * qx + dy * qy + dz * qz) / determinant;
    if (v < 0 || u + v > 1) continue;
    const distance = (vx * qx + vy * qy + vz * qz) / determinant;
    if (distance <= 0 || (best && distance >= best.distance)) continue;
    const position: Vector = [ox + distance * dx, oy + distance * dy, oz + distance * dz];
    if (cut && isCut(cut, position)) continue;
    best = { triangle: t / 3, weights: [1 - u - v, u, v], position, distance };
  }
  return best;
}

function isCut(cut: CutPlane, p: Vector): boolean {
  return cut.normal[0] * p[0] + cut.normal[1] * p[1] + cut.normal[2] * p[2] + cut.offset < 0;
}
