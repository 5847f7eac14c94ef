/** Loads as arrows and supports as pins; they show directions, not magnitudes. */

import {
  ConeGeometry,
  CylinderGeometry,
  Group,
  Mesh,
  MeshLambertMaterial,
  Quaternion,
  TorusGeometry,
  Vector3,
  type BufferGeometry,
} from "three";

import { caseColour, SUPPORT_COLOUR } from "./colour-maps";
import type { Face, Vector } from "./contract";
import { LOAD_KINDS, type Load, type LoadCase, type Support } from "./problem";
import type { Surface } from "./surface";
import { plain } from "./units";

const AREA_ARROWS = 9;
const SUPPORT_PINS = 5;
const UP = new Vector3(0, 1, 0);

/** A text at a place of the scene. */
export interface Tag {
  place: Vector;
  text: string;
  colour: number;
}

/** Points of an arrow from its tail at the origin along y, of length 1. */
const SHAFT = new CylinderGeometry(0.018, 0.018, 0.74, 12).translate(0, 0.37, 0);
const HEAD = new ConeGeometry(0.06, 0.26, 20).translate(0, 0.87, 0);
const PIN = new ConeGeometry(0.32, 1, 16).translate(0, -0.5, 0);
const RING = new TorusGeometry(0.42, 0.022, 8, 40, 1.6 * Math.PI);
const RING_HEAD = new ConeGeometry(0.07, 0.22, 16);

export class Symbols {
  readonly group = new Group();
  tags: Tag[] = [];

  /** Draws the supports and loads of a problem. */
  show(supports: Support[], cases: LoadCase[], faces: Face[], surface: Surface): void {
    this.clear();
    const length = 0.26 * surface.diagonal;
    for (const [index, support] of supports.entries()) {
      // In a hole pins would only be in each other's way; its colour tells enough.
      const flat = support.faces.filter((face) => faces[face]?.kind === "plane");
      for (const { place, normal } of samples(flat, surface, SUPPORT_PINS)) {
        this.add([PIN], SUPPORT_COLOUR, place, normal.clone().negate(), 0.045 * surface.diagonal);
      }
      const place = middle(support.faces, faces);
      if (place) this.tags.push({ place, text: `support ${index + 1}`, colour: SUPPORT_COLOUR });
    }
    for (const [index, item] of cases.entries()) {
      for (const load of item.loads) this.load(load, item.name, caseColour(index), faces, surface, length);
    }
  }

  clear(): void {
    for (const child of this.group.children) ((child as Mesh).material as MeshLambertMaterial).dispose();
    this.group.clear();
    this.tags = [];
  }

  private load(load: Load, name: string, colour: number, faces: Face[], surface: Surface, length: number): void {
    const info = LOAD_KINDS[load.kind];
    const vector = new Vector3(...load.value);
    const size = info.scalar ? Math.abs(load.value[0]) : vector.length();
    const text = `${name}: ${plain(size, 3)} ${info.unit}`;
    const centre = load.kind === "acceleration_m_s2" ? surface.centre : middle(load.faces, faces);
    if (!centre || size === 0) return;
    const direction = vector.clone().normalize();
    if (load.kind === "pressure_pa" || load.kind === "traction_pa") {
      for (const { place, normal } of samples(load.faces, surface, AREA_ARROWS)) {
        const along = load.kind === "traction_pa" ? direction : normal.clone().multiplyScalar(-Math.sign(load.value[0]));
        this.arrow(colour, place, along, 0.5 * length, along.dot(normal) < 0);
      }
      this.tags.push({ place: centre, text, colour });
      return;
    }
    if (load.kind === "moment_nm") {
      this.ring(colour, new Vector3(...centre), direction, length);
      this.tags.push({ place: centre, text, colour });
      return;
    }
    const start = load.kind === "force_n" && load.point ? (load.point.map((x) => x / 1e3) as Vector) : centre;
    const normal = load.faces.length === 1 ? faces[load.faces[0]]?.normal : null;
    const pushes = normal !== null && normal !== undefined && direction.dot(new Vector3(...normal)) < -0.1;
    this.arrow(colour, new Vector3(...start), direction, length, pushes);
    const end = new Vector3(...start).addScaledVector(direction, (pushes ? -1.08 : 1.08) * length);
    this.tags.push({ place: end.toArray(), text, colour });
  }

  /** An arrow that ends at a place where it pushes, else starts there. */
  private arrow(colour: number, place: Vector3, direction: Vector3, length: number, pushes: boolean): void {
    const tail = pushes ? place.clone().addScaledVector(direction, -length) : place;
    this.add([SHAFT, HEAD], colour, tail, direction, length);
  }

  private ring(colour: number, place: Vector3, axis: Vector3, length: number): void {
    this.add([SHAFT], colour, place.clone().addScaledVector(axis, -0.37 * length), axis, length);
    const turn = new Quaternion().setFromUnitVectors(new Vector3(0, 0, 1), axis);
    this.add([RING], colour, place, null, length, turn);
    const angle = 1.6 * Math.PI;
    const head = new Vector3(0.42 * Math.cos(angle), 0.42 * Math.sin(angle), 0).applyQuaternion(turn);
    const tangent = new Vector3(-Math.sin(angle), Math.cos(angle), 0).applyQuaternion(turn);
    this.add([RING_HEAD], colour, place.clone().addScaledVector(head, length), tangent, length);
  }

  /** Each shape twice: as it is, and faintly through what hides it, because a load often starts inside of a hole. */
  private add(
    shapes: BufferGeometry[],
    colour: number,
    place: Vector3,
    direction: Vector3 | null,
    scale: number,
    turn = new Quaternion().setFromUnitVectors(UP, direction ?? UP),
  ): void {
    for (const shape of shapes) {
      for (const hidden of [false, true]) {
        const material = new MeshLambertMaterial({
          color: colour, transparent: hidden, opacity: hidden ? 0.3 : 1, depthTest: !hidden, depthWrite: !hidden,
        });
        const mesh = new Mesh(shape, material);
        mesh.position.copy(place);
        mesh.quaternion.copy(turn);
        mesh.scale.setScalar(scale);
        mesh.renderOrder = hidden ? 6 : 5;
        this.group.add(mesh);
      }
    }
  }
}

/** Middle of some faces, weighted by area. */
function middle(ids: number[], faces: Face[]): Vector | null {
  const those = ids.map((id) => faces[id]).filter(Boolean);
  const area = those.reduce((sum, face) => sum + face.area_m2, 0);
  if (!area) return null;
  return [0, 1, 2].map((axis) => those.reduce((sum, f) => sum + (f.area_m2 / area) * f.centroid_m[axis], 0)) as Vector;
}

interface Sample {
  place: Vector3;
  normal: Vector3;
}

/** Corners of some faces that lie far from each other (farthest-point sampling), with their normals. */
function samples(ids: number[], surface: Surface, count: number): Sample[] {
  const wanted = new Set(ids);
  const corners: number[] = [];
  for (let i = 0; i < surface.cornerFace.length; i += 1) if (wanted.has(surface.cornerFace[i])) corners.push(i);
  if (!corners.length) return [];
  const at = (array: Float32Array, i: number): Vector3 => new Vector3(array[3 * i], array[3 * i + 1], array[3 * i + 2]);
  const places = corners.map((corner) => at(surface.points, surface.cornerPoint[corner]));
  const distance = new Float64Array(corners.length).fill(Infinity);
  const chosen: Sample[] = [];
  // The first is the one nearest to the mean, so that one arrow alone stands in the middle.
  const mean = places.reduce((sum, place) => sum.add(place), new Vector3()).divideScalar(places.length);
  let next = 0;
  for (const [i, place] of places.entries()) if (place.distanceTo(mean) < places[next].distanceTo(mean)) next = i;
  while (chosen.length < Math.min(count, corners.length)) {
    const place = places[next];
    chosen.push({ place, normal: at(surface.normals, corners[next]) });
    for (const [i, other] of places.entries()) distance[i] = Math.min(distance[i], other.distanceToSquared(place));
    next = distance.indexOf(Math.max(...distance));
    if (distance[next] === 0) break;
  }
  return chosen;
}
