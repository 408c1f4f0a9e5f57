mov al, bl
encode "8A /r" { mov al, bl }
encode "88 /r" { mov al, bl }
encode "o32 8B /r" { mov eax, ebx }
encode "o32 81 /0 id" { add eax, 1 }
encode "o32 83 /0 ib" { add eax, 1 }
encode "o32 83 /0 ib" { lock add dword [rbx], 1 }
encode "o32 81 /0 id" { add dword [rbx], 5 }
encode "o32 C7 /0 id" { mov ecx, 5 }
encode "8C /r" { mov [rbx], ds }
target: jmp target
encode "E9 cd" { jmp target }
encode "0F 84 cd" { je behind }
behind: nop
macro move(to, from) { mov to, from }
encode "REX.W 8B /r" { move rax, rcx }
