/** The part as the graphics card sees it: its body, its edges, and what a section needs. */

import {
  BufferAttribute,
  DataTexture,
  DoubleSide,
  FrontSide,
  Group,
  LineSegments,
  Mesh,
  NearestFilter,
  RGBAFormat,
  Vector4,
  type BufferGeometry,
  type Color,
  type ShaderMaterial,
} from "three";

import type { Range, Shown } from "./answer-fields";
import { BANDS, bandsOf } from "./colour-maps";
import { coarseTriangles } from "./coarse-detail";
import { bodyMaterial, define, lineMaterial, stencilMaterial, type Shared } from "./part-shaders";
import type { CutPlane } from "./picking";
import { gathered, RowBuffers } from "./row-buffers";
import type { Surface } from "./surface";

const NO_CUT = new Vector4(0, 0, 0, 1);

export class PartMesh {
  readonly group = new Group();
  private readonly shared: Shared = { deformation: { value: 0 }, cut: { value: NO_CUT.clone() } };
  private readonly bands = new DataTexture(new Uint8Array(4 * BANDS), BANDS, 1, RGBAFormat);
  private readonly tint: BufferAttribute;
  private readonly all: BufferAttribute;
  private readonly fewer: BufferAttribute | null;
  private readonly corners: RowBuffers;
  private readonly lines: RowBuffers;
  private readonly body: Mesh<BufferGeometry, ShaderMaterial>;
  private readonly edges: LineSegments<BufferGeometry, ShaderMaterial>;
  /** The edges as they were before the load. */
  private readonly ghost: LineSegments<BufferGeometry, ShaderMaterial>;
  private readonly stencilPasses: Mesh<BufferGeometry, ShaderMaterial>[];

  /**
   * @param coarsely whether fewer triangles are drawn while something moves
   */
  constructor(
    private readonly surface: Surface,
    coarsely: boolean,
  ) {
    this.all = new BufferAttribute(surface.drawn, 1);
    this.fewer = coarsely ? new BufferAttribute(coarseTriangles(surface), 1) : null;
    this.tint = new BufferAttribute(new Uint8Array(4 * surface.cornerPoint.length), 4, true);
    this.corners = cornerBuffers(surface, this.tint, this.all);
    this.lines = lineBuffers(surface);
    this.bands.minFilter = this.bands.magFilter = NearestFilter;
    this.body = new Mesh(this.corners.still, bodyMaterial(this.shared, this.bands));
    this.stencilPasses = (["back", "front"] as const).map(
      (faces) => new Mesh(this.corners.still, stencilMaterial(this.shared, faces)),
    );
    this.edges = new LineSegments(this.lines.still, lineMaterial(this.shared, 0.9));
    const still: Shared = { deformation: { value: 0 }, cut: this.shared.cut };
    this.ghost = new LineSegments(this.lines.still, lineMaterial(still, 0.35));
    for (const pass of this.stencilPasses) pass.renderOrder = 1;
    this.body.renderOrder = 3;
    this.edges.renderOrder = this.ghost.renderOrder = 4;
    this.group.add(...this.stencilPasses, this.body, this.edges, this.ghost);
    for (const part of this.group.children) part.frustumCulled = false;
    this.setCut(null);
    this.showStill();
  }

  /** Colours of the part without a field, of its edges, and of the edges as they were before the load. */
  setPlainColours(part: Color, line: Color, ghost: Color): void {
    (this.body.material.uniforms["plainColour"].value as Color).copy(part);
    (this.edges.material.uniforms["colour"].value as Color).copy(line);
    (this.ghost.material.uniforms["colour"].value as Color).copy(ghost);
  }

  /** Tints faces.
   *
   * @param tints colour and strength (0 to 1) by face id
   */
  setTints(tints: Map<number, { colour: number; strength: number }>): void {
    const bytes = this.tint.array as Uint8Array;
    const { cornerFace, faceCount } = this.surface;
    const byFace = new Uint8Array(4 * faceCount);
    for (const [face, { colour, strength }] of tints) {
      byFace.set([(colour >> 16) & 255, (colour >> 8) & 255, colour & 255, Math.round(255 * strength)], 4 * face);
    }
    for (let i = 0; i < cornerFace.length; i += 1) {
      const from = 4 * cornerFace[i];
      for (let k = 0; k < 4; k += 1) bytes[4 * i + k] = byFace[from + k];
    }
    this.tint.needsUpdate = true;
  }

  /** Shows the part itself. */
  showStill(): void {
    define(this.body.material, "COLOURED", false);
    this.use(this.corners.still, this.lines.still);
    this.deformation = 0;
  }

  /** Takes the colours of a field. */
  showField(shown: Shown): void {
    define(this.body.material, "COLOURED", true);
    (this.bands.image.data as Uint8Array).set(bandsOf(shown.field, shown.source));
    this.bands.needsUpdate = true;
  }

  /** Shows a stored step of a field. */
  showRow(shown: Shown, row: number, range: Range, deformation: number): void {
    this.use(this.corners.get(shown, row), this.lines.get(shown, row));
    this.body.material.uniforms["range"].value = [range.low, range.high];
    this.deformation = deformation;
  }

  /** Whether something moves: all triangles are drawn when it has come to rest. */
  set moving(moving: boolean) {
    if (!this.fewer || this.isMoving === moving) return;
    this.isMoving = moving;
    this.use(this.body.geometry, this.edges.geometry);
  }

  private isMoving = false;

  private use(corners: BufferGeometry, lines: BufferGeometry): void {
    corners.setIndex(this.isMoving ? this.fewer : this.all);
    for (const mesh of [this.body, ...this.stencilPasses]) mesh.geometry = corners;
    this.edges.geometry = lines;
  }

  private set deformation(scale: number) {
    this.shared.deformation.value = scale;
    this.ghost.visible = scale !== 0;
  }

  /** Cuts the part open; null closes it. */
  setCut(plane: CutPlane | null): void {
    if (plane) this.shared.cut.value.set(...plane.normal, plane.offset);
    else this.shared.cut.value.copy(NO_CUT);
    for (const pass of this.stencilPasses) pass.visible = plane !== null;
    this.body.material.side = plane ? DoubleSide : FrontSide;
    define(this.body.material, "CUT", plane !== null);
  }

  dispose(): void {
    this.corners.dispose();
    this.lines.dispose();
    this.bands.dispose();
    for (const part of [this.body, this.edges, this.ghost, ...this.stencilPasses]) part.material.dispose();
  }
}

function cornerBuffers(surface: Surface, tint: BufferAttribute, index: BufferAttribute): RowBuffers {
  const position = new BufferAttribute(gathered(surface.points, 0, surface.cornerPoint, 3), 3);
  const normal = new BufferAttribute(surface.normals, 3);
  return new RowBuffers({ attributes: { position, normal, tint }, index, points: surface.cornerPoint }, true);
}

function lineBuffers(surface: Surface): RowBuffers {
  const points = Uint32Array.from(new Set(surface.edges));
  const place = new Map(Array.from(points, (point, index) => [point, index]));
  const index = new BufferAttribute(surface.edges.map((point) => place.get(point) as number), 1);
  const position = new BufferAttribute(gathered(surface.points, 0, points, 3), 3);
  return new RowBuffers({ attributes: { position }, index, points }, false);
}
