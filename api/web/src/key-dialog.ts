/** The key of a service that asks for one. */

import { apiKey, setApiKey, whenRefused } from "./api-client";
import { byId } from "./dom";

export function mountKeyDialog(changed: () => void): void {
  const dialog = byId<HTMLDialogElement>("key-dialog");
  const input = byId<HTMLInputElement>("api-key");
  const reason = byId("key-reason");
  const open = (detail: string): void => {
    reason.textContent = detail;
    reason.hidden = !detail;
    input.value = apiKey();
    if (!dialog.open) dialog.showModal();
  };
  const close = (key: string): void => {
    setApiKey(key);
    dialog.close();
    changed();
  };
  byId("key").addEventListener("click", () => open(""));
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    close(input.value.trim());
  });
  byId("key-forget").addEventListener("click", () => close(""));
  byId("key-cancel").addEventListener("click", () => dialog.close());
  whenRefused(open);
}
