// `npm run bench [-- --json]`: how fast the machine is, beside QEMU and Bochs where they are installed.

import { measureCore } from "./core.js";
import { measureNested } from "./nested.js";
import { measurePairs } from "./pairs.js";
import {
  measureCompile,
  measureExits,
  measureLoops,
  measureStart,
  measureTests,
  type CompileSpeed,
  type LoopSpeed,
} from "./speed.js";
import { measureTranslation, type TranslationSpeed } from "./translation.js";

/** Everything measured in one run. */
export function main(argv: readonly string[]): void {
  const start = measureStart();
  const compiling = measureCompile();
  const tests = measureTests();
  const exits = measureExits();
  const core = measureCore();
  const pairs = measurePairs();
  const nested = measureNested();
  const translation = measureTranslation();
  const loops = measureLoops();
  if (argv.includes("--json")) {
    console.log(
      JSON.stringify(
        {
          startMilliseconds: start,
          compileMilliseconds: compiling,
          testsPerSecond: tests,
          exitsPerSecond: exits,
          core,
          pairs,
          nested,
          translation,
          loops,
        },
        undefined,
        2,
      ),
    );
    return;
  }
  console.log("one core; loops as ratios to our machine, which is 1");
  console.log(`trapline run on one file       ${round(start.run)} ms, of which Node itself ${round(start.node)} ms`);
  for (const each of compiling) console.log(compileLine(each));
  console.log(`tiny tests, text to verdict    ${round(tests)} a second`);
  for (const [name, perSecond] of Object.entries(exits)) {
    console.log(
      `exit to the VMM and back, ${name.padEnd(11)}${round(perSecond)} a second, ${(1e6 / perSecond).toFixed(2)} us each`,
    );
  }
  console.log(`100 new instructions           ${core.newCode.toFixed(1)} us on a reset machine`);
  console.log(`stop at a point and on         ${core.stop.toFixed(0)} ns`);
  for (const { name, pairsPerSecond } of pairs) {
    console.log(
      `entry and exit, ${name.padEnd(23)}${(pairsPerSecond / 1e6).toFixed(2)} million pairs a second in the core`,
    );
  }
  for (const { name, exitsPerSecond } of nested) {
    const microseconds = ((1 / exitsPerSecond) * 1e6).toFixed(1);
    console.log(
      `nested exit, ${name.padEnd(18)}${round(exitsPerSecond)} a second reflected and resumed, ${microseconds} us each`,
    );
  }
  for (const { name, instructionsPerSecond } of core.loops) {
    console.log(`64-bit loop ${name.padEnd(18)} ${millions(instructionsPerSecond)} million instructions a second`);
  }
  for (const each of translation) console.log(translationLine(each));
  for (const loop of new Set(loops.map((each) => each.loop))) console.log(loopLine(loop, loops));
}

const compileLine = ({ file, build, later }: CompileSpeed): string =>
  `10 000 instructions, ${file.padEnd(10)}${round(build)} ms by trapline build, ${round(later)} ms in a warm process`;

const translationLine = ({ loop, ratio }: TranslationSpeed): string =>
  `binary_translation, ${loop.padEnd(11)}${ratio.toFixed(2)} of the bare machine's speed`;

function loopLine(loop: string, all: readonly LoopSpeed[]): string {
  const speeds = all.filter((each) => each.loop === loop);
  const own = speeds[0]?.instructionsPerSecond ?? 0;
  const others = speeds
    .slice(1)
    .map((each) => `${each.engine} ${(each.instructionsPerSecond / own).toFixed(2)}`)
    .join(", ");
  return `loop ${loop.padEnd(14)}            ${millions(own)} million instructions a second; ${others}`;
}

const millions = (value: number): string => (value / 1e6).toFixed(0);
const round = (value: number): string => Math.round(value).toString();
