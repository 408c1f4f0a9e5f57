// Whatever a VMCS holds, an entry ends in one of the manual's ways, and a guest that runs stays inside the machine.

import { expect, test } from "vitest";
import { findRule, vmcsFields } from "../../src/isa/index.js";
import { everyControl, Vmm } from "./driver.js";

/** Numbers from a seed: xorshift. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

const edges = [0n, 1n, 0xfffn, 0x1000n, 0x8000_0000n, 0xffff_ffffn, 1n << 46n, 1n << 47n, 0xffff_ffff_ffff_ffffn];

function someValue(next: () => number, old: bigint): bigint {
  const kind = next() % 4;
  if (kind === 0) return edges[next() % edges.length] ?? 0n;
  if (kind === 1) return old ^ (1n << BigInt(next() % 64));
  const whole = (BigInt(next()) << 32n) | BigInt(next());
  return kind === 2 ? whole : old + BigInt(next() % 64);
}

const seed = 0x5eed_0001;

test(`500 VMCSs with a few changed fields, seed ${seed}`, () => {
  const next = numbers(seed);
  const writable = vmcsFields.filter((f) => f.kind !== "read-only");
  let entered = 0;
  for (let round = 0; round < 500; round++) {
    const vmm = new Vmm("skylake", next() % 2 === 0 ? everyControl : undefined);
    vmm.code("0f a2");
    if (next() % 2 === 0) vmm.withEpt();
    const changes: string[] = [];
    for (let i = next() % 3; i >= 0; i--) {
      const field = writable[next() % writable.length];
      if (!field) continue;
      const value = BigInt.asUintN(64, someValue(next, vmm.read(field.name)));
      changes.push(`${field.name} = 0x${value.toString(16)}`);
      vmm.write(field.name, value);
    }
    const failure = vmm.enter();
    if (!failure) {
      entered++;
      vmm.machine.run(200);
      continue;
    }
    const outcome = findRule(failure.rule ?? "")?.outcome;
    expect(outcome, changes.join(", ")).toBeDefined();
    if (outcome?.kind === "VMfailValid") expect(failure).toMatchObject({ kind: "fail", number: outcome.error });
    if (outcome?.kind === "guest_state") expect(failure).toMatchObject({ kind: "reject", number: 33 });
    vmm.machine.drainEvents(() => {});
  }
  expect(entered).toBeGreaterThan(50);
});
