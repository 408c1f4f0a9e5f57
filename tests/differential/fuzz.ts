// `npm run fuzz`: the long form of all comparisons. Ring 3 on the host's processor, then every mode and ring on the
// emulators that are installed.
//
//   npm run fuzz -- [--seed N] [--count N] [--limit N] [--only host|emulators|rights|system] [--processor zen|skylake|haswell]
//                   [--machines QEMU,Bochs,KVM] [--modes real16,v86,...] [--all]

import { fuzzHost, type FuzzReport } from "../hostcpu/fuzz.js";
import { matrixCases, rightsOn } from "./matrix.js";
import { findPlatform } from "../../src/isa/index.js";
import { systemCase } from "./system-cases.js";
import { compare, type SessionOptions } from "./session.js";

const hostSnippetsPerCase = 100;
/** Prints seed and failures; the exit status is 1 when ours stands alone somewhere. */
export function main(argv: readonly string[]): number {
  const text = (name: string): string | undefined => {
    const at = argv.indexOf(name);
    return at < 0 ? undefined : argv[at + 1];
  };
  const seed = BigInt(text("--seed") ?? 1);
  const count = Number(text("--count") ?? 2000);
  const limit = Number(text("--limit") ?? 10);
  const only = text("--only");
  let failed = false;
  const print = (report: FuzzReport): void => {
    for (const line of report.lines) console.log(`${line}\n`);
    failed ||= report.failed;
  };
  if (only === undefined || only === "host") print(fuzzHost(seed, count * hostSnippetsPerCase, limit));
  const platform = text("--processor") ?? "zen";
  const machines = text("--machines");
  const modes = text("--modes")?.split(",");
  const tell = (title: string, options: Partial<SessionOptions> & { readonly processor: string }): void => {
    const common = { seed, count, limit, minimize: true, ...(machines !== undefined && { machines }) };
    const found = compare({ ...common, ...options }, (difference) => console.log(`${difference}\n`));
    const names = ["ours", ...found.machines].join(", ");
    const summary = `${title}: seed ${seed}: ${found.compared} cases of ${options.processor} on ${names}; ours stands alone in ${found.ours.length}, the others disagree in ${found.others.length}`;
    print({
      lines: [...(argv.includes("--all") ? found.others : []), summary],
      failed: found.ours.length > 0,
    });
  };
  if (only === undefined || only === "emulators") {
    tell("emulators", { processor: platform, ...(modes && { modes }) });
  }
  if (only === undefined || only === "system") {
    const cpu = findPlatform(platform)?.cpu;
    if (cpu !== undefined)
      tell("system", { processor: platform, next: (random) => systemCase(random, cpu), minimize: false });
  }
  if (only === undefined || only === "rights") {
    for (const { processor, machine, model } of rightsOn) {
      const common = { processor, next: matrixCases(model), minimize: false };
      if (machines === undefined || machines === machine) tell("rights of pages", { ...common, machines: machine });
    }
  }
  return failed ? 1 : 0;
}
