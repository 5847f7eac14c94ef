/** Dark or light, as the system says or as chosen. */

import { byId } from "./dom";

const KEY = "surrogate-theme";
const NEXT: Record<string, string> = { auto: "light", light: "dark", dark: "auto" };
const SIGNS: Record<string, string> = { auto: "◐", light: "☀", dark: "☾" };

export function mountTheme(changed: () => void): void {
  const control = byId("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const use = (theme: string): void => {
    const root = document.documentElement;
    root.dataset["theme"] = theme;
    control.textContent = SIGNS[theme];
    control.setAttribute("aria-label", `Colours: ${theme}. Change to ${NEXT[theme]}.`);
    control.title = `Colours: ${theme}`;
    changed();
  };
  let theme = localStorage.getItem(KEY) ?? "auto";
  if (!(theme in NEXT)) theme = "auto";
  use(theme);
  control.addEventListener("click", () => {
    theme = NEXT[theme];
    localStorage.setItem(KEY, theme);
    use(theme);
  });
  system.addEventListener("change", () => use(theme));
}
