/** Whether the answer can be believed: method, training domain, warnings. */

import type { Summary } from "./contract";
import { byId, el, fill } from "./dom";
import type { Answer, ResultModel } from "./result-model";
import { plain, seconds } from "./units";

const METHODS: Record<Summary["method"], string> = {
  surrogate: "Predicted by the world model",
  refined: "Predicted, refined by equilibrium passes",
  coarse: "Answered from a coarse anchor mesh",
  solved: "Solved by nonlinear FEM",
};

export function mountVerdict(results: ResultModel): void {
  const box = byId("verdict-panel");
  results.answer.watch((answer) => fill(box, ...(answer ? verdict(answer) : [])));
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
