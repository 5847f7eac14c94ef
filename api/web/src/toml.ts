/** Writes a problem as TOML 1.0, which `surrogate predict` reads. */

/** A TOML document of plain data; null and undefined entries are left out. */
export function toToml(data: Record<string, unknown>, comment: string): string {
  const lines = comment.split("\n").map((line) => `# ${line}`);
  table(data, "", lines);
  return `${lines.join("\n")}\n`;
}

function table(data: Record<string, unknown>, path: string, lines: string[]): void {
  const later: [string, unknown][] = [];
  for (const [key, value] of Object.entries(data)) {
    if (value === null || value === undefined) continue;
    if (isTables(value) || (path === "" && isTable(value))) later.push([key, value]);
    else lines.push(`${bare(key)} = ${inline(value)}`);
  }
  for (const [key, value] of later) {
    const name = path ? `${path}.${bare(key)}` : bare(key);
    for (const entry of isTables(value) ? value : [value]) {
      lines.push("", isTables(value) ? `[[${name}]]` : `[${name}]`);
      table(entry as Record<string, unknown>, name, lines);
    }
  }
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTables(value: unknown): value is Record<string, unknown>[] {
  return Array.isArray(value) && value.length > 0 && value.every(isTable);
}

function inline(value: unknown): string {
  if (typeof value === "string") return quoted(value);
  if (typeof value === "boolean") return String(value);
  if (typeof value === "number") return number(value);
  if (Array.isArray(value)) return `[${value.map(inline).join(", ")}]`;
  if (isTable(value)) {
    const entries = Object.entries(value).filter(([, entry]) => entry !== null && entry !== undefined);
    return `{${entries.map(([key, entry]) => `${bare(key)} = ${inline(entry)}`).join(", ")}}`;
  }
  throw new Error(`TOML has no ${typeof value}`);
}

function number(value: number): string {
  if (!Number.isFinite(value)) throw new Error(`${value} is no number of a problem`);
  return String(value);
}

function bare(key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : quoted(key);
}

/** A basic string; JSON escapes all that TOML wants escaped but DEL, and lone surrogates are no text. */
function quoted(text: string): string {
  return JSON.stringify(text.replace(/\p{Surrogate}/gu, "\uFFFD")).replace(/\u007f/g, "\\u007f");
}
