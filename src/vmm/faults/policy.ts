// What a VMM does wrong with the policy that a test declares: it reads another one. Whatever the VMM and the vendor.

import type { VmmPolicy } from "../policy.js";
import type { Fault } from "./fault.js";

/** The same done to every rule of the declared policy. */
function everyRule(change: {
  readonly memory?: (rule: VmmPolicy["memory"][number]) => VmmPolicy["memory"][number];
  readonly range?: (rule: VmmPolicy["ports"][number]) => VmmPolicy["ports"][number];
}): Fault {
  const { memory = (rule) => rule, range = (rule) => rule } = change;
  return {
    policy: (policy) => ({
      ...policy,
      memory: policy.memory.map(memory),
      ports: policy.ports.map(range),
      msrs: policy.msrs.map(range),
    }),
  };
}

export const lastAddressFree = everyRule({
  memory: (rule) => ({ ...rule, end: rule.end - 1n }),
  range: (rule) => (rule.end > rule.start ? { ...rule, end: rule.end - 1 } : rule),
});

export const firstRuleCounts: Fault = {
  policy: (policy) => ({
    ...policy,
    memory: policy.memory.toReversed(),
    ports: policy.ports.toReversed(),
    msrs: policy.msrs.toReversed(),
  }),
};

const skipped = <T extends { readonly denied: string }>(rule: T): T & { readonly denied: "skip" | "stop" } => ({
  ...rule,
  denied: rule.denied === "stop" ? "stop" : "skip",
});
const goesOn = <T extends { readonly denied: string }>(rule: T): T & { readonly denied: "skip" | "fault" } => ({
  ...rule,
  denied: rule.denied === "fault" ? "fault" : "skip",
});

export const faultSkipped = everyRule({ memory: skipped, range: skipped });
export const stopIgnored = everyRule({ memory: goesOn, range: goesOn });
export const memoryWritesAllowed = everyRule({
  memory: (rule) => ({ ...rule, rights: { ...rule.rights, write: true } }),
});
export const readRightForBoth = everyRule({
  range: (rule) => ({ ...rule, rights: { read: rule.rights.read, write: rule.rights.read } }),
});
