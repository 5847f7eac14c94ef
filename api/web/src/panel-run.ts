/** Asks for the prediction and shows how far it is. */

import { cancel, follow, predict } from "./api-client";
import type { Fidelity, PredictionView, ProblemSpec } from "./contract";
import { announce, byId, button, el, fill, labelled, select } from "./dom";
import { saveProblem } from "./downloads";
import { Notice } from "./notice";
import { missing, specOf } from "./problem";
import { ProgressLine } from "./progress-line";
import type { Workbench } from "./workbench";

const FIDELITIES: [Fidelity, string][] = [
  ["surrogate", "Surrogate: the world model"],
  ["refined", "Refined: with further equilibrium"],
  ["auto", "Auto: FEM where the model is not sure"],
  ["solved", "Solved: nonlinear FEM"],
];

export class RunPanel {
  private fidelity: Fidelity = "surrogate";
  private running: PredictionView | null = null;
  private readonly start = button("Predict", () => void this.run(), { class: "primary big", id: "predict" });
  private readonly saving = button("Save problem file", () => this.save(), {
    id: "save-problem", title: "For surrogate predict, solve and compare",
  });
  private readonly todo = el("ul", { class: "todo", id: "todo" });
  private readonly progress = new ProgressLine(() => void this.stop());
  private readonly notice = new Notice();

  constructor(
    private readonly bench: Workbench,
    private readonly done: (view: PredictionView, spec: ProblemSpec) => Promise<void>,
  ) {
    const choose = (value: string): Fidelity => (this.fidelity = value as Fidelity);
    const choice = select(FIDELITIES, this.fidelity, choose, "fidelity");
    byId("run-panel").append(
      labelled("Method", choice),
      this.todo,
      el("div", { class: "button-row" }, this.start, this.saving),
      this.progress.element,
      this.notice.element,
    );
    bench.problem.watch(() => this.draw());
    bench.part.listen(() => this.draw());
  }

  private draw(): void {
    const found = missing(this.bench.problem.value, this.bench.part.value?.mesh ?? null);
    fill(this.todo, ...found.map((text) => el("li", {}, text)));
    this.todo.hidden = found.length === 0;
    this.start.disabled = found.length > 0 || this.running !== null;
    this.saving.disabled = found.length > 0;
  }

  private save(): void {
    const part = this.bench.part.value;
    if (part) saveProblem(specOf(this.bench.problem.value, part.faces, part.surface.diagonal), part);
  }

  private async run(): Promise<void> {
    const part = this.bench.part.value;
    if (!part || this.running) return;
    const spec = structuredClone(specOf(this.bench.problem.value, part.faces, part.surface.diagonal));
    this.notice.clear();
    this.progress.begin("asking the service");
    this.start.disabled = true;
    try {
      this.running = await predict(part.mesh.id, part.mesh.name.split(".")[0] || "part", this.fidelity, spec);
      const view = await follow(this.running.id, (event) => this.progress.show(event));
      if (view.status === "failed" && view.error) this.notice.error(view.error.detail, view.error.title);
      else if (view.status === "cancelled") this.notice.info("Cancelled.");
      else {
        this.progress.show({ status: "running", stage: "fetching the fields", progress: 1 });
        await this.done(view, spec);
        announce("The prediction is done.");
      }
    } catch (error) {
      this.notice.failure(error);
    } finally {
      this.running = null;
      this.progress.end();
      this.draw();
    }
  }

  private async stop(): Promise<void> {
    if (!this.running) return;
    try {
      await cancel(this.running.id);
    } catch (error) {
      this.notice.failure(error);
    }
  }
}
