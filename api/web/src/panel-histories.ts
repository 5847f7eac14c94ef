/** Load histories: factors of the load cases over the steps, typed into a table or pasted as one. */

import { lineChart } from "./chart";
import { caseColour, cssColour } from "./colour-maps";
import type { LoadHistorySpec } from "./contract";
import { byId, button, el, fill, labelled, setOptions, signButton } from "./dom";
import { cellsOf, formatHistories, parseHistories, stepCount } from "./histories-csv";
import { Notice } from "./notice";
import { freeName } from "./problem";
import type { Workbench } from "./workbench";

const RAMP = [0.25, 0.5, 0.75, 1, 0.5, 0];
/** Longer histories are edited as text. */
const MOST_ROWS = 60;

export class HistoriesPanel {
  private chosen = 0;
  private drawn = "";
  private drawnHistory: LoadHistorySpec | undefined;
  private readonly list = el("select", { size: 4, id: "history-list", "aria-label": "Load histories" });
  private readonly name: HTMLInputElement = el("input", { maxlength: 200, id: "history-name", oninput: () => this.rename() });
  private readonly nameField = labelled("Name", this.name);
  private readonly table = el("div", { class: "table-wrap" });
  private readonly chart = el("div");
  private readonly text = el("textarea", {
    rows: 6, id: "history-text", spellcheck: "false", placeholder: "history, load 1, load 2\nlanding, 0.5, 0\nlanding, 1.0, 0.3",
  });
  private readonly adding = [
    button("Ramp and unload", () => this.add(RAMP), { title: "Add a history that ramps all load cases up and down" }),
    button("Empty", () => this.add([0]), { title: "Add a history to be typed in" }),
  ];
  private readonly editing = [button("Copy", () => this.copy()), button("Remove", () => this.remove())];
  private readonly notice = new Notice();
  private readonly hint = el("p", { class: "soft" });

  constructor(private readonly bench: Workbench) {
    this.list.addEventListener("change", () => {
      this.chosen = this.list.selectedIndex;
      this.draw(true);
    });
    byId("histories-panel").append(this.hint, this.list, el("div", { class: "button-row" }, ...this.adding, ...this.editing), this.nameField, this.table, this.chart, this.pasteBox());
    bench.problem.watch(() => this.draw());
  }

  private get histories(): LoadHistorySpec[] {
    return this.bench.problem.value.histories;
  }

  private get cases(): string[] {
    return this.bench.problem.value.cases.map((item) => item.name);
  }

  private get history(): LoadHistorySpec | undefined {
    return this.histories[this.chosen];
  }

  private pasteBox(): HTMLElement {
    const file: HTMLInputElement = el("input", {
      type: "file", accept: ".csv,.tsv,.txt,text/csv", id: "history-file", class: "hidden-text",
      onchange: () => void file.files?.[0]?.text().then((text) => {
        this.text.value = text;
        file.value = "";
        this.useText();
      }),
    });
    return el(
      "details",
      { class: "paste", id: "paste-histories" },
      el("summary", {}, "Paste a table, or open a CSV"),
      labelled("One column a load case, one row a step; a column “history” names several", this.text),
      el(
        "div",
        { class: "button-row" },
        button("Use this table", () => this.useText(), { class: "primary" }),
        file,
        el("label", { for: file.id, class: "button" }, "Open a CSV"),
        button("Show the present ones", () => (this.text.value = formatHistories(this.histories, this.cases))),
      ),
      this.notice.element,
    );
  }

  private useText(): void {
    try {
      const taken = parseHistories(this.text.value, this.cases);
      this.bench.problem.value.histories = taken;
      this.chosen = 0;
      this.notice.info(`${taken.length === 1 ? "One history" : `${taken.length} histories`} taken over.`);
      this.bench.changed();
    } catch (error) {
      this.notice.error(error instanceof Error ? error.message : String(error));
    }
  }

  private add(factors: number[]): void {
    const { histories, cases } = this;
    const name = freeName("history", histories.map((entry) => entry.name));
    histories.push({ name, factors: Object.fromEntries(cases.map((key) => [key, [...factors]])) });
    this.chosen = histories.length - 1;
    this.bench.changed();
  }

  private copy(): void {
    const { history, histories } = this;
    if (!history) return;
    const name = freeName("history", histories.map((entry) => entry.name));
    histories.push({ name, factors: structuredClone(history.factors) });
    this.chosen = histories.length - 1;
    this.bench.changed();
  }

  private remove(): void {
    this.histories.splice(this.chosen, 1);
    this.chosen = Math.max(0, this.chosen - 1);
    this.bench.changed();
  }

  private rename(): void {
    if (!this.history) return;
    this.history.name = this.name.value;
    this.bench.changed();
  }

  /** Draws what has changed; the table is made anew only where its cells are others. */
  private draw(force = false): void {
    const { histories, cases } = this;
    this.chosen = Math.min(this.chosen, Math.max(0, histories.length - 1));
    setOptions(this.list, histories.map((entry, i) => [String(i), `${entry.name} (${stepCount(entry)} steps)`]), String(this.chosen));
    this.list.hidden = histories.length === 0;
    this.hint.textContent = !cases.length
      ? "Load a face first: a history gives the factor of each load case at each step."
      : histories.length ? "" : "None: every load case is ramped to 1 together.";
    this.hint.hidden = !this.hint.textContent;
    const { history } = this;
    for (const each of this.adding) each.disabled = !cases.length;
    for (const each of this.editing) each.disabled = !history;
    this.nameField.hidden = !history;
    if (history && this.name.value !== history.name) this.name.value = history.name;
    this.drawChart();
    const shape = JSON.stringify([this.chosen, cases, history ? stepCount(history) : 0]);
    if (!force && shape === this.drawn && history === this.drawnHistory) return;
    this.drawn = shape;
    this.drawnHistory = history;
    fill(this.table, history && this.tableOf(history));
  }

  private drawChart(): void {
    const { history } = this;
    fill(
      this.chart,
      history &&
        lineChart(
          this.cases.map((name, index) => ({ values: filled(history, name), colour: cssColour(caseColour(index)) })),
          { title: `Factors of ${history.name} over its steps` },
        ),
    );
  }

  private tableOf(history: LoadHistorySpec): HTMLElement {
    const steps = stepCount(history);
    if (steps > MOST_ROWS) return el("p", { class: "soft" }, `${steps} steps: edit them as a table below.`);
    const head = el("tr", {}, el("th", { scope: "col" }, "step"), ...this.cases.map((name) => el("th", { scope: "col" }, name)), el("th"));
    const rows = Array.from({ length: steps }, (_, step) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, String(step + 1)),
        ...this.cases.map((name, column) => el("td", {}, this.cell(history, name, step, column))),
        el("td", {}, signButton("×", `Remove step ${step + 1}`, () => this.removeStep(history, step))),
      ),
    );
    const more = button("Add a step", () => this.addStep(history), { class: "small", id: "add-step" });
    return el("div", {}, el("table", { class: "grid-table" }, el("thead", {}, head), el("tbody", {}, ...rows)), more);
  }

  private cell(history: LoadHistorySpec, name: string, step: number, column: number): HTMLInputElement {
    const input: HTMLInputElement = el("input", {
      type: "number", step: "any", value: filled(history, name)[step], "aria-label": `${name}, step ${step + 1}`,
      oninput: () => {
        if (!Number.isFinite(input.valueAsNumber)) return;
        this.set(history, name, step, input.valueAsNumber);
        this.bench.changed();
      },
      onpaste: (event) => this.paste(event as ClipboardEvent, history, step, column),
    });
    return input;
  }

  private set(history: LoadHistorySpec, name: string, step: number, value: number): void {
    history.factors[name] = filled(history, name);
    history.factors[name][step] = value;
  }

  /** Several cells fill the table from the cell on, as in a spreadsheet. */
  private paste(event: ClipboardEvent, history: LoadHistorySpec, step: number, column: number): void {
    const { rows } = cellsOf(event.clipboardData?.getData("text") ?? "");
    if (rows.length < 2 && (rows[0]?.length ?? 0) < 2) return;
    event.preventDefault();
    while (stepCount(history) < Math.min(step + rows.length, 5000)) this.extend(history);
    for (const [i, row] of rows.entries()) {
      for (const [k, text] of row.entries()) {
        const [name, value] = [this.cases[column + k], Number(text)];
        if (name !== undefined && Number.isFinite(value)) this.set(history, name, step + i, value);
      }
    }
    this.drawn = "";
    this.bench.changed();
  }

  private extend(history: LoadHistorySpec): void {
    const steps = stepCount(history);
    for (const name of this.cases) history.factors[name] = [...filled(history, name), 0].slice(0, steps + 1);
  }

  private addStep(history: LoadHistorySpec): void {
    this.extend(history);
    this.bench.changed();
    this.table.querySelector<HTMLInputElement>("tbody tr:last-child input")?.focus();
  }

  private removeStep(history: LoadHistorySpec, step: number): void {
    if (stepCount(history) < 2) return;
    for (const name of Object.keys(history.factors)) history.factors[name].splice(step, 1);
    this.drawn = "";
    this.bench.changed();
  }
}

/** Factors of a case at all steps; one that is left out stays at zero. */
function filled(history: LoadHistorySpec, name: string): number[] {
  const given = history.factors[name] ?? [];
  return Array.from({ length: stepCount(history) }, (_, step) => given[step] ?? 0);
}
