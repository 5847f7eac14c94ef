/** Keeps the work of this tab, so that reloading the page loses nothing. */

import { mesh, prediction } from "./api-client";
import type { ProblemSpec } from "./contract";
import type { Problem } from "./problem";
import type { ResultModel } from "./result-model";
import type { Workbench } from "./workbench";

const KEY = "surrogate-work";

interface Memory {
  mesh: string;
  lengthUnit: string | null;
  problem: Problem;
  prediction: string | null;
  verification: string | null;
  spec: ProblemSpec | null;
}

export function remember(bench: Workbench, results: ResultModel): void {
  const part = bench.part.value;
  if (!part) return;
  const answer = results.answer.value;
  const memory: Memory = {
    mesh: part.mesh.id,
    lengthUnit: part.lengthUnit,
    problem: bench.problem.value,
    prediction: answer?.view.id ?? null,
    verification: results.verification.value?.id ?? null,
    spec: answer?.spec ?? null,
  };
  try {
    sessionStorage.setItem(KEY, JSON.stringify(memory));
  } catch {
    // Full: hundreds of long histories. The page works without.
  }
}

/** Takes up the work again; what the service no longer has is forgotten. */
export async function recall(bench: Workbench, results: ResultModel): Promise<void> {
  const text = sessionStorage.getItem(KEY);
  if (!text) return;
  try {
    const memory = JSON.parse(text) as Memory;
    const view = await mesh(memory.mesh);
    if (view.status !== "ready") throw new Error("not ready");
    await bench.openPart(view, memory.lengthUnit);
    bench.problem.set(memory.problem);
    const part = bench.part.value;
    if (!memory.prediction || !part) return;
    const answer = await prediction(memory.prediction);
    if (answer.status === "done") await results.open(answer, part, memory.spec, memory.verification);
  } catch {
    sessionStorage.removeItem(KEY);
  }
}
