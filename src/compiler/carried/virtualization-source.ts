// What a carried image reports of VMX and SVM, in the language itself: failed instructions, entries and exits. It
// learns of an entry of VMX when control is back in the outer guest, wherever that is: the VMCS says what happened.
// `{si}` stands for the register of that name in the width of the code.

export const virtualizationSource = `
vmx_result:                             ; behind an instruction of VMX: CF is VMfailInvalid, ZF is VMfailValid
  test  dword [saved_flags], FLAGS.CF | FLAGS.ZF
  jz    return
  mov   dword [launched_at], 0
  call  put_visits
  mov   edi, [served]
  mov   al, 'n'
  call  put
  lea   {si}, [{di} + POINT_ARGUMENT]
  call  put_short
  mov   dword [number], 0
  mov   dword [number + 4], 0
  test  dword [saved_flags], FLAGS.ZF
  jz    .invalid
  mov   ecx, VM_INSTRUCTION_ERROR
  vmread {ax}, {cx}
  mov   [number], eax
.invalid:
  mov   {si}, number
  call  put_number
  call  put_newline
  jmp   return

put_exit:                               ; after a VM entry of VMX: is this the outer guest again?
  cmp   dword [launched_at], 0
  je    .nothing
  mov   eax, [saved_ip]
  cmp   eax, OUTER_START
  jb    .inside
  cmp   eax, OUTER_END
  jae   .inside
  cmp   eax, [launched_at]              ; the entry itself faulted
  je    .over
  mov   edi, [served]
  cmp   dword [{di} + POINT_ACTION], POINT_SVM_RESULT
  je    .nothing                        ; that point says what happened
  cmp   dword [{di} + POINT_ACTION], POINT_VMX_RESULT
  jne   .exited
  test  dword [saved_flags], FLAGS.CF | FLAGS.ZF
  jnz   .nothing                        ; it failed, which its own point reports
.exited:
  call  put_visits
  mov   al, 'x'
  call  put
  mov   {si}, launched_line
  call  put_number
  mov   edi, vmcs_fields
.field:
  mov   ecx, [{di}]
  cmp   ecx, VMCS_FIELDS_END
  je    .all
  mov   dword [number], 0
  mov   dword [number + 4], 0
  vmread {ax}, {cx}
  mov   [number], {ax}
  mov   eax, ecx
  and   eax, VMCS_WIDTH
  cmp   eax, VMCS_WIDTH_64
  jne   .whole
  inc   ecx                             ; 32-bit code reads the high half of a 64-bit field by itself
  vmread {ax}, {cx}
  mov   [number + 4], eax
.whole:
  mov   {si}, number
  call  put_number
  add   edi, 4
  jmp   .field
.all:
  call  put_newline
.over:
  mov   dword [launched_at], 0
.nothing:
  ret
.inside:                                ; a guest of the outer guest is running: the entry succeeded
  cmp   dword [inside], 0
  jne   .nothing
  mov   dword [inside], 1
  call  put_visits
  mov   al, 'e'
  call  put
  mov   {si}, launched_line
  call  put_number
  mov   {si}, saved_ip
  call  put_number
  jmp   put_newline

svm_result:                             ; behind VMRUN: rAX is the address of the VMCB again
  mov   dword [launched_at], 0
  call  put_visits
  mov   al, 'y'
  call  put
  mov   edi, [served]
  lea   {si}, [{di} + POINT_ARGUMENT]
  call  put_short
  mov   ebx, [saved_ax]
  lea   {si}, [{bx} + VMCB.EXITCODE]
  call  put_number
  lea   {si}, [{bx} + VMCB.EXITINFO1]
  call  put_number
  lea   {si}, [{bx} + VMCB.EXITINFO2]
  call  put_number
  lea   {si}, [{bx} + VMCB.EXITINTINFO]
  call  put_number
  lea   {si}, [{bx} + VMCB.RIP]
  call  put_number
  call  put_newline
  jmp   return
`;
