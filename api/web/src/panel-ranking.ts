/** The load histories, worst first; choosing one shows it. */

import type { HistorySummary, Quantity } from "./contract";
import { byId, el, fill } from "./dom";
import type { Answer, ResultModel } from "./result-model";
import { interval, plain, scaled } from "./units";

export function mountRanking(results: ResultModel): void {
  const box = byId("ranking-panel");
  results.answer.watch((answer) => fill(box, answer && table(answer, results)));
  const mark = (): void => {
    for (const row of box.querySelectorAll<HTMLElement>("tbody tr")) {
      const chosen = row.dataset["history"] === results.history.value;
      row.classList.toggle("chosen", chosen);
      row.querySelector("button")?.setAttribute("aria-pressed", String(chosen));
    }
  };
  results.answer.listen(mark);
  results.history.listen(mark);
}

function table(answer: Answer, results: ResultModel): HTMLElement {
  const byName = new Map(answer.summary.histories.map((entry) => [entry.name, entry]));
  const heads = ["", "history", "von Mises, MPa", "plastic, %", "margin, yield"];
  return el(
    "div",
    { class: "table-wrap" },
    el(
      "table",
      { class: "ranking" },
      el("thead", {}, el("tr", {}, ...heads.map((text) => el("th", { scope: "col" }, text || el("span", { class: "hidden-text" }, "rank"))))),
      el(
        "tbody",
        {},
        ...answer.summary.ranking.map((name, index) => {
          const found = byName.get(name);
          return found ? row(found, index, results) : null;
        }),
      ),
    ),
  );
}

function row(history: HistorySummary, index: number, results: ResultModel): HTMLElement {
  const choose = el(
    "button",
    { type: "button", class: "link", onclick: () => void results.chooseHistory(history.name) },
    history.name,
  );
  const stress = largest(history, (step) => step.peak_von_mises_pa);
  const strain = largest(history, (step) => step.peak_plastic_strain);
  const made = el(
    "tr",
    { "data-history": history.name },
    el("td", {}, String(index + 1)),
    el("th", { scope: "row" }, choose, history.collapse ? el("span", { class: "bad small-text" }, " collapses") : null),
    number(stress, 1e-6),
    number(strain, 100),
    marginCell(history.safety_factor_yield),
  );
  made.addEventListener("click", () => void results.chooseHistory(history.name));
  return made;
}

function number(quantity: Quantity | null, factor: number): HTMLElement {
  if (!quantity) return el("td", {}, "–");
  const ends = interval(quantity, factor, Math.abs(factor * (quantity.value ?? 0)) < 100 ? 2 : 3);
  return el("td", {}, scaled(quantity, factor), ends ? el("span", { class: "band" }, ends) : null);
}

/** The largest of a quantity over the steps, with its interval. */
export function largest(
  history: HistorySummary,
  of: (step: HistorySummary["steps"][number]) => Quantity,
): Quantity | null {
  let found: Quantity | null = null;
  for (const step of history.steps) {
    const quantity = of(step);
    if (!found || (quantity.value ?? Infinity) > (found.value ?? Infinity)) found = quantity;
  }
  return found;
}

/** A margin of safety is a factor less one; negative is bad. */
export function marginCell(factor: Quantity): HTMLElement {
  const margin = less(factor);
  const bad = margin.value !== null && margin.value < 0;
  const ends = interval(margin, 1);
  return el("td", { class: bad ? "bad" : "" }, marginText(margin.value), ends ? el("span", { class: "band" }, ends) : null);
}

export function less(factor: Quantity): Quantity {
  const minus = (end: number | null | undefined): number | null | undefined => (typeof end === "number" ? end - 1 : end);
  const made: Quantity = { value: factor.value === null ? null : factor.value - 1 };
  const [low, high] = [minus(factor.low), minus(factor.high)];
  if (low !== undefined) made.low = low;
  if (high !== undefined) made.high = high;
  return made;
}

function marginText(value: number | null): string {
  if (value === null) return "unbounded";
  return `${value > 0 ? "+" : ""}${plain(value, 3)}`.replace("-", "−");
}

