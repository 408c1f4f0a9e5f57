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
      print(`${where}\n\n${tableOf(cases).join("\n")}\n`);
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

/** A row for each platform, those that show the same in one; a column for each VMM; reasons of what cannot run below. */
function tableOf(cases: readonly CaseResult[]): string[] {
  const ran = cases.filter((one) => one.outcome !== "skipped");
  const columns = [...new Set(ran.map((one) => one.vmmText))];
  const rows = new Map<string, { readonly platforms: string[]; readonly cells: readonly string[] }>();
  for (const platform of new Set(ran.map((one) => one.platform))) {
    const cells = columns.map((vmm) => cellOf(ran.find((one) => one.platform === platform && one.vmmText === vmm)));
    const key = cells.join("\n");
    const row = rows.get(key) ?? { platforms: [], cells };
    row.platforms.push(platform);
    rows.set(key, row);
  }
  const head = ["", ...columns.map((vmm) => vmm.replace(/^vmm /, ""))];
  const table = inColumns([
    head,
    ...[...rows.values()].map(({ platforms, cells }) => [platforms.join(", "), ...cells]),
  ]);
  const reasons = reasonsOf(cases);
  return reasons.length === 0 ? table : [...table, "", ...reasons];
}

/** Why some cells are empty, each reason once. */
function reasonsOf(cases: readonly CaseResult[]): string[] {
  const platformsOf = new Map<string, Set<string>>();
  for (const { outcome, detail, platform, vmmText } of cases) {
    if (outcome !== "skipped") continue;
    const reason = `${vmmText.replace(/^vmm /, "")}: ${detail.replaceAll(platform, "it")}`;
    platformsOf.set(reason, (platformsOf.get(reason) ?? new Set()).add(platform));
  }
  const all = new Set(cases.map((one) => one.platform)).size;
  return [...platformsOf].map(([reason, platforms]) =>
    platforms.size === all ? `- ${reason}` : `- ${[...platforms].join(", ")} under ${reason}`,
  );
}

function cellOf(one: CaseResult | undefined): string {
  if (!one) return "-";
  const failure = one.failures?.find(({ hole }) => hole !== undefined) ?? one.failures?.[0];
  return failure?.hole?.happened ?? failure?.got ?? "nothing";
}

/** Columns as wide as their widest text; the first column of names is broken at commas where it is long. */
function inColumns(rows: readonly (readonly string[])[]): string[] {
  const names = rows.map(([name = ""]) => brokenNames(name));
  const widths: number[] = [Math.max(...names.flat().map((text) => text.length))];
  for (const row of rows) {
    for (const [i, text] of row.entries()) if (i > 0) widths[i] = Math.max(widths[i] ?? 0, text.length);
  }
  return rows.flatMap((row, at) =>
    (names[at] ?? []).map((name, line) =>
      [name, ...(line === 0 ? row.slice(1) : [])]
        .map((text, i) => text.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    ),
  );
}

const nameColumn = 32;

function brokenNames(names: string): string[] {
  const lines = [""];
  for (const name of names.split(", ")) {
    const last = lines[lines.length - 1] ?? "";
    const joined = last === "" ? name : `${last}, ${name}`;
    if (joined.length <= nameColumn || last === "") lines[lines.length - 1] = joined;
    else {
      lines[lines.length - 1] = `${last},`;
      lines.push(name);
    }
  }
  return lines;
}
