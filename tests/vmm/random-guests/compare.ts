// The same random guest on the bare machine and under a VMM: where do they end differently?

import { compile } from "../../../src/compiler/index.js";
import { renderDiagnostic } from "../../../src/base/index.js";
import { slotAddress, slotOffsets } from "../../../src/program/index.js";
import { resolve } from "../../../src/resolve/index.js";
import { execute, MachinePool } from "../../../src/runner/index.js";
import { parse } from "../../../src/syntax/index.js";
import { randomGuest } from "./generate.js";

const pool = new MachinePool();
const dataBytes = 0x400;

/** How a run ended: its memory, its time, and what happened in the guest. */
interface End {
  readonly kind: string;
  readonly instructions: bigint;
  readonly data: string;
  readonly traps: string;
}

function endOf(seed: number, vmm: string): End {
  const parsed = parse({ name: `seed ${seed}`, text: randomGuest(seed, vmm) });
  const resolved = resolve(parsed.output, new Map());
  const wrong = [...parsed.diagnostics, ...resolved.diagnostics];
  const [one] = resolved.output.tests.flatMap((test) => test.cases);
  if (wrong.length > 0 || one === undefined) throw new Error(wrong.map(renderDiagnostic).join("\n"));
  const compiled = compile(one, { lowering: "bundled" });
  if (compiled.diagnostics.length > 0) throw new Error(compiled.diagnostics.map(renderDiagnostic).join("\n"));
  const on = pool.take(one.platform);
  const log = execute(on, compiled.output, one.vmm);
  const data = on.machine.readPhysical(slotAddress(0) + slotOffsets.data, dataBytes);
  const traps = log.events.filter((event) => event.kind === "trap" && event.to === undefined);
  return {
    kind: log.end.kind,
    instructions: log.instructions,
    data: Buffer.from(data).toString("hex"),
    traps: traps.map(({ subject, rip, retired }) => `${subject} ${rip.toString(16)} ${retired}`).join("\n"),
  };
}

/** What differs between the bare machine and a VMM; empty where nothing does. */
export function differences(seed: number, vmm: string): string {
  const bare = endOf(seed, "none");
  const under = endOf(seed, vmm);
  const differing = (["kind", "instructions", "data", "traps"] as const).filter((key) => bare[key] !== under[key]);
  return differing.map((key) => `seed ${seed}: ${key}\n  bare  ${bare[key]}\n  under ${under[key]}`).join("\n");
}
