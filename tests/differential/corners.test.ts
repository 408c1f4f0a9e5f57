// Each corner on our machine by the manual, and on the machines that are installed: those that are right agree, and
// those that are known to be wrong are found to be wrong, so that the list stays true.

import { beforeAll, describe, expect, test } from "vitest";
import type { Outcome } from "./case.js";
import { corners, type Corner } from "./corners.js";
import { systemCorners } from "./system-corners.js";
import { ourMachine, otherMachines, processors, runCases, type DifferentialMachine } from "./machines.js";

/** What a machine did otherwise than the corner says. */
function mistakes({ expected, memory }: Corner, outcome: Outcome, ignored = 0n): string[] {
  const told = Object.entries(expected).flatMap(([name, value]) => {
    const got = outcome.values[name as keyof typeof outcome.values];
    const mask = name === "rflags" ? ~ignored : -1n;
    return (got & mask) === (value & mask) ? [] : [`${name} is 0x${got.toString(16)}, not 0x${value.toString(16)}`];
  });
  const stored = Object.entries(memory).flatMap(([address, value]) => {
    const got = outcome.changes.get(Number(address));
    const text = got === undefined ? "unchanged" : `0x${(got >>> 0).toString(16)}`;
    return (got === undefined ? undefined : got >>> 0) === value
      ? []
      : [`[0x${Number(address).toString(16)}] is ${text}`];
  });
  return outcome.end === "record" ? [...told, ...stored] : [outcome.end];
}

function runCorners(machine: DifferentialMachine, list: readonly Corner[]): Map<string, readonly string[]> {
  const outcomes = runCases(machine, list.map(({ one }) => one)); // prettier-ignore
  return new Map(
    list.map((corner, i) => {
      const outcome = outcomes[i];
      return [corner.title, outcome === undefined ? ["nothing"] : mistakes(corner, outcome, machine.ignoredFlags)];
    }),
  );
}

describe.each(["skylake", "zen"])("on %s", (name) => {
  const list = [...corners, ...systemCorners].filter(({ processor }) => processor === name);
  const processor = processors[name];
  if (processor === undefined) throw new Error(`no processor ${name}`);
  const machines = [ourMachine(name), ...otherMachines(processor, "QEMU,Bochs")];
  describe.each(machines)("$name", (machine) => {
    const own = list.filter(({ lost }) => !lost.includes(machine.name));
    let found: ReturnType<typeof runCorners>;
    beforeAll(() => {
      found = runCorners(machine, own);
    }, 120_000);
    test.each(own)("$title", ({ title, wrong }) => {
      if (wrong.includes(machine.name)) expect(found.get(title)).not.toEqual([]);
      else expect(found.get(title)).toEqual([]);
    });
  });
});
