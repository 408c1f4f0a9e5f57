// Speed of the processor core alone: three loops in instructions a second, 100 new instructions on a reset machine, and
// a stop of the run loop and back. Timings never decide a test. `node bench/core.mjs [--json]`

import { importTypeScript } from "../scripts/bundle.mjs";

const { loadCore, Machine } = await importTypeScript("src/machine/index.ts");
const { findPlatform } = await importTypeScript("src/isa/index.ts");

const codeAddress = 0x10_0000n;
const paging = 0x20_0000n;
const segment = (selector, rights) => ({ selector, base: 0n, limitBytes: 0xffff_ffff, rights });

/** Loops that never end, as 64-bit code. */
const loops = {
  // l: add rax, rcx; xor rdx, rax; lea rbx, [rdx + rcx*2]; dec rcx; jnz l; jmp l
  registers: "4801c84831c2488d1c4a48ffc975f1ebef",
  // l: mov rax, [rsi]; add rax, rcx; mov [rdi], rax; add dword [rdi + 8], 1; dec rcx; jnz l; jmp l
  memory: "488b064801c848890783470801" + "48ffc9" + "75ee" + "ebec",
  // l: call f; dec rcx; jnz l; jmp l;  f: push rbx; imul eax, ecx; pop rbx; ret
  calls: "e807000000" + "48ffc9" + "75f6" + "ebf4" + "53" + "0fafc1" + "5b" + "c3",
};

const machine = new Machine(loadCore(), { platform: { ...findPlatform("haswell"), memoryBytes: 64 << 20 } });
const results = {};

for (const [name, hex] of Object.entries(loops)) {
  prepare(hex);
  machine.run(2_000_000);
  const instructions = 40_000_000;
  const time = timed(() => machine.run(instructions));
  results[`loop ${name}, MIPS`] = instructions / time / 1000;
}

const hundred = Array.from(
  { length: 99 },
  (_, i) => ["4801c8", "48ffc3", "488b16", "89d8", "4883c108", "31d2"][i % 6],
).join("");
const rounds = 3000;
let instructionsOnly = 0;
const whole = timed(() => {
  for (let i = 0; i < rounds; i++) {
    prepare(hundred + "f4");
    instructionsOnly += timed(() => machine.run(1000));
  }
});
results["100 new instructions, us"] = (instructionsOnly / rounds) * 1000;
results["reset, set-up and 100 new instructions, us"] = (whole / rounds) * 1000;

prepare("9090ebfc");
machine.setPoints([{ address: codeAddress, action: "stop", index: 0 }]);
machine.run(100);
const stops = 300_000;
const stopTime = timed(() => {
  for (let i = 0; i < stops; i++) machine.run(100);
});
results["stop at a point and on again, ns"] = (stopTime / stops) * 1e6;

if (process.argv.includes("--json")) console.log(JSON.stringify(results));
else
  for (const [name, value] of Object.entries(results))
    console.log(`${name.padEnd(46)} ${value.toFixed(1).padStart(9)}`);

function prepare(hex) {
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
  for (const name of ["SS", "DS", "ES"]) machine.setSegment(name, segment(0x10, 0xc093));
}

/** Milliseconds of processor time, so that other load does not count. */
function timed(work) {
  const start = process.cpuUsage();
  work();
  const used = process.cpuUsage(start);
  return (used.user + used.system) / 1000;
}
