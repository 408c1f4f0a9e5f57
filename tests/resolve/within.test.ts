// `within` from text to verdict: its events happen once, however often the block goes round.

import { expect, test } from "vitest";
import { compile } from "../../src/compiler/index.js";
import type { Program, RunEvent, RunLog } from "../../src/program/index.js";
import { resolve } from "../../src/resolve/index.js";
import { parse } from "../../src/syntax/index.js";
import { judge } from "../../src/verdict/index.js";

const text = `
test "a trap somewhere in a loop" {
  on haswell

  guest prot32 {
    mov   ecx, 3
    within {
    again:
      div   dword [ecx]
      loop  again
    }                   => trap #DE
  }
}
`;

function compileText(): Program {
  const { output } = resolve(parse({ name: "within.trap", text }).output, new Map());
  const [one] = output.tests[0]?.cases ?? [];
  if (!one) throw new Error("the test has a case");
  return compile(one, { lowering: "bundled" }).output;
}

/** A run that visits the judged line so many times, with a trap in the given rounds. */
function outcome(rounds: number, traps: readonly number[]): string {
  const { plan } = compileText();
  const index = plan.lines.findIndex((line) => line.judgement !== undefined);
  const rip = plan.lines[index]?.address ?? 0n;
  const base = { guest: "guest", rip, fields: {} };
  const events: RunEvent[] = [];
  for (let round = 0; round < rounds; round++) {
    events.push({ ...base, kind: "visit", index, retired: BigInt(round * 2) });
    if (traps.includes(round)) events.push({ ...base, kind: "trap", subject: "#DE", retired: BigInt(round * 2) });
  }
  const log: RunLog = { events, end: { kind: "done" }, finalValues: new Map(), instructions: 10n };
  return judge(plan, log, { lowering: "bundled", vendor: "intel" }).outcome;
}

test("the event may come in any round", () => {
  expect(outcome(3, [1])).toBe("passed");
  expect(outcome(3, [2])).toBe("passed");
});

test("it must come, and only once", () => {
  expect(outcome(3, [])).toBe("failed");
  expect(outcome(3, [0, 2])).toBe("failed");
  expect(outcome(0, [])).toBe("failed");
});
