// Judgements and expectations with their open values filled in: the part of the plan that says what must hold.

import { assert, toUnsigned } from "../base/index.js";
import { registerByName } from "../isa/index.js";
import type { Condition, EventPattern, Expectation, Judgement, Read, ReadAddress } from "../program/index.js";
import type { BoundCondition, BoundEvent, BoundJudgement, ResolvedExpectation, Value } from "../resolve/index.js";
import { evaluate, type Scope } from "./values.js";

/** Binds a judgement; values that have no number have been reported where their label is missing, and stand as 0. */
export function bindJudgement(judgement: BoundJudgement, scope: Scope): Judgement {
  if (judgement.kind !== "rounds") return judgement;
  const rounds = judgement.rounds.map((round) => ({
    events: round.events.map((alternatives) => alternatives.map((event) => bindPattern(event, scope))),
    ...(round.times && { times: numberOf(round.times, scope) }),
  }));
  return { kind: "rounds", rounds };
}

/** An event as a judgement, `count` or `never` describes it, its numbers known. */
export function bindPattern(event: BoundEvent, scope: Scope): EventPattern {
  const fields = event.fields.map(({ name, value }) => ({
    name,
    value: typeof value === "string" ? value : toUnsigned(numberOf(value, scope), 64),
  }));
  return {
    kind: event.kind,
    ...(event.subject !== undefined && { subject: event.subject }),
    fields,
    ...(event.to !== undefined && { to: event.to }),
    text: event.text,
  };
}

/** Binds an expectation: its leaves that are not numbers become reads, each once, in order. */
export function bindExpectation(expectation: ResolvedExpectation, scope: Scope): Expectation {
  const reads: Read[] = [];
  const condition = bindCondition(expectation.condition, scope, reads);
  const { span, text, guest } = expectation;
  return { reads, condition, span, text, guest };
}

function bindCondition(condition: BoundCondition, scope: Scope, reads: Read[]): Condition {
  switch (condition.kind) {
    case "value":
      return { kind: "constant", value: numberOf(condition.value, scope) };
    case "unary":
      return { kind: "unary", op: condition.op, operand: bindCondition(condition.operand, scope, reads) };
    case "binary": {
      const left = bindCondition(condition.left, scope, reads);
      const right = bindCondition(condition.right, scope, reads);
      return { kind: "binary", op: condition.op, left, right };
    }
    case "memory": {
      const { guest, sizeBits } = condition;
      return read(reads, { kind: "memory", guest, address: readAddress(condition, scope), sizeBits });
    }
    case "count":
      return read(reads, { kind: "count", pattern: bindPattern(condition.pattern, scope) });
    default:
      return read(reads, condition);
  }
}

function read(reads: Read[], one: Read): Condition {
  return { kind: "read", read: reads.push(one) - 1 };
}

function readAddress(memory: Extract<BoundCondition, { kind: "memory" }>, scope: Scope): ReadAddress {
  const { base, index, scale } = memory.operand;
  const displacement = numberOf(memory.displacement, scope);
  return {
    ...(base !== undefined && { base: fullName(base) }),
    ...(index !== undefined && { index: fullName(index) }),
    scale,
    displacement: base === undefined && index === undefined ? toUnsigned(displacement, 64) : displacement,
  };
}

/** The 64-bit name of an address register, as the machine names its registers. */
function fullName(register: string): string {
  const info = registerByName(register.toUpperCase());
  assert(info, `${register} is an address register`);
  return info.whole;
}

function numberOf(value: Value, scope: Scope): bigint {
  return evaluate(value, scope) ?? 0n;
}
