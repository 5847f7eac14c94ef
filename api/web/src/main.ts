/** Puts the page together. */

import { models } from "./api-client";
import { announce, byId, el, fill } from "./dom";
import { mountDownloads } from "./downloads";
import { mountKeyDialog } from "./key-dialog";
import { mountLegend } from "./legend";
import { FacesPanel, selectionBar } from "./panel-faces";
import { HistoriesPanel } from "./panel-histories";
import { mountLoads } from "./panel-loads";
import { mountMargins } from "./panel-margins";
import { MaterialPanel } from "./panel-material";
import { PartPanel } from "./panel-part";
import { mountProbe } from "./panel-probe";
import { mountRanking } from "./panel-ranking";
import { RunPanel } from "./panel-run";
import { mountSupports } from "./panel-supports";
import { mountVerdict } from "./panel-verdict";
import { VerificationPanel } from "./panel-verification";
import { ResultModel } from "./result-model";
import { recall, remember } from "./session-memory";
import { calmly } from "./signal";
import { mountTabs } from "./tabs";
import { mountTheme } from "./theme";
import { mountTimeBar } from "./time-bar";
import { mountViewTools } from "./view-tools";
import { Viewer } from "./viewer";
import { Workbench } from "./workbench";

function start(): void {
  const bench = new Workbench();
  const results = new ResultModel();
  const viewer = startViewer(bench, results);
  mountTheme(() => viewer?.useTheme());
  mountTabs(bench);
  new PartPanel(bench);
  new FacesPanel(bench);
  mountSupports(bench);
  mountLoads(bench);
  const material = new MaterialPanel(bench);
  new HistoriesPanel(bench);
  new RunPanel(bench, async (view, spec) => {
    const part = bench.part.value;
    if (!part) return;
    await results.open(view, part, spec);
    bench.tab.set("results");
    byId("tab-results").focus();
  });
  mountVerdict(bench, results);
  mountRanking(results);
  mountMargins(results);
  new VerificationPanel(results);
  mountDownloads(results);
  mountTimeBar(bench, results);
  mountLegend(bench, results);
  if (viewer) {
    mountViewTools(bench, viewer);
    mountProbe(results, viewer);
  }
  for (const id of ["selection-list-bar", "selection-view-bar"]) {
    byId(id).append(selectionBar(bench, (kind) => focusNew(kind)));
  }
  mountStatus(bench, results);
  const connect = (): void => {
    void material.load();
    void showModel();
  };
  mountKeyDialog(connect);
  void showModel();
  void recall(bench, results).then(() => {
    const keep = (): void => remember(bench, results);
    for (const signal of [bench.part, bench.problem, results.answer, results.verification]) signal.listen(calmly(keep, 400));
    addEventListener("pagehide", keep);
  });
}

/** The page without a view still sets up, predicts and shows numbers. */
function startViewer(bench: Workbench, results: ResultModel): Viewer | null {
  try {
    return new Viewer(bench, results);
  } catch (error) {
    byId("viewer").classList.add("no-webgl");
    byId("view-hint").textContent = `This browser cannot draw in 3D (${String(error)}). Numbers and downloads work without.`;
    return null;
  }
}

/** The new card's first control. */
function focusNew(kind: "support" | "load"): void {
  const cards = document.querySelectorAll(kind === "support" ? ".support-card" : ".case-card");
  const control = cards[cards.length - 1]?.querySelector<HTMLElement>(
    kind === "support" ? ".support-kind select" : ".vector input",
  );
  control?.focus();
  control?.scrollIntoView({ block: "nearest" });
}

/** What lies under the pointer, whether fields are on their way, and whether there are results. */
function mountStatus(bench: Workbench, results: ResultModel): void {
  const pointed = byId("pointed");
  const trouble = byId("fields-trouble");
  bench.pointed.watch((faces) => {
    pointed.textContent = faces.length === 1 && bench.tab.value === "setup" ? bench.faceTitle(faces[0]) : "";
  });
  bench.part.watch((part) => {
    byId("view-hint").hidden = part !== null && !byId("viewer").classList.contains("no-webgl");
    if (part && results.answer.value && results.answer.value.part.mesh.id !== part.mesh.id) results.close();
  });
  results.answer.watch((answer) => {
    byId<HTMLButtonElement>("tab-results").disabled = answer === null;
    if (!answer) bench.tab.set("setup");
  });
  results.busy.watch((busy) => (byId("fields-busy").hidden = !busy));
  results.trouble.watch((text) => {
    trouble.hidden = !text;
    trouble.textContent = text;
    if (text) announce(text);
  });
}

async function showModel(): Promise<void> {
  const box = byId("model");
  try {
    const [first] = await models();
    fill(box, first ? `${first.name} ${first.version}` : "no model is installed");
  } catch (error) {
    fill(box, el("span", { class: "bad" }, error instanceof Error ? error.message : String(error)));
  }
}

start();
