// `npm run fuzz`: the long form of all comparisons. Ring 3 on the host's processor, then every mode and ring on the
// emulators that are installed.
//
//   npm run fuzz -- [--seed N] [--count N] [--limit N] [--only host|emulators] [--processor zen|skylake|haswell]
//                   [--machines QEMU,Bochs,KVM] [--modes real16,v86,...] [--all]

import { fuzzHost, type FuzzReport } from "../hostcpu/fuzz.js";
import { compare } from "./session.js";

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
  if (only !== "emulators") print(fuzzHost(seed, count * hostSnippetsPerCase, limit));
  if (only !== "host") {
    const machines = text("--machines");
    const modes = text("--modes")?.split(",");
    const processor = text("--processor") ?? "zen";
    const found = compare({
      processor,
      seed,
      count,
      limit,
      minimize: true,
      ...(modes && { modes }),
      ...(machines !== undefined && { machines }),
    });
    const summary = `emulators: seed ${seed}: ${found.compared} cases on ${["ours", ...found.machines].join(", ")}; ours stands alone in ${found.ours.length}, the others disagree in ${found.others.length}`;
    print({
      lines: [...found.ours, ...(argv.includes("--all") ? found.others : []), summary],
      failed: found.ours.length > 0,
    });
  }
  return failed ? 1 : 0;
}
