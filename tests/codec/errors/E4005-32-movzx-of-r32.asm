movzx eax, ecx
