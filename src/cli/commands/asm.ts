// `trapline asm [FILE|-]`: code to bytes.

import { writeFileSync } from "node:fs";
import type { Command } from "commander";
import type { Diagnostic, Source, Span } from "../../base/index.js";
import type { AssembledPiece } from "../../compiler/index.js";
import type { SourceFile } from "../../syntax/index.js";
import { parseBits, parseOrigin, readStandardInput } from "../code-input.js";
import { exitStatus, UsageError } from "../exit-status.js";
import { collect } from "../options.js";
import type * as rooms from "./asm-rooms.js";
import { print } from "../output.js";

interface AsmArguments {
  readonly bits: string;
  readonly expression?: readonly string[];
  readonly format: string;
  readonly origin: string;
  readonly output?: string;
}

export function register(program: Command): void {
  program
    .command("asm")
    .description("Assemble instructions to bytes")
    .argument("[file]", "a file of code, or - for standard input")
    .requiredOption("-b, --bits <bits>", "width of the code: 16, 32 or 64")
    .option("-e, --expression <text>", "assemble this text; may be given several times", collect)
    .option("-f, --format <format>", "hex (one line for each instruction), raw or listing", "hex")
    .option("--origin <address>", "address of the first byte", "0")
    .option("-o, --output <file>", "write there instead of to standard output")
    .action(async (file: string | undefined, options: AsmArguments) => {
      process.exitCode = await assemble(file, options);
    });
}

async function assemble(file: string | undefined, options: AsmArguments): Promise<number> {
  const bits = parseBits(options.bits);
  const origin = parseOrigin(options.origin);
  const show = formats[options.format];
  if (show === undefined) throw new UsageError(`--format takes hex, raw or listing, not ${options.format}`);
  const rooms: Rooms = await import("./asm-rooms.js");
  const source = await readCode(file, options.expression);
  const parsed = rooms.parse(source);
  const modules = await libraryIfUsed(parsed.output);
  const resolved = rooms.resolveListing(parsed.output, bits, modules);
  const assembled = rooms.assembleListing(resolved.output, origin);
  const diagnostics = rooms.inSourceOrder([...parsed.diagnostics, ...resolved.diagnostics, ...assembled.diagnostics]);
  for (const diagnostic of diagnostics) process.stderr.write(`${rooms.renderDiagnostic(diagnostic)}\n`);
  const failed = rooms.hasErrors(diagnostics);
  if (failed && options.format === "raw") return exitStatus.usage;
  const lines = groupByLine({ source, diagnostics, pieces: assembled.pieces }, rooms);
  write(show(lines, rooms), options.output);
  return failed ? exitStatus.usage : exitStatus.success;
}

async function readCode(file: string | undefined, texts: readonly string[] | undefined): Promise<Source> {
  if (texts !== undefined) {
    if (file !== undefined) throw new UsageError("asm takes a file or -e, not both");
    return { name: "<text>", text: texts.join("\n") };
  }
  if (file === undefined || file === "-") return { name: "<input>", text: readStandardInput().toString("utf8") };
  const { readSource } = await import("../files.js");
  return readSource(file);
}

/** The standard library is read only for code that uses it. */
async function libraryIfUsed(file: SourceFile): Promise<ReadonlyMap<string, Source>> {
  if (!file.statements.some((statement) => statement.head?.text === "use")) return new Map();
  const { libraryModules } = await import("../files.js");
  return libraryModules();
}

type Rooms = typeof rooms;

/** A line of source that has bytes or is in error. */
interface OutputLine {
  readonly address: bigint | undefined;
  readonly bytes: Uint8Array;
  readonly text: string;
  readonly isWrong: boolean;
}

interface Assembled {
  readonly source: Source;
  readonly diagnostics: readonly Diagnostic[];
  readonly pieces: readonly AssembledPiece[];
}

/** Lines in the order of the source: those that became bytes, and those in error, which have none. */
function groupByLine({ source, diagnostics, pieces }: Assembled, rooms: Rooms): OutputLine[] {
  const lineOf = (span: Span): number => rooms.positionAt(span.source, span.start).line;
  const wrong = new Set<number>();
  for (const { span, severity } of diagnostics) {
    if (span?.source === source && severity === "error") wrong.add(lineOf(span));
  }
  const byLine = new Map<number, AssembledPiece[]>();
  for (const line of wrong) byLine.set(line, []);
  for (const piece of pieces) {
    if (piece.span.source !== source) continue;
    const line = lineOf(piece.span);
    byLine.set(line, [...(byLine.get(line) ?? []), piece]);
  }
  return [...byLine.entries()]
    .sort(([a], [b]) => a - b)
    .map(([line, own]) => ({
      address: own[0]?.address,
      bytes: wrong.has(line) ? new Uint8Array() : Buffer.concat(own.map((piece) => piece.bytes ?? new Uint8Array())),
      text: rooms.lineText(source, line).trim(),
      isWrong: wrong.has(line),
    }));
}

const formats: Readonly<Record<string, (lines: readonly OutputLine[], rooms: Rooms) => string | Uint8Array>> = {
  hex: (lines, rooms) => lines.map((line) => `${rooms.hexBytes(line.bytes)}\n`).join(""),
  raw: (lines) => Buffer.concat(lines.map((line) => line.bytes)),
  listing: (lines, rooms) =>
    lines
      .map((line) => {
        const address = (line.address ?? 0n).toString(16).padStart(8, "0");
        const bytes = line.isWrong ? "error" : rooms.hexBytes(line.bytes);
        return `${address}  ${bytes.padEnd(24)}  ${line.text}\n`;
      })
      .join(""),
};

function write(output: string | Uint8Array, file: string | undefined): void {
  if (file === undefined) print(output);
  else writeFileSync(file, output);
}
