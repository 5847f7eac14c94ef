/** What holds the part. */

import type { Direction } from "./contract";
import { byId, el, fill, freshId, select, signButton } from "./dom";
import { facesLine } from "./panel-faces";
import type { Support } from "./problem";
import type { Workbench } from "./workbench";

export function mountSupports(bench: Workbench): void {
  const box = byId("supports-panel");
  let drawn: Support[] = [];
  bench.problem.watch(({ supports }) => {
    // Cards are made anew only when supports come or go, so that the focus stays where it is.
    if (drawn.length === supports.length && drawn.every((support, i) => support === supports[i])) return;
    drawn = [...supports];
    const empty = el("p", { class: "soft" }, "None yet: choose faces, then Support.");
    fill(box, ...(supports.length ? supports.map((support, index) => card(bench, support, index)) : [empty]));
  });
}

function card(bench: Workbench, support: Support, index: number): HTMLElement {
  const remove = signButton("×", `Remove support ${index + 1}`, () => {
    const { supports } = bench.problem.value;
    supports.splice(supports.indexOf(support), 1);
    bench.changed();
  });
  const faces = el("div");
  const drawFaces = (): void =>
    fill(faces, facesLine(bench, support.faces, (ids) => {
      support.faces = ids;
      drawFaces();
      bench.changed();
    }));
  drawFaces();
  return el(
    "section",
    { class: "card support-card", "aria-label": `Support ${index + 1}` },
    el("div", { class: "card-head" }, el("span", { class: "dot support-dot" }), el("strong", {}, `Support ${index + 1}`), remove),
    faces,
    directions(bench, support),
  );
}

function directions(bench: Workbench, support: Support): HTMLElement {
  const axes = el("div", { class: "checks" });
  for (const axis of ["x", "y", "z"] as const) {
    const input: HTMLInputElement = el("input", {
      type: "checkbox", id: freshId("fixed"), checked: support.fixed.includes(axis),
      onchange: () => {
        const kept = support.fixed.filter((other) => other !== axis);
        support.fixed = (input.checked ? [...kept, axis] : kept).sort();
        bench.changed();
      },
    });
    axes.append(input, el("label", { for: input.id }, axis));
  }
  const kind = select([["axes", "Holds the directions"], ["normal", "Frictionless: across the face only"]],
    support.fixed[0] === "normal" ? "normal" : "axes",
    (value) => {
      support.fixed = value === "normal" ? ["normal"] : (["x", "y", "z"] satisfies Direction[]);
      axes.hidden = value === "normal";
      for (const input of axes.querySelectorAll("input")) input.checked = true;
      bench.changed();
    });
  kind.setAttribute("aria-label", "Kind of support");
  axes.hidden = support.fixed[0] === "normal";
  return el("div", { class: "support-kind" }, kind, axes);
}
