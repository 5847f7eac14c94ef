/** Load histories as text: one column a load case, one row a step, an optional `history` column.
 *
 * Commas, semicolons and tabs separate, so that cells copied from a spreadsheet work.
 */

import type { LoadHistorySpec } from "./contract";

const MOST_HISTORIES = 2000;
const MOST_STEPS = 5000;

export class TableError extends Error {}

/** The histories of a table.
 *
 * @param cases names that columns may have
 * @throws TableError what is wrong, where, and the remedy
 */
export function parseHistories(text: string, cases: string[], title = "history"): LoadHistorySpec[] {
  const { rows, separator } = cellsOf(text);
  if (rows.length < 2) throw new TableError("The table has no steps: give a header of load case names and one row a step.");
  const header = rows[0];
  const unknown = header.filter((name) => name !== "history" && !cases.includes(name));
  if (unknown.length) {
    throw new TableError(
      `The column “${unknown[0]}” is no load case; the first row names the load cases: ${cases.join(", ") || "none yet"}.`,
    );
  }
  if (new Set(header).size < header.length) throw new TableError("Two columns have the same name; remove one.");
  const made = new Map<string, Record<string, number[]>>();
  for (const [index, row] of rows.slice(1).entries()) {
    const line = index + 2;
    if (row.length !== header.length) {
      throw new TableError(`Row ${line} has ${row.length} cells for ${header.length} columns; complete it.`);
    }
    const at = header.indexOf("history");
    const name = at < 0 ? title : row[at];
    if (!name) throw new TableError(`Row ${line} has no history name.`);
    let factors = made.get(name);
    if (!factors) {
      factors = Object.fromEntries(header.filter((key) => key !== "history").map((key) => [key, []]));
      made.set(name, factors);
    }
    for (const [column, key] of header.entries()) {
      if (key !== "history") factors[key].push(factorOf(row[column], separator, line, key));
    }
  }
  if (made.size > MOST_HISTORIES) throw new TableError(`More than ${MOST_HISTORIES} histories; split the table.`);
  for (const [name, factors] of made) {
    if (!Object.keys(factors).length) throw new TableError("The table has no column of a load case.");
    const steps = Object.values(factors)[0].length;
    if (steps > MOST_STEPS) throw new TableError(`“${name}” has ${steps} steps; ${MOST_STEPS} is the most.`);
  }
  return Array.from(made, ([name, factors]) => ({ name, factors }));
}

/** Histories as the table that `parseHistories` reads. */
export function formatHistories(histories: LoadHistorySpec[], cases: string[]): string {
  const lines = [["history", ...cases].map(cell).join(", ")];
  for (const history of histories) {
    for (let step = 0; step < stepCount(history); step += 1) {
      lines.push([cell(history.name), ...cases.map((name) => String(history.factors[name]?.[step] ?? 0))].join(", "));
    }
  }
  return lines.join("\n");
}

export function stepCount(history: LoadHistorySpec): number {
  return Math.max(0, ...Object.values(history.factors).map((values) => values.length));
}

function cell(text: string): string {
  return /[",;\t\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function factorOf(text: string, separator: string, line: number, column: string): number {
  // Where commas do not separate, one is a decimal comma.
  const value = text === "" ? NaN : Number(separator === "," ? text : text.replace(",", "."));
  if (!Number.isFinite(value)) {
    throw new TableError(`Row ${line}, column “${column}”: “${text}” is not a number; give a load factor.`);
  }
  return value;
}

/** Rows of trimmed cells, empty rows left out, and what separates the cells. */
export function cellsOf(text: string): { rows: string[][]; separator: string } {
  const first = text.split("\n", 1)[0];
  const separator = first.includes("\t") ? "\t" : first.includes(";") ? ";" : ",";
  const rows: string[][] = [[]];
  let current = "";
  let quoted = false;
  const close = (): void => {
    rows[rows.length - 1].push(current.trim());
    current = "";
  };
  const clean = text.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
  for (let i = 0; i < clean.length; i += 1) {
    const sign = clean[i];
    if (quoted) {
      if (sign !== '"') current += sign;
      else if (clean[i + 1] === '"') {
        current += '"';
        i += 1;
      } else quoted = false;
    } else if (sign === '"' && current.trim() === "") {
      quoted = true;
      current = "";
    } else if (sign === separator) close();
    else if (sign === "\n") {
      close();
      rows.push([]);
    } else current += sign;
  }
  close();
  return { rows: rows.filter((row) => row.some((text) => text !== "")), separator };
}
