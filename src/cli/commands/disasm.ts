// `trapline disasm [FILE|-]`: bytes to code.

import type { Command } from "commander";
import { parseBits, parseOrigin, readStandardInput } from "../code-input.js";
import { exitStatus, UsageError } from "../exit-status.js";
import { print } from "../output.js";

interface DisasmArguments {
  readonly bits: string;
  readonly hex?: string;
  readonly listing?: boolean;
  readonly origin: string;
}

export function register(program: Command): void {
  program
    .command("disasm")
    .description("Show bytes as instructions")
    .argument("[file]", "a file of bytes, or - for standard input")
    .requiredOption("-b, --bits <bits>", "width of the code: 16, 32 or 64")
    .option("-x, --hex <digits>", "bytes as hexadecimal digits; spaces may stand between them")
    .option("-l, --listing", "show addresses and bytes too")
    .option("--origin <address>", "address of the first byte", "0")
    .action(async (file: string | undefined, options: DisasmArguments) => {
      process.exitCode = await show(file, options);
    });
}

async function show(file: string | undefined, options: DisasmArguments): Promise<number> {
  const bits = parseBits(options.bits);
  const origin = parseOrigin(options.origin);
  const bytes = await readBytes(file, options.hex);
  const { disassemble } = await import("../../codec/index.js");
  const { hexBytes } = await import("../../base/index.js");
  const lines: string[] = [];
  for (const line of disassemble(bytes, bits, origin)) {
    const place = `${line.address.toString(16).padStart(8, "0")}  ${hexBytes(line.bytes).padEnd(24)}  `;
    const remark = line.remark === undefined ? "" : `  ; ${line.remark}`;
    lines.push(`${options.listing === true ? place : ""}${line.text}${remark}\n`);
  }
  print(lines.join(""));
  return exitStatus.success;
}

async function readBytes(file: string | undefined, hex: string | undefined): Promise<Uint8Array> {
  if (hex !== undefined) {
    if (file !== undefined) throw new UsageError("disasm takes a file or -x, not both");
    return parseHex(hex);
  }
  if (file === undefined || file === "-") return readStandardInput();
  const { readFile } = await import("../files.js");
  return readFile(file);
}

function parseHex(text: string): Uint8Array {
  const digits = text.replace(/[\s,_]|0x/gi, "");
  if (!/^([0-9a-f]{2})*$/i.test(digits)) {
    throw new UsageError("-x takes pairs of hexadecimal digits, such as 0fa2 or 0f a2");
  }
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
