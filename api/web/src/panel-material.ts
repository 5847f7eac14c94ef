/** An alloy of the library, or constants of one's own. */

import { materials } from "./api-client";
import type { Hardening, MaterialTable } from "./contract";
import { byId, el, fill, labelled, numberInput, select, setOptions } from "./dom";
import { Notice } from "./notice";
import { plain } from "./units";
import type { Workbench } from "./workbench";

const OWN = "own constants";

export class MaterialPanel {
  private library: MaterialTable[] = [];
  private own: MaterialTable = {
    name: "own material",
    youngs_modulus_pa: 71.7e9,
    poissons_ratio: 0.33,
    density_kg_m3: 2810,
    yield_strength_pa: 400e6,
    ultimate_strength_pa: 480e6,
    hardening: { linear_modulus_pa: 700e6 },
  };
  private readonly choice = select([], "", (value) => this.choose(value), "material");
  private readonly facts = el("dl", { class: "facts" });
  private readonly fields = el("div", { class: "field-grid", hidden: true });
  private readonly notice = new Notice();

  constructor(private readonly bench: Workbench) {
    byId("material-panel").append(labelled("Material", this.choice), this.notice.element, this.facts, this.fields);
    bench.problem.watch(() => this.draw());
    void this.load();
  }

  /** Asks for the library, again where a key was missing. */
  async load(): Promise<void> {
    try {
      this.library = await materials();
      this.notice.clear();
    } catch (error) {
      this.notice.failure(error);
    }
    this.draw();
  }

  private choose(value: string): void {
    this.bench.problem.value.material = value === OWN ? this.own : value;
    this.bench.changed();
  }

  private drawn: unknown = null;

  private draw(): void {
    const { material } = this.bench.problem.value;
    if (this.drawn === material && this.choice.options.length > 2) return;
    if (this.library.length) this.drawn = material;
    const names = this.library.map((entry) => entry.name);
    const chosen = typeof material === "string" ? material : OWN;
    const missing = typeof material === "string" && material && !names.includes(material) ? [material] : [];
    const options = [...missing, ...names].map((name): [string, string] => [name, name]);
    setOptions(this.choice, [["", "choose"], ...options, [OWN, "Own constants …"]], chosen);
    const table = typeof material === "string" ? this.library.find((entry) => entry.name === material) : null;
    fill(this.facts, ...(table ? factsOf(table) : []));
    this.facts.hidden = !table;
    this.fields.hidden = typeof material === "string";
    if (typeof material !== "string") {
      this.own = material;
      this.drawFields();
    }
  }

  private drawFields(): void {
    const { own } = this;
    const number = (title: string, key: NumberKey, factor: number): HTMLElement =>
      labelled(title, numberInput(own[key] / factor, title, (value) => {
        own[key] = value * factor;
        this.bench.changed();
      }));
    const modulus = (own.hardening.linear_modulus_pa ?? 0) / 1e6;
    fill(
      this.fields,
      number("Young's modulus, GPa", "youngs_modulus_pa", 1e9),
      number("Poisson's ratio", "poissons_ratio", 1),
      number("Yield strength, MPa", "yield_strength_pa", 1e6),
      number("Ultimate strength, MPa", "ultimate_strength_pa", 1e6),
      labelled("Hardening modulus, MPa", numberInput(modulus, "Hardening modulus, MPa", (value) => {
        own.hardening = { linear_modulus_pa: value * 1e6 };
        this.bench.changed();
      })),
      number("Density, kg/m³", "density_kg_m3", 1),
    );
  }
}

type NumberKey =
  | "youngs_modulus_pa"
  | "poissons_ratio"
  | "yield_strength_pa"
  | "ultimate_strength_pa"
  | "density_kg_m3";

function factsOf(table: MaterialTable): HTMLElement[] {
  const facts: [string, string][] = [
    ["Yield, ultimate", `${plain(table.yield_strength_pa / 1e6)}, ${plain(table.ultimate_strength_pa / 1e6)} MPa`],
    ["Elastic", `${plain(table.youngs_modulus_pa / 1e9)} GPa, ν ${plain(table.poissons_ratio, 3)}`],
    ["Hardening", hardening(table.hardening)],
    ["Density", `${plain(table.density_kg_m3)} kg/m³`],
    ["Source", table.source ?? "–"],
  ];
  return facts.flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)]);
}

function hardening(law: Hardening): string {
  if (law.voce) return `Voce, ${plain(law.voce.saturation_pa / 1e6)} MPa at rate ${plain(law.voce.rate)}`;
  if (law.table) return `table of ${law.table.length} rows`;
  return law.linear_modulus_pa ? `linear, ${plain(law.linear_modulus_pa / 1e6)} MPa` : "perfectly plastic";
}
