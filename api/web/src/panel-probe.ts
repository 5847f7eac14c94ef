/** Values at a place of the surface, at the shown step and over all of them. */

import { FIELDS, hottestPoint, type FieldName, type HistoryFrames, type Shown } from "./answer-fields";
import { lineChart } from "./chart";
import { byId, button, el, fill } from "./dom";
import type { ResultModel } from "./result-model";
import { calmly } from "./signal";
import type { Surface } from "./surface";
import { minus, plain } from "./units";
import type { Probe, Viewer } from "./viewer";

export function mountProbe(results: ResultModel, viewer: Viewer): void {
  const box = byId("probe-panel");
  const hottest = button("Probe the largest value", () => {
    const [shown, answer] = [results.shown.value, results.answer.value];
    if (shown && answer) viewer.probe.set(atPoint(answer.part.surface, hottestPoint(shown, results.row.value)));
  }, { id: "probe-hottest" });
  const clear = button("Clear", () => viewer.probe.set(null));
  const values = el("div", { id: "probe-values", "aria-live": "polite" });
  box.append(el("div", { class: "button-row" }, hottest, clear), values);
  const draw = (): void => {
    const [shown, probe, answer] = [results.shown.value, viewer.probe.value, results.answer.value];
    clear.hidden = probe === null;
    if (!shown || !probe || !answer) {
      fill(values, el("p", { class: "soft" }, "Click the part to read values there."));
      return;
    }
    const read = (frames: HistoryFrames, field: FieldName, row: number): number | null =>
      valueAt(frames, field, row, probe, answer.part.surface);
    const kind = FIELDS[shown.field];
    const course = shown.frames.steps.map((_, row) => (read(shown.frames, shown.field, row) ?? NaN) * kind.factor);
    fill(
      values,
      el("p", {}, placeText(probe, answer.part.surface), el("span", { class: "soft" }, ` · step ${results.step + 1}`)),
      table(columnsOf(results, shown), (frames, field) => read(frames, field, frames.steps.indexOf(results.step))),
      lineChart([{ values: course, colour: "var(--accent)" }], {
        title: `${kind.title} at the probed place over the steps, ${kind.unit}`, marked: results.row.value,
        choose: (row) => results.row.set(row),
      }),
      el("p", { class: "soft" }, `${kind.title}, ${kind.unit}. Values are averaged at the points; the margins use the peak inside of the cells.`),
    );
  };
  viewer.probe.watch(draw);
  results.shown.listen(draw);
  const later = calmly(draw);
  results.row.listen(() => viewer.probe.value && later());
}

type Column = [string, HistoryFrames];

/** The shown answer, or both of them and the difference where both are at hand. */
function columnsOf(results: ResultModel, shown: Shown): Column[] {
  const { sides } = results;
  if (!sides || shown.source === "predicted") return [[shown.source, shown.frames]];
  const both: Column[] = [["predicted", sides.predicted], ["solved", sides.solved]];
  return shown.source === "difference" ? [...both, ["difference", shown.frames]] : both;
}

/** Fields down, answers across. */
function table(columns: Column[], read: (frames: HistoryFrames, field: FieldName) => number | null): HTMLElement {
  const rows = (Object.keys(FIELDS) as FieldName[]).map((field) => {
    const { title, unit, factor } = FIELDS[field];
    const values = columns.map(([, frames]) => read(frames, field));
    if (values.every((value) => value === null)) return null;
    const cells = values.map((value) => el("td", {}, value === null ? "–" : minus(plain(value * factor))));
    return el("tr", { "data-field": field }, el("th", { scope: "row" }, title, el("span", { class: "soft" }, `, ${unit}`)), ...cells);
  });
  const heads = ["", ...columns.map(([name]) => name)].map((text) => el("th", { scope: "col" }, text));
  return el("table", { class: "probed" }, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows));
}

/** A probe at a point of the surface: a corner of one of its triangles. */
function atPoint(surface: Surface, point: number): Probe {
  const at = surface.triangles.indexOf(point);
  const weights: [number, number, number] = [0, 0, 0];
  weights[at % 3] = 1;
  return { triangle: Math.floor(at / 3), weights };
}

/** A field at a probed place, SI; null where the frames do not have it. */
function valueAt(frames: HistoryFrames, field: FieldName, row: number, probe: Probe, surface: Surface): number | null {
  const n = frames.pointCount;
  const corners = surface.triangles.subarray(3 * probe.triangle, 3 * probe.triangle + 3);
  const mean = (values: Float32Array, width: number, axis: number): number =>
    probe.weights.reduce((sum, weight, k) => sum + weight * values[width * (row * n + corners[k]) + axis], 0);
  if (field === "displacement") return Math.hypot(...[0, 1, 2].map((axis) => mean(frames.displacement, 3, axis)));
  const values = frames[field];
  return values ? mean(values, 1, 0) : null;
}

function placeText(probe: Probe, surface: Surface): string {
  const place = [0, 1, 2].map((axis) =>
    probe.weights.reduce((sum, weight, k) => {
      const point = surface.triangles[3 * probe.triangle + k];
      return sum + weight * surface.points[3 * point + axis];
    }, 0),
  );
  return `at ${place.map((x) => plain(1e3 * x, 3)).join(", ")} mm`.replaceAll("-", "−");
}
