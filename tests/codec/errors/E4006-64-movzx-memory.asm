movzx eax, [rbx]
