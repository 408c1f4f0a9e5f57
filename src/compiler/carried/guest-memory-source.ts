// The memory of a carried image's guest as its VMM finds it, through the guest's own page tables, and the frames that its
// exceptions leave there: text in the language itself.

/** Linear addresses of the guest, by its own page tables. */
export const memorySource = `
translate:                              ; rax: linear, becomes physical; CF where the guest maps nothing. ecx, edx, r8
  bt    dword [guest_cr0], 31
  jnc   .flat
  test  dword [guest_cr4], CR4.PAE
  jnz   .wide
  mov   edx, [guest_cr3]
  and   edx, ~0xfff
  mov   ecx, eax
  shr   ecx, 22
  mov   edx, [rdx + rcx * 4]
  test  dl, 1
  jz    .none
  test  dl, 0x80
  jz    .table
  test  dword [guest_cr4], CR4.PSE
  jz    .table
  and   edx, 0xffc0_0000
  and   eax, 0x003f_ffff
  or    eax, edx
  jmp   .flat
.table:
  and   edx, ~0xfff
  mov   ecx, eax
  shr   ecx, 12
  and   ecx, 1023
  mov   edx, [rdx + rcx * 4]
  test  dl, 1
  jz    .none
  and   edx, ~0xfff
  and   eax, 0xfff
  or    eax, edx
.flat:
  clc
  ret
.wide:
  mov   rdx, [guest_cr3]
  mov   ecx, 39
  test  dword [guest_efer], EFER.LMA
  jz    .pae
  test  dword [guest_cr4], CR4.LA57
  jz    .walk
  mov   ecx, 48
  jmp   .walk
.pae:
  and   edx, ~31
  mov   eax, eax
  mov   ecx, eax
  shr   ecx, 30
  mov   rdx, [rdx + rcx * 8]
  test  dl, 1
  jz    .none
  mov   ecx, 21
.walk:
  mov   r8, 0x000f_ffff_ffff_f000
  and   rdx, r8
  mov   r8, rax
  shr   r8, cl
  and   r8d, 511
  mov   rdx, [rdx + r8 * 8]
  test  dl, 1
  jz    .none
  cmp   ecx, 12
  je    .page
  test  dl, 0x80
  jnz   .page
  sub   ecx, 9
  jmp   .walk
.page:
  mov   r8d, 1
  shl   r8, cl
  dec   r8                              ; the offset in a page
  and   rax, r8
  not   r8
  and   rdx, r8
  mov   r8, 0x000f_ffff_ffff_f000
  and   rdx, r8
  or    rax, rdx
  clc
  ret
.none:
  stc
  ret

copy_in:                                ; ecx bytes of the guest at rsi to rdi; unmapped ones by physical address
  test  ecx, ecx
  jz    .copied
  push  rcx
  mov   rax, rsi
  call  translate
  jnc   .mapped
  mov   rax, rsi
.mapped:
  mov   al, [rax]
  mov   [rdi], al
  pop   rcx
  inc   rsi
  inc   rdi
  dec   ecx
  jmp   copy_in
.copied:
  ret

copy_out:                               ; ecx bytes at rdi to the guest at rsi
  test  ecx, ecx
  jz    .copied
  push  rcx
  mov   rax, rsi
  call  translate
  jc    .none
  mov   cl, [rdi]
  mov   [rax], cl
.none:
  pop   rcx
  inc   rsi
  inc   rdi
  dec   ecx
  jmp   copy_out
.copied:
  ret
`;

/** An exception has reached a default handler: its frame lies on the guest's stack, in slots of its mode's width. */
export const trapSource = `
guest_trap:                             ; rcx: how far behind the first default handler
  mov   rax, [saved_ip]
  mov   [stub_ip], rax
  mov   eax, ecx
  xor   edx, edx
  div   dword [handler_step]
  mov   [vector], rax
  mov   rsi, [saved_sp]
  mov   dword [slot], 8
  test  dword [guest_efer], EFER.LMA
  jnz   .at
  mov   dword [slot], 4
  test  byte [guest_cr0], CR0.PE
  jnz   .wide
  mov   dword [slot], 2
.wide:
  bt    dword [ss_rights], 14
  jc    .stack32
  movzx esi, si
.stack32:
  mov   esi, esi
  add   rsi, [ss_base]
  mov   esi, esi
.at:
  mov   [frame_at], rsi
  mov   edi, frame
  mov   ecx, 3 * 8 + 8
  call  copy_in
  mov   dword [error_slots], 0
  mov   dword [error], 0
  cmp   dword [slot], 2
  je    .plain
  mov   eax, ERROR_VECTORS
  mov   ecx, [vector]
  bt    eax, ecx
  jnc   .plain
  mov   dword [error_slots], 1
  xor   ecx, ecx
  call  take_slot
  mov   [error], rax
.plain:
  mov   ecx, [error_slots]
  mov   eax, [slot]
  mul   ecx
  add   rax, [frame_at]
  mov   [ip_at], rax
  call  take_slot
  mov   [saved_ip], rax
  inc   ecx
  call  take_slot
  mov   [saved_cs], rax
  inc   ecx
  call  take_slot
  mov   [saved_flags], rax
  mov   dword [is_leaving], 0
  read_debug
  jmp   trap_known

take_slot:                              ; rax becomes slot ecx of the frame
  mov   eax, [slot]
  imul  eax, ecx
  cmp   dword [slot], 4
  jb    .narrow
  ja    .wide
  mov   eax, [frame + rax]
  ret
.narrow:
  movzx eax, word [frame + rax]
  ret
.wide:
  mov   rax, [frame + rax]
  ret

return:                                 ; from a handler by the IRET behind its hypercall; out of a ring at once
  cmp   dword [is_leaving], 0
  jne   .left
  mov   rsi, [ip_at]
  mov   edi, saved_ip
  mov   ecx, [slot]
  call  copy_out
  mov   eax, [slot]
  mul   dword [error_slots]
  add   rax, [saved_sp]
  write_sp
  mov   rax, [stub_ip]
  add   rax, 3
  write_ip
  jmp   resumed
.left:
  write_segment GUEST_CS_SELECTOR, VMCB.CS_SELECTOR, ring0_code
  write_segment GUEST_SS_SELECTOR, VMCB.SS_SELECTOR, ring0_stack
  on svm1, svm2 {
    mov   byte [svm.vmcb + VMCB.CPL], 0
  }
  mov   rax, [ring0_sp]
  write_sp
  mov   rax, [saved_flags]
  write_flags
  mov   rax, [saved_ip]
  write_ip
  jmp   resumed
`;
