/** The first step: a file becomes a mesh. */

import { uploadPart } from "./api-client";
import { announce, byId, button, el, fill, labelled, select } from "./dom";
import { Notice } from "./notice";
import { bytes, millimetres, plain, seconds } from "./units";
import type { Part, Workbench } from "./workbench";

const UNITLESS = /\.(stl|obj|vtu|vtk|msh|inp|bdf|nas)(\.gz)?$/i;
const KNOWN = /\.(step|stp|stl|obj|vtu|vtk|msh|inp|bdf|nas)(\.gz)?$/i;
const ACCEPT = ".step,.stp,.stl,.obj,.vtu,.vtk,.msh,.inp,.bdf,.nas,.gz";
const UNITS: [string, string][] = [
  ["", "choose"], ["mm", "mm"], ["m", "m"], ["cm", "cm"], ["in", "inch"], ["ft", "foot"], ["um", "µm"],
];

export class PartPanel {
  private file: File | null = null;
  private busy = false;
  private readonly input: HTMLInputElement = el("input", {
    type: "file", id: "part-file", accept: ACCEPT, class: "hidden-text", onchange: () => this.take(this.input.files?.[0]),
  });
  private readonly unit = select(UNITS, "", () => this.draw(), "length-unit");
  private readonly size: HTMLInputElement = el("input", {
    type: "number", min: 0, step: "any", placeholder: "automatic", id: "element-size", oninput: () => this.draw(),
  });
  private readonly unitField = labelled("Length unit of the file", this.unit, "this format carries none");
  private readonly mesh = button("Mesh the part", () => void this.upload(), { class: "primary", id: "mesh-part" });
  private readonly facts = el("dl", { class: "facts", id: "part-facts" });
  private readonly name = el("span", { class: "file-name" });
  private readonly notice = new Notice();

  constructor(private readonly bench: Workbench) {
    const drop = el(
      "label",
      { class: "drop", for: "part-file", id: "drop" },
      el("strong", {}, "Drop a part here, or choose a file"),
      el("span", { class: "soft" }, "STEP, STL, OBJ, VTU, VTK, MSH, INP, BDF; also .gz"),
      this.name,
    );
    byId("part-panel").append(
      this.input,
      drop,
      el("div", { class: "field-row" }, labelled("Element size, mm", this.size), this.unitField),
      this.mesh,
      this.notice.element,
      this.facts,
    );
    this.dropping(drop);
    bench.part.watch((part) => this.show(part));
    this.draw();
  }

  /** A file may be dropped anywhere. */
  private dropping(drop: HTMLElement): void {
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    document.addEventListener("dragleave", (event) => event.relatedTarget ?? drop.classList.remove("over"));
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      this.bench.tab.set("setup");
      this.take(event.dataTransfer?.files[0]);
    });
  }

  private take(file: File | undefined): void {
    if (!file || this.busy) return;
    this.input.value = "";
    this.notice.clear();
    if (!KNOWN.test(file.name)) {
      this.notice.error(`${file.name} is of no format that can be read. Give a STEP, STL, OBJ, VTU, VTK, MSH, INP or BDF file.`);
      return;
    }
    this.file = file;
    this.unit.value = "";
    this.draw();
    if (!UNITLESS.test(file.name)) void this.upload();
    else {
      this.notice.info("Choose the length unit of this file, then mesh it.");
      this.unit.focus();
    }
  }

  private get needsUnit(): boolean {
    return this.file !== null && UNITLESS.test(this.file.name);
  }

  private draw(): void {
    this.unitField.hidden = !this.needsUnit;
    this.mesh.hidden = this.file === null;
    this.mesh.disabled = this.busy || (this.needsUnit && !this.unit.value);
    this.mesh.textContent = this.bench.part.value ? "Mesh again" : "Mesh the part";
    this.name.textContent = this.file ? `${this.file.name}, ${bytes(this.file.size)}` : "";
  }

  private async upload(): Promise<void> {
    const { file } = this;
    if (!file || this.busy) return;
    const unit = this.needsUnit ? this.unit.value : null;
    const given = this.size.valueAsNumber;
    const size = Number.isFinite(given) && given > 0 ? given / 1e3 : null;
    this.busy = true;
    this.draw();
    const started = performance.now();
    this.notice.busy(`Uploading ${file.name} …`);
    try {
      const view = await uploadPart(file, unit, size, (waiting) => {
        const spent = seconds((performance.now() - started) / 1e3);
        this.notice.busy(`${waiting.status === "queued" ? "Waiting to be meshed" : "Meshing"} … ${spent}`);
      });
      await this.bench.openPart(view, unit);
      this.notice.clear();
      announce(`${view.name} is meshed: ${view.points} points, ${view.faces} faces.`);
    } catch (error) {
      this.notice.failure(error);
    } finally {
      this.busy = false;
      this.draw();
    }
  }

  private show(part: Part | null): void {
    this.facts.hidden = !part;
    if (!part) return;
    const { mesh } = part;
    const facts: [string, string][] = [
      ["Part", mesh.name],
      ["Size", mesh.size_m ? millimetres(mesh.size_m) : "–"],
      ["Volume", mesh.volume_m3 === null ? "–" : `${plain(1e6 * mesh.volume_m3)} cm³`],
      ["Mesh", `${mesh.cells} cells, ${mesh.points} points`],
      ["Median edge", mesh.element_size_m === null ? "–" : `${plain(1e3 * mesh.element_size_m, 3)} mm`],
    ];
    fill(this.facts, ...facts.flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)]));
    this.draw();
  }
}
