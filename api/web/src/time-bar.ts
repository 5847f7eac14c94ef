/** Time slider and play, and what the colours and the shape show. */

import { FIELDS, type FieldName, type Source } from "./answer-fields";
import { byId, el, select, setOptions, signButton } from "./dom";
import type { ResultModel } from "./result-model";
import { plain } from "./units";
import type { Workbench } from "./workbench";

const STEP_MS = 280;

export function mountTimeBar(bench: Workbench, results: ResultModel): void {
  const box = byId("time-bar");
  const player = new Player(results);
  const slider: HTMLInputElement = el("input", {
    type: "range", id: "time", min: 0, step: 1, "aria-label": "Step of the load history",
    oninput: () => {
      player.stop();
      results.row.set(slider.valueAsNumber);
    },
  });
  const caption = el("output", { class: "step-caption", for: "time" });
  box.append(
    el("div", { class: "bar-row" }, player.button, slider, caption),
    el("div", { class: "bar-row bar-choices" }, sourceChoice(results), fieldChoice(results), rangeChoice(results), scaleChoice(results)),
  );

  const drawStep = (): void => {
    slider.value = String(results.row.value);
    const text = stepText(results);
    caption.textContent = text;
    slider.setAttribute("aria-valuetext", text);
  };
  const drawAll = (): void => {
    const shown = results.shown.value;
    box.hidden = !shown || bench.tab.value !== "results";
    if (!shown) player.stop();
    slider.max = String(Math.max(0, (shown?.frames.steps.length ?? 1) - 1));
    drawStep();
  };
  results.shown.watch(drawAll);
  bench.tab.listen(drawAll);
  results.row.listen(drawStep);
}

/** "Step 3 of 6 · pull 0.75". */
function stepText(results: ResultModel): string {
  const history = results.summaryOfHistory;
  if (!history || !results.shown.value) return "";
  const { step } = results;
  const factors = Object.entries(history.steps[step]?.factors ?? {}).map(([name, value]) => `${name} ${plain(value, 3)}`);
  return [`Step ${step + 1} of ${history.steps.length}`, ...factors].join(" · ");
}

class Player {
  readonly button = signButton("▶", "Play", () => this.toggle(), { class: "sign play", "aria-pressed": "false" });
  private timer = 0;

  constructor(private readonly results: ResultModel) {}

  private toggle(): void {
    if (this.timer) this.stop();
    else this.start();
  }

  private start(): void {
    this.timer = window.setInterval(() => {
      const rows = this.results.shown.value?.frames.steps.length ?? 0;
      if (rows < 2) this.stop();
      else this.results.row.set((this.results.row.value + 1) % rows);
    }, STEP_MS);
    this.show(true);
  }

  stop(): void {
    if (!this.timer) return;
    window.clearInterval(this.timer);
    this.timer = 0;
    this.show(false);
  }

  private show(playing: boolean): void {
    this.button.textContent = playing ? "❚❚" : "▶";
    this.button.setAttribute("aria-pressed", String(playing));
    this.button.setAttribute("aria-label", playing ? "Pause" : "Play");
    this.button.title = playing ? "Pause" : "Play";
  }
}

const SOURCES: [Source, string][] = [
  ["predicted", "Predicted"],
  ["solved", "Solved"],
  ["difference", "Difference"],
];

function sourceChoice(results: ResultModel): HTMLElement {
  const box = el("fieldset", { class: "segments", id: "source" }, el("legend", { class: "hidden-text" }, "Answer"));
  const inputs = SOURCES.map(([value, text]) => {
    const input: HTMLInputElement = el("input", {
      type: "radio", name: "source", value, id: `source-${value}`,
      onchange: () => input.checked && void results.chooseSource(value),
    });
    box.append(input, el("label", { for: input.id }, text));
    return input;
  });
  const draw = (): void => {
    for (const input of inputs) {
      input.disabled = input.value !== "predicted" && !results.isVerified;
      input.checked = input.value === results.source.value;
    }
    box.title = results.isVerified ? "" : "Solve by FEM in the results to compare";
    box.hidden = results.answer.value?.summary.method === "solved";
  };
  results.source.watch(draw);
  results.verification.listen(draw);
  results.answer.listen(draw);
  return box;
}

function fieldChoice(results: ResultModel): HTMLElement {
  const made = select([], "", (value) => void results.chooseField(value as FieldName), "field");
  const draw = (): void => {
    const predicted = results.answer.value?.summary.method !== "solved";
    const names = (Object.keys(FIELDS) as FieldName[]).filter((name) => name !== "interval" || predicted);
    setOptions(made, names.map((name) => [name, FIELDS[name].title]), results.field.value);
  };
  results.answer.watch(draw);
  results.field.listen(draw);
  return pair("Colours", made);
}

function rangeChoice(results: ResultModel): HTMLElement {
  const choose = (value: string): void => results.wholeRange.set(value === "all");
  const made = select([["all", "whole history"], ["step", "this step"]], "all", choose, "range");
  return pair("Range", made);
}

function scaleChoice(results: ResultModel): HTMLElement {
  const made: HTMLInputElement = el("input", {
    type: "number", id: "scale", min: 0, step: "any", placeholder: "auto", class: "short",
    oninput: () => {
      const given = made.valueAsNumber;
      results.scale.set(made.value !== "" && Number.isFinite(given) && given >= 0 ? given : null);
    },
  });
  const draw = (): void => {
    const shown = results.shown.value;
    if (shown && results.scale.value === null) made.placeholder = `auto ${plain(results.drawnScale, 3)}`;
  };
  results.shown.watch(draw);
  results.scale.listen(draw);
  return pair("Scale ×", made, "×", "Factor on the deformation");
}

/** A control with its label beside it; a narrow screen shows the short one. */
function pair(text: string, control: HTMLElement, short = text, name = text): HTMLElement {
  const label = short === text ? [text] : [el("span", { class: "long" }, text), el("span", { class: "short-label" }, short)];
  control.setAttribute("aria-label", name);
  return el("div", { class: "pair" }, el("label", { for: control.id }, ...label), control);
}
