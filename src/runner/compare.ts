// `--compare`: the transcripts of one test on several platforms side by side, lines that differ only.

import type { CaseResult, TranscriptLine } from "./result.js";

/** One test under one VMM, on each platform on which it was asked for. */
interface Compared {
  readonly heading: string;
  readonly cases: CaseResult[];
}

/** Tests that differ as tables, in their order, and how many do and do not; the text ends without a newline. */
export function renderComparison(cases: readonly CaseResult[], platforms: readonly string[]): string {
  const tests = new Map<string, Compared>();
  for (const one of cases) {
    const heading = `# ${one.file} > ${one.title}  [${one.vmmText}]`;
    const test = tests.get(heading) ?? { heading, cases: [] };
    test.cases.push(one);
    tests.set(heading, test);
  }
  const counts = { different: 0, same: 0, alone: 0 };
  const tables = [...tests.values()].flatMap((test) => {
    const ran = platforms.flatMap((name) => test.cases.find((one) => ranOn(one, name)) ?? []);
    const rows = alignedRows(ran.map((one) => one.lines ?? [])).filter(({ events }) => new Set(events).size > 1);
    counts[ran.length < 2 ? "alone" : rows.length > 0 ? "different" : "same"]++;
    return rows.length > 0 ? [`${renderTest(test, ran, platforms, rows).join("\n")}\n\n`] : [];
  });
  const { different, same, alone } = counts;
  return `${tables.join("")}${different} differ, ${same} the same, ${alone} on fewer than two of these platforms`;
}

const ranOn = (one: CaseResult, platform: string): boolean => one.platform === platform && one.outcome !== "skipped";

function renderTest(
  { heading, cases }: Compared,
  ran: readonly CaseResult[],
  platforms: readonly string[],
  rows: readonly AlignedRow[],
): string[] {
  const absent = platforms
    .filter((name) => !ran.some((one) => one.platform === name))
    .map((name) => {
      const skipped = cases.find((one) => one.platform === name);
      return `  ${name}: ${skipped ? `skipped, ${skipped.detail}` : "the test does not run there"}`;
    });
  const names = ran.map((one) => one.platform);
  const table = inColumns([["", "", ...names], ...rows.map((row) => [row.place, row.statement, ...row.events])]);
  const isWide = table.some((line) => line.length > widest);
  return [heading, ...absent, ...(isWide ? rows.flatMap((row) => stacked(row, names)) : table)];
}

/** Tables that are wider become a line for each platform. */
const widest = 140;

function stacked({ place, statement, events }: AlignedRow, names: readonly string[]): string[] {
  const width = Math.max(...names.map((name) => name.length));
  return [`  ${place}  ${statement}`, ...names.map((name, i) => `    ${name.padEnd(width)}  ${events[i] ?? ""}`)];
}

interface AlignedRow {
  readonly place: string;
  readonly statement: string;
  /** What each of the runs showed there; a dash where it showed nothing. */
  readonly events: string[];
}

/** Lines of the same place and turn stand beside each other; the order is that of the runs. */
function alignedRows(runs: readonly (readonly TranscriptLine[])[]): AlignedRow[] {
  const rows = new Map<string, AlignedRow>();
  const order: string[] = [];
  runs.forEach((lines, run) => {
    const turns = new Map<string, number>();
    let at = 0;
    for (const { place, statement, events } of lines) {
      const spot = `${place} ${statement}`;
      const turn = turns.get(spot) ?? 0;
      turns.set(spot, turn + 1);
      const key = `${spot} ${turn}`;
      const known = rows.get(key);
      if (known) at = Math.max(at, order.indexOf(key, at) + 1);
      else order.splice(at++, 0, key);
      const row = known ?? { place, statement, events: runs.map(() => "-") };
      row.events[run] = events;
      rows.set(key, row);
    }
  });
  return order.flatMap((key) => rows.get(key) ?? []);
}

function inColumns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) for (const [i, text] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, text.length);
  return rows.map((row) => `  ${row.map((text, i) => text.padEnd(widths[i] ?? 0)).join("  ")}`.trimEnd());
}
