/** A line that tells how something went: errors are read out at once. */

import { ApiError } from "./api-client";
import { el, fill } from "./dom";

export class Notice {
  readonly element = el("div", { class: "notice", hidden: true });

  clear(): void {
    this.element.hidden = true;
    fill(this.element);
  }

  busy(text: string): void {
    this.show("busy", "status", text);
  }

  info(text: string): void {
    this.show("info", "status", text);
  }

  error(text: string, title = ""): void {
    this.show("error", "alert", text, title);
  }

  /** Whatever was thrown, in the words of the service where it is from there. */
  failure(error: unknown): void {
    if (error instanceof ApiError) this.error(error.message, error.title);
    else this.error(error instanceof Error ? error.message : String(error), "This page failed");
  }

  private show(kind: string, role: string, text: string, title = ""): void {
    this.element.className = `notice ${kind}`;
    this.element.setAttribute("role", role);
    fill(
      this.element,
      kind === "busy" && el("span", { class: "spinner", "aria-hidden": "true" }),
      el("span", {}, title ? el("strong", {}, `${title}. `) : null, text),
    );
    this.element.hidden = false;
  }
}
