// The judge on cases written as text: verdict, transcript and report are in the golden beside each case.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { RunEvent } from "../../src/program/index.js";
import { judge, renderFailure, transcript } from "../../src/verdict/index.js";
import { expectGolden, projectRoot } from "../support/golden.js";
import { readCase } from "./case-file.js";

const room = "tests/verdict";
const cases = readdirSync(join(projectRoot, room))
  .filter((name) => name.endsWith(".txt"))
  .map((name) => name.slice(0, -".txt".length));

test.each(cases)("%s", (name) => {
  const file = `${name}.txt`;
  const { plan, log, context } = readCase(file, readFileSync(join(projectRoot, room, file), "utf8"));
  const verdict = judge(plan, log, context);
  const cell = { file, title: name.replaceAll("-", " "), platform: "haswell", vmmText: "vmm hardware" };
  const report = verdict.outcome === "passed" ? "" : `\n${renderFailure(cell, plan, log, verdict)}\n`;
  expectGolden(`${room}/${name}.golden`, `${verdict.outcome}\n\n${transcript(plan, log)}${report}`);
  const outcome = /-(passes|fails)(?:-|$)/.exec(name)?.[1];
  expect(verdict.outcome).toBe(outcome === "passes" ? "passed" : "failed");
});

test("a line and an expectation that fail in a hot loop are told once, and the judge stays linear", () => {
  const source = "---\nguest g {\n  cpuid => exit CPUID\n  expect count(exit HLT) == 1\n}\n---\ncpuid: visit\n";
  const { plan, log, context } = readCase("loop.txt", source);
  const [visit] = log.events;
  if (visit === undefined) throw new Error("the case has its visit");
  const events = Array.from({ length: 200_000 }, (_, i): RunEvent =>
    i % 2 === 0 ? { ...visit, retired: BigInt(i) } : { ...visit, kind: "probe", index: 0, values: [0n] },
  );
  const verdict = judge(plan, { ...log, events }, context);
  expect(verdict.failures.map((failure) => failure.expected)).toEqual(["exit CPUID", "count(exit HLT) == 1"]);
});
