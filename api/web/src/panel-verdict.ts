/** Whether the answer can be believed: method, training domain, warnings. */

import type { Summary } from "./contract";
import { byId, el, fill } from "./dom";
import { specOf } from "./problem";
import type { Answer, ResultModel } from "./result-model";
import { plain, seconds } from "./units";
import type { Workbench } from "./workbench";

const METHODS: Record<Summary["method"], string> = {
  surrogate: "Predicted by the world model",
  refined: "Predicted, refined by equilibrium passes",
  coarse: "Answered from a coarse anchor mesh",
  solved: "Solved by nonlinear FEM",
};

export function mountVerdict(bench: Workbench, results: ResultModel): void {
  const box = byId("verdict-panel");
  const stale = el("p", { class: "notice", id: "stale", hidden: true }, "The set-up has been changed since this answer.");
  results.answer.watch((answer) => fill(box, stale, ...(answer ? verdict(answer) : [])));
  bench.tab.listen((tab) => {
    const spec = results.answer.value?.spec;
    const part = bench.part.value;
    if (tab !== "results" || !part) return;
    const present = JSON.stringify(specOf(bench.problem.value, part.faces, part.surface.diagonal));
    stale.hidden = !spec || JSON.stringify(spec) === present;
  });
}

function verdict({ summary, view }: Answer): HTMLElement[] {
  const { model, domain, warnings, timings_s: timings } = summary;
  const how = [METHODS[summary.method], model && `${model.name} ${model.version}`, timings["total"] && seconds(timings["total"])];
  const made: HTMLElement[] = [
    el("h2", { class: "answer-title" }, view.name),
    el("p", { class: "soft" }, how.filter(Boolean).join(" · ")),
  ];
  if (domain) {
    const score = domain.score === null ? "unbounded" : plain(domain.score, 2);
    made.push(
      el(
        "p",
        { class: `domain ${domain.inside ? "inside" : "outside"}`, id: "domain" },
        el("strong", {}, domain.inside ? "Inside the training domain" : "Outside of the training domain"),
        ` · score ${score}, the edge is 1`,
        domain.inside ? null : el("span", { class: "reason" }, `${domain.reason}; verify by solving.`),
      ),
    );
  }
  // The verdict on the domain stands above; it need not be read twice.
  const others = warnings.filter((text) => !domain || !text.startsWith("outside the model's training domain"));
  if (others.length) {
    made.push(
      el(
        "section",
        { class: "warnings", id: "warnings", "aria-label": "Warnings" },
        el("strong", {}, "Read first"),
        el("ul", {}, ...others.map((text) => el("li", {}, text))),
      ),
    );
  }
  return made;
}
