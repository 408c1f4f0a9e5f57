mov eax, bl
