// Why the manuals want it so: for the report of a failure, the rule that decides and where it stands.

import { apm2, citationText, findRule, sdm3, vmxExitReasons, type Citation, type Vendor } from "../isa/index.js";
import type { EventPattern, RunEvent } from "../program/index.js";

/** Paragraphs for the report: the rule in words, then its citation. */
export interface Explanation {
  readonly rule: readonly string[];
}

/** The rule behind an event that a judgement expects. */
export function explainPattern(pattern: EventPattern, vendor: Vendor): Explanation | undefined {
  const id = pattern.fields.find((field) => field.name === "rule")?.value;
  if (typeof id === "string") return explainRule(id);
  if (pattern.kind !== "exit" || pattern.subject === undefined) return undefined;
  return vendor === "intel" ? explainVmxExit(pattern.subject, pattern.to) : explainSvmExit(pattern.subject);
}

/** The rule or control bit that an event says decided it. */
export function explainEvent(event: RunEvent, vendor: Vendor): Explanation | undefined {
  if (event.kind === "shutdown") return explanation(shutdownText, doubleFault);
  if (event.rule === undefined) return undefined;
  return explainRule(event.rule) ?? explainControl(event.rule, vendor);
}

const shutdownText = "a fault during the delivery of a fault is a double fault, and one during its delivery shuts down";
const doubleFault = sdm3("Interrupt and Exception Handling", "Interrupt 8—Double Fault Exception (#DF)");

function explanation(text: string, citation: Citation): Explanation {
  return { rule: [text, citationText(citation)] };
}

function explainRule(id: string): Explanation | undefined {
  const rule = findRule(id);
  return rule && explanation(`${rule.text} (${rule.id})`, rule.citation);
}

const nonRoot = "VMX Non-Root Operation";

function explainVmxExit(subject: string, to: string | undefined): Explanation | undefined {
  const when = vmxExitReasons.find((reason) => reason.name === subject)?.when;
  if (when === undefined) return undefined;
  const owner = to === undefined || to === "vmm" ? "" : `, and ${to} owns every such exit of its guest`;
  if (when === "always") {
    const section = "Instructions That Cause VM Exits Unconditionally";
    return explanation(`${subject} exits unconditionally${owner}`, sdm3(nonRoot, section));
  }
  const bits = when.join(" or ");
  return explanation(
    `${subject} exits where the control ${bits} is 1${owner}`,
    sdm3(nonRoot, "Instructions That Cause VM Exits Conditionally"),
  );
}

function explainSvmExit(subject: string): Explanation {
  return explanation(
    `${subject} exits where the VMCB's intercept asks for it`,
    apm2("Secure Virtual Machine", "Intercept Operation"),
  );
}

/** Causes that are control bits: `control.hlt_exiting`, `intercept.cpuid`. */
function explainControl(id: string, vendor: Vendor): Explanation | undefined {
  const match = /^(control|intercept)\.(.+)$/.exec(id);
  if (match === null) return undefined;
  const bit = (match[2] ?? "").toUpperCase();
  return vendor === "intel"
    ? explanation(`the control ${bit} asks for it`, sdm3(nonRoot, "Instructions That Cause VM Exits Conditionally"))
    : explanation(`the intercept ${bit} asks for it`, apm2("Secure Virtual Machine", "Intercept Operation"));
}
