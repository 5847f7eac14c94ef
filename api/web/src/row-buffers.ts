/** The buffers of each stored step, made once: moving the time slider then only chooses among them. */

import { BufferAttribute, BufferGeometry } from "three";

import type { Shown } from "./answer-fields";

const MOST_BYTES = 256e6;

/** What all steps share. */
export interface Common {
  attributes: Record<string, BufferAttribute>;
  index: BufferAttribute;
  /** The point of each corner [M]. */
  points: Uint32Array;
}

/** A geometry for each step of what is shown; the least recently used go where they are too many. */
export class RowBuffers {
  private readonly made = new Map<number, BufferGeometry>();
  private shown: Shown | null = null;
  /** The part as it is, without a step. */
  readonly still: BufferGeometry;

  constructor(
    private readonly common: Common,
    private readonly withValues: boolean,
  ) {
    const corners = common.points.length;
    this.still = this.geometry(new Float32Array(3 * corners), withValues ? new Float32Array(corners) : null);
  }

  get(shown: Shown, row: number): BufferGeometry {
    if (shown !== this.shown) this.clear();
    this.shown = shown;
    const known = this.made.get(row);
    if (known) {
      this.made.delete(row);
      this.made.set(row, known);
      return known;
    }
    const { points } = this.common;
    const n = shown.frames.pointCount;
    const displacement = gathered(shown.shape.displacement, 3 * row * n, points, 3);
    const made = this.geometry(displacement, this.withValues ? gathered(shown.values, row * n, points, 1) : null);
    this.made.set(row, made);
    const most = Math.max(2, Math.floor(MOST_BYTES / (16 * points.length)));
    for (const [oldest, geometry] of this.made) {
      if (this.made.size <= most) break;
      this.release(geometry);
      this.made.delete(oldest);
    }
    return made;
  }

  private geometry(displacement: Float32Array, values: Float32Array | null): BufferGeometry {
    const made = new BufferGeometry();
    for (const [name, attribute] of Object.entries(this.common.attributes)) made.setAttribute(name, attribute);
    made.setIndex(this.common.index);
    made.setAttribute("displacement", new BufferAttribute(displacement, 3));
    if (values) made.setAttribute("value", new BufferAttribute(values, 1));
    return made;
  }

  /** Frees a step's own buffers; the common ones belong to all. */
  private release(geometry: BufferGeometry): void {
    for (const name of Object.keys(this.common.attributes)) geometry.deleteAttribute(name);
    geometry.setIndex(null);
    geometry.dispose();
  }

  private clear(): void {
    for (const geometry of this.made.values()) this.release(geometry);
    this.made.clear();
  }

  dispose(): void {
    this.clear();
    this.still.dispose();
  }
}

/** Rows [M, width] of the points that corners have. */
export function gathered(values: Float32Array, from: number, points: Uint32Array, width: 1 | 3): Float32Array {
  const made = new Float32Array(width * points.length);
  for (let i = 0; i < points.length; i += 1) {
    const at = from + width * points[i];
    for (let k = 0; k < width; k += 1) made[width * i + k] = values[at + k];
  }
  return made;
}
