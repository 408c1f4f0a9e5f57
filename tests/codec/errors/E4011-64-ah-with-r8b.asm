mov ah, r8b
