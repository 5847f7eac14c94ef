/** The small sign in the corner that shows where x, y and z point. */

import type { Vector } from "./contract";
import { svg } from "./dom";

const LENGTH = 26;
const NAMES = ["x", "y", "z"];

export class AxesSign {
  private readonly lines: SVGElement[];
  private readonly texts: SVGElement[];

  constructor(box: HTMLElement) {
    this.lines = NAMES.map((name) => svg("line", { class: `axis-${name}`, x1: 0, y1: 0 }));
    this.texts = NAMES.map((name) => svg("text", { class: `axis-${name}` }, name));
    box.append(svg("svg", { viewBox: "-38 -38 76 76" }, ...this.lines, ...this.texts));
  }

  follow(axes: Vector[]): void {
    for (const [index, axis] of axes.entries()) {
      const [x, y] = [axis[0] * LENGTH, -axis[1] * LENGTH];
      this.lines[index].setAttribute("x2", x.toFixed(1));
      this.lines[index].setAttribute("y2", y.toFixed(1));
      this.texts[index].setAttribute("x", (x * 1.28).toFixed(1));
      this.texts[index].setAttribute("y", (y * 1.28).toFixed(1));
    }
  }
}
