add rax, ecx
