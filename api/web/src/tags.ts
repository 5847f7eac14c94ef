/** Texts that stay at places of the scene while the camera moves. */

import { cssColour } from "./colour-maps";
import { el, fill } from "./dom";
import type { SceneView } from "./scene";
import type { Tag } from "./symbols";

export class Tags {
  private shown: { tag: Tag; element: HTMLElement }[] = [];

  constructor(
    private readonly box: HTMLElement,
    private readonly view: SceneView,
  ) {}

  show(tags: Tag[]): void {
    this.shown = tags.map((tag) => {
      const element = el("div", { class: "tag" }, tag.text);
      element.style.setProperty("--tag", cssColour(tag.colour));
      return { tag, element };
    });
    fill(this.box, ...this.shown.map((entry) => entry.element));
    this.view.draw();
  }

  follow(): void {
    for (const { tag, element } of this.shown) {
      const place = this.view.project(tag.place);
      element.hidden = place === null;
      if (place) element.style.transform = `translate(${place.x.toFixed(1)}px, ${place.y.toFixed(1)}px)`;
    }
  }
}
