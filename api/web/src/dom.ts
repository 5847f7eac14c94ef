/** Elements without a template language: text is always text, never markup. */

type Child = Node | string | null | undefined | false;
type Listener = (event: Event) => void;
type Props = Record<string, string | number | boolean | null | undefined | Listener>;

let serial = 0;

/** An id that no other element has. */
export function freshId(stem: string): string {
  serial += 1;
  return `${stem}-${serial}`;
}

/** An element; `on…` properties are listeners, true is an empty attribute, false and null leave it out. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, String(value));
  }
  append(made, children);
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element. */
export function svg(tag: string, props: Record<string, string | number> = {}, ...children: Child[]): SVGElement {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) made.setAttribute(name, String(value));
  append(made, children);
  return made;
}

function append(parent: Element, children: Child[]): void {
  for (const child of children) if (child) parent.append(child);
}

/** Replaces what an element holds. */
export function fill(parent: Element, ...children: Child[]): void {
  parent.replaceChildren();
  append(parent, children);
}

/** The element of the page with an id. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element #${id}`);
  return found as T;
}

/** A labelled control: the label stands above it. */
export function labelled(text: string, control: HTMLElement, hint = ""): HTMLElement {
  control.id ||= freshId("control");
  const label = el("label", { for: control.id, class: "field-label" }, text);
  const box = el("div", { class: "field" }, label, control);
  if (hint) {
    const note = el("div", { class: "hint", id: `${control.id}-hint` }, hint);
    control.setAttribute("aria-describedby", note.id);
    box.append(note);
  }
  return box;
}

/** A select with options given as [value, text]. */
export function select(
  options: [string, string][],
  chosen: string,
  change: (value: string) => void,
  id: string | null = null,
): HTMLSelectElement {
  const made: HTMLSelectElement = el("select", { id, onchange: () => change(made.value) });
  setOptions(made, options, chosen);
  return made;
}

/** Replaces the options of a select. */
export function setOptions(made: HTMLSelectElement, options: [string, string][], chosen: string): void {
  fill(made, ...options.map(([value, text]) => el("option", { value }, text)));
  made.value = chosen;
}

/** A number input; the listener is called with finite numbers only. */
export function numberInput(value: number, name: string, change: (value: number) => void): HTMLInputElement {
  const made: HTMLInputElement = el("input", {
    type: "number",
    step: "any",
    value: String(value),
    "aria-label": name,
    oninput: () => {
      const given = made.valueAsNumber;
      made.toggleAttribute("aria-invalid", !Number.isFinite(given));
      if (Number.isFinite(given)) change(given);
    },
  });
  return made;
}

/** A button. */
export function button(text: string, click: () => void, props: Props = {}): HTMLButtonElement {
  return el("button", { type: "button", onclick: click, ...props }, text);
}

/** A button that shows a sign; its name is for those who do not see it. */
export function signButton(sign: string, name: string, click: () => void, props: Props = {}): HTMLButtonElement {
  return button(sign, click, { "aria-label": name, title: name, class: "sign", ...props });
}

/** Tells screen readers. */
export function announce(text: string): void {
  byId("announcer").textContent = text;
}
