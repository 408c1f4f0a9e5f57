// The points of a carried image, in the language itself: probes, the way into ring 3 and back. A point is a software
// interrupt; which one it is, its return address tells. `{si}` stands for the register in the width of the code.

export const pointSource = `
point:
  mov   eax, [saved_ip]
  mov   edi, [point_table]
  mov   ecx, [point_count]
.next:
  test  ecx, ecx
  jz    .foreign
  cmp   eax, [{di} + POINT_RETURN]
  je    .found
  add   edi, POINT_BYTES
  dec   ecx
  jmp   .next
.foreign:
  test  byte [saved_cs], 3              ; the guest's own INT: from ring 3 its gate would not be open
  jz    trap
  imul  eax, [vector], 8
  or    eax, 2
  mov   [error], eax
  mov   dword [vector], 13
  sub   dword [saved_ip], 2
  jmp   trap
.found:
  mov   [served], edi
  call  put_exit
  mov   edi, [served]
  mov   eax, [{di} + POINT_ACTION]
  cmp   eax, POINT_PROBE
  je    .probe
  cmp   eax, POINT_RING_ENTER
  je    .enter
  cmp   eax, POINT_RING_LEAVE
  je    .leave
  cmp   eax, POINT_ANNOUNCE
  je    .announce
  cmp   eax, POINT_LAUNCH
  je    .launch
  cmp   eax, POINT_VMX_RESULT
  je    vmx_result
  cmp   eax, POINT_SVM_RESULT
  je    svm_result
  jmp   done
.probe:
  mov   ebp, [{di} + POINT_ARGUMENT]
  call  put_visits
  mov   al, 'p'
  call  put_values
  call  put_place
  jmp   return
.enter:
  test  byte [saved_cs], 3
  jnz   return
  mov   eax, [saved_cs]
  mov   [ring0_cs], eax
  mov   eax, [saved_ss]
  mov   [ring0_ss], eax
  mov   eax, [saved_flags]
  mov   [ring0_flags], eax
  mov   {ax}, [saved_sp]
  mov   [ring0_sp], {ax}
  mov   dword [entered], 1
  mov   dword [saved_cs], RING3_CODE_SELECTOR
  mov   dword [saved_ss], RING3_STACK_SELECTOR
  mov   eax, [ring3_stack]
  mov   [saved_sp], eax
  and   dword [saved_flags], ~FLAGS.IOPL
  jmp   return
.announce:                              ; what follows may end the machine without another word
  call  put_visits
  call  put_finals
  mov   edi, [served]
  mov   al, 'a'
  call  put
  lea   {si}, [{di} + POINT_ARGUMENT]
  call  put_short
  call  put_newline
  call  drain_port
  jmp   return
.launch:
  call  put_visits
  mov   edi, [served]
  mov   eax, [{di} + POINT_LINE]
  mov   [launched_at], eax
  mov   eax, [{di} + POINT_ARGUMENT]
  mov   [launched_line], eax
  mov   dword [inside], 0
  jmp   return
.leave:
  cmp   dword [entered], 0
  je    return
  call  leave_ring
  jmp   return

leave_ring:                             ; what the block computed stays; stack, privilege and IOPL are as before it
  mov   eax, [ring0_cs]
  mov   [saved_cs], eax
  mov   eax, [ring0_ss]
  mov   [saved_ss], eax
  mov   {ax}, [ring0_sp]
  mov   [saved_sp], {ax}
  mov   eax, [ring0_flags]
  and   eax, FLAGS.IOPL
  or    [saved_flags], eax
  mov   dword [entered], 0
  ret
`;
