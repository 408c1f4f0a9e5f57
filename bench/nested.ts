// Exits of a guest's guest: reflected by `hardware nested` to the guest's VMM, which reads what happened, moves its guest
// past the instruction and resumes it. That VMM is a few instructions, so that the work measured is the outer VMM's.

import { compile } from "../src/compiler/index.js";
import { encode } from "../src/codec/index.js";
import type { StartState } from "../src/program/index.js";
import { resolve } from "../src/resolve/index.js";
import { MachinePool } from "../src/runner/index.js";
import { parse } from "../src/syntax/index.js";
import { silent, startVmm } from "../src/vmm/index.js";
import { library } from "../tests/resolve/library.js";

export interface NestedSpeed {
  readonly name: string;
  readonly exitsPerSecond: number;
}

/** CPUID of the inner guest; R15 counts. */
const innerGuest = `
  guest long64 l2 under l1 {
  .again:
    cpuid               => any
    jmp   .again
  }
}
`;

/** VMREAD of reason, RIP and length, VMWRITE of RIP, VMRESUME. */
const vmx = (platform: string, rounds: number): string => `
use vmx

test "nested exits" {
  on  ${platform}
  vmm hardware nested

  guest long64 l1 {
    vmx.start
    vmx.prepare l2
    vmx.write HOST_RIP, .exited
    mov   r8d, EXIT_REASON
    mov   r9d, GUEST_RIP
    mov   r10d, VM_EXIT_INSTRUCTION_LENGTH
    mov   r15d, ${rounds}
    vmlaunch
  .exited:
    vmread r11, r8
    vmread r12, r9
    vmread r13, r10
    add   r12, r13
    vmwrite r9, r12
    dec   r15d
    jz    .over
    vmresume
  .over:
    hlt
  }
${innerGuest}`;

/** The next RIP out of the VMCB, VMRUN. */
const svm = (platform: string, rounds: number): string => `
use svm

test "nested exits" {
  on  ${platform}
  vmm hardware nested

  guest long64 l1 {
    svm.start
    svm.prepare l2
    mov   eax, svm.vmcb
    mov   r15d, ${rounds}
  .again:
    vmrun
    mov   r11, [svm.exitcode]
    mov   r12, [svm.vmcb + VMCB.NRIP]
    mov   [svm.vmcb + VMCB.RIP], r12
    dec   r15d
    jnz   .again
    hlt
  }
${innerGuest}`;

const rounds = 30_000;

/** Exits of a guest's guest a second, nobody listening to events. */
export function measureNested(): readonly NestedSpeed[] {
  const pool = new MachinePool();
  const speed = (source: (rounds: number) => string): number => {
    secondsOf(pool, source(rounds));
    return rounds / Math.min(...[1, 2, 3].map(() => secondsOf(pool, source(rounds))));
  };
  return [
    { name: "VMX, shadow VMCS", exitsPerSecond: speed((n) => vmx("haswell", n)) },
    { name: "VMX", exitsPerSecond: speed((n) => vmx("westmere", n)) },
    { name: "SVM", exitsPerSecond: speed((n) => svm("zen", n)) },
  ];
}

/** Processor time of a run, so that other load does not count. */
function secondsOf(pool: MachinePool, text: string): number {
  const resolved = resolve(parse({ name: "nested.trap", text }).output, library());
  const [cell] = resolved.output.tests[0]?.cases ?? [];
  if (!cell) throw new Error(`the nested test does not resolve: ${JSON.stringify(resolved.diagnostics)}`);
  const { image } = compile(cell, { lowering: "bundled", encode }).output;
  const { machine } = pool.take(cell.platform);
  machine.reset();
  machine.load(image);
  const guest = startVmm(machine, cell.vmm, image.start as StartState, { events: silent });
  const start = process.cpuUsage();
  let stop = guest.run(Number.MAX_SAFE_INTEGER);
  // The ring of events is full now and then; nobody listens here.
  while (stop.kind === "events-full") {
    machine.drainEvents(() => undefined);
    stop = guest.run(Number.MAX_SAFE_INTEGER);
  }
  const used = process.cpuUsage(start);
  const left = guest.state.register("R15") & 0xffff_ffffn;
  if (stop.kind !== "halted" || left !== 0n) throw new Error(`the nested exits ended by ${JSON.stringify(stop)}`);
  return (used.user + used.system) / 1e6;
}
