// `trapline try 'popfd' [--ring 3]`: one instruction, and what it does on each platform and under each VMM.

import { Option, type Command } from "commander";
import type { Diagnostic } from "../../base/index.js";
import type { CaseResult } from "../../runner/index.js";
import { exitStatus } from "../exit-status.js";
import { libraryModules } from "../files.js";
import { collectNames } from "../options.js";
import { checkPlatformNames } from "../platform.js";
import type * as rooms from "./run-rooms.js";
import { print } from "../output.js";

interface TryArguments {
  readonly mode?: string;
  readonly ring: string;
  readonly platform?: readonly string[];
  readonly vmm?: readonly string[];
}

type Rooms = typeof rooms;

/** Modes in the order in which they are tried where none is asked for: the first in which the code is right. */
const modes = ["prot32", "long64", "paged32", "pae32", "compat32", "prot16", "real16"] as const;
const vmms = ["none", "hardware", "trap_and_emulate", "binary_translation"] as const;

const help = `
Several instructions are executed one after the other; the table shows the last. The code may use the library and the
label buffer, 4 KiB of data: trapline try 'sgdt [buffer]' --ring 3
`;

export function register(program: Command): void {
  program
    .command("try")
    .description("Show what an instruction does on each platform and under each VMM")
    .argument("<code...>", "instructions, each as one argument")
    .addOption(
      new Option("-m, --mode <mode>", "the guest's mode; the first in which the code is right when absent").choices(
        modes,
      ),
    )
    .addOption(new Option("-r, --ring <ring>", "the ring of the code").choices(["0", "3"]).default("0"))
    .option("-p, --platform <names>", "only on these platforms or groups: names separated by commas", collectNames)
    .option("--vmm <names>", `under these VMMs: names separated by commas (default: ${vmms.join(", ")})`, collectNames)
    .addHelpText("after", help)
    .action(async (code: readonly string[], options: TryArguments) => {
      process.exitCode = await tryCode(code, options);
    });
}

async function tryCode(code: readonly string[], options: TryArguments): Promise<number> {
  const loaded: Rooms = await import("./run-rooms.js");
  await checkPlatformNames(options.platform ?? [], []);
  let first: readonly Diagnostic[] | undefined;
  for (const mode of options.mode === undefined ? modes : [options.mode]) {
    const { cases, diagnostics } = runIn(mode, code, options, loaded);
    if (!loaded.hasErrors(diagnostics)) {
      const where = `${code.join("; ")}  in ring ${options.ring} of ${mode}`;
      print(`${where}\n\n${tableOf(cases, options.vmm ?? vmms).join("\n")}\n`);
      return exitStatus.success;
    }
    first ??= diagnostics;
  }
  for (const diagnostic of first ?? []) process.stderr.write(`${loaded.renderDiagnostic(diagnostic)}\n`);
  return exitStatus.usage;
}

function runIn(mode: string, code: readonly string[], options: TryArguments, { runFiles }: Rooms) {
  const modules = libraryModules();
  const uses = [...modules.keys()].filter((name) => code.some((line) => line.includes(`${name}.`)));
  const lines = code.map((line, i) => (i === code.length - 1 ? `${line} => ?` : line));
  const text = [
    ...uses.map((name) => `use ${name}`),
    'test "try" {',
    "  on all",
    `  vmm ${(options.vmm ?? vmms).join(", ")}`,
    `  guest ${mode} {`,
    ...(options.ring === "0" ? lines : [`ring ${options.ring} {`, ...lines, "}"]),
    "    data {",
    "      align 4K",
    "      buffer: zero 4K",
    "    }",
    "  }",
    "}",
  ];
  const suite = runFiles([{ source: { name: "<code>", text: `${text.join("\n")}\n` } }], {
    modules,
    goldens: new Map(),
    update: false,
    ci: false,
    ...(options.platform && { platforms: options.platform }),
  });
  const [file] = suite.files;
  return { cases: file?.cases ?? [], diagnostics: file?.diagnostics ?? [] };
}

/**
 * A row for each platform, those that show the same in one; a column for each VMM, those that show the same everywhere
 * in one; reasons of what cannot run below.
 */
function tableOf(cases: readonly CaseResult[], order: readonly string[]): string[] {
  const ran = cases.filter((one) => one.outcome !== "skipped");
  const rank = (vmm: string): number => order.findIndex((name) => `vmm ${name}` === vmm);
  const titles = [...new Set(ran.map((one) => one.vmmText))].toSorted((a, b) => rank(a) - rank(b));
  const rows = new Map<string, { readonly platforms: string[]; readonly cells: readonly string[] }>();
  for (const platform of new Set(ran.map((one) => one.platform))) {
    const cells = titles.map((vmm) => cellOf(ran.find((one) => one.platform === platform && one.vmmText === vmm)));
    const key = cells.join("\n");
    const row = rows.get(key) ?? { platforms: [], cells };
    row.platforms.push(platform);
    rows.set(key, row);
  }
  const columns = new Map<string, { readonly vmms: string[]; readonly cells: readonly string[] }>();
  for (const [i, vmm] of titles.entries()) {
    const cells = [...rows.values()].map((row) => row.cells[i] ?? "");
    const key = cells.join("\n");
    const column = columns.get(key) ?? { vmms: [], cells };
    column.vmms.push(vmm.replace(/^vmm /, ""));
    columns.set(key, column);
  }
  const shown = [...columns.values()];
  const table = inColumns([
    ["", ...shown.map((column) => column.vmms.join(", "))],
    ...[...rows.values()].map(({ platforms }, i) => [
      platforms.join(", "),
      ...shown.map(({ cells }) => cells[i] ?? ""),
    ]),
  ]);
  const reasons = reasonsOf(cases);
  return reasons.length === 0 ? table : [...table, "", ...reasons];
}

/** Why some cells are empty: each reason once, with the platforms and VMMs that it holds for. */
function reasonsOf(cases: readonly CaseResult[]): string[] {
  const skipped = cases.filter((one) => one.outcome === "skipped");
  const vmmsOf = new Map<string, { readonly platforms: readonly string[]; readonly detail: string; vmms: string[] }>();
  const details = skipped.map(({ detail, platform, vmmText }) => ({ why: detail.replaceAll(platform, "it"), vmmText }));
  for (const [i, { why, vmmText }] of details.entries()) {
    const isFirst = details.findIndex((other) => other.why === why && other.vmmText === vmmText) === i;
    if (!isFirst) continue;
    const alike = skipped.filter((_, j) => details[j]?.why === why && details[j]?.vmmText === vmmText);
    const platforms = [...new Set(alike.map((one) => one.platform))];
    const key = `${platforms.join()} ${why}`;
    const found = vmmsOf.get(key) ?? { platforms, detail: why, vmms: [] };
    found.vmms.push(vmmText.replace(/^vmm /, ""));
    vmmsOf.set(key, found);
  }
  const all = new Set(cases.map((one) => one.platform)).size;
  return [...vmmsOf.values()].map(({ platforms, detail, vmms: under }) =>
    platforms.length === all
      ? `- ${under.join(", ")}: ${detail}`
      : `- ${platforms.join(", ")} under ${under.join(", ")}: ${detail}`,
  );
}

function cellOf(one: CaseResult | undefined): string {
  if (!one) return "-";
  const failure = one.failures?.find(({ hole }) => hole !== undefined) ?? one.failures?.[0];
  return failure?.hole?.happened ?? failure?.got ?? "nothing";
}

/** Width of a terminal that everybody has, and the least that a column of events is worth. */
const tableWidth = 120;
const leastColumn = 24;

/** Columns as wide as their widest text; what does not fit in the width of a terminal is broken at spaces. */
function inColumns(rows: readonly (readonly string[])[]): string[] {
  const names = rows.map(([name = ""]) => brokenAt(name, nameColumn));
  const nameWidth = Math.max(...names.flat().map((text) => text.length));
  const count = (rows[0]?.length ?? 1) - 1;
  const room = Math.max(leastColumn, Math.floor((tableWidth - nameWidth) / Math.max(1, count)) - 2);
  const cells = rows.map((row, at) => [names[at] ?? [], ...row.slice(1).map((text) => brokenAt(text, room))]);
  const widths = (rows[0] ?? []).map((_, i) =>
    Math.max(...cells.flatMap((row) => row[i] ?? []).map((text) => text.length)),
  );
  return cells.flatMap((row) => {
    const height = Math.max(...row.map((lines) => lines.length));
    return Array.from({ length: height }, (_, line) =>
      row
        .map((lines, i) => (lines[line] ?? "").padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    );
  });
}

const nameColumn = 32;

/** A text in lines of at most so many columns; a word that is longer has a line of its own. */
function brokenAt(text: string, columns: number): string[] {
  const lines = [""];
  for (const word of text.split(" ")) {
    const last = lines[lines.length - 1] ?? "";
    const joined = last === "" ? word : `${last} ${word}`;
    if (joined.length <= columns || last === "") lines[lines.length - 1] = joined;
    else lines.push(word);
  }
  return lines;
}
