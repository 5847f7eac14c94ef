/** Buttons over the view: directions to look from, the section plane, loads on and off. */

import type { Vector } from "./contract";
import { byId, button, el, select, signButton } from "./dom";
import type { CutPlane } from "./picking";
import type { Surface } from "./surface";
import type { Viewer } from "./viewer";
import type { Workbench } from "./workbench";

const VIEWS: [string, string, Vector][] = [
  ["Iso", "Look from a corner", [1, -1.35, 0.95]],
  ["+X", "Look from +x", [1, 0, 0]],
  ["−X", "Look from −x", [-1, 0, 0]],
  ["+Y", "Look from +y", [0, 1, 0]],
  ["−Y", "Look from −y", [0, -1, 0]],
  ["+Z", "Look from above", [0, 0, 1]],
  ["−Z", "Look from below", [0, 0, -1]],
];
const AXES: Record<string, Vector> = { x: [1, 0, 0], y: [0, 1, 0], z: [0, 0, 1] };

export function mountViewTools(bench: Workbench, viewer: Viewer): void {
  const box = byId("view-tools");
  const views = el("div", { class: "tool-row", role: "group", "aria-label": "Look from" });
  for (const [text, name, from] of VIEWS) {
    views.append(button(text, () => viewer.view.turnTo(from), { "aria-label": name, title: name, class: "tool" }));
  }
  const symbols = button("Loads", () => viewer.showSymbols.set(!viewer.showSymbols.value), {
    class: "tool", title: "Show loads and supports",
  });
  viewer.showSymbols.watch((on) => symbols.setAttribute("aria-pressed", String(on)));
  bench.tab.watch((tab) => (symbols.hidden = tab === "results"));
  const section = new SectionTool(bench, viewer);
  box.append(views, el("div", { class: "tool-row" }, section.button, symbols), section.panel);
  bench.part.watch((part) => (box.hidden = part === null));
}

/** Cuts the part by a plane across an axis. */
class SectionTool {
  readonly button = button("Section", () => this.toggle(), {
    class: "tool", id: "section", "aria-pressed": "false", "aria-expanded": "false", "aria-controls": "section-panel",
  });
  readonly panel = el("div", { class: "section-panel", id: "section-panel", hidden: true });
  private readonly slider: HTMLInputElement;
  private axis = "y";
  private flipped = false;

  constructor(
    private readonly bench: Workbench,
    private readonly viewer: Viewer,
  ) {
    const axis = select(Object.keys(AXES).map((name) => [name, `across ${name}`]), this.axis, (value) => {
      this.axis = value;
      this.apply();
    });
    axis.setAttribute("aria-label", "Section plane across");
    this.slider = el("input", {
      type: "range", min: 0, max: 1000, value: 500, "aria-label": "Place of the section plane", oninput: () => this.apply(),
    });
    const flip = signButton("⇄", "Show the other side", () => {
      this.flipped = !this.flipped;
      this.apply();
    });
    this.panel.append(axis, this.slider, flip);
    bench.part.listen(() => this.set(false));
  }

  private toggle(): void {
    this.set(this.viewer.cut.value === null);
  }

  private set(on: boolean): void {
    this.button.setAttribute("aria-pressed", String(on));
    this.button.setAttribute("aria-expanded", String(on));
    this.panel.hidden = !on;
    if (on) this.apply();
    else this.viewer.cut.set(null);
  }

  private apply(): void {
    const surface = this.bench.part.value?.surface;
    if (surface) this.viewer.cut.set(planeAcross(surface, this.axis, this.slider.valueAsNumber / 1000, this.flipped));
  }
}

function planeAcross(surface: Surface, axis: string, share: number, flipped: boolean): CutPlane {
  const index = Object.keys(AXES).indexOf(axis);
  const place = surface.low[index] + share * (surface.high[index] - surface.low[index]);
  const sign = flipped ? -1 : 1;
  return { normal: AXES[axis].map((part) => sign * part) as Vector, offset: -sign * place };
}
