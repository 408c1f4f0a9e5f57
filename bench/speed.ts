// What is measured: instructions a second in loops, tiny tests a second from text to verdict, exits a second.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { cpuUsage, execPath } from "node:process";
import { assert } from "../src/base/index.js";
import { parse } from "../src/syntax/index.js";
import type { Machine } from "../src/machine/index.js";
import type { Program } from "../src/program/index.js";
import { silent, startVmm, type VmmChoice } from "../src/vmm/index.js";
import { compile } from "../src/compiler/index.js";
import { encode } from "../src/codec/index.js";
import { resolve } from "../src/resolve/index.js";
import { execute, MachinePool, runFile } from "../src/runner/index.js";
import { engines, type Engine } from "./engines.js";
import { loopImage, loops } from "./loops.js";
import { longFiles } from "./long-files.js";
import { elapsedSeconds, processorSeconds, withFolder } from "./processes.js";

export interface LoopSpeed {
  readonly loop: string;
  readonly engine: string;
  readonly instructionsPerSecond: number;
}

/** Each loop on each engine: the difference of a long and a short run, so that start-up does not count. */
export function measureLoops(): LoopSpeed[] {
  return loops.flatMap((loop) =>
    engines().map((engine) => {
      const short = Math.floor(engine.rounds / 8);
      const seconds = best(3, () => elapsed(engine, loop, engine.rounds) - elapsed(engine, loop, short));
      const instructions = (engine.rounds - short) * loop.instructions;
      return { loop: loop.name, engine: engine.name, instructionsPerSecond: instructions / seconds };
    }),
  );
}

const elapsed = (engine: Engine, loop: (typeof loops)[number], rounds: number): number =>
  engine.run(loopImage(loop, rounds));

const noModules = new Map();

/** A test as small as a useful one is: a trap in ring 3 and one judged value. */
const tinyTest = (number: number): string => `
test "tiny ${number}" {
  on haswell

  guest long64 {
    mov   ecx, ${number}
    ring 3 {
      cli               => trap #GP(0)
    }
    inc   ecx
    expect ecx == ${number + 1}
  }
}
`;

/** Tests a second on one core, text to verdict, a file of one test each. */
export function measureTests(seconds = 2): number {
  const pool = new MachinePool();
  const options = { modules: noModules, goldens: new Map<string, string>(), update: false, ci: false };
  const runOne = (number: number): void => {
    const result = runFile({ source: { name: `tiny${number}.trap`, text: tinyTest(number) } }, options, pool);
    if (result.cases[0]?.outcome !== "passed") {
      throw new Error(`the tiny test does not pass: ${result.cases[0]?.detail ?? JSON.stringify(result.diagnostics)}`);
    }
  };
  for (let i = 0; i < 200; i++) runOne(i);
  const start = performance.now();
  let done = 0;
  while (performance.now() - start < seconds * 1000) runOne(done++);
  return done / ((performance.now() - start) / 1000);
}

const exitRounds = 100_000;
const exitTest = (rounds: number): string => `
test "exits" {
  on haswell
  vmm hardware

  guest long64 {
    mov   edi, ${rounds}
  .again:
    cpuid               => any
    dec   edi
    jnz   .again
    expect edi == 0
  }
}
`;

export interface ExitSpeed {
  /** CPUID exits a second from the guest to the bundled VMM and back, events recorded as for a test. */
  readonly recorded: number;
  /** The same where nobody takes the events, as `trapline boot --vmm` runs. */
  readonly unrecorded: number;
}

export function measureExits(): ExitSpeed {
  const pool = new MachinePool();
  const seconds = (rounds: number, recorded: boolean): number => {
    const source = { name: "exits.trap", text: exitTest(rounds) };
    const resolved = resolve(parse(source).output, noModules);
    const [cell] = resolved.output.tests[0]?.cases ?? [];
    if (!cell) throw new Error(`the exit test does not resolve: ${JSON.stringify(resolved.diagnostics)}`);
    const program = compile(cell, { lowering: "bundled", encode }).output;
    const on = pool.take(cell.platform);
    const start = performance.now();
    if (recorded) assert(execute(on, program, cell.vmm).end.kind === "done", "the exit test comes to its end");
    else runUnrecorded(on.machine, program, cell.vmm, instructionsOf(rounds));
    return (performance.now() - start) / 1000;
  };
  const speed = (recorded: boolean): number => {
    seconds(1000, recorded);
    return exitRounds / best(3, () => seconds(exitRounds, recorded) - seconds(1, recorded));
  };
  return { recorded: speed(true), unrecorded: speed(false) };
}

const instructionsOf = (rounds: number): number => 1 + 3 * rounds;

/** Runs a program under its VMM for so many instructions and records nothing. */
function runUnrecorded(machine: Machine, program: Program, vmm: readonly VmmChoice[], instructions: number): void {
  machine.reset();
  machine.load(program.image);
  machine.setPoints([]);
  const running = startVmm(machine, vmm, program.image.start, { events: silent });
  while (machine.retired < instructions) {
    const stop = running.run(instructions - Number(machine.retired));
    assert(stop.kind === "budget-spent" || stop.kind === "events-full", "the exit test goes on");
    machine.drainEvents(() => undefined);
  }
}

export interface StartTime {
  /** Milliseconds of processor time of `trapline run` on one file of one test. */
  readonly run: number;
  /** The same of a Node that does nothing. */
  readonly node: number;
}

/** How long a user waits for the verdict of one test, as processor time. */
export function measureStart(): StartTime {
  return withFolder((folder) => {
    const file = join(folder, "tiny.trap");
    writeFileSync(file, tinyTest(1));
    const milliseconds = (...args: string[]): number => best(15, () => processorSeconds([execPath, ...args]) * 1000);
    return { run: milliseconds("dist/cli.cjs", "run", file), node: milliseconds("-e", "0") };
  });
}

export interface CompileSpeed {
  readonly file: string;
  /** Milliseconds of `trapline build FILE`, the start of Node included: what a user waits. */
  readonly build: number;
  /** Milliseconds of processor time from the text to the image, in a process that has done it before. */
  readonly later: number;
}

/** Files of 10 000 instructions, read, resolved and laid out. */
export function measureCompile(): CompileSpeed[] {
  return Object.entries(longFiles).map(([file, text]) => {
    const later = best(10, () => compileOnce(text));
    return { file, build: measureBuild(text), later };
  });
}

function measureBuild(text: string): number {
  return withFolder((folder) => {
    const file = join(folder, "long.trap");
    writeFileSync(file, text);
    const output = join(folder, "listing");
    return best(7, () => elapsedSeconds([execPath, "dist/cli.cjs", "build", file, "-o", output]) * 1000);
  });
}

function compileOnce(text: string): number {
  const before = cpuUsage();
  const resolved = resolve(parse({ name: "long.trap", text }).output, noModules);
  const [cell] = resolved.output.tests[0]?.cases ?? [];
  if (!cell) throw new Error(`the long test does not resolve: ${JSON.stringify(resolved.diagnostics)}`);
  const { diagnostics } = compile(cell, { lowering: "bundled", encode });
  if (diagnostics.length > 0) throw new Error("the long test does not compile");
  const { user, system } = cpuUsage(before);
  return (user + system) / 1000;
}

/** The least of several measurements: what the machine can do when nothing else disturbs it. */
function best(times: number, measure: () => number): number {
  return Math.min(...Array.from({ length: times }, measure));
}
