// `npm run bench [-- --json]`: how fast the machine is, beside QEMU and Bochs where they are installed.

import { measureExits, measureLoops, measureStart, measureTests, type LoopSpeed } from "./speed.js";

/** Everything measured in one run. */
export function main(argv: readonly string[]): void {
  const start = measureStart();
  const tests = measureTests();
  const exits = measureExits();
  const loops = measureLoops();
  if (argv.includes("--json")) {
    console.log(
      JSON.stringify({ startMilliseconds: start, testsPerSecond: tests, exitsPerSecond: exits, loops }, undefined, 2),
    );
    return;
  }
  console.log("one core; loops as ratios to our machine, which is 1");
  console.log(`trapline run on one file       ${round(start.run)} ms, of which Node itself ${round(start.node)} ms`);
  console.log(`tiny tests, text to verdict    ${round(tests)} a second`);
  console.log(`exits to the VMM and back      ${round(exits)} a second, ${((1 / exits) * 1e6).toFixed(2)} us each`);
  for (const loop of new Set(loops.map((each) => each.loop))) console.log(loopLine(loop, loops));
}

function loopLine(loop: string, all: readonly LoopSpeed[]): string {
  const speeds = all.filter((each) => each.loop === loop);
  const own = speeds[0]?.instructionsPerSecond ?? 0;
  const others = speeds
    .slice(1)
    .map((each) => `${each.engine} ${(each.instructionsPerSecond / own).toFixed(2)}`)
    .join(", ");
  return `loop ${loop.padEnd(14)}            ${(own / 1e6).toFixed(0)} million instructions a second; ${others}`;
}

const round = (value: number): string => Math.round(value).toString();
