// The same guest on the bare machine and under a VMM: where do they end differently?

import { compile } from "../../../src/compiler/index.js";
import { renderDiagnostic } from "../../../src/base/index.js";
import { slotAddress, slotOffsets } from "../../../src/program/index.js";
import { resolve } from "../../../src/resolve/index.js";
import { execute, MachinePool } from "../../../src/runner/index.js";
import { parse } from "../../../src/syntax/index.js";
import { randomGuest } from "./generate.js";

const pool = new MachinePool();

/** Memory that a guest leaves: where from, and how much. */
type Left = readonly [address: bigint, lengthBytes: number];

const data: Left = [slotAddress(0) + slotOffsets.data, 0x400];

/** How a run ended: how, when, what happened in the guest and when, and its memory. */
interface End {
  readonly kind: string;
  readonly instructions: bigint;
  readonly traps: string;
  readonly moments: string;
  readonly memory: readonly Uint8Array[];
}

function endOf(text: string, left: readonly Left[]): End {
  const parsed = parse({ name: "guest", text });
  const resolved = resolve(parsed.output, new Map());
  const wrong = [...parsed.diagnostics, ...resolved.diagnostics];
  const [one] = resolved.output.tests.flatMap((test) => test.cases);
  if (wrong.length > 0 || one === undefined) throw new Error(wrong.map(renderDiagnostic).join("\n"));
  const compiled = compile(one, { lowering: "bundled" });
  if (compiled.diagnostics.length > 0) throw new Error(compiled.diagnostics.map(renderDiagnostic).join("\n"));
  const on = pool.take(one.platform);
  const log = execute(on, compiled.output, one.vmm);
  const memory = left.map(([address, bytes]) => on.machine.readPhysical(address, bytes).slice());
  const traps = log.events.filter((event) => event.kind === "trap" && event.to === undefined);
  return {
    kind: log.end.kind,
    instructions: log.instructions,
    memory,
    traps: traps.map(({ subject, rip }) => `${subject} ${rip.toString(16)}`).join("\n"),
    moments: traps.map(({ retired }) => retired).join(" "),
  };
}

/**
 * What differs between the bare machine and a VMM, given the source under each; empty where nothing does. Time is not
 * compared where it is not the guest's own: what a VMM carries out on hardware takes none.
 */
export function differencesOf(
  source: (vmm: string) => string,
  vmm: string,
  { left = [data], timed = true }: { readonly left?: readonly Left[]; readonly timed?: boolean } = {},
): string {
  const bare = endOf(source("none"), left);
  if (bare.kind !== "done") return `on the bare machine the guest does not come to its end: ${bare.kind}`;
  const under = endOf(source(vmm), left);
  const keys = timed ? (["kind", "traps", "instructions", "moments"] as const) : (["kind", "traps"] as const);
  const differing = keys.filter((key) => bare[key] !== under[key]);
  const ends = differing.map((key) => `${key}\n  bare  ${bare[key]}\n  under ${under[key]}`);
  const bytes = left.flatMap(([address], i) => changes(address, bare.memory[i], under.memory[i]));
  return [...ends, ...bytes.slice(0, shownChanges)].join("\n");
}

const shownChanges = 16;
const none = new Uint8Array();

/** Words of memory that differ. */
function changes(address: bigint, bare: Uint8Array = none, under: Uint8Array = none): string[] {
  const word = (bytes: Uint8Array, at: number): string => Buffer.from(bytes.subarray(at, at + 4)).toString("hex");
  return Array.from({ length: bare.length / 4 }, (_, i) => 4 * i)
    .filter((at) => word(bare, at) !== word(under, at))
    .map((at) => `${(address + BigInt(at)).toString(16)}: bare ${word(bare, at)}, under ${word(under, at)}`);
}

/** The same for a random guest. */
export function differences(seed: number, vmm: string): string {
  const text = differencesOf((each) => randomGuest(seed, each), vmm);
  return text === "" ? "" : `seed ${seed}: ${text}`;
}
