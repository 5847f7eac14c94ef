/** A button that starts the FEM, and what it says in the end. */

import { cancel, follow, verify } from "./api-client";
import type { PredictionView } from "./contract";
import { announce, byId, button, el } from "./dom";
import { Notice } from "./notice";
import { ProgressLine } from "./progress-line";
import type { ResultModel } from "./result-model";
import { seconds } from "./units";

export class VerificationPanel {
  private running: PredictionView | null = null;
  private readonly start = button("Solve by FEM", () => void this.run(), { class: "primary", id: "solve" });
  private readonly text = el("p", { class: "soft" });
  private readonly progress = new ProgressLine(() => void this.stop());
  private readonly notice = new Notice();

  constructor(private readonly results: ResultModel) {
    byId("verification-panel").append(this.text, this.start, this.progress.element, this.notice.element);
    results.answer.watch(() => this.draw());
    results.verification.listen((view) => {
      this.draw();
      // Started earlier, before a reload say: go on watching.
      if (view && (view.status === "queued" || view.status === "running") && !this.running) void this.run();
    });
  }

  private draw(): void {
    const answer = this.results.answer.value;
    const solved = answer?.summary.method === "solved";
    const took = this.results.verification.value?.summary?.reference?.timings_s["total"];
    this.start.hidden = solved || this.results.isVerified;
    this.start.disabled = this.running !== null;
    this.text.textContent = solved
      ? "This answer was solved; there is nothing to verify."
      : this.results.isVerified
        ? `Solved${took ? ` in ${seconds(took)}` : ""}: switch between predicted, solved and difference below the view.`
        : "The same problem by nonlinear FEM, to see how far the prediction is off.";
    if (!answer) this.notice.clear();
  }

  private async run(): Promise<void> {
    const answer = this.results.answer.value;
    if (!answer || this.running) return;
    this.notice.clear();
    this.progress.begin("asking the service");
    this.start.disabled = true;
    try {
      this.running = await verify(answer.view.id);
      this.results.verification.set(this.running);
      const view = await follow(this.running.id, (event) => this.progress.show(event));
      if (this.results.answer.value !== answer) return;
      if (view.status === "done") {
        this.results.verification.set(view);
        announce("The problem is solved; predicted and solved answer can be compared.");
      } else if (view.error) this.notice.error(view.error.detail, view.error.title);
      else this.notice.info("Cancelled.");
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
    await cancel(this.running.id).catch((error: unknown) => this.notice.failure(error));
  }
}
