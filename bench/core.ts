// Speed of the processor core alone: loops of 64-bit code in instructions a second, 100 new instructions on a reset
// machine, and a stop of the run loop and back.

import { findPlatform } from "../src/isa/index.js";
import { loadCore, Machine } from "../src/machine/index.js";

export interface CoreSpeed {
  readonly loops: readonly { readonly name: string; readonly instructionsPerSecond: number }[];
  /** Microseconds of 100 instructions that were never executed before, on a reset machine. */
  readonly newCode: number;
  /** Microseconds of the same with the reset and the setting of registers and memory. */
  readonly resetAndNewCode: number;
  /** Nanoseconds of a stop at a point and the way back. */
  readonly stop: number;
}

const codeAddress = 0x10_0000n;
const paging = 0x20_0000n;
const segment = (selector: number, rights: number) => ({ selector, base: 0n, limitBytes: 0xffff_ffff, rights });

/** Loops that never end. */
const loops = {
  // l: add rax, rcx; xor rdx, rax; lea rbx, [rdx + rcx*2]; dec rcx; jnz l; jmp l
  registers: "4801c84831c2488d1c4a48ffc975f1ebef",
  // l: mov rax, [rsi]; add rax, rcx; mov [rdi], rax; add dword [rdi + 8], 1; dec rcx; jnz l; jmp l
  memory: "488b064801c848890783470801" + "48ffc9" + "75ee" + "ebec",
  // l: call f; dec rcx; jnz l; jmp l;  f: push rbx; imul eax, ecx; pop rbx; ret
  calls: "e807000000" + "48ffc9" + "75f6" + "ebf4" + "53" + "0fafc1" + "5b" + "c3",
};

export function measureCore(): CoreSpeed {
  const platform = findPlatform("haswell");
  if (!platform) throw new Error("internal error: no platform haswell");
  const machine = new Machine(loadCore(), { platform: { ...platform, memoryBytes: 64 << 20 } });
  return {
    loops: Object.entries(loops).map(([name, hex]) => ({ name, instructionsPerSecond: loopSpeed(machine, hex) })),
    ...newCode(machine),
    stop: stopTime(machine),
  };
}

function loopSpeed(machine: Machine, hex: string): number {
  prepare(machine, hex);
  machine.run(2_000_000);
  const instructions = 20_000_000;
  return instructions / Math.min(...[1, 2, 3].map(() => seconds(() => machine.run(instructions))));
}

function newCode(machine: Machine): { newCode: number; resetAndNewCode: number } {
  const shapes = ["4801c8", "48ffc3", "488b16", "89d8", "4883c108", "31d2"];
  const hundred = Array.from({ length: 99 }, (_, i) => shapes[i % shapes.length]).join("") + "f4";
  const rounds = 2000;
  let alone = 0;
  const round = (): void => {
    prepare(machine, hundred);
    alone += seconds(() => machine.run(1000));
  };
  for (let i = 0; i < rounds; i++) round();
  alone = 0;
  const whole = seconds(() => {
    for (let i = 0; i < rounds; i++) round();
  });
  return { newCode: (alone / rounds) * 1e6, resetAndNewCode: (whole / rounds) * 1e6 };
}

function stopTime(machine: Machine): number {
  prepare(machine, "9090ebfc");
  machine.setPoints([{ address: codeAddress, action: "stop", index: 0 }]);
  machine.run(100);
  const stops = 300_000;
  const time = seconds(() => {
    for (let i = 0; i < stops; i++) machine.run(100);
  });
  return (time / stops) * 1e9;
}

/** A reset machine in 64-bit mode at some code. */
function prepare(machine: Machine, hex: string): void {
  machine.reset();
  machine.writePhysical(codeAddress, Buffer.from(hex, "hex"));
  machine.writeU64(paging, (paging + 0x1000n) | 7n);
  machine.writeU64(paging + 0x1000n, (paging + 0x2000n) | 7n);
  for (let i = 0n; i < 32n; i++) machine.writeU64(paging + 0x2000n + i * 8n, (i << 21n) | 0x87n);
  machine.setRegister("RIP", codeAddress);
  machine.setRegister("RSP", 0x18_0000n);
  machine.setRegister("RSI", 0x30_0000n);
  machine.setRegister("RDI", 0x30_1000n);
  machine.setRegister("RCX", 0x1000_0000n);
  machine.setRegister("CR3", paging);
  machine.setRegister("CR4", 0x20n);
  machine.setRegister("EFER", 0xd01n);
  machine.setRegister("CR0", 0x8001_0033n);
  machine.setSegment("CS", segment(0x08, 0xa09b));
  for (const name of ["SS", "DS", "ES"] as const) machine.setSegment(name, segment(0x10, 0xc093));
}

/** Seconds of processor time, so that other load does not count. */
function seconds(work: () => unknown): number {
  const start = process.cpuUsage();
  work();
  const used = process.cpuUsage(start);
  return (used.user + used.system) / 1e6;
}
