mov [eax], [ebx]
