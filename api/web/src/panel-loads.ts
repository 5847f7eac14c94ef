/** Load cases: what acts on the part at factor 1. */

import { caseColour, cssColour } from "./colour-maps";
import { byId, button, el, fill, freshId, numberInput, select, signButton } from "./dom";
import { facesLine } from "./panel-faces";
import { LOAD_KINDS, renameCase, type Load, type LoadCase, type LoadKind } from "./problem";
import type { Vector } from "./contract";
import type { Workbench } from "./workbench";

export function mountLoads(bench: Workbench): void {
  const box = byId("loads-panel");
  const list = el("div");
  const gravity = button("Add an acceleration of the whole part", () => bench.addLoad("acceleration_m_s2"), { class: "small" });
  box.append(list, gravity);
  bench.part.watch((part) => (gravity.hidden = part === null));
  let drawn = "";
  const draw = (): void => {
    const { cases } = bench.problem.value;
    // Cards are made anew only when loads come, go or change their kind, so that the focus stays where it is.
    const shape = JSON.stringify(cases.map((item) => item.loads.map((load) => [load.kind, load.faces, load.point !== null])));
    if (shape === drawn) return;
    drawn = shape;
    const empty = el("p", { class: "soft" }, "None yet: choose faces, then Load.");
    fill(list, ...(cases.length ? cases.map((item, index) => caseCard(bench, item, index)) : [empty]));
  };
  bench.problem.watch(draw);
}

function caseCard(bench: Workbench, item: LoadCase, index: number): HTMLElement {
  const dot = el("span", { class: "dot" });
  dot.style.backgroundColor = cssColour(caseColour(index));
  const name: HTMLInputElement = el("input", {
    value: item.name, class: "name", "aria-label": `Name of load case ${index + 1}`, maxlength: 200, id: freshId("case"),
    oninput: () => {
      renameCase(bench.problem.value, item, name.value);
      bench.changed();
    },
  });
  return el(
    "section",
    { class: "card case-card", "aria-label": `Load case ${index + 1}` },
    el("div", { class: "card-head" }, dot, name),
    ...item.loads.map((load) => loadBox(bench, item, load)),
  );
}

function loadBox(bench: Workbench, item: LoadCase, load: Load): HTMLElement {
  const info = LOAD_KINDS[load.kind];
  const whole = load.kind === "acceleration_m_s2";
  const kinds = (Object.keys(LOAD_KINDS) as LoadKind[]).filter((kind) => whole === (kind === "acceleration_m_s2"));
  const kind = select(kinds.map((key) => [key, `${LOAD_KINDS[key].title}, ${LOAD_KINDS[key].unit}`]), load.kind, (value) => {
    load.kind = value as LoadKind;
    if (load.kind !== "force_n") load.point = null;
    bench.changed();
  });
  kind.setAttribute("aria-label", "Kind of load");
  const remove = signButton("×", `Remove this ${info.title.toLowerCase()}`, () => removeLoad(bench, item, load));
  const faces = whole
    ? null
    : facesLine(bench, load.faces, (ids) => {
        load.faces = ids;
        bench.changed();
      });
  return el(
    "div",
    { class: "load-box" },
    el("div", { class: "card-head" }, kind, caseChoice(bench, item, load), remove),
    faces,
    values(info.scalar ? [""] : ["x", "y", "z"], load.value, info.title, info.unit, () => bench.changed()),
    el("div", { class: "hint" }, info.hint),
    load.kind === "force_n" && pointBox(bench, load),
  );
}

function values(names: string[], value: Vector, title: string, unit: string, changed: () => void): HTMLElement {
  const inputs = names.map((name, axis) => {
    const input = numberInput(value[axis], `${name ? `${title} ${name}` : title}, ${unit}`, (given) => {
      value[axis] = given;
      changed();
    });
    return el("span", { class: "component" }, name ? el("i", {}, name) : null, input);
  });
  return el("div", { class: "vector", role: "group", "aria-label": `${title}, ${unit}` }, ...inputs, el("span", { class: "unit" }, unit));
}

/** A force may act at a point away from the faces. */
function pointBox(bench: Workbench, load: Load): HTMLElement {
  const at: HTMLInputElement = el("input", {
    type: "checkbox", id: freshId("point"), checked: load.point !== null,
    onchange: () => {
      load.point = at.checked ? [0, 0, 0] : null;
      bench.changed();
    },
  });
  return el(
    "div",
    { class: "point" },
    el("div", { class: "checks" }, at, el("label", { for: at.id }, "acts at a point away from the faces")),
    load.point && values(["x", "y", "z"], load.point, "Point", "mm", () => bench.changed()),
  );
}

/** Moves a load to another case: loads of one case act together. */
function caseChoice(bench: Workbench, item: LoadCase, load: Load): HTMLElement | null {
  const { cases } = bench.problem.value;
  if (cases.length < 2) return null;
  const move = select(cases.map((other, i) => [String(i), `in ${other.name}`]), String(cases.indexOf(item)), (value) => {
    cases[Number(value)].loads.push(load);
    removeLoad(bench, item, load);
  });
  move.setAttribute("aria-label", "Load case of this load");
  const end = bench.problem.listen(() => {
    if (!move.isConnected) end();
    else for (const [i, other] of cases.entries()) if (move.options[i]) move.options[i].text = `in ${other.name}`;
  });
  return move;
}

/** Removes a load, and its case and the case's factors where it was the last. */
function removeLoad(bench: Workbench, item: LoadCase, load: Load): void {
  const problem = bench.problem.value;
  item.loads.splice(item.loads.indexOf(load), 1);
  if (!item.loads.length) {
    problem.cases.splice(problem.cases.indexOf(item), 1);
    for (const history of problem.histories) delete history.factors[item.name];
    problem.histories = problem.histories.filter((history) => Object.keys(history.factors).length);
  }
  bench.changed();
}
