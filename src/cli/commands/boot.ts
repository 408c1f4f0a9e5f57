// `trapline boot IMAGE`: a kernel that knows nothing of this project, on the bundled machine.

import { basename } from "node:path";
import type { Command } from "commander";
import type { Platform } from "../../isa/index.js";
import type { BootEnd, BootOptions, BootResult, RawMode } from "../../machine/index.js";
import type { Image } from "../../program/index.js";
import { UsageError } from "../exit-status.js";
import { readFile } from "../files.js";
import { collect, collectNames, parseNumber } from "../options.js";
import { platformNamed, variationOf } from "../platform.js";
import { print } from "../output.js";

interface BootArguments {
  readonly platform: string;
  readonly memory?: string;
  readonly cpus?: string;
  readonly vary?: readonly string[];
  readonly append?: string;
  readonly module?: readonly string[];
  readonly budget?: string;
  readonly raw?: true;
  readonly rom?: true;
  readonly load?: string;
  readonly entry?: string;
  readonly mode: string;
  readonly postPort?: string;
  readonly vmm?: string;
}

const addressEnd = 2 ** 32;
/** Even, so that none is a status of isa-debug-exit, which is always odd. */
const statuses = {
  "power-off": 0,
  "budget-spent": 4,
  shutdown: 6,
  unsupported: 8,
  halted: 10,
  reset: 12,
  refused: 14,
} as const;
const modes: readonly RawMode[] = ["real16", "prot32", "long64"];

const statusHelp = `
Exit status: (value << 1) | 1 when the guest writes value to port 0xf4, as QEMU's isa-debug-exit; 0 power-off;
2 wrong usage or image; 4 budget spent; 6 shutdown (triple fault); 8 an instruction that is not supported;
10 a halt that nothing can end; 12 the guest reset the machine; 14 the VMM cannot run it, or cannot go on.
`;

export function register(program: Command): void {
  program
    .command("boot")
    .description("Boot a Multiboot kernel or a raw image on the bundled machine; its serial port is standard output")
    .argument("<image>", "a Multiboot 1 kernel, or any bytes with --raw")
    .option("--platform <name>", "the processor to boot on", "haswell")
    .option("--memory <size>", "size of memory, such as 64M")
    .option("--cpus <n>", "number of processors, 1 to 8")
    .option(
      "--vary <knobs>",
      "take freedoms of the manuals the other way: KNOB=CHOICE, such as order=last",
      collectNames,
    )
    .option("--append <text>", "command line for the kernel")
    .option("--module <file>", "a Multiboot module; may be given several times", collect)
    .option("--budget <n>", "end after so many instructions")
    .option("--raw", "take the image as raw bytes")
    .option(
      "--rom",
      "take the image as firmware: its last byte is the last below 4 GiB, and it starts at the reset vector",
    )
    .option("--load <address>", "with --raw: where the bytes go")
    .option("--entry <address>", "with --raw: where to start, an address or SEGMENT:OFFSET in hexadecimal")
    .option("--mode <mode>", `with --raw: ${modes.join(", ")}`, "real16")
    .option("--post-port <port>", "show diagnostic codes written to this port on standard error")
    .option(
      "--vmm <stack>",
      "run it under bundled VMMs, such as 'hardware' or 'hardware under hardware nested'",
      "none",
    )
    .addHelpText("after", statusHelp)
    .action(async (path: string, options: BootArguments) => {
      process.exitCode = await run(path, options);
    });
}

async function run(path: string, options: BootArguments): Promise<number> {
  const { boot, loadCore, mostProcessors } = await import("../../machine/index.js");
  const { varyPlatform } = await import("../../isa/index.js");
  const platform = varyPlatform(await platformFor(options), await variationOf(options.vary));
  const { image, rom } = await imageFrom(path, platform.memoryBytes, options);
  const output = new ByteOutput();
  const post = options.postPort === undefined ? undefined : parseNumber("--post-port", options.postPort);
  const under = await vmmFor(options.vmm ?? "none");
  const cpus = cpusFrom(options, mostProcessors);
  const result = boot(loadCore(), image, {
    platform,
    cpus,
    serial: (byte) => output.put(byte),
    ...(options.budget !== undefined && { budgetInstructions: parseNumber("--budget", options.budget) }),
    ...(post !== undefined && { post: { port: post, sink: (code) => process.stderr.write(`post ${hex(code)}\n`) } }),
    ...(under && { under }),
    ...(rom && { rom }),
    afterSlice: () => output.flush(),
  });
  if (result.end.kind === "debug-exit") return result.end.status;
  const message = endMessage(result);
  if (message !== undefined) process.stderr.write(`trapline: ${message}\n`);
  return statuses[result.end.kind];
}

function cpusFrom({ cpus: text, vmm = "none" }: BootArguments, most: number): number {
  const cpus = text === undefined ? 1 : parseNumber("--cpus", text);
  if (cpus < 1 || cpus > most) throw new UsageError(`--cpus takes 1 to ${most}, not ${text}`);
  if (cpus > 1 && vmm !== "none") throw new UsageError("--cpus does not go with --vmm: the bundled VMMs drive one");
  return cpus;
}

/** The bundled VMMs that the image runs under, with the machine's own devices passed through to it. */
async function vmmFor(text: string): Promise<BootOptions["under"]> {
  const { readVmmStack, silent, startVmm, vmmMemoryBytes } = await import("../../vmm/index.js");
  const stack = readVmmStack(text);
  if (typeof stack === "string") throw new UsageError(`--vmm ${stack}`);
  if (stack.length === 0) return undefined;
  return {
    memoryBytes: vmmMemoryBytes * stack.length,
    start: (machine, start) => startVmm(machine, stack, start, { events: silent, passThrough: true }),
  };
}

async function platformFor({ platform: name, memory }: BootArguments): Promise<Platform> {
  const { derivePlatform } = await import("../../isa/index.js");
  const platform = await platformNamed(name);
  if (memory === undefined) return platform;
  const memoryBytes = parseNumber("--memory", memory);
  const mebibyte = 2 ** 20;
  if (memoryBytes % mebibyte !== 0 || memoryBytes < 2 * mebibyte || memoryBytes > 3072 * mebibyte) {
    throw new UsageError("--memory takes whole mebibytes from 2M to 3G");
  }
  return derivePlatform(platform, { name: platform.name, memoryBytes });
}

async function imageFrom(
  path: string,
  memoryBytes: number,
  options: BootArguments,
): Promise<{ image: Image; rom: BootOptions["rom"] }> {
  const { loadMultiboot, loadRaw, romOf } = await import("../../machine/index.js");
  const file = readFile(path);
  const raw = options.raw || options.rom ? { memoryBytes, ...rawPlace(options, file.length) } : undefined;
  const image = raw
    ? loadRaw(file, raw)
    : loadMultiboot(file, {
        memoryBytes,
        commandLine: options.append === undefined ? basename(path) : `${basename(path)} ${options.append}`,
        modules: (options.module ?? []).map((name) => ({ name: basename(name), bytes: readFile(name) })),
      });
  if (typeof image === "string") {
    const next = raw ? "" : " (raw bytes are booted with --raw, a firmware with --rom)";
    throw new UsageError(`${path} cannot be booted: ${image}${next}`);
  }
  return { image, rom: raw && romOf(file, raw) };
}

/** Where a raw image goes and starts: by default where a boot sector does, and a firmware at the reset vector. */
function rawPlace(options: BootArguments, bytes: number) {
  const mode = modes.find((each) => each === options.mode);
  if (mode === undefined) throw new UsageError(`--mode takes ${modes.join(", ")}, not ${options.mode}`);
  const firmware = addressEnd - bytes;
  const load = options.load === undefined ? (options.rom ? firmware : 0x7c00) : parseNumber("--load", options.load);
  const far = /^(?:0x)?([0-9a-f]{1,4}):(?:0x)?([0-9a-f]{1,4})$/i.exec(options.entry ?? "");
  if (far) {
    const [segment, offset] = [Number.parseInt(far[1] ?? "", 16), Number.parseInt(far[2] ?? "", 16)] as const;
    return { mode, load, entry: { segment, offset } };
  }
  if (options.entry?.includes(":")) {
    const forms = "SEGMENT:OFFSET with up to four hexadecimal digits each, such as F000:FFF0";
    throw new UsageError(`--entry takes an address, or ${forms}, not ${options.entry}`);
  }
  if (options.entry !== undefined) return { mode, load, entry: { address: parseNumber("--entry", options.entry) } };
  return load === firmware ? { mode, load } : { mode, load, entry: { address: load } };
}

/** What standard error says of an end that the guest did not choose. */
function endMessage({ end, rip, instructions }: BootResult): string | undefined {
  const where = `at ${hex(rip)} after ${instructions} instructions`;
  const said: Record<Exclude<BootEnd["kind"], "debug-exit" | "power-off">, string> = {
    "budget-spent": "the budget is spent",
    shutdown: "triple fault",
    unsupported: end.kind === "unsupported" ? `not supported: ${end.what}` : "",
    halted: "the guest halted, and nothing can wake it",
    reset: "the guest reset the machine",
    refused: end.kind === "refused" ? `the VMM refuses: ${end.why}` : "",
  };
  return end.kind === "debug-exit" || end.kind === "power-off" ? undefined : `${said[end.kind]}, ${where}`;
}

/** Bytes to standard output, a line or a block at a time. */
class ByteOutput {
  #bytes: number[] = [];

  put(byte: number): void {
    this.#bytes.push(byte);
    if (byte === 0x0a || this.#bytes.length >= 4096) this.flush();
  }

  flush(): void {
    if (this.#bytes.length > 0) print(Uint8Array.from(this.#bytes));
    this.#bytes = [];
  }
}

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;
