/** The surface of a part, made ready for drawing and picking.
 *
 * Shape letters: N points of the surface, M corners as drawn (a point once for each face that it lies on), F triangles.
 */

import type { Vector } from "./contract";
import { floats, indices, type TensorFile } from "./tensor-file";

export interface Surface {
  /** Positions of the points [N, 3], m. */
  points: Float32Array;
  /** Corners of the triangles, indices of points [F, 3]. */
  triangles: Uint32Array;
  /** Face of each triangle [F]. */
  triangleFace: Uint32Array;
  /** Lines where faces meet, indices of points [L, 2]. */
  edges: Uint32Array;
  /** The point of each drawn corner [M]. */
  cornerPoint: Uint32Array;
  /** The face of each drawn corner [M]. */
  cornerFace: Uint32Array;
  /** Triangles of drawn corners [F, 3]. */
  drawn: Uint32Array;
  /** Outward normals at the drawn corners [M, 3]. */
  normals: Float32Array;
  faceCount: number;
  /** Whether a face goes all the way around: its normals cancel [faces]. */
  closed: boolean[];
  centre: Vector;
  /** Diagonal of the bounding box, m. */
  diagonal: number;
  low: Vector;
  high: Vector;
}

/** The surface that the service describes, its triangles in an order that is quick to draw. */
export function surfaceOf(file: TensorFile): Surface {
  const points = floats(file, "points");
  const given = { triangles: indices(file, "triangles"), face: indices(file, "triangle_face") };
  const order = alongCurve(points, given.triangles);
  const triangles = new Uint32Array(given.triangles.length);
  for (let i = 0; i < order.length; i += 1) {
    triangles.set(given.triangles.subarray(3 * order[i], 3 * order[i] + 3), 3 * i);
  }
  return makeSurface(points, triangles, order.map((old) => given.face[old]), indices(file, "edges"));
}

function makeSurface(
  points: Float32Array,
  triangles: Uint32Array,
  triangleFace: Uint32Array,
  edges: Uint32Array,
): Surface {
  let faceCount = 0;
  for (const face of triangleFace) faceCount = Math.max(faceCount, face + 1);
  const { cornerPoint, cornerFace, drawn } = split(points.length / 3, triangles, triangleFace);
  const { normals, closed } = cornerNormals(points, triangles, triangleFace, drawn, cornerPoint.length, faceCount);
  const { low, high } = boundsOf(points);
  const centre: Vector = [0, 1, 2].map((axis) => 0.5 * (low[axis] + high[axis])) as Vector;
  const diagonal = Math.hypot(high[0] - low[0], high[1] - low[1], high[2] - low[2]);
  return {
    points, triangles, triangleFace, edges, cornerPoint, cornerFace, drawn, normals, faceCount, closed, centre, diagonal,
    low, high,
  };
}

/** The triangles along a curve that fills space (Morton's): neighbours are drawn together, so that a corner that was just
 * reckoned is used again. In software this saves a quarter of the time of a frame. */
function alongCurve(points: Float32Array, triangles: Uint32Array): Uint32Array {
  const { low, high } = boundsOf(points);
  const scale = 1023 / Math.max(high[0] - low[0], high[1] - low[1], high[2] - low[2], 1e-30);
  const count = triangles.length / 3;
  // The place on the curve and the triangle in one number, which sorts faster than pairs; 30 and 23 bits fit.
  const keys = new Float64Array(count);
  for (let t = 0; t < count; t += 1) {
    const at = 3 * triangles[3 * t];
    const code = [0, 1, 2].reduce((sum, axis) => sum + (spread((points[at + axis] - low[axis]) * scale) << axis), 0);
    keys[t] = code * 2 ** 23 + t;
  }
  keys.sort();
  return Uint32Array.from(keys, (key) => key % 2 ** 23);
}

/** Ten bits with two zeros after each. */
function spread(value: number): number {
  let bits = value & 1023;
  bits = (bits | (bits << 16)) & 0x30000ff;
  bits = (bits | (bits << 8)) & 0x300f00f;
  bits = (bits | (bits << 4)) & 0x30c30c3;
  return (bits | (bits << 2)) & 0x9249249;
}

function boundsOf(points: Float32Array): { low: Vector; high: Vector } {
  const low: Vector = [Infinity, Infinity, Infinity];
  const high: Vector = [-Infinity, -Infinity, -Infinity];
  for (let i = 0; i < points.length; i += 1) {
    low[i % 3] = Math.min(low[i % 3], points[i]);
    high[i % 3] = Math.max(high[i % 3], points[i]);
  }
  return { low, high };
}

/** A point that several faces share is drawn once for each, so that edges stay sharp and faces have clean colours. */
function split(
  pointCount: number,
  triangles: Uint32Array,
  triangleFace: Uint32Array,
): { cornerPoint: Uint32Array; cornerFace: Uint32Array; drawn: Uint32Array } {
  const first = new Int32Array(pointCount).fill(-1);
  const others = new Map<number, number>();
  const cornerPoint: number[] = [];
  const cornerFace: number[] = [];
  const drawn = new Uint32Array(triangles.length);
  for (let i = 0; i < triangles.length; i += 1) {
    const point = triangles[i];
    const face = triangleFace[(i / 3) | 0];
    let corner = first[point];
    if (corner < 0 || cornerFace[corner] !== face) {
      const key = face * pointCount + point;
      const known = corner < 0 ? undefined : others.get(key);
      if (known !== undefined) corner = known;
      else {
        const fresh = cornerPoint.push(point) - 1;
        cornerFace.push(face);
        if (corner < 0) first[point] = fresh;
        else others.set(key, fresh);
        corner = fresh;
      }
    }
    drawn[i] = corner;
  }
  return { cornerPoint: Uint32Array.from(cornerPoint), cornerFace: Uint32Array.from(cornerFace), drawn };
}

function cornerNormals(
  points: Float32Array,
  triangles: Uint32Array,
  triangleFace: Uint32Array,
  drawn: Uint32Array,
  cornerCount: number,
  faceCount: number,
): { normals: Float32Array; closed: boolean[] } {
  const normals = new Float32Array(3 * cornerCount);
  const sums = new Float64Array(3 * faceCount);
  const areas = new Float64Array(faceCount);
  const normal = [0, 0, 0];
  for (let t = 0; t < triangles.length; t += 3) {
    const [a, b, c] = [3 * triangles[t], 3 * triangles[t + 1], 3 * triangles[t + 2]];
    for (let axis = 0; axis < 3; axis += 1) {
      const [u, v] = [(axis + 1) % 3, (axis + 2) % 3];
      normal[axis] =
        (points[b + u] - points[a + u]) * (points[c + v] - points[a + v]) -
        (points[b + v] - points[a + v]) * (points[c + u] - points[a + u]);
    }
    const face = triangleFace[t / 3];
    areas[face] += Math.hypot(normal[0], normal[1], normal[2]);
    for (let axis = 0; axis < 3; axis += 1) {
      sums[3 * face + axis] += normal[axis];
      for (let k = 0; k < 3; k += 1) normals[3 * drawn[t + k] + axis] += normal[axis];
    }
  }
  for (let i = 0; i < normals.length; i += 3) {
    const length = Math.hypot(normals[i], normals[i + 1], normals[i + 2]) || 1;
    for (let axis = 0; axis < 3; axis += 1) normals[i + axis] /= length;
  }
  const closed = Array.from(areas, (area, face) => {
    const sum = Math.hypot(sums[3 * face], sums[3 * face + 1], sums[3 * face + 2]);
    return sum < 0.25 * area;
  });
  return { normals, closed };
}
