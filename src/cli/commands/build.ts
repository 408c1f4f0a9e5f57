// `trapline build FILE[:LINE]`: a test as an image that boots elsewhere, or as text that shows what it became.

import { writeFileSync } from "node:fs";
import { Option, type Command } from "commander";
import type { Diagnostic } from "../../base/index.js";
import type { Program } from "../../program/index.js";
import type { ResolvedCase } from "../../resolve/index.js";
import { exitStatus, UsageError } from "../exit-status.js";
import { libraryModules, readSource } from "../files.js";
import { collectNames } from "../options.js";
import type * as rooms from "./build-rooms.js";
import { print } from "../output.js";

interface BuildArguments {
  readonly platform?: readonly string[];
  readonly vmm?: string;
  readonly lowering?: "bundled" | "carried";
  readonly format: keyof Rooms["imageForms"];
  readonly emit?: keyof typeof phases;
  readonly output?: string;
}

type Rooms = typeof rooms;

const phases = {
  tokens: "the tokens of the file",
  tree: "its syntax tree",
  resolved: "its tests with every name resolved",
  bytes: "the bytes of each statement",
} as const;

const help = `
A test runs on several platforms, under several VMMs, with several values: each is a program of its own. The forms of
text show all that are left by FILE:LINE, --platform and --vmm; an image is made of one.

  raw         memory from the first byte to the last
  multiboot   an ELF file for qemu-system-x86_64 -kernel, GRUB, trapline boot; always the carried lowering
  disk        a disk that a PC's BIOS boots; always the carried lowering
  listing     addresses, bytes, statements
  map         segments, start state, symbols
  json        image and event plan as data
`;

export function register(program: Command): void {
  program
    .command("build")
    .description("Turn a test into an image for another machine, or show what it becomes")
    .argument("<file>", "a test file, or FILE:LINE for one of its tests")
    .option("-p, --platform <names>", "only on these platforms or groups: names separated by commas", collectNames)
    .option("--vmm <vmm>", "only under this VMM, such as none or 'hardware nested'")
    .addOption(
      new Option(
        "--lowering <lowering>",
        "bundled: for this machine; carried: handlers and report in the image",
      ).choices(["bundled", "carried"]),
    )
    .addOption(
      new Option("-f, --format <format>", "what to make")
        .choices(["raw", "multiboot", "disk", "listing", "map", "json"])
        .default("listing"),
    )
    .addOption(new Option("--emit <phase>", "show a phase of the compiler instead").choices(Object.keys(phases)))
    .option("-o, --output <file>", "write there instead of to standard output")
    .addHelpText("after", help)
    .action(async (target: string, options: BuildArguments) => {
      process.exitCode = await build(target, options);
    });
}

async function build(target: string, options: BuildArguments): Promise<number> {
  const loaded: Rooms = await import("./build-rooms.js");
  const { checkPlatformNames } = await import("../platform.js");
  const [, path = target, line] = /^(.+?):(\d+)$/.exec(target) ?? [];
  const source = readSource(path);
  await checkPlatformNames(options.platform ?? [], [{ source }]);
  const parsed = loaded.parse(source);
  if (options.emit === "tokens" || options.emit === "tree") {
    tell(parsed.diagnostics, loaded);
    write(options.emit === "tokens" ? loaded.renderTokens(source) : loaded.renderTree(parsed.output), options);
    return statusOf(parsed.diagnostics, loaded);
  }
  const hasSyntaxErrors = loaded.hasErrors(parsed.diagnostics);
  const platforms = options.platform && { platforms: options.platform };
  const resolved = loaded.resolve(parsed.output, libraryModules(), { hasSyntaxErrors, ...platforms });
  const diagnostics = loaded.inSourceOrder([...parsed.diagnostics, ...resolved.diagnostics]);
  if (options.emit === "resolved" || loaded.hasErrors(diagnostics)) {
    tell(diagnostics, loaded);
    if (options.emit === "resolved") write(loaded.renderResolved(resolved.output), options);
    return statusOf(diagnostics, loaded);
  }
  const tests = resolved.output.tests.map(({ cases, span }) => {
    return { cases, line: loaded.positionAt(span.source, span.start).line };
  });
  const wanted = line === undefined ? tests : tests.filter((test) => test.line <= Number(line)).slice(-1);
  return buildCases(
    wanted.flatMap((test) => test.cases).filter((one) => one.skip === undefined && isUnder(one, options.vmm)),
    diagnostics,
    options,
    loaded,
  );
}

const isUnder = (one: ResolvedCase, vmm: string | undefined): boolean =>
  vmm === undefined || one.vmmText === `vmm ${vmm.trim().replace(/\s+/g, " ")}`;

function buildCases(
  cases: readonly ResolvedCase[],
  before: readonly Diagnostic[],
  options: BuildArguments,
  loaded: Rooms,
): number {
  const form = loaded.imageForms[options.format];
  const isText = options.emit === "bytes" || form.isText;
  const names = cases.map(
    (one) => `${one.file}:${lineOf(one, loaded)} ${one.title} [${one.platform.name}, ${one.vmmText}]`,
  );
  if (cases.length === 0) throw new UsageError("no test is left to build: see --platform, --vmm and FILE:LINE");
  const lowering = loweringOf(options, form.needsCarried);
  if (cases.length > 1 && !isText) throw new UsageError(severalMessage(names));
  const built = cases.map((one) => loaded.compile(one, { lowering }));
  const diagnostics = [...before, ...built.flatMap((one) => one.diagnostics)];
  tell(diagnostics, loaded);
  if (loaded.hasErrors(diagnostics)) return exitStatus.usage;
  const make = (program: Program): string | Uint8Array =>
    options.emit === "bytes" ? loaded.renderBytes(program) : form.write(program);
  const made = built.map(({ output }) => make(output));
  const [first] = built;
  if (options.format === "raw" && !options.emit && first) {
    process.stderr.write(`first byte at ${loaded.hex(loaded.lowestAddress(first.output.image))}\n`);
  }
  const [only] = made;
  if (made.length === 1 && only !== undefined) write(only, options);
  else write(made.map((text, i) => `; ${names[i]}\n${String(text)}`).join("\n"), options);
  return exitStatus.success;
}

function lineOf({ span }: ResolvedCase, { positionAt }: Rooms): number {
  return positionAt(span.source, span.start).line;
}

function loweringOf({ lowering, format, emit }: BuildArguments, needsCarried: boolean): "bundled" | "carried" {
  if (!needsCarried || emit !== undefined) return lowering ?? "bundled";
  if (lowering === "bundled") throw new UsageError(`--format ${format} needs --lowering carried`);
  return "carried";
}

function severalMessage(names: readonly string[]): string {
  const shown = names.slice(0, 8).map((name) => `  ${name}`);
  const more = names.length > shown.length ? [`  and ${names.length - shown.length} more`] : [];
  return ["an image is made of one program; choose with FILE:LINE, --platform, --vmm:", ...shown, ...more].join("\n");
}

function tell(diagnostics: readonly Diagnostic[], { renderDiagnostic }: Rooms): void {
  const texts = new Set(diagnostics.map(renderDiagnostic));
  for (const text of texts) process.stderr.write(`${text}\n`);
}

function statusOf(diagnostics: readonly Diagnostic[], { hasErrors }: Rooms): number {
  return hasErrors(diagnostics) ? exitStatus.usage : exitStatus.success;
}

function write(output: string | Uint8Array, { output: file }: BuildArguments): void {
  if (file === undefined) print(output);
  else writeFileSync(file, output);
}
