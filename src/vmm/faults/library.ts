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
