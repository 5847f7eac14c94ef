/** The scale of the colours. */

import { FIELDS, type Range } from "./answer-fields";
import { BANDS, bandsOf } from "./colour-maps";
import { byId, el, fill } from "./dom";
import type { ResultModel } from "./result-model";
import { minus, plain } from "./units";
import type { Workbench } from "./workbench";

const TICKS = 5;

export function mountLegend(bench: Workbench, results: ResultModel): void {
  const box = byId("legend");
  const title = el("div", { class: "legend-title" });
  const upright = el("canvas", { width: 1, height: BANDS, class: "legend-bar upright", "aria-hidden": "true" });
  const lying = el("canvas", { width: BANDS, height: 1, class: "legend-bar lying", "aria-hidden": "true" });
  const ticks = el("ol", { class: "legend-ticks" });
  const note = el("p", { class: "legend-note" });
  box.append(title, el("div", { class: "legend-body" }, upright, lying, ticks), note);

  const draw = (): void => {
    const shown = results.shown.value;
    box.hidden = !shown || bench.tab.value !== "results";
    if (!shown) return;
    const kind = FIELDS[shown.field];
    const difference = shown.source === "difference";
    title.textContent = `${difference ? "Δ " : ""}${kind.title}, ${kind.unit}`;
    paint(upright, lying, bandsOf(shown.field, shown.source));
    fill(ticks, ...tickTexts(results.range, kind.factor).map((text) => el("li", {}, text)));
    note.textContent = difference ? "predicted less solved" : kind.note;
    note.hidden = !note.textContent;
  };
  results.shown.watch(draw);
  results.wholeRange.listen(draw);
  results.row.listen(() => !results.wholeRange.value && draw());
  bench.tab.listen(draw);
}

function tickTexts(range: Range, factor: number): string[] {
  const at = (k: number): number => range.high + (k / (TICKS - 1)) * (range.low - range.high);
  return Array.from({ length: TICKS }, (_, k) => minus(plain(factor * at(k), 3)));
}

/** The bands from the top down, and from left to right. */
function paint(upright: HTMLCanvasElement, lying: HTMLCanvasElement, bands: Uint8Array<ArrayBuffer>): void {
  const down = new ImageData(1, BANDS);
  for (let band = 0; band < BANDS; band += 1) {
    down.data.set(bands.subarray(4 * band, 4 * band + 4), 4 * (BANDS - 1 - band));
  }
  upright.getContext("2d")?.putImageData(down, 0, 0);
  lying.getContext("2d")?.putImageData(new ImageData(new Uint8ClampedArray(bands), BANDS, 1), 0, 0);
}
