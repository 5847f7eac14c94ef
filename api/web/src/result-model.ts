/** The answer that is looked at: which history, step, field and source, and the numbers behind them. */

import { fields as fetchFields, prediction as fetchPrediction } from "./api-client";
import {
  automaticScale,
  difference,
  framesOf,
  largestDisplacement,
  rangeOf,
  valuesOf,
  type FieldName,
  type HistoryFrames,
  type Range,
  type Shown,
  type Source,
} from "./answer-fields";
import type { HistorySummary, PredictionView, ProblemSpec, Summary } from "./contract";
import { Signal } from "./signal";
import type { Part } from "./workbench";

/** Histories whose fields are kept at the same time. */
const KEPT = 6;
/** More than this is not asked for at once: the decisive step alone is shown then. */
const MOST_BYTES = 256e6;
const BYTES_A_POINT = 24;

export interface Answer {
  view: PredictionView;
  summary: Summary;
  part: Part;
  /** The problem as it was asked, for its file. */
  spec: ProblemSpec | null;
}

export class ResultModel {
  readonly answer = new Signal<Answer | null>(null);
  readonly verification = new Signal<PredictionView | null>(null);
  readonly history = new Signal("");
  /** Index among the stored steps. */
  readonly row = new Signal(0);
  readonly field = new Signal<FieldName>("von_mises");
  readonly source = new Signal<Source>("predicted");
  /** Factor on the displacement; null is automatic. */
  readonly scale = new Signal<number | null>(null);
  /** Whether the colours span the whole history, or the step. */
  readonly wholeRange = new Signal(true);
  readonly shown = new Signal<Shown | null>(null);
  /** Both answers to the chosen history, where both are at hand. */
  sides: { predicted: HistoryFrames; solved: HistoryFrames } | null = null;
  readonly busy = new Signal(false);
  readonly trouble = new Signal("");
  private readonly kept = new Map<string, HistoryFrames>();
  private turn = 0;

  /** Takes up an answer and shows its worst history where it tells most.
   *
   * @param verified id of its verification, where one was started
   */
  async open(view: PredictionView, part: Part, spec: ProblemSpec | null, verified: string | null = null): Promise<void> {
    if (!view.summary) throw new Error("this prediction has no summary");
    this.close();
    this.answer.set({ view, summary: view.summary, part, spec });
    this.history.set(view.summary.ranking[0] ?? "");
    const [solved] = await Promise.all([
      verified === null ? null : fetchPrediction(verified),
      this.refresh(true),
    ]);
    if (solved && this.answer.value?.view.id === view.id) this.verification.set(solved);
  }

  close(): void {
    this.turn += 1;
    this.kept.clear();
    this.shown.set(null);
    this.verification.set(null);
    this.source.set("predicted");
    this.answer.set(null);
  }

  get summaryOfHistory(): HistorySummary | null {
    return this.answer.value?.summary.histories.find((entry) => entry.name === this.history.value) ?? null;
  }

  /** The summary of the chosen history as it was solved. */
  get solvedHistory(): HistorySummary | null {
    const found = this.verification.value?.summary?.reference?.histories;
    return found?.find((entry) => entry.name === this.history.value) ?? null;
  }

  /** The same history with its differences. */
  get comparedHistory(): HistorySummary | null {
    const found = this.verification.value?.summary?.histories;
    return found?.find((entry) => entry.name === this.history.value) ?? null;
  }

  get isVerified(): boolean {
    return this.verification.value?.status === "done";
  }

  async chooseHistory(name: string): Promise<void> {
    if (name === this.history.value) return;
    this.history.set(name);
    await this.refresh(true);
  }

  async chooseField(field: FieldName): Promise<void> {
    this.field.set(field);
    if (field === "interval" && this.source.value !== "predicted") this.source.set("predicted");
    await this.refresh(false);
  }

  async chooseSource(source: Source): Promise<void> {
    this.source.set(source);
    if (source !== "predicted" && this.field.value === "interval") this.field.set("von_mises");
    await this.refresh(false);
  }

  /** The deformation as drawn. */
  get drawnScale(): number {
    const [shown, answer] = [this.shown.value, this.answer.value];
    if (!shown || !answer) return 0;
    return this.scale.value ?? this.automatic(shown.shape, answer.part.surface.diagonal);
  }

  private readonly automatics = new WeakMap<HistoryFrames, number>();

  private automatic(shape: HistoryFrames, diagonal: number): number {
    const known = this.automatics.get(shape);
    if (known !== undefined) return known;
    const made = automaticScale(largestDisplacement(shape), diagonal);
    this.automatics.set(shape, made);
    return made;
  }

  get range(): Range {
    const shown = this.shown.value;
    if (!shown) return { low: 0, high: 1 };
    if (!this.wholeRange.value) return rangeOf(shown, this.row.value);
    const known = this.ranges.get(shown) ?? rangeOf(shown, null);
    this.ranges.set(shown, known);
    return known;
  }

  private readonly ranges = new WeakMap<Shown, Range>();

  /** Index of the shown step in the history. */
  get step(): number {
    return this.shown.value?.frames.steps[this.row.value] ?? 0;
  }

  /** Fetches what is to be shown and shows it; what was asked for meanwhile wins. */
  private async refresh(fresh: boolean): Promise<void> {
    const answer = this.answer.value;
    if (!answer) return;
    const turn = (this.turn += 1);
    this.busy.set(true);
    this.trouble.set("");
    try {
      const [field, source] = [this.field.value, this.source.value];
      const predicted = await this.frames(answer.view.id, answer);
      const solved = source === "predicted" ? null : await this.frames(this.verification.value?.id ?? "", answer);
      if (turn !== this.turn) return;
      const frames = !solved ? predicted : source === "solved" ? solved : this.differences(predicted, solved);
      const shape = source === "solved" && solved ? solved : alignedTo(frames, predicted);
      const values = valuesOf(frames, field) ?? frames.von_mises;
      const usedField = frames[field === "displacement" ? "displacement" : field] ? field : "von_mises";
      const step = fresh ? this.tellingStep(frames.steps) : this.step;
      this.field.set(usedField);
      this.sides = solved && { predicted, solved };
      const row = frames.steps.indexOf(step ?? -1);
      this.row.set(row >= 0 ? row : Math.max(0, frames.steps.length - 1));
      this.shown.set(frames.steps.length ? { field: usedField, source, frames, shape, values } : null);
      if (!frames.steps.length) this.trouble.set("Predicted and solved answer have no step in common.");
    } catch (error) {
      if (turn !== this.turn) return;
      this.shown.set(null);
      this.trouble.set(error instanceof Error ? error.message : String(error));
    } finally {
      if (turn === this.turn) this.busy.set(false);
    }
  }

  /** The stored step that the report draws: where the 99.9 percentile of the stress is largest. */
  private tellingStep(stored: number[]): number | undefined {
    const steps = this.summaryOfHistory?.steps ?? [];
    const stress = (step: number): number => steps[step]?.p999_von_mises_pa.value ?? 0;
    return stored.length ? stored.reduce((best, step) => (stress(step) > stress(best) ? step : best)) : undefined;
  }

  private differences(predicted: HistoryFrames, solved: HistoryFrames): HistoryFrames {
    const key = `difference ${predicted.history}`;
    const made = this.kept.get(key) ?? difference(predicted, solved);
    this.keep(key, made);
    return made;
  }

  private async frames(id: string, answer: Answer): Promise<HistoryFrames> {
    const name = this.history.value;
    const key = `${id} ${name}`;
    const known = this.kept.get(key);
    const summary = this.summaryOfHistory;
    const most = (summary?.steps.length ?? 1) * answer.part.surface.points.length * (BYTES_A_POINT / 3);
    const only = most > MOST_BYTES ? (summary?.peak_step ?? null) : null;
    const made = known ?? framesOf(await fetchFields(id, name, only), name);
    this.keep(key, made);
    return made;
  }

  /** The least recently used goes. */
  private keep(key: string, frames: HistoryFrames): void {
    this.kept.delete(key);
    this.kept.set(key, frames);
    for (const oldest of this.kept.keys()) {
      if (this.kept.size <= KEPT) break;
      this.kept.delete(oldest);
    }
  }
}

/** The rows of a shape that fit the steps of some frames. */
function alignedTo(frames: HistoryFrames, shape: HistoryFrames): HistoryFrames {
  if (frames.steps.length === shape.steps.length) return shape;
  const width = 3 * shape.pointCount;
  const displacement = new Float32Array(width * frames.steps.length);
  for (const [row, step] of frames.steps.entries()) {
    const from = shape.steps.indexOf(step) * width;
    displacement.set(shape.displacement.subarray(from, from + width), row * width);
  }
  return { ...shape, steps: frames.steps, displacement };
}
