// The guest of a carried image's VMM, in the language itself: its state while it does not run, its rings, and the values
// that expectations read. Its memory and the frames of its exceptions: guest-memory-source.ts.

import { memorySource, trapSource } from "./guest-memory-source.js";

/** Macros by vendor; each keeps every register but RAX. */
const macros = `
macro copy(from: imm, to: imm) {
  mov   rax, [from]
  mov   [to], rax
}

macro write_ip {
  on vtx1, vtx2 {
    vmx.write GUEST_RIP, rax
  }
  on svm1, svm2 {
    mov   [svm.vmcb + VMCB.RIP], rax
  }
}

macro write_sp {
  on vtx1, vtx2 {
    vmx.write GUEST_RSP, rax
  }
  on svm1, svm2 {
    mov   [svm.vmcb + VMCB.RSP], rax
  }
}

macro write_flags {
  on vtx1, vtx2 {
    vmx.write GUEST_RFLAGS, rax
  }
  on svm1, svm2 {
    mov   [svm.vmcb + VMCB.RFLAGS], rax
  }
}

; CR2 and DR6 as the guest left them, or as it will find them.
macro read_debug {
  on vtx1, vtx2 {
    mov   rax, cr2
    mov   [saved_cr2], rax
    mov   rax, dr6
    mov   [saved_dr6], rax
  }
  on svm1, svm2 {
    copy  svm.vmcb + VMCB.CR2, saved_cr2
    copy  svm.vmcb + VMCB.DR6, saved_dr6
  }
}

; A segment register whole, as the vendor's structure holds it, from there or to there.
macro read_segment(vmx_selector: imm, svm_selector: imm, to: imm) {
  on vtx1, vtx2 {
    vmx.read rax, vmx_selector
    mov   [to], rax
    vmx.read rax, vmx_selector - GUEST_ES_SELECTOR + GUEST_ES_BASE
    mov   [to + 8], rax
    vmx.read rax, vmx_selector - GUEST_ES_SELECTOR + GUEST_ES_LIMIT
    mov   [to + 16], rax
    vmx.read rax, vmx_selector - GUEST_ES_SELECTOR + GUEST_ES_ACCESS_RIGHTS
    mov   [to + 24], rax
  }
  on svm1, svm2 {
    mov   rax, [svm.vmcb + svm_selector]
    mov   [to], rax
    mov   rax, [svm.vmcb + svm_selector + 8]
    mov   [to + 8], rax
  }
}

macro write_segment(vmx_selector: imm, svm_selector: imm, from: imm) {
  on vtx1, vtx2 {
    vmx.write vmx_selector, [from]
    vmx.write vmx_selector - GUEST_ES_SELECTOR + GUEST_ES_BASE, [from + 8]
    vmx.write vmx_selector - GUEST_ES_SELECTOR + GUEST_ES_LIMIT, [from + 16]
    vmx.write vmx_selector - GUEST_ES_SELECTOR + GUEST_ES_ACCESS_RIGHTS, [from + 24]
  }
  on svm1, svm2 {
    mov   rax, [from]
    mov   [svm.vmcb + svm_selector], rax
    mov   rax, [from + 8]
    mov   [svm.vmcb + svm_selector + 8], rax
  }
}

; A data segment that ring 3 may not use becomes null, as on a return to that ring.
macro hide(vmx_selector: imm, svm_selector: imm) {
  read_segment vmx_selector, svm_selector, segment_now
  on vtx1, vtx2 {
    mov   eax, [segment_now + 24]
  }
  on svm1, svm2 {
    movzx eax, word [segment_now + 2]
  }
  and   eax, 0x60
  cmp   eax, 0x60
  je    .stays
  mov   qword [segment_now], 0
  on vtx1, vtx2 {
    mov   qword [segment_now + 24], 1 << 16
  }
  write_segment vmx_selector, svm_selector, segment_now
.stays:
}
`;

const registers = [
  "rax",
  "rcx",
  "rdx",
  "rbx",
  "rbp",
  "rsi",
  "rdi",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
];

const savedName = (register: string): string => `saved_${/\d/.test(register) ? register : register.slice(1)}`;

const segmentNames = ["cs", "ss", "ds", "es", "fs", "gs"];

/** The selectors; `read` gets one into RAX. */
function selectors(read: (name: string) => string): string {
  return segmentNames.map((name) => `    ${read(name.toUpperCase())}\n    mov   [saved_${name}], rax\n`).join("");
}

/** The guest's registers where the scaffold keeps those of code that it has interrupted. */
const takeGuest = `
take_guest:
  on vtx1, vtx2 {
${registers.map((name) => `    copy  vmx.guest_${name}, ${savedName(name)}\n`).join("")}    vmx.read rax, GUEST_RSP
    mov   [saved_sp], rax
    vmx.read rax, GUEST_RIP
    mov   [saved_ip], rax
    vmx.read rax, GUEST_RFLAGS
    mov   [saved_flags], rax
    vmx.read rax, GUEST_CR3
    mov   [guest_cr3], rax
    vmx.read rax, GUEST_SS_BASE
    mov   [ss_base], rax
    vmx.read rax, GUEST_SS_ACCESS_RIGHTS
    mov   [ss_rights], rax
${selectors((name) => `vmx.read rax, GUEST_${name}_SELECTOR`)}  }
  on svm1, svm2 {
    copy  svm.vmcb + VMCB.RAX, saved_ax
${registers
  .slice(1)
  .map((name) => `    copy  svm.guest_${name}, ${savedName(name)}\n`)
  .join("")}    copy  svm.vmcb + VMCB.RSP, saved_sp
    copy  svm.vmcb + VMCB.RIP, saved_ip
    copy  svm.vmcb + VMCB.RFLAGS, saved_flags
    copy  svm.vmcb + VMCB.CR3, guest_cr3
    copy  svm.vmcb + VMCB.SS_BASE, ss_base
    movzx eax, word [svm.vmcb + VMCB.SS_ATTRIB]
    mov   ecx, eax                      ; the limit's bits lie between the rights of a descriptor
    and   eax, 0xff
    and   ecx, 0xf00
    shl   ecx, 4
    or    eax, ecx
    mov   [ss_rights], rax
${selectors((name) => `movzx eax, word [svm.vmcb + VMCB.${name}_SELECTOR]`)}  }
  hv.read_cr0
  mov   [guest_cr0], rax
  hv.read_cr4
  mov   [guest_cr4], rax
  hv.read_efer
  mov   [guest_efer], rax
  ret
`;

const rings = `
enter_ring:
  on vtx1, vtx2 {
    mov   eax, [ss_rights]
    and   eax, 0x60
  }
  on svm1, svm2 {
    movzx eax, byte [svm.vmcb + VMCB.CPL]
  }
  test  eax, eax
  jnz   pass
  read_segment GUEST_CS_SELECTOR, VMCB.CS_SELECTOR, ring0_code
  read_segment GUEST_SS_SELECTOR, VMCB.SS_SELECTOR, ring0_stack
  mov   rax, [saved_sp]
  mov   [ring0_sp], rax
  mov   eax, [saved_flags]
  mov   [ring0_flags], rax
  mov   dword [entered], 1
  write_segment GUEST_CS_SELECTOR, VMCB.CS_SELECTOR, ring3_code
  write_segment GUEST_SS_SELECTOR, VMCB.SS_SELECTOR, ring3_data
  hide  GUEST_DS_SELECTOR, VMCB.DS_SELECTOR
  hide  GUEST_ES_SELECTOR, VMCB.ES_SELECTOR
  hide  GUEST_FS_SELECTOR, VMCB.FS_SELECTOR
  hide  GUEST_GS_SELECTOR, VMCB.GS_SELECTOR
  on svm1, svm2 {
    mov   byte [svm.vmcb + VMCB.CPL], 3
  }
  mov   eax, [ring3_stack]
  write_sp
  mov   rax, [saved_flags]
  and   eax, ~FLAGS.IOPL
  write_flags
  jmp   pass

leave_ring:                             ; what the block computed stays; stack, privilege and IOPL are as before it
  mov   eax, [ring0_flags]
  and   eax, FLAGS.IOPL
  or    [saved_flags], eax
  mov   dword [entered], 0
  mov   dword [is_leaving], 1
  ret
`;

/** As the report's own, of the guest instead of the code that was interrupted. */
const takeValue = `
take_value:                             ; the value of the read at edi goes to number
  push  rdi
  mov   qword [number], 0
  mov   eax, [rdi + READ_KIND]
  cmp   eax, READ_NOTHING
  je    .taken
  cmp   eax, READ_MSR
  je    .msr
  cmp   eax, READ_CONTROL
  je    .control
  mov   rsi, [rdi + READ_DISPLACEMENT]
  mov   eax, [rdi + READ_BASE]
  cmp   eax, READ_NONE
  je    .index
  add   rsi, [saved + rax]
.index:
  mov   eax, [rdi + READ_INDEX]
  cmp   eax, READ_NONE
  je    .copy
  mov   rax, [saved + rax]
  mov   ecx, [rdi + READ_SHIFT]
  shl   rax, cl
  add   rsi, rax
.copy:
  mov   ecx, [rdi + READ_SIZE]
  cmp   dword [rdi + READ_ADDRESS], 0   ; the scaffold's own copy of a register
  mov   edi, number
  jne   .own
  call  copy_in
  jmp   .taken
.own:
  rep movsb
.taken:
  pop   rdi
  ret
.control:
  mov   ecx, [rdi + READ_ADDRESS]
  read_debug
  mov   rax, [saved_cr2]
  cmp   ecx, 2
  je    .read
  mov   rax, [guest_cr0]
  jb    .read
  mov   rax, [guest_cr3]
  cmp   ecx, 3
  je    .read
  mov   rax, [guest_cr4]
.read:
  mov   [number], rax
  jmp   .taken
.msr:
  mov   ecx, [rdi + READ_ADDRESS]
  hv.read_msr
  jc    .taken
  mov   [number], rax
  jmp   .taken
`;

/** The text, with a data block of its own. `segments` are the segments of ring 3 as the vendor holds them. */
export const guestSource = (segments: { readonly code: string; readonly stack: string }): string =>
  `${macros}${takeGuest}${memorySource}${trapSource}${rings}${takeValue}
data {
  align 8
  handlers:      dq HANDLERS
  handler_bytes: dq HANDLER_BYTES
  handler_step:  dq HANDLER_STEP
  guest_cr0:     dq 0
  guest_cr3:     dq 0
  guest_cr4:     dq 0
  guest_efer:    dq 0
  ss_base:       dq 0
  ss_rights:     dq 0
  slot:          dq 0
  error_slots:   dq 0
  frame_at:      dq 0
  ip_at:         dq 0
  stub_ip:         dq 0
  is_leaving:    dq 0
  frame:         zero 64
  segment_now:   zero 32
  ring0_code:    zero 32
  ring0_stack:   zero 32
  ring3_code:    ${segments.code}
  ring3_data:    ${segments.stack}
}
`;
