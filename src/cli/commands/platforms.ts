// `trapline platforms [NAME]`: which platforms and groups there are, and everything about one.

import type { Command } from "commander";
import type { Platform } from "../../isa/index.js";
import { platformNamed } from "../platform.js";
import { print } from "../output.js";

export function register(program: Command): void {
  program
    .command("platforms")
    .description("List the platforms that tests can run on, or show one of them")
    .argument("[name]", "a platform")
    .option("--json", "print as JSON")
    .action(async (name: string | undefined, options: { json?: true }) => {
      const isa = await import("../../isa/index.js");
      if (name === undefined) {
        const all = isa.platformNames.flatMap((each) => isa.findPlatform(each) ?? []);
        print(options.json ? json(all.map(summary)) : list(all));
        return;
      }
      const platform = await platformNamed(name);
      print(options.json ? json(detail(platform)) : page(platform));
    });
}

function list(platforms: readonly Platform[]): string {
  const lines = platforms.map(
    ({ name, cpu }) => `${name.padEnd(12)}${cpu.generation.padEnd(12)}${cpu.vendor.padEnd(7)}${cpu.title}\n`,
  );
  return `${"name".padEnd(12)}${"group".padEnd(12)}${"vendor".padEnd(7)}processor\n${lines.join("")}`;
}

function page(platform: Platform): string {
  const { cpu, firmware, memoryBytes } = platform;
  const settings = Object.entries(firmware).map(([what, how]) => `${what} ${how}`);
  return [
    `${platform.name}: ${cpu.title}`,
    `vendor             ${cpu.vendor}`,
    `group              ${cpu.generation}`,
    `memory             ${memoryBytes / (1024 * 1024)}M`,
    `physical address   ${cpu.physicalAddressBits} bits`,
    `linear address     ${cpu.linearAddressBits} bits`,
    `firmware           ${settings.join(", ") || "nothing to set"}`,
    ...wrapped("features           ", cpu.features),
    "",
    "CPUID             EAX      EBX      ECX      EDX",
    ...cpu.cpuid.map(
      (leaf) =>
        `${hex32(leaf.leaf)}${(leaf.subleaf === undefined ? "" : `.${leaf.subleaf}`).padEnd(8)}` +
        `  ${hex32(leaf.eax)} ${hex32(leaf.ebx)} ${hex32(leaf.ecx)} ${hex32(leaf.edx)}`,
    ),
    "",
    "MSR                                      after reset       writable bits",
    ...cpu.msrs.map((msr) => `${hex32(msr.address)} ${msr.name.padEnd(30)}  ${hex64(msr.reset)}  ${writableText(msr)}`),
    "",
  ].join("\n");
}

function writableText(msr: Platform["cpu"]["msrs"][number]): string {
  return msr.readOnly ? "read-only" : hex64(msr.writable);
}

/** Words after a heading, in lines of at most 100 columns. */
function wrapped(heading: string, words: readonly string[]): string[] {
  const lines: string[] = [];
  let line = heading;
  for (const word of words) {
    if (line.length + word.length > 99) {
      lines.push(line.trimEnd());
      line = " ".repeat(heading.length);
    }
    line += `${word} `;
  }
  return [...lines, line.trimEnd()];
}

const summary = ({ name, cpu }: Platform) => ({
  name,
  group: cpu.generation,
  vendor: cpu.vendor,
  title: cpu.title,
});

const detail = (platform: Platform) => ({
  ...summary(platform),
  memoryBytes: platform.memoryBytes,
  physicalAddressBits: platform.cpu.physicalAddressBits,
  linearAddressBits: platform.cpu.linearAddressBits,
  firmware: platform.firmware,
  features: platform.cpu.features,
  cpuid: platform.cpu.cpuid,
  msrs: platform.cpu.msrs.map((msr) => ({ ...msr, reset: hex64(msr.reset), writable: hex64(msr.writable) })),
});

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;
const hex32 = (value: number): string => value.toString(16).padStart(8, "0");
const hex64 = (value: bigint): string => value.toString(16).padStart(16, "0");
