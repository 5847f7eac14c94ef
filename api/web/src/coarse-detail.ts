/** A coarser set of triangles for while something moves, where there is no graphics card.
 *
 * Corners that lie in one cell of a grid become one (Rossignac and Borrel, 1993), each face for itself, so that the edges
 * and the colours of faces stay where they are.
 */

import type { Surface } from "./surface";

/** Cells across the diagonal of the part: about this many triangles, squared, are left of each side that is seen. */
const CELLS = 110;

/** Triangles of drawn corners [F', 3], fewer than all of them. */
export function coarseTriangles(surface: Surface): Uint32Array {
  const { points, cornerPoint, cornerFace, drawn, low, diagonal } = surface;
  const size = diagonal / CELLS;
  const first = new Map<number, number>();
  const merged = new Uint32Array(cornerPoint.length);
  for (let corner = 0; corner < cornerPoint.length; corner += 1) {
    let key = cornerFace[corner];
    for (let axis = 0; axis < 3; axis += 1) {
      key = key * (CELLS + 1) + Math.floor((points[3 * cornerPoint[corner] + axis] - low[axis]) / size);
    }
    const known = first.get(key);
    if (known === undefined) first.set(key, corner);
    merged[corner] = known ?? corner;
  }
  const kept: number[] = [];
  for (let i = 0; i < drawn.length; i += 3) {
    const [a, b, c] = [merged[drawn[i]], merged[drawn[i + 1]], merged[drawn[i + 2]]];
    if (a !== b && b !== c && c !== a) kept.push(a, b, c);
  }
  return Uint32Array.from(kept);
}
