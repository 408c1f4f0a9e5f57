// `vmm hardware` in the carried lowering: the image brings the VMM that the test declares, made of the library's `hv`, and
// comes to the verdicts of the bundled one: on the bundled machine, and on QEMU and Bochs where they are installed.

import { describe, expect, test } from "vitest";
import type { ResolvedCase } from "../../src/resolve/index.js";
import { bootMachines } from "../compiler/machines.js";
import { bundledOnly, canBeCarried, casesOf, runCarried } from "../compiler/programs.js";
import { expectGolden } from "../support/golden.js";
import { trapFilesIn } from "../support/trap-suite.js";

/** One platform of each kind of virtualization. */
const platforms: ReadonlySet<string> = new Set(["penryn", "haswell", "turion", "zen"]);

const all = trapFilesIn("tests/conformance")
  .flatMap((file) => casesOf(file))
  .filter(({ platform }) => platforms.has(platform.name));

const others = trapFilesIn("tests/vmm/hardware").flatMap((file) => casesOf(file));

const declared = [...all, ...others.filter(({ platform }) => platforms.has(platform.name))]
  .filter(({ vmm }) => vmm.length === 1)
  .filter(({ vmm }) => vmm.every(({ kind, nested }) => kind === "hardware" && !nested));

const carried = declared.filter(canBeCarried);

/** What machines that take seconds to start run of it: the policy in all its parts. */
const chosen = [
  ...["a range ends with its last address", "of several rules for an address the last one counts"],
  ...["denied stop ends the guest there: memory", "the same rules hold in every mode: real16"],
  ...["the same rules hold in every mode: pae32", "the same rules hold in every mode: long64"],
  ...["ports, MSRs and memory as declared", "a guest that halts does not go on"],
  ...["CPUID tells what the guest has turned on, and of no virtualization"],
  ...["error codes and addresses of intercepted exceptions arrive in the guest"],
];
const isChosen = ({ title, platform }: ResolvedCase): boolean =>
  chosen.includes(title) && (platform.name === "haswell" || platform.name === "zen");

/** Mistakes of other machines (docs/findings.md): on SVM Bochs delivers an injected page fault without CR2. */
const isMistaken = (machine: string, { title, platform }: ResolvedCase): boolean =>
  machine === "Bochs" && platform.name === "zen" && title.startsWith("error codes and addresses");

const nameOf = ({ file, title, platform }: ResolvedCase): string => `${file}, ${title} [${platform.name}]`;

/** How many of a number, in a word: the suite grows, and what grows evenly is no news. */
function share(some: number, of: number): string {
  if (some === of) return "all";
  return some === 0 ? "none" : some * 2 >= of ? "most" : "some";
}

/** One line a file and kind of VMM: how much of it is carried. Then the causes that keep the rest from it. */
function coverage(): string {
  const files = new Map<string, { carried: number; all: number }>();
  const causes = new Set<string>();
  for (const one of all) {
    const kind = `${one.file.slice("tests/conformance/".length)}, ${one.vmmText}`;
    const counts = files.get(kind) ?? { carried: 0, all: 0 };
    const found = bundledOnly(one).map((message) => message.replace(/^.* is bundled only: /, ""));
    files.set(kind, { carried: counts.carried + (found.length === 0 ? 1 : 0), all: counts.all + 1 });
    for (const cause of found) causes.add(cause);
  }
  const rows = [...files].map(([kind, { carried: some, all: of }]) => `${share(some, of).padEnd(8)}${kind}\n`);
  const head = `Cells on ${[...platforms].join(", ")} that have a carried image\n\n`;
  return `${head}${rows.sort().join("")}\nWhy the others do not\n\n${[...causes].sort().join("\n")}\n`;
}

test("what is carried of the suite, and why the rest is not", { timeout: 240_000 }, () => {
  const text = coverage();
  expect(text).toContain("carried.trap, vmm hardware");
  expectGolden("tests/conformance/carried-coverage.txt", text);
});

test("most of it is carried, and what is chosen is there", () => {
  expect(carried.length / declared.length).toBeGreaterThan(0.75);
  const titles = new Set(carried.map(({ title }) => title));
  expect(chosen.filter((title) => !titles.has(title))).toEqual([]);
});

describe.each(bootMachines())("carried on $name", { timeout: 240_000 }, (machine) => {
  const some = carried.filter((one) => machine.name === "the bundled machine" || isChosen(one));
  test.each(some.filter((one) => machine.has(one)).map((one) => [nameOf(one), one] as const))("%s", (_, one) => {
    const { outcome, failures } = runCarried(one, machine);
    const told = failures.map(({ at, expected, got }) => `${at ?? ""}: expected ${expected}, got ${got}`);
    if (isMistaken(machine.name, one)) expect(outcome).toBe("failed");
    else expect([outcome, ...told]).toEqual(["passed"]);
  });
});
