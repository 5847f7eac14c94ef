/** The numbers of one history: margins with their intervals, beside the solved ones where there are any. */

import { lineChart, type Line } from "./chart";
import type { HistorySummary, Quantity } from "./contract";
import { byId, el, fill } from "./dom";
import { largest, less } from "./panel-ranking";
import type { ResultModel } from "./result-model";
import { calmly } from "./signal";
import { interval, percent, plain, scaled } from "./units";

interface Row {
  title: string;
  unit: string;
  factor: number;
  of: (history: HistorySummary) => Quantity | null;
  margin?: boolean;
}

const ROWS: Row[] = [
  { title: "margin of safety, yield", unit: "", factor: 1, of: (h) => less(h.safety_factor_yield), margin: true },
  { title: "margin of safety, ultimate", unit: "", factor: 1, of: (h) => (h.collapse ? null : less(h.safety_factor_ultimate)), margin: true },
  { title: "peak von Mises", unit: "MPa", factor: 1e-6, of: (h) => largest(h, (s) => s.peak_von_mises_pa) },
  { title: "99.9 percentile", unit: "MPa", factor: 1e-6, of: (h) => largest(h, (s) => s.p999_von_mises_pa) },
  { title: "peak plastic strain", unit: "%", factor: 100, of: (h) => largest(h, (s) => s.peak_plastic_strain) },
  { title: "yielded volume", unit: "%", factor: 100, of: (h) => largest(h, (s) => s.yielded_volume_fraction) },
  { title: "largest displacement", unit: "mm", factor: 1e3, of: (h) => largest(h, (s) => s.max_displacement_m) },
  { title: "permanent set", unit: "mm", factor: 1e3, of: (h) => h.permanent_set_m },
  { title: "residual von Mises", unit: "MPa", factor: 1e-6, of: (h) => h.max_residual_von_mises_pa },
];

export function mountMargins(results: ResultModel): void {
  const box = byId("margins-panel");
  const chart = el("div");
  const draw = (): void => {
    const history = results.summaryOfHistory;
    byId("margins-title").textContent = history ? `Margins: ${history.name}` : "Margins";
    fill(
      box,
      history?.collapse && collapseNote(history),
      history && el("div", { class: "table-wrap" }, table(history, results.solvedHistory)),
      history && results.comparedHistory && differences(results.comparedHistory),
      history && chart,
    );
    drawChart();
  };
  const drawChart = (): void => {
    const history = results.summaryOfHistory;
    fill(chart, history && stressChart(history, results));
  };
  results.answer.listen(draw);
  results.history.listen(draw);
  results.verification.listen(draw);
  // Drawing charts while the slider moves would cost it half of its frames.
  results.row.listen(calmly(drawChart));
  results.shown.listen(drawChart);
}

function collapseNote(history: HistorySummary): HTMLElement {
  const { collapse } = history;
  return el(
    "p",
    { class: "notice error" },
    `Plastic collapse in step ${(collapse?.step ?? 0) + 1}, at ${plain(100 * (collapse?.load_factor ?? 0), 3)} % of the largest load: ${collapse?.reason}.`,
  );
}

function table(history: HistorySummary, solved: HistorySummary | null): HTMLElement {
  const predicted = history.safety_factor_yield.low !== undefined;
  const heads = ["quantity", predicted ? "predicted" : "value", predicted && "90 % interval", solved && "solved"];
  return el(
    "table",
    { class: "margins", id: "margins" },
    el("thead", {}, el("tr", {}, ...heads.map((text) => text && el("th", { scope: "col" }, text)))),
    el("tbody", {}, ...ROWS.map((row) => rowOf(row, history, solved, predicted))),
  );
}

function rowOf(row: Row, history: HistorySummary, solved: HistorySummary | null, predicted: boolean): HTMLElement {
  const quantity = row.of(history);
  const text = (of: Quantity | null): string => {
    if (!of) return "–";
    const number = scaled(of, row.factor, row.margin ? 3 : 4).replace("-", "−");
    return row.margin && of.value !== null && of.value > 0 ? `+${number}` : number;
  };
  const bad = row.margin && quantity !== null && quantity.value !== null && quantity.value < 0;
  // An interval that straddles zero leaves the question open.
  const open = row.margin && !bad && typeof quantity?.low === "number" && quantity.low < 0;
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, row.title, row.unit ? el("span", { class: "soft" }, `, ${row.unit}`) : null),
    el("td", { class: bad ? "bad" : open ? "open" : "" }, text(quantity)),
    predicted && el("td", { class: "soft" }, quantity ? interval(quantity, row.factor) : ""),
    solved && el("td", {}, text(row.of(solved))),
  );
}

function differences(history: HistorySummary): HTMLElement | null {
  const { difference } = history;
  if (!difference) return null;
  const { peak, last } = difference;
  return el(
    "p",
    { class: "soft", id: "differences" },
    `Relative difference to the solution at step ${peak.step + 1}: von Mises ${percent(peak.von_mises_rel_l2)}, ` +
      `displacement ${percent(peak.displacement_rel_l2)}, plastic strain ${percent(peak.plastic_strain_rel_l2)}, ` +
      `peak ${percent(peak.peak_von_mises_rel)}; permanent set ${percent(last.permanent_set_rel ?? null)}.`,
  );
}

function stressChart(history: HistorySummary, results: ResultModel): SVGElement | null {
  if (!history.steps.length) return null;
  const stress = (of: "value" | "low" | "high", from = history): number[] =>
    from.steps.map((step) => 1e-6 * (step.peak_von_mises_pa[of] ?? NaN));
  const line: Line = { values: stress("value"), colour: "var(--accent)" };
  if (history.steps[0].peak_von_mises_pa.low !== undefined) Object.assign(line, { low: stress("low"), high: stress("high") });
  const solved = results.solvedHistory;
  const lines = solved ? [line, { values: stress("value", solved), colour: "var(--ink)", dashed: true }] : [line];
  const strength = (results.answer.value?.summary.material.yield_strength_pa ?? 0) / 1e6;
  return lineChart(lines, {
    title: `Peak von Mises stress of ${history.name} over its steps, MPa`,
    limit: { value: strength, text: `yield ${plain(strength, 3)} MPa` },
    marked: results.step,
    choose: (step) => {
      const row = results.shown.value?.frames.steps.indexOf(step) ?? -1;
      if (row >= 0) results.row.set(row);
    },
  });
}
