// The resolved program as text: one line an item, for goldens and `--emit resolved`. Symbols have their names here.

import { assertNever, hex } from "../base/index.js";
import type { MemoryOperand, OperandValue } from "../codec/index.js";
import type {
  BoundCondition,
  BoundEvent,
  BoundJudgement,
  InstructionTemplate,
  Item,
  LineInfo,
  OperandTemplate,
  ResolvedCase,
  ResolvedFile,
  ResolvedGuest,
  SymbolId,
  Value,
} from "./resolved.js";

type Names = ReadonlyMap<SymbolId, string>;

/** All cases of a file; the text ends with a newline. */
export function renderResolved(file: ResolvedFile): string {
  const lines = file.tests.flatMap((test) => {
    const flags = [test.golden && "golden", test.only && "only", test.xfail !== undefined && "xfail"];
    const head = [`test ${JSON.stringify(test.name)}`, ...flags.filter((flag) => flag !== false)].join(" ");
    return [head, ...test.cases.flatMap((one) => renderCase(one).map((line) => `  ${line}`))];
  });
  return lines.map((line) => `${line.trimEnd()}\n`).join("");
}

/** One case, without its platform's details. */
export function renderCase(one: ResolvedCase): string[] {
  const lines = [`case ${JSON.stringify(one.title)} on ${one.platform.name}, ${one.vmmText}`];
  if (one.skip !== undefined) return [...lines, `  skip: ${one.skip}`];
  const names = symbolNames(one);
  for (const { policy } of one.vmm.slice(0, 1)) {
    if (policy.interceptNothing) lines.push("  intercept nothing");
    if (policy.intercepts.length > 0) lines.push(`  intercept ${policy.intercepts.join(", ")}`);
    const rules = { memory: policy.memory, ports: policy.ports, msrs: policy.msrs };
    for (const [kind, list] of Object.entries(rules)) {
      for (const { start, end, rights, denied } of list) {
        const letters = `${rights.read ? "r" : ""}${rights.write ? "w" : ""}${"execute" in rights && rights.execute ? "x" : ""}`;
        lines.push(`  ${kind} ${hex(start)}..${hex(end)} ${letters === "" ? "none" : letters} denied ${denied}`);
      }
    }
  }
  return [
    ...lines,
    ...one.guests.flatMap((guest) => renderGuest(guest, names).map((line) => `  ${line}`)),
    ...one.finals.map(({ condition }) => `  expect ${conditionText(condition, names)}`),
  ];
}

function symbolNames(one: ResolvedCase): Names {
  const names = new Map<SymbolId, string>();
  const visit = (items: readonly Item[]): void => {
    for (const item of items) {
      if (item.kind === "label") names.set(item.symbol, item.name);
      else if (item.kind === "ring") visit(item.body);
    }
  };
  for (const guest of one.guests) {
    visit(guest.code);
    visit(guest.data);
    for (const handler of guest.handlers) visit(handler.code);
    for (const block of guest.placed) visit(block.items);
  }
  return names;
}

function renderGuest(guest: ResolvedGuest, names: Names): string[] {
  const under = guest.under === undefined ? "" : ` under ${guest.under}`;
  const lines = [`guest ${guest.mode} ${guest.name}${under}`];
  for (const { start, end, to, raw, ...rights } of guest.maps) {
    if (raw !== undefined) {
      lines.push(`  map ${hex(start)}..${hex(end)} raw ${hex(raw)}`);
      continue;
    }
    const said = [
      rights.present ? "present" : "absent",
      rights.writable ? "rw" : "ro",
      rights.user ? "user" : "supervisor",
      rights.executable ? "x" : "nx",
    ];
    lines.push(`  map ${hex(start)}..${hex(end)} ${said.join(" ")}${to === undefined ? "" : ` to ${hex(to)}`}`);
  }
  for (const { target, value } of guest.starts) {
    const name = target.kind === "msr" ? `msr(${hex(target.address)})` : target.name;
    lines.push(`  start ${name} = ${valueText(value, names)}`);
  }
  return [
    ...lines,
    ...guest.handlers.flatMap(({ vector, code }) => [`  handler ${vector}`, ...renderItems(code, names, "    ")]),
    ...renderItems(guest.code, names, "  "),
    ...(guest.data.length > 0 ? ["  data", ...renderItems(guest.data, names, "    ")] : []),
    ...guest.placed.flatMap(({ kind, address, items }) => {
      return [`  ${kind} at ${hex(address)}`, ...renderItems(items, names, "    ")];
    }),
  ];
}

function renderItems(items: readonly Item[], names: Names, indent: string): string[] {
  return items.flatMap((item): string[] => {
    switch (item.kind) {
      case "label":
        return [`${indent}${item.name}:`];
      case "instruction":
        return [`${indent}${judged(instructionText(item.instruction, names), item.line, names)}`];
      case "bytes": {
        const text = `bytes ${item.unitBytes * 8}: ${item.values.map((value) => valueText(value, names)).join(", ")}`;
        return [`${indent}${judged(text, item.line, names)}`];
      }
      case "zero":
        return [`${indent}zero ${valueText(item.count, names)}`];
      case "align":
        return [`${indent}align ${hex(item.boundary)}`];
      case "ring":
        return [`${indent}ring ${item.ring}`, ...renderItems(item.body, names, `${indent}  `)];
      case "expect":
        return [`${indent}expect ${conditionText(item.expectation.condition, names)}`];
      case "raise":
        return [`${indent}raise ${item.event}${item.vector ? ` ${valueText(item.vector, names)}` : ""}`];
      case "done":
        return [`${indent}done`];
      default:
        return assertNever(item);
    }
  });
}

function judged(text: string, line: LineInfo, names: Names): string {
  const parts = [text, ...(line.never ?? []).map(({ event }) => `never ${event.text}`)];
  if (line.claimedBy) parts.push(`claimed by \`${line.claimedBy.text}\``);
  if (line.judgement) parts.push(`=> ${judgementText(line.judgement, names)}`);
  if (line.goto) parts.push(`goto ${valueText(line.goto, names)}`);
  return parts.join("  ");
}

function judgementText(judgement: BoundJudgement, names: Names): string {
  if (judgement.kind !== "rounds") return judgement.kind;
  return judgement.rounds
    .map(({ events, times }) => {
      const text = events.map((any) => any.map((event) => eventText(event, names)).join(" or ")).join(", ");
      return `${text === "" ? "nothing" : text}${times ? ` * ${valueText(times, names)}` : ""}`;
    })
    .join(" then ");
}

function eventText(event: BoundEvent, names: Names): string {
  const fields = event.fields.map(({ name, value }) => {
    return `${name}: ${typeof value === "string" ? value : valueText(value, names)}`;
  });
  const subject = event.subject === undefined ? "" : ` ${event.subject}`;
  const inParentheses = fields.length === 0 ? "" : `(${fields.join(", ")})`;
  return `${event.kind}${subject}${inParentheses}${event.to === undefined ? "" : ` to ${event.to}`}`;
}

function instructionText(instruction: InstructionTemplate, names: Names): string {
  const operands = instruction.operands.map((operand) => operandText(operand, names)).join(", ");
  const text = [...instruction.prefixes, instruction.mnemonic, operands].join(" ").trimEnd();
  return instruction.form ? `encode "${instruction.form.notation}" { ${text} }` : text;
}

function operandText(template: OperandTemplate, names: Names): string {
  switch (template.kind) {
    case "fixed":
      return fixedText(template.operand);
    case "immediate":
      return words(template.operand, valueText(template.value, names));
    case "memory":
      return memoryText(template.operand, valueText(template.displacement, names));
    case "far":
      return `${template.sizeBits ?? ""} ${valueText(template.selector, names)}:${valueText(template.offset, names)}`.trim();
    default:
      return assertNever(template);
  }
}

function fixedText(operand: OperandValue): string {
  switch (operand.kind) {
    case "register":
      return operand.name;
    case "immediate":
      return words(operand, hex(operand.value));
    case "memory":
      return memoryText(operand, hex(operand.displacement));
    case "far":
      return `${operand.sizeBits ?? ""} ${hex(operand.selector)}:${hex(operand.offset)}`.trim();
    default:
      return assertNever(operand);
  }
}

function words(operand: Extract<OperandValue, { kind: "immediate" }>, value: string): string {
  return [operand.strict && "strict", operand.distance, operand.sizeBits, value].filter(Boolean).join(" ");
}

function memoryText(operand: MemoryOperand, displacement: string): string {
  const { segment, base, index, scale, sizeBits, displacementBits, relative, far } = operand;
  const sum = [base, index && `${index}*${scale}`, displacement].filter(Boolean).join(" + ");
  const reach = relative === undefined ? undefined : relative ? "rel" : "abs";
  const inside = [reach, displacementBits, segment && `${segment}:`, sum].filter(Boolean).join(" ");
  return [far && "far", sizeBits, `[${inside}]`].filter(Boolean).join(" ");
}

function valueText(value: Value, names: Names): string {
  switch (value.kind) {
    case "constant":
      return hex(value.value);
    case "symbol":
      return names.get(value.symbol) ?? `symbol ${value.symbol}`;
    case "here":
      return "$";
    case "section-start":
      return "$$";
    case "start":
      return `${value.guest}.${value.what}`;
    case "unary":
      return `${value.op}${valueText(value.operand, names)}`;
    case "binary":
      return `(${valueText(value.left, names)} ${value.op} ${valueText(value.right, names)})`;
    default:
      return assertNever(value);
  }
}

function conditionText(condition: BoundCondition, names: Names): string {
  switch (condition.kind) {
    case "value":
      return valueText(condition.value, names);
    case "register":
      return condition.name;
    case "flags":
      return "flags";
    case "memory":
      return `${memoryText(condition.operand, valueText(condition.displacement, names))} of ${condition.guest}`;
    case "msr":
      return `msr ${hex(condition.address)}`;
    case "vmcs":
      return `vmcs ${hex(condition.encoding)}`;
    case "vmcb":
      return `vmcb ${hex(condition.offsetBytes)}`;
    case "count":
      return `count(${eventText(condition.pattern, names)})`;
    case "cycles":
      return `cycles(${condition.of})`;
    case "unary":
      return `${condition.op}${conditionText(condition.operand, names)}`;
    case "binary":
      return `(${conditionText(condition.left, names)} ${condition.op} ${conditionText(condition.right, names)})`;
    default:
      return assertNever(condition);
  }
}
