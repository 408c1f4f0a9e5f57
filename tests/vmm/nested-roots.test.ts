// A guest's VMM that runs its guest on two sets of tables in turns: what is merged of each stays, so that no switch costs
// violations again, and what it changes in one of them counts all the same.

import { expect, test } from "vitest";
import { compile } from "../../src/compiler/index.js";
import { encode } from "../../src/codec/index.js";
import { resolve } from "../../src/resolve/index.js";
import { execute, MachinePool } from "../../src/runner/index.js";
import { parse } from "../../src/syntax/index.js";
import { library } from "../resolve/library.js";

const rounds = 20;

/** Roots at 20000H and 24000H over the same tables of the second level, by which the guest has its VMM's memory. */
const source = (platform: string): string => `
use hv
use svm
use vmx

test "two roots" {
  on  ${platform}
  vmm hardware nested

  guest long64 l1 {
    mov   dword [0x20000], 0x21007
    mov   dword [0x24000], 0x21007
    mov   dword [0x21000], 0x22007
    on vtx2 { mov   edx, 0xb7 }
    on svm2 { mov   edx, 0xe7 }
    xor   ecx, ecx
  .large:
    mov   eax, ecx
    shl   eax, 21
    or    eax, edx
    mov   [0x22000 + rcx * 8], rax
    inc   ecx
    cmp   ecx, 512
    jb    .large
    hv.start
    hv.guest l2
    on vtx2 {
      vmx.set PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, VMX.ACTIVATE_SECONDARY_CONTROLS
      vmx.set SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, VMX.ENABLE_EPT
    }
    on svm2 {
      mov   qword [svm.vmcb + VMCB.NESTED_CTL], 1
    }
    mov   dword [0xa000], ${rounds}
  .again:
    on vtx2 {
      vmx.write EPT_POINTER, 0x2001e
    }
    on svm2 {
      mov   qword [svm.vmcb + VMCB.N_CR3], 0x20000
    }
    hv.run              => any
    hv.skip
    on vtx2 {
      vmx.write EPT_POINTER, 0x2401e
    }
    on svm2 {
      mov   qword [svm.vmcb + VMCB.N_CR3], 0x24000
    }
    hv.run              => any
    hv.skip
    dec   dword [0xa000]
    jnz   .again
    expect dword [0x9000] == 2 * ${rounds}
  }

  guest long64 l2 under l1 {
  .again:
    inc   dword [0x9000]
    cpuid               => any
    jmp   .again
  }
}
`;

const pool = new MachinePool();

test.each([
  ["haswell", "EPT_VIOLATION"],
  ["nehalem", "EPT_VIOLATION"],
  ["zen", "NPF"],
  ["phenom", "NPF"],
])("on %s two sets of tables in turns are merged once", (platform, violation) => {
  const resolved = resolve(parse({ name: "roots.trap", text: source(platform) }).output, library());
  expect(resolved.diagnostics).toEqual([]);
  const [cell] = resolved.output.tests[0]?.cases ?? [];
  if (cell === undefined) throw new Error("the test has no case");
  const compiled = compile(cell, { lowering: "bundled", encode });
  const on = pool.take(cell.platform);
  const log = execute(on, compiled.output, cell.vmm);
  expect(log.end.kind).toBe("done");
  expect(on.machine.readU32(0x9000n)).toBe(2 * rounds);
  const merged = log.events.filter((event) => event.kind === "exit" && event.subject === violation);
  expect(merged.length).toBeGreaterThan(2);
  expect(merged.length).toBeLessThan(2 * rounds);
});
