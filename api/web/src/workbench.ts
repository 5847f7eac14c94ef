/** What the page is about at the moment: a part, its problem, and the faces that are chosen. */

import { faces as fetchFaces, surface as fetchSurface } from "./api-client";
import type { Face, MeshView } from "./contract";
import { emptyProblem, freeName, type Load, type Problem, type Support } from "./problem";
import { Signal } from "./signal";
import { surfaceOf, type Surface } from "./surface";
import { faceTitle } from "./units";

export interface Part {
  mesh: MeshView;
  surface: Surface;
  faces: Face[];
  /** The unit that was given because the file carries none. */
  lengthUnit: string | null;
}

export type Tab = "setup" | "results";

export class Workbench {
  readonly part = new Signal<Part | null>(null);
  readonly problem = new Signal<Problem>(emptyProblem());
  /** Faces that the next support or load will have. */
  readonly selection = new Signal<ReadonlySet<number>>(new Set());
  /** Faces that are pointed at, in the view or in a list. */
  readonly pointed = new Signal<readonly number[]>([]);
  readonly tab = new Signal<Tab>("setup");

  /** Takes up a part; supports and loads of another part make no sense on it. */
  async openPart(mesh: MeshView, lengthUnit: string | null): Promise<void> {
    const [faces, file] = await Promise.all([fetchFaces(mesh.id), fetchSurface(mesh.id)]);
    const surface = surfaceOf(file);
    const before = this.part.value;
    if (before && !sameFaces(before.faces, faces)) {
      const { material } = this.problem.value;
      this.problem.set({ ...emptyProblem(), material });
    }
    this.selection.set(new Set());
    this.pointed.set([]);
    this.part.set({ mesh, surface, faces, lengthUnit });
  }

  /** Tells that the problem has been changed in place. */
  changed(): void {
    this.problem.set(this.problem.value);
  }

  toggle(face: number): void {
    const next = new Set(this.selection.value);
    if (!next.delete(face)) next.add(face);
    this.selection.set(next);
  }

  clearSelection(): void {
    this.selection.set(new Set());
  }

  /** Adds the faces that are like the chosen ones: the same kind and radius, or facing the same way. */
  selectAlike(): void {
    const part = this.part.value;
    if (!part) return;
    const next = new Set(this.selection.value);
    for (const id of this.selection.value) {
      for (const face of part.faces) if (isAlike(part.faces[id], face)) next.add(face.id);
    }
    this.selection.set(next);
  }

  private takeSelection(): number[] {
    const taken = [...this.selection.value].sort((a, b) => a - b);
    this.clearSelection();
    return taken;
  }

  /** Holds the chosen faces. */
  addSupport(): Support {
    const support: Support = { faces: this.takeSelection(), fixed: ["x", "y", "z"] };
    this.problem.value.supports.push(support);
    this.changed();
    return support;
  }

  /** Loads the chosen faces in a load case of its own, or the whole part where it is an acceleration. */
  addLoad(kind: Load["kind"] = "force_n"): Load {
    const problem = this.problem.value;
    const faces = kind === "acceleration_m_s2" ? [] : this.takeSelection();
    const load: Load = { kind, faces, value: kind === "acceleration_m_s2" ? [0, 0, -9.81] : [0, 0, 0], point: null };
    problem.cases.push({ name: freeName("load", problem.cases.map((item) => item.name)), loads: [load] });
    this.changed();
    return load;
  }

  faceTitle(id: number): string {
    const part = this.part.value;
    const face = part?.faces[id];
    if (!part || !face) return `face ${id}`;
    const name = face.name ? ` “${face.name}”` : "";
    return `Face ${id}${name}: ${faceTitle(face, part.surface.closed[id] ?? false)}`;
  }
}

function isAlike(a: Face, b: Face): boolean {
  if (a.kind !== b.kind) return false;
  if (a.kind === "cylinder" && a.radius_m !== null && b.radius_m !== null) {
    return a.hole === b.hole && Math.abs(a.radius_m - b.radius_m) <= 0.02 * a.radius_m && parallel(a.axis, b.axis);
  }
  if (a.kind === "plane" && a.normal && b.normal) {
    return a.normal[0] * b.normal[0] + a.normal[1] * b.normal[1] + a.normal[2] * b.normal[2] > 0.996;
  }
  return false;
}

function parallel(a: Face["axis"], b: Face["axis"]): boolean {
  return a !== null && b !== null && Math.abs(a[0] * b[0] + a[1] * b[1] + a[2] * b[2]) > 0.996;
}

/** Whether two meshes of a part number its faces in the same way, so that supports and loads stay where they are. */
function sameFaces(a: Face[], b: Face[]): boolean {
  return (
    a.length === b.length &&
    a.every((face, i) => {
      const other = b[i];
      const size = Math.sqrt(Math.max(face.area_m2, other.area_m2));
      return (
        face.kind === other.kind &&
        Math.hypot(...face.centroid_m.map((x, k) => x - other.centroid_m[k])) < 0.05 * size &&
        Math.abs(face.area_m2 - other.area_m2) < 0.05 * face.area_m2
      );
    })
  );
}
