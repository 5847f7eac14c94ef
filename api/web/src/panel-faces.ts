/** The faces of the part as a list, for those who do not point at them in the view. */

import { byId, button, el, fill, freshId } from "./dom";
import { selectorFor, selectorTitle } from "./selector";
import { faceTitle, plain } from "./units";
import type { Part, Workbench } from "./workbench";

export class FacesPanel {
  private readonly list = el("ul", { class: "face-list", id: "face-list" });
  private readonly filter: HTMLInputElement = el("input", {
    type: "search", placeholder: "hole, plane, 8 mm, …", "aria-label": "Filter the faces", oninput: () => this.applyFilter(),
  });
  private rows: { id: number; row: HTMLElement; box: HTMLInputElement; text: string }[] = [];

  constructor(private readonly bench: Workbench) {
    byId("faces-panel").append(this.filter, this.list);
    bench.part.watch((part) => this.draw(part));
    bench.selection.listen(() => this.drawSelection());
    bench.pointed.listen((pointed) => {
      for (const { id, row } of this.rows) row.classList.toggle("pointed", pointed.includes(id));
    });
  }

  private draw(part: Part | null): void {
    this.rows = (part?.faces ?? []).map((face) => {
      const box: HTMLInputElement = el("input", {
        type: "checkbox", id: freshId("face"), "data-face": face.id, onchange: () => this.bench.toggle(face.id),
      });
      const title = faceTitle(face, part?.surface.closed[face.id] ?? false);
      const name = face.name ? `${face.name} · ` : "";
      const label = el(
        "label",
        { for: box.id },
        el("b", {}, String(face.id)),
        ` ${name}${title}`,
        el("span", { class: "soft" }, ` ${plain(1e6 * face.area_m2, 3)} mm²`),
      );
      const point = (on: boolean) => () => this.bench.pointed.set(on ? [face.id] : []);
      const row = el(
        "li",
        { onmouseenter: point(true), onmouseleave: point(false), onfocusin: point(true), onfocusout: point(false) },
        box,
        label,
      );
      return { id: face.id, row, box, text: `${face.id} ${name}${title}`.toLowerCase() };
    });
    fill(this.list, ...this.rows.map((entry) => entry.row));
    byId("face-count").textContent = part ? `${part.faces.length}` : "";
    this.applyFilter();
    this.drawSelection();
  }

  private drawSelection(): void {
    for (const { id, box } of this.rows) box.checked = this.bench.selection.value.has(id);
  }

  private applyFilter(): void {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const { row, text } of this.rows) row.hidden = !words.every((word) => text.includes(word));
  }
}

/** What can be done with the chosen faces; it stands in the view and beside the list. */
export function selectionBar(bench: Workbench, added: (kind: "support" | "load") => void): HTMLElement {
  const count = el("span", { class: "selection-count" });
  const support = button("Support", () => {
    bench.addSupport();
    added("support");
  }, { class: "primary support" });
  const load = button("Load", () => {
    bench.addLoad();
    added("load");
  }, { class: "primary load" });
  const alike = button("Alike", () => bench.selectAlike(), { title: "Choose all faces that are like these" });
  const clear = button("Clear", () => bench.clearSelection());
  const box = el("div", { class: "selection-bar", role: "group", "aria-label": "Chosen faces" }, count, support, load, alike, clear);
  bench.selection.watch((chosen) => {
    count.textContent = chosen.size === 1 ? "1 face" : `${chosen.size} faces`;
    box.hidden = chosen.size === 0;
  });
  return box;
}

/** The faces of a support or a load, with a way to replace them. */
export function facesLine(bench: Workbench, ids: number[], replace: (ids: number[]) => void): HTMLElement {
  const part = bench.part.value;
  const title = part ? selectorTitle(selectorFor(ids, part.faces, part.surface.diagonal)) : "";
  const use = button("Use chosen faces", () => {
    const chosen = [...bench.selection.value].sort((a, b) => a - b);
    bench.clearSelection();
    replace(chosen);
  }, { class: "small" });
  use.hidden = bench.selection.value.size === 0;
  const text = `${ids.length === 1 ? "Face" : "Faces"} ${ids.join(", ")}`;
  const line = el(
    "div",
    { class: "faces-line", tabindex: 0, "aria-label": `${text}, found ${title}` },
    el("span", {}, text),
    el("span", { class: "soft" }, title),
    use,
  );
  const point = (on: boolean) => (): void => bench.pointed.set(on ? ids : []);
  for (const [event, on] of [["mouseenter", true], ["mouseleave", false], ["focus", true], ["blur", false]] as const) {
    line.addEventListener(event, point(on));
  }
  const end = bench.selection.listen((chosen) => {
    if (line.isConnected) use.hidden = chosen.size === 0;
    else end();
  });
  return line;
}
