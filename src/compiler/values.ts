// Values at layout: expressions over addresses become numbers.

import { applyBinary, applyUnary, assertNever, toValue } from "../base/index.js";
import type { SegmentState, StartState } from "../program/index.js";
import type { StartName, Value } from "../resolve/index.js";

/** The state in which a guest starts by its mode, and what its `start` lines say otherwise. */
export interface GuestStart {
  readonly state: StartState;
  readonly declared: ReadonlyMap<StartName, Value>;
}

/** What open values depend on while sections are placed. */
export interface Scope {
  /** Addresses by symbol; a symbol without address was not placed. */
  readonly addresses: (number | undefined)[];
  readonly starts: ReadonlyMap<string, GuestStart>;
  /** `$` and `$$`. */
  here: number;
  sectionStart: number;
  /** Declared start values under evaluation: one that names itself means what its mode gives. */
  readonly open?: Set<Value>;
}

/** The number of a value in canonical form; undefined when a symbol has no address or a division is by zero. */
export function evaluate(value: Value, scope: Scope): bigint | undefined {
  switch (value.kind) {
    case "constant":
      return value.value;
    case "symbol": {
      const address = scope.addresses[value.symbol];
      return address === undefined ? undefined : BigInt(address);
    }
    case "here":
      return BigInt(scope.here);
    case "section-start":
      return BigInt(scope.sectionStart);
    case "start": {
      const start = scope.starts.get(value.guest);
      const declared = start?.declared.get(value.what);
      if (declared === undefined || scope.open?.has(declared))
        return start && toValue(startValue(start.state, value.what));
      return evaluate(declared, { ...scope, open: new Set([...(scope.open ?? []), declared]) });
    }
    case "unary": {
      const operand = evaluate(value.operand, scope);
      return operand === undefined ? undefined : applyUnary(value.op, operand);
    }
    case "binary": {
      const left = evaluate(value.left, scope);
      const right = evaluate(value.right, scope);
      return left === undefined || right === undefined ? undefined : applyBinary(value.op, left, right);
    }
    default:
      return assertNever(value);
  }
}

/** A part of a start state, as `l2.CS.RIGHTS` names it. */
export function startValue(start: StartState, what: StartName): bigint {
  const [register, part] = what.split(".") as [string, string | undefined];
  switch (register) {
    case "RIP":
      return start.rip;
    case "RSP":
      return start.registers["RSP"] ?? 0n;
    case "RFLAGS":
      return start.rflags;
    case "CR0":
      return start.cr0;
    case "CR3":
      return start.cr3;
    case "CR4":
      return start.cr4;
    case "EFER":
      return start.efer;
    case "GDTR":
      return part === "BASE" ? start.gdtr.base : BigInt(start.gdtr.limitBytes);
    case "IDTR":
      return part === "BASE" ? start.idtr.base : BigInt(start.idtr.limitBytes);
    case "LDTR":
      return segmentValue(start.ldtr, part);
    case "TR":
      return segmentValue(start.tr, part);
    default:
      return segmentValue(start.segments[register as keyof StartState["segments"]], part);
  }
}

function segmentValue(segment: SegmentState, part: string | undefined): bigint {
  switch (part) {
    case "SELECTOR":
      return BigInt(segment.selector);
    case "BASE":
      return segment.base;
    case "LIMIT":
      return BigInt(segment.limitBytes);
    default:
      return BigInt(segment.rights);
  }
}
