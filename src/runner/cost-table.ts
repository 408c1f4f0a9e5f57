// Costs of a run as a table and as JSON: one row for each cell, the cells of a test together.

import type { CaseResult, SuiteResult } from "./result.js";

/** One cell that ran, with its cost. */
type Costed = CaseResult & { readonly cost: NonNullable<CaseResult["cost"]> };

const columns = ["guest", "transitions", "vmm", "shadowing", "devices", "total", "exits"] as const;

/** A table for each test; columns are cycles but for the last, which counts exits. */
export function renderCostTable(suite: SuiteResult): string {
  const tests = new Map<string, Costed[]>();
  for (const one of costed(suite)) {
    const name = `${one.file} > ${one.title}`;
    tests.set(name, [...(tests.get(name) ?? []), one]);
  }
  return [...tests].map(([name, cells]) => `${name}\n${table(cells)}`).join("\n");
}

function table(cells: readonly Costed[]): string {
  const rows = cells.map((one) => [`${one.platform}, ${one.vmmText}`, ...figures(one)]);
  const all = [["", ...columns], ...rows];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0))) ?? [];
  const line = (row: readonly string[]): string =>
    row.map((cell, at) => (at === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[at] ?? 0))).join("  ");
  return all.map((row) => `  ${line(row).trimEnd()}\n`).join("");
}

function figures({ cost }: Costed): string[] {
  const inGuests = [...cost.guests.values()].reduce((sum, each) => sum + each, 0n);
  const { transitions, vmm, shadowing, devices, total, exits } = cost;
  return [inGuests, transitions, vmm, shadowing, devices, total, exits].map(String);
}

/** Every cell with its figures; cycles are numbers. */
export function renderCostJson(suite: SuiteResult): string {
  const cells = costed(suite).map(({ file, title, platform, vmmText, outcome, cost }) => {
    const { guests, exits, ...parts } = cost;
    const inGuests = Object.fromEntries([...guests].map(([guest, cycles]) => [guest, Number(cycles)]));
    const cycles = Object.fromEntries(Object.entries(parts).map(([part, each]) => [part, Number(each)]));
    return { file, title, platform, vmm: vmmText.replace(/^vmm /, ""), outcome, exits, guests: inGuests, ...cycles };
  });
  return `${JSON.stringify({ cells }, undefined, 2)}\n`;
}

function costed({ files }: SuiteResult): Costed[] {
  return files.flatMap((file) => file.cases).filter((one): one is Costed => one.cost !== undefined);
}
