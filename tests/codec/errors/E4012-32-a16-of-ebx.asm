a16 mov eax, [ebx]
