/** A bar with the stage of the work, the stages that are behind, and a way to stop. */

import type { ProgressEvent } from "./contract";
import { button, el, fill } from "./dom";
import { seconds } from "./units";

export class ProgressLine {
  readonly element = el("div", { class: "progress", hidden: true });
  private readonly bar = el("progress", { max: 1, "aria-label": "Progress" });
  private readonly stage = el("strong", { role: "status" });
  private readonly time = el("span", { class: "soft" });
  private readonly behind = el("ol", { class: "stages", "aria-label": "Stages so far" });
  private stages: { name: string; started: number }[] = [];
  private started = 0;
  private timer = 0;

  constructor(stop: () => void) {
    this.element.append(
      el("div", { class: "progress-head" }, this.stage, this.time, button("Cancel", stop, { class: "small" })),
      this.bar,
      this.behind,
    );
  }

  begin(stage: string): void {
    this.stages = [];
    this.started = performance.now();
    this.element.hidden = false;
    window.clearInterval(this.timer);
    this.timer = window.setInterval(() => this.tick(), 200);
    this.show({ status: "queued", stage, progress: 0 });
  }

  show(event: ProgressEvent): void {
    const stage = event.stage ?? (event.status === "queued" ? "waiting for a worker" : event.status);
    const now = performance.now();
    if (this.stages.at(-1)?.name !== stage) this.stages.push({ name: stage, started: now });
    this.stage.textContent = stage;
    this.bar.value = event.progress;
    if (event.status === "queued") this.bar.removeAttribute("value");
    fill(
      this.behind,
      ...this.stages.slice(0, -1).map(({ name, started }, i) =>
        el("li", {}, name, el("span", { class: "soft" }, ` ${seconds((this.stages[i + 1].started - started) / 1e3)}`)),
      ),
    );
  }

  end(): void {
    window.clearInterval(this.timer);
    this.element.hidden = true;
  }

  private tick(): void {
    this.time.textContent = seconds((performance.now() - this.started) / 1e3);
  }
}
