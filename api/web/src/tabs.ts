/** Two tabs: the set-up and the results. Arrow keys move between them. */

import { byId } from "./dom";
import type { Tab, Workbench } from "./workbench";

const TABS: Tab[] = ["setup", "results"];

export function mountTabs(bench: Workbench): void {
  for (const name of TABS) {
    const tab = byId<HTMLButtonElement>(`tab-${name}`);
    tab.addEventListener("click", () => bench.tab.set(name));
    tab.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      const other = name === "setup" ? "results" : "setup";
      if (byId<HTMLButtonElement>(`tab-${other}`).disabled) return;
      bench.tab.set(other);
      byId(`tab-${other}`).focus();
    });
  }
  bench.tab.watch((chosen) => {
    for (const name of TABS) {
      const tab = byId(`tab-${name}`);
      tab.setAttribute("aria-selected", String(name === chosen));
      tab.tabIndex = name === chosen ? 0 : -1;
      byId(name).hidden = name !== chosen;
    }
    byId("panel").scrollTop = 0;
  });
}
