/** Small line charts over the steps of a history. */

import { svg } from "./dom";
import { plain } from "./units";

export interface Line {
  values: number[];
  colour: string;
  dashed?: boolean;
  /** Ends of an interval around the values. */
  low?: number[];
  high?: number[];
}

export interface ChartOptions {
  title: string;
  /** A labelled horizontal line, drawn where it is within reach. */
  limit?: { value: number; text: string };
  /** A step to mark. */
  marked?: number;
  /** Called with the step that was clicked. */
  choose?: (step: number) => void;
}

const [WIDTH, HEIGHT] = [320, 120];
const [LEFT, RIGHT, TOP, BOTTOM] = [44, 8, 10, 18];

export function lineChart(lines: Line[], options: ChartOptions): SVGElement {
  const count = Math.max(1, ...lines.map((line) => line.values.length));
  const data = lines.flatMap((line) => [...line.values, ...(line.low ?? []), ...(line.high ?? [])]).filter(Number.isFinite);
  let [low, high] = [Math.min(0, ...data), Math.max(0, ...data)];
  if (options.limit && options.limit.value <= 1.5 * high) high = Math.max(high, options.limit.value);
  if (low === high) high = low + 1;
  const x = (step: number): number => LEFT + ((WIDTH - LEFT - RIGHT) * (step + 0.5)) / count;
  const y = (value: number): number => TOP + ((HEIGHT - TOP - BOTTOM) * (high - value)) / (high - low);
  const points = (values: number[]): string =>
    values.map((value, step) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const chart = svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": options.title });
  for (const value of new Set([low, 0, high])) {
    const at = y(value).toFixed(1);
    chart.append(
      svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: at, y2: at }),
      svg("text", { x: LEFT - 5, y: y(value) + 3.5, class: "chart-value" }, plain(value, 3)),
    );
  }
  for (const step of count === 1 ? [0] : [0, count - 1]) {
    chart.append(svg("text", { x: x(step), y: HEIGHT - 4, class: "chart-step" }, `${step + 1}`));
  }
  if (options.limit && options.limit.value <= high) {
    const at = y(options.limit.value);
    chart.append(
      svg("line", { class: "limit", x1: LEFT, x2: WIDTH - RIGHT, y1: at, y2: at }),
      svg("text", { class: "limit-text", x: WIDTH - RIGHT, y: at - 3 }, options.limit.text),
    );
  }
  if (options.marked !== undefined) {
    chart.append(svg("line", { class: "marked", x1: x(options.marked), x2: x(options.marked), y1: TOP, y2: HEIGHT - BOTTOM }));
  }
  for (const line of lines) {
    if (line.low && line.high) {
      const back = line.low.map((value, step) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).reverse();
      chart.append(svg("polygon", { class: "band", fill: line.colour, points: `${points(line.high)} ${back.join(" ")}` }));
    }
    const dash = line.dashed ? { "stroke-dasharray": "4 3" } : {};
    chart.append(svg("polyline", { fill: "none", stroke: line.colour, "stroke-width": 1.8, points: points(line.values), ...dash }));
    if (count === 1) chart.append(svg("circle", { cx: x(0), cy: y(line.values[0]), r: 3, fill: line.colour }));
  }
  const { choose } = options;
  if (choose) {
    chart.classList.add("choosable");
    chart.addEventListener("click", (event) => {
      const box = chart.getBoundingClientRect();
      const at = ((event as MouseEvent).clientX - box.left) * (WIDTH / box.width);
      choose(Math.min(count - 1, Math.max(0, Math.floor(((at - LEFT) / (WIDTH - LEFT - RIGHT)) * count))));
    });
  }
  return chart;
}
