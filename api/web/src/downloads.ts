/** Files to take along; they are fetched, because a link could not carry the key. */

import { download } from "./api-client";
import type { ProblemSpec } from "./contract";
import { byId, button, el } from "./dom";
import { Notice } from "./notice";
import { problemFile } from "./problem";
import type { ResultModel } from "./result-model";
import type { Part } from "./workbench";

/** Hands a file to the browser. */
export function save(blob: Blob, name: string): void {
  const address = URL.createObjectURL(blob);
  const link = el("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

export function mountDownloads(results: ResultModel): void {
  const box = byId("downloads-panel");
  const notice = new Notice();
  const stem = (): string => fileStem(results.answer.value?.view.name ?? "part");
  const fetched = (id: string, title: string, path: () => string, suffix: string): HTMLButtonElement => {
    const made = button(title, () => void take(), { id });
    const take = async (): Promise<void> => {
      const answer = results.answer.value;
      if (!answer) return;
      made.disabled = true;
      notice.busy(`Making ${title.toLowerCase()} …`);
      try {
        save(await download(`/v1/predictions/${answer.view.id}/${path()}`), `${stem()}${suffix}`);
        notice.clear();
      } catch (error) {
        notice.failure(error);
      } finally {
        made.disabled = false;
      }
    };
    return made;
  };
  const query = (): string => new URLSearchParams({ history: results.history.value, step: String(results.step) }).toString();
  const problem = button("Problem file", () => {
    const answer = results.answer.value;
    if (answer?.spec) saveProblem(answer.spec, answer.part);
  }, { id: "download-problem", title: "For surrogate predict, solve and compare" });
  results.answer.watch((answer) => (problem.hidden = !answer?.spec));
  box.append(
    el(
      "div",
      { class: "button-row" },
      fetched("download-report", "Report", () => "report", "-report.html"),
      fetched("download-vtu", "This step as VTU", () => `result.vtu?${query()}`, ".vtu"),
      fetched("download-series", "All steps for ParaView", () => "series.zip", "-series.zip"),
      fetched("download-summary", "Numbers as JSON", () => "summary", "-summary.json"),
      problem,
    ),
    notice.element,
  );
}

/** Saves the problem as a file that the command line takes; it lies beside the part. */
export function saveProblem(spec: ProblemSpec, part: Part): void {
  const name = part.mesh.name.split(".")[0] || "part";
  save(new Blob([problemFile(spec, part.mesh, part.lengthUnit)], { type: "application/toml" }), `${fileStem(name)}.toml`);
}

function fileStem(name: string): string {
  return name.replace(/[^\p{L}\p{N} _-]/gu, "_");
}
