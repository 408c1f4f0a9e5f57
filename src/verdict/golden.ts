// Golden transcripts: one file `nesting.golden` beside `nesting.trap`, with the transcripts of all its `golden` cells.
// A heading names a test; below it stand the cells that gave the same transcript, then the transcript, once.
//
//   # nesting.trap > CPUID of a nested guest is reflected to the inner VMM
//   # haswell, vmm hardware nested
//   # skylake, vmm hardware nested
//   l1+0x3c  vmlaunch        enter l2

import type { CaseName, Failure } from "./verdict.js";

/** One cell with its transcript. */
export interface GoldenCell {
  readonly name: CaseName;
  readonly transcript: string;
}

/** Path of the golden file that belongs to a test file. */
export function goldenPath(file: string): string {
  return file.replace(/\.trap$/, ".golden");
}

/** The text of a golden file, cells in the order given. Files are ours: a path is named by its last part only. */
export function renderGolden(cells: readonly GoldenCell[]): string {
  const tests = new Map<string, Map<string, string[]>>();
  for (const { name, transcript } of cells) {
    const bodies = upsert(tests, heading(name), () => new Map<string, string[]>());
    upsert(bodies, transcript, () => []).push(cellLine(name));
  }
  const sections: string[] = [];
  for (const [title, bodies] of tests) {
    for (const [body, cellLines] of bodies) sections.push(`${[title, ...cellLines].join("\n")}\n${body}`);
  }
  return sections.join("\n");
}

function upsert<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

function heading({ file, title }: CaseName): string {
  return `# ${file.slice(file.lastIndexOf("/") + 1)} > ${title}`;
}

function cellLine({ platform, vmmText }: CaseName): string {
  return `# ${platform}, ${vmmText}`;
}

const keyOf = (title: string, cell: string): string => `${title}\n${cell}`;

/** The key of a cell in what `parseGolden` gives. */
export function goldenKey(name: CaseName): string {
  return keyOf(heading(name), cellLine(name));
}

/** Transcripts of a golden file by `goldenKey` of their cells. What does not have the form of a golden file is left out. */
export function parseGolden(text: string): ReadonlyMap<string, string> {
  const cells = new Map<string, string>();
  let head: string[] = [];
  let body: string[] = [];
  const flush = (): void => {
    const [title, ...names] = head;
    while (body[body.length - 1] === "") body.pop();
    const transcript = body.map((line) => `${line}\n`).join("");
    for (const name of names) cells.set(keyOf(title ?? "", name), transcript);
    head = [];
    body = [];
  };
  for (const line of text.replace(/\n$/, "").split("\n")) {
    if (line.startsWith("# ")) {
      if (body.length > 0) flush();
      head.push(line);
    } else if (head.length > 0) body.push(line);
  }
  flush();
  return cells;
}

/** The failure of a cell whose transcript is not the golden one; undefined when it is. `golden` is the file's text. */
export function compareGolden(golden: string | undefined, cell: GoldenCell, at: number): Failure | undefined {
  const kept = golden === undefined ? undefined : parseGolden(golden).get(goldenKey(cell.name));
  const update = `trapline run ${cell.name.file} --update`;
  if (kept === undefined) {
    const expected = `a golden transcript in ${goldenPath(cell.name.file)}`;
    return { at, expected, got: `none is kept for this cell; if what it shows is right: ${update}` };
  }
  if (kept === cell.transcript) return undefined;
  const difference = firstDifference(kept.split("\n"), cell.transcript.split("\n"));
  return {
    at,
    expected: `line ${difference.line} of the golden transcript: ${difference.kept}`,
    got: `${difference.shown}; if that is right: ${update}`,
  };
}

function firstDifference(
  kept: readonly string[],
  shown: readonly string[],
): { line: number; kept: string; shown: string } {
  const index = kept.findIndex((line, i) => line !== shown[i]);
  const line = index === -1 ? kept.length : index;
  const nameLine = (text: string | undefined): string => (text === undefined || text === "" ? "the end" : text);
  return { line: line + 1, kept: nameLine(kept[line]), shown: nameLine(shown[line]) };
}

/** Cells that a golden file keeps and that no test has any more, as the file names them. */
export function orphanCells(golden: string, cells: readonly CaseName[]): string[] {
  const known = new Set(cells.map(goldenKey));
  return [...parseGolden(golden).keys()]
    .filter((key) => !known.has(key))
    .map((key) => key.replace(/^# /, "").replace("\n# ", "  [") + "]");
}
