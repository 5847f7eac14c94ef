/** The part as the graphics card sees it: positions stay, displacement and values are replaced step by step. */

import {
  BackSide,
  BufferAttribute,
  BufferGeometry,
  ClampToEdgeWrapping,
  Color,
  DataTexture,
  DecrementWrapStencilOp,
  DoubleSide,
  DynamicDrawUsage,
  FrontSide,
  Group,
  IncrementWrapStencilOp,
  LineSegments,
  Mesh,
  NearestFilter,
  RGBAFormat,
  ShaderMaterial,
  Vector4,
  type Side,
  type StencilOp,
} from "three";

import type { Range, Shown } from "./answer-fields";
import { BANDS, bandsOf } from "./colour-maps";
import type { CutPlane } from "./picking";
import type { Surface } from "./surface";

const VERTEX = `
attribute vec3 displacement;
attribute float value;
attribute vec4 tint;
uniform float deformation;
uniform vec4 cut;
varying float vValue;
varying float vCut;
varying vec4 vTint;
varying vec3 vNormal;
void main() {
  vec3 place = position + deformation * displacement;
  vValue = value;
  vTint = tint;
  vNormal = normalMatrix * normal;
  vCut = dot(cut.xyz, place) + cut.w;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(place, 1.0);
}`;

const FRAGMENT = `
uniform sampler2D bands;
uniform vec2 range;
uniform bool coloured;
uniform vec3 plainColour;
varying float vValue;
varying float vCut;
varying vec4 vTint;
varying vec3 vNormal;
void main() {
  if (vCut < 0.0) discard;
  vec3 base = mix(plainColour, vTint.rgb, vTint.a);
  if (coloured) {
    float at = range.y > range.x ? (vValue - range.x) / (range.y - range.x) : 0.0;
    base = texture2D(bands, vec2(clamp(at, 0.001, 0.999), 0.5)).rgb;
  }
  vec3 normal = normalize(vNormal) * (gl_FrontFacing ? 1.0 : -1.0);
  float light = max(dot(normal, normalize(vec3(-0.25, 0.45, 0.85))), 0.0);
  float sky = 0.5 + 0.5 * normal.y;
  float shade = coloured ? 0.70 + 0.24 * light + 0.08 * sky : 0.58 + 0.34 * light + 0.12 * sky;
  gl_FragColor = vec4(base * min(shade, 1.06), 1.0);
}`;

const LINE_VERTEX = `
attribute vec3 displacement;
uniform float deformation;
uniform vec4 cut;
varying float vCut;
void main() {
  vec3 place = position + deformation * displacement;
  vCut = dot(cut.xyz, place) + cut.w;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(place, 1.0);
}`;

const LINE_FRAGMENT = `
uniform vec3 colour;
uniform float opacity;
varying float vCut;
void main() {
  if (vCut < 0.0) discard;
  gl_FragColor = vec4(colour, opacity);
}`;

const NO_CUT = new Vector4(0, 0, 0, 1);

/** Uniforms that all passes share by reference. */
interface Shared {
  deformation: { value: number };
  cut: { value: Vector4 };
}

export class PartMesh {
  readonly group = new Group();
  private readonly shared: Shared = { deformation: { value: 0 }, cut: { value: NO_CUT.clone() } };
  private readonly geometry = new BufferGeometry();
  private readonly lines = new BufferGeometry();
  private readonly linePoint: Uint32Array;
  private readonly material: ShaderMaterial;
  private readonly lineMaterial: ShaderMaterial;
  private readonly ghost: LineSegments<BufferGeometry, ShaderMaterial>;
  private readonly stencilPasses: Mesh[];
  private readonly bands = new DataTexture(new Uint8Array(4 * BANDS), BANDS, 1, RGBAFormat);

  constructor(readonly surface: Surface) {
    const corners = surface.cornerPoint.length;
    this.geometry.setAttribute("position", new BufferAttribute(gathered(surface.points, surface.cornerPoint), 3));
    this.geometry.setAttribute("normal", new BufferAttribute(surface.normals, 3));
    this.geometry.setAttribute("displacement", dynamic(new Float32Array(3 * corners), 3));
    this.geometry.setAttribute("value", dynamic(new Float32Array(corners), 1));
    this.geometry.setAttribute("tint", new BufferAttribute(new Uint8Array(4 * corners), 4, true));
    this.geometry.setIndex(new BufferAttribute(surface.drawn, 1));
    this.bands.minFilter = this.bands.magFilter = NearestFilter;
    this.bands.wrapS = ClampToEdgeWrapping;
    this.material = new ShaderMaterial({
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      side: FrontSide,
      polygonOffset: true,
      polygonOffsetFactor: 1,
      polygonOffsetUnits: 1,
      uniforms: {
        ...this.shared,
        bands: { value: this.bands },
        range: { value: [0, 1] },
        coloured: { value: false },
        plainColour: { value: new Color(1, 1, 1) },
      },
    });
    this.stencilPasses = [
      stencilPass(this.geometry, this.shared, BackSide, IncrementWrapStencilOp),
      stencilPass(this.geometry, this.shared, FrontSide, DecrementWrapStencilOp),
    ];
    const body = new Mesh(this.geometry, this.material);
    body.renderOrder = 3;

    this.linePoint = Uint32Array.from(new Set(surface.edges));
    this.makeLines();
    this.lineMaterial = lineMaterial(this.shared, 0.9);
    const edges = new LineSegments(this.lines, this.lineMaterial);
    edges.renderOrder = 4;
    this.ghost = new LineSegments(this.lines, lineMaterial({ deformation: { value: 0 }, cut: this.shared.cut }, 0.28));
    this.ghost.renderOrder = 4;
    this.ghost.visible = false;
    this.group.add(...this.stencilPasses, body, edges, this.ghost);
    for (const part of this.group.children) part.frustumCulled = false;
    this.setCut(null);
  }

  private makeLines(): void {
    const place = new Map<number, number>();
    for (const [index, point] of this.linePoint.entries()) place.set(point, index);
    const index = this.surface.edges.map((point) => place.get(point) as number);
    this.lines.setAttribute("position", new BufferAttribute(gathered(this.surface.points, this.linePoint), 3));
    this.lines.setAttribute("displacement", dynamic(new Float32Array(3 * this.linePoint.length), 3));
    this.lines.setIndex(new BufferAttribute(index, 1));
  }

  /** Colours of the part without a field, and of its edges. */
  setPlainColours(part: Color, line: Color): void {
    (this.material.uniforms["plainColour"].value as Color).copy(part);
    (this.lineMaterial.uniforms["colour"].value as Color).copy(line);
    (this.ghost.material.uniforms["colour"].value as Color).copy(line);
  }

  /** Tints faces.
   *
   * @param tints colour and strength (0 to 1) by face id
   */
  setTints(tints: Map<number, { colour: number; strength: number }>): void {
    const attribute = this.geometry.getAttribute("tint") as BufferAttribute;
    const bytes = attribute.array as Uint8Array;
    const { cornerFace } = this.surface;
    const byFace = new Uint8Array(4 * this.surface.faceCount);
    for (const [face, { colour, strength }] of tints) {
      byFace.set([(colour >> 16) & 255, (colour >> 8) & 255, colour & 255, Math.round(255 * strength)], 4 * face);
    }
    for (let i = 0; i < cornerFace.length; i += 1) {
      const from = 4 * cornerFace[i];
      for (let k = 0; k < 4; k += 1) bytes[4 * i + k] = byFace[from + k];
    }
    attribute.needsUpdate = true;
  }

  /** Shows a stored step of a field; nothing is allocated, so that scrubbing stays smooth. */
  showRow(shown: Shown, row: number): void {
    const n = shown.frames.pointCount;
    const value = this.geometry.getAttribute("value") as BufferAttribute;
    const values = value.array as Float32Array;
    const { cornerPoint } = this.surface;
    const from = row * n;
    for (let i = 0; i < cornerPoint.length; i += 1) values[i] = shown.values[from + cornerPoint[i]];
    value.needsUpdate = true;
    const d = shown.shape.displacement;
    gatherInto(this.geometry.getAttribute("displacement") as BufferAttribute, d, 3 * from, cornerPoint);
    gatherInto(this.lines.getAttribute("displacement") as BufferAttribute, d, 3 * from, this.linePoint);
  }

  set range(range: Range) {
    this.material.uniforms["range"].value = [range.low, range.high];
  }

  /** Colours by the map of a field; null shows the part itself. */
  setColours(shown: Shown | null): void {
    this.material.uniforms["coloured"].value = shown !== null;
    if (!shown) return;
    (this.bands.image.data as Uint8Array).set(bandsOf(shown.field, shown.source));
    this.bands.needsUpdate = true;
  }

  set deformation(scale: number) {
    this.shared.deformation.value = scale;
    this.ghost.visible = scale !== 0;
  }

  /** Cuts the part open; null closes it. */
  setCut(plane: CutPlane | null): void {
    if (plane) this.shared.cut.value.set(...plane.normal, plane.offset);
    else this.shared.cut.value.copy(NO_CUT);
    for (const pass of this.stencilPasses) pass.visible = plane !== null;
    this.material.side = plane ? DoubleSide : FrontSide;
  }

  dispose(): void {
    this.geometry.dispose();
    this.lines.dispose();
    this.bands.dispose();
    this.material.dispose();
    this.lineMaterial.dispose();
    this.ghost.material.dispose();
    for (const pass of this.stencilPasses) (pass.material as ShaderMaterial).dispose();
  }
}

/** Counts in the stencil whether a pixel looks into the cut body: back faces up, front faces down. */
function stencilPass(geometry: BufferGeometry, shared: Shared, side: Side, operation: StencilOp): Mesh {
  const material = new ShaderMaterial({
    vertexShader: LINE_VERTEX,
    fragmentShader: LINE_FRAGMENT,
    side,
    colorWrite: false,
    depthWrite: false,
    depthTest: false,
    stencilWrite: true,
    stencilFail: operation,
    stencilZFail: operation,
    stencilZPass: operation,
    uniforms: { ...shared, colour: { value: new Color() }, opacity: { value: 1 } },
  });
  const pass = new Mesh(geometry, material);
  pass.renderOrder = 1;
  return pass;
}

function lineMaterial(shared: Shared, opacity: number): ShaderMaterial {
  return new ShaderMaterial({
    vertexShader: LINE_VERTEX,
    fragmentShader: LINE_FRAGMENT,
    transparent: true,
    depthWrite: false,
    uniforms: { ...shared, colour: { value: new Color() }, opacity: { value: opacity } },
  });
}

function dynamic(array: Float32Array, width: number): BufferAttribute {
  return new BufferAttribute(array, width).setUsage(DynamicDrawUsage);
}

function gathered(points: Float32Array, ids: Uint32Array): Float32Array {
  const attribute = new BufferAttribute(new Float32Array(3 * ids.length), 3);
  gatherInto(attribute, points, 0, ids);
  return attribute.array as Float32Array;
}

function gatherInto(attribute: BufferAttribute, vectors: Float32Array, from: number, ids: Uint32Array): void {
  const out = attribute.array as Float32Array;
  for (let i = 0; i < ids.length; i += 1) {
    const at = from + 3 * ids[i];
    out[3 * i] = vectors[at];
    out[3 * i + 1] = vectors[at + 1];
    out[3 * i + 2] = vectors[at + 2];
  }
  attribute.needsUpdate = true;
}
