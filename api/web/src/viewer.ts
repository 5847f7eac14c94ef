/** The view of the part: set-up with chosen faces and loads, or an answer as colours on the deformed shape. */

import { Mesh, MeshBasicMaterial, SphereGeometry, Vector3 } from "three";

import { caseColour, SUPPORT_COLOUR } from "./colour-maps";
import type { Vector } from "./contract";
import { byId } from "./dom";
import { AxesSign } from "./axes-sign";
import { PartMesh } from "./part-mesh";
import { pick, type CutPlane, type Hit, type Ray } from "./picking";
import type { ResultModel } from "./result-model";
import { SceneView, styleColour } from "./scene";
import { SectionCap } from "./section-cap";
import { Signal } from "./signal";
import { Symbols, type Tag } from "./symbols";
import { Tags } from "./tags";
import type { Part, Workbench } from "./workbench";

const CHOSEN_COLOUR = 0xffb000;
const POINTED_STRENGTH = 0.55;
/** More are not drawn in software while something moves. */
const MANY_TRIANGLES = 40_000;
const REST_MS = 200;

/** A place on the surface that is looked at through all steps. */
export interface Probe {
  triangle: number;
  weights: Vector;
}

export class Viewer {
  readonly probe = new Signal<Probe | null>(null);
  readonly cut = new Signal<CutPlane | null>(null);
  readonly showSymbols = new Signal(true);
  readonly view: SceneView;
  private readonly symbols = new Symbols();
  private readonly cap = new SectionCap();
  private readonly tags: Tags;
  private readonly marker = new Mesh(new SphereGeometry(1, 16, 12), new MeshBasicMaterial({ color: 0xffffff }));
  private mesh: PartMesh | null = null;
  private part: Part | null = null;

  constructor(
    private readonly bench: Workbench,
    private readonly results: ResultModel,
  ) {
    const canvas = byId<HTMLCanvasElement>("canvas");
    this.view = new SceneView(canvas, { hover: (ray) => this.hover(ray), click: (ray) => this.click(ray) });
    this.tags = new Tags(byId("tags"), this.view);
    const axes = new AxesSign(byId("axes"));
    this.view.onDrawn(() => {
      this.tags.follow();
      axes.follow(this.view.axes());
    });
    this.view.onMoved = () => this.move();
    this.marker.visible = false;
    this.marker.renderOrder = 7;
    this.view.add(this.symbols.group, this.cap.mesh, this.marker);
    this.listen();
  }

  private get inResults(): boolean {
    return this.bench.tab.value === "results" && this.results.shown.value !== null;
  }

  private listen(): void {
    this.bench.part.listen((part) => this.open(part));
    this.bench.problem.listen(() => this.drawSetup());
    this.bench.selection.listen(() => this.drawTints());
    this.bench.pointed.listen(() => this.drawTints());
    this.bench.tab.listen(() => this.drawAll());
    this.results.shown.listen(() => {
      this.drawAll();
    });
    this.results.row.listen(() => this.drawRow());
    this.results.scale.listen(() => this.drawRow());
    this.results.wholeRange.listen(() => this.drawRow());
    this.probe.listen(() => this.drawRow());
    this.cut.listen(() => this.drawCut());
    this.showSymbols.listen(() => this.drawSetup());
  }

  private open(part: Part | null): void {
    if (this.mesh) {
      this.view.scene.remove(this.mesh.group);
      this.mesh.dispose();
    }
    const before = this.part?.surface;
    this.part = part;
    const coarsely = this.view.inSoftware && part !== null && part.surface.drawn.length > 3 * MANY_TRIANGLES;
    this.mesh = part ? new PartMesh(part.surface, coarsely) : null;
    this.probe.set(null);
    if (!part || !this.mesh) return;
    this.view.add(this.mesh.group);
    this.useTheme();
    this.drawCut();
    this.drawAll();
    // Meshing the same part again leaves the camera where it is.
    const same = before && Math.abs(before.diagonal / part.surface.diagonal - 1) < 1e-3;
    if (!same) this.view.look(part.surface.centre, part.surface.diagonal);
  }

  /** Takes the colours of the style sheet. */
  useTheme(): void {
    this.mesh?.setPlainColours(styleColour("--part"), styleColour("--part-line"), styleColour("--soft"));
    this.cap.setColours(styleColour("--cap"), styleColour("--cap-hatch"));
    this.marker.material.color.copy(styleColour("--ink"));
    this.view.draw();
  }

  private drawAll(): void {
    const { mesh } = this;
    if (!mesh) return;
    const shown = this.inResults ? this.results.shown.value : null;
    if (shown) mesh.showField(shown);
    else mesh.showStill();
    this.drawTints();
    this.drawSetup();
    this.drawRow();
  }

  /** The shown step; called for each move of the time slider. */
  private drawRow(): void {
    const { mesh, results } = this;
    const shown = this.inResults ? results.shown.value : null;
    if (mesh && shown) {
      this.move();
      mesh.showRow(shown, results.row.value, results.range, results.drawnScale);
    }
    this.drawMarker();
    this.view.draw();
  }

  private resting = 0;

  /** Something moves; it has come to rest when a few frames long nothing has. */
  private move(): void {
    if (this.mesh) this.mesh.moving = true;
    window.clearTimeout(this.resting);
    this.resting = window.setTimeout(() => {
      if (this.mesh) this.mesh.moving = false;
      this.view.draw();
    }, Math.max(REST_MS, 3 * this.view.frameMs));
  }

  private drawTints(): void {
    const { mesh, bench } = this;
    if (!mesh) return;
    const tints = new Map<number, { colour: number; strength: number }>();
    if (!this.inResults) {
      for (const support of bench.problem.value.supports) {
        for (const face of support.faces) tints.set(face, { colour: SUPPORT_COLOUR, strength: 0.75 });
      }
      for (const [index, item] of bench.problem.value.cases.entries()) {
        for (const face of item.loads.flatMap((load) => load.faces)) {
          tints.set(face, { colour: caseColour(index), strength: 0.6 });
        }
      }
      for (const face of bench.selection.value) tints.set(face, { colour: CHOSEN_COLOUR, strength: 0.85 });
      for (const face of bench.pointed.value) {
        const strength = bench.selection.value.has(face) ? 1 : POINTED_STRENGTH;
        tints.set(face, { colour: CHOSEN_COLOUR, strength });
      }
    }
    mesh.setTints(tints);
    this.view.draw();
  }

  private drawSetup(): void {
    const { part, bench } = this;
    const wanted = part !== null && !this.inResults && this.showSymbols.value;
    if (wanted) {
      this.symbols.clear();
      this.symbols.show(bench.problem.value.supports, bench.problem.value.cases, part.faces, part.surface);
    } else this.symbols.clear();
    this.drawTints();
    this.drawMarker();
  }

  private drawCut(): void {
    const { part, mesh } = this;
    if (!part || !mesh) return;
    mesh.setCut(this.cut.value);
    this.cap.place(this.cut.value, new Vector3(...part.surface.centre), 3 * part.surface.diagonal);
    this.view.draw();
  }

  private drawMarker(): void {
    const tags: Tag[] = [...this.symbols.tags];
    const place = this.inResults ? this.probePlace() : null;
    this.marker.visible = place !== null;
    if (place && this.part) {
      this.marker.position.set(...place);
      this.marker.scale.setScalar(0.008 * this.part.surface.diagonal);
    }
    this.tags.show(tags);
  }

  /** Positions of the points as drawn [N, 3], for picking. */
  private positions(): Float32Array {
    const points = this.part?.surface.points ?? new Float32Array();
    const shown = this.inResults ? this.results.shown.value : null;
    const scale = this.results.drawnScale;
    if (!shown || scale === 0) return points;
    const { displacement } = shown.shape;
    const from = this.results.row.value * points.length;
    return points.map((place, i) => place + scale * displacement[from + i]);
  }

  /** The probed place as drawn. */
  private probePlace(): Vector | null {
    const { probe, part, results } = this;
    const shown = results.shown.value;
    if (!probe.value || !part || !shown) return null;
    const { points, triangles } = part.surface;
    const from = results.row.value * points.length;
    const scale = results.drawnScale;
    const place: Vector = [0, 0, 0];
    for (const [k, weight] of probe.value.weights.entries()) {
      const at = 3 * triangles[3 * probe.value.triangle + k];
      for (let axis = 0; axis < 3; axis += 1) {
        place[axis] += weight * (points[at + axis] + scale * shown.shape.displacement[from + at + axis]);
      }
    }
    return place;
  }

  private hit(ray: Ray): Hit | null {
    return this.part ? pick(ray, this.positions(), this.part.surface.triangles, this.cut.value) : null;
  }

  private hover(ray: Ray | null): void {
    const hit = ray && !this.inResults ? this.hit(ray) : null;
    const face = hit && this.part ? this.part.surface.triangleFace[hit.triangle] : null;
    const before = this.bench.pointed.value;
    if (face === null ? before.length === 0 : before.length === 1 && before[0] === face) return;
    this.bench.pointed.set(face === null ? [] : [face]);
  }

  private click(ray: Ray): void {
    const hit = this.hit(ray);
    if (!hit || !this.part) return;
    if (this.inResults) this.probe.set({ triangle: hit.triangle, weights: hit.weights });
    else if (this.bench.tab.value === "setup") this.bench.toggle(this.part.surface.triangleFace[hit.triangle]);
  }
}
