// What faults of the carried VMM are: places of its module, stdlib/hv.trap, that say something else.

import type { Fault } from "./fault.js";

/** Text of the module that stands there once, and what takes its place. */
function inModule(text: string, becomes: string): Fault {
  return { library: { module: "hv", text, becomes } };
}

export const skipLost = inModule("  answer_cpuid\n  skip\n", "  answer_cpuid\n");

export const virtualizationShown = inModule("  and   ecx, ~CPUID_1_ECX.VMX\n", "  and   ecx, ~0\n");

export const firstRuleCounts = inModule(
  "  mov   rcx, [rule_count]\n.next:\n  sub   rcx, 1\n  jc    .none\n",
  "  mov   rcx, -1\n.next:\n  add   rcx, 1\n  cmp   rcx, [rule_count]\n  jae   .none\n",
);

export const lastAddressFree = inModule(
  "  cmp   rax, [rdx + RULE.last]\n  ja    .next\n",
  "  cmp   rax, [rdx + RULE.last]\n  jae   .next\n",
);

export const faultSkipped = inModule(
  "  cmp   dword [rdx + RULE.denied], HV.FAULT\n  je    .protection\n  jmp   .io_done\n",
  "  jmp   .io_done\n",
);

export const stopIgnored = inModule(
  "  jnz   .msr_allowed\n  cmp   dword [rdx + RULE.denied], HV.STOP\n  je    .stopped\n",
  "  jnz   .msr_allowed\n",
);

export const portDirection = inModule(
  "  mov   byte [needed], HV.W\n  test  dl, 1\n",
  "  mov   byte [needed], HV.R\n  test  dl, 1\n",
);

export const msrWritesOpen = inModule("  bts   dword [msr_map], edx\n", "  nop\n");

export const exceptionCodeLost = inModule(
  "    vmx.read rax, VM_EXIT_INTERRUPTION_ERROR_CODE\n",
  "    xor   eax, eax\n",
);

export const pageWritable = inModule(
  "    test  byte [rdi + RULE.rights], HV.W\n    jz    .read_only\n    or    eax, 2\n  .read_only:\n",
  "    or    eax, 2\n",
);

export const pageRightsLost = inModule(
  "    or    eax, [rdi + RULE.rights]      ; the bits of an entry are those of a rule\n",
  "    or    eax, HV.R | HV.W | HV.X\n",
);

export const registersLost = inModule(
  "    mov   [vmx.guest_rbx], rbx\n  }\n  on svm1, svm2 {\n    mov   [svm.vmcb + VMCB.RAX], rax",
  "  }\n  on svm1, svm2 {\n    mov   [svm.vmcb + VMCB.RAX], rax",
);

export const portsOpen = inModule("  cmp   byte [is_closed], 0\n  jne   .io_emulated\n", "");

export const deliveryLost = inModule("  deliver\n  jmp   .settled\n.moved:\n", "  jmp   .settled\n.moved:\n");

export const doubleFaultMissed = inModule("  mov   dword [event], 0x8000_0b08\n", "");

export const stepLost = inModule("    or    eax, DR6.BS\n", "");

export const ownMsrsExit = inModule("  guard_msr\n  add   rsi, 4\n", "  add   rsi, 4\n");

export const featureStale = inModule("  or    ecx, CPUID_1_ECX.OSXSAVE\n", "");

export const hiddenBitShown = inModule(
  "    vmx.write CR4_GUEST_HOST_MASK, CR4.VMXE | CR4.SMXE\n",
  "    vmx.write CR4_GUEST_HOST_MASK, 0\n",
);

export const instructionThere = inModule(
  ".undefined:\n  mov   dword [event], 0x8000_0306\n",
  ".undefined:\n  skip\n  jmp   .settled\n",
);

export const pageStaysOpen = inModule("    mov   rax, [opened_entry]\n    mov   [rcx], rax\n", "");

export const codeInRealMode = inModule("  and   dword [event], ~(1 << 11)\n", "");

export const addressOfFaultLost = inModule("    jne   .passed\n    mov   cr2, rax\n", "    jne   .passed\n");
